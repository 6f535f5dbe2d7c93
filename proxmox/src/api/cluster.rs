//! `/cluster/resources`: all VMs, nodes and storages in one cheap call.
//!
//! Figures are up to 10 s old. A node that does not report for 300 s leaves only the bare identity of its
//! VMs, so everything but VM number and node is optional.

use std::time::Instant;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::api::storage::{ContentKind, kinds};
use crate::api::{PowerState, tags};
use crate::client::Client;
use crate::entries::Entries;
use crate::error::Error;
use crate::id::{NodeName, StorageId, VmId};
use crate::lenient;
use crate::reason::Lock;
use crate::route::{Params, Route};
use crate::transport::Class;

/// A VM as the cluster's list has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VmResource {
    /// The VM's number.
    pub vmid: VmId,
    /// The node it is on; this list is the authority for it.
    pub node: NodeName,
    /// Its name; absent while its node does not report.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its state.
    #[serde(default, rename = "status")]
    pub state: PowerState,
    /// Whether it is a template.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub template: bool,
    /// Seconds since the QEMU process began.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub uptime: Option<u64>,
    /// Used fraction of all its CPUs, 0 to 1.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub cpu: Option<f64>,
    /// Number of CPUs.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub maxcpu: Option<f64>,
    /// Used memory, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub mem: Option<u64>,
    /// Configured memory, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxmem: Option<u64>,
    /// Size of the boot disk, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxdisk: Option<u64>,
    /// Bytes received by the guest since its start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub netin: Option<u64>,
    /// Bytes sent by the guest since its start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub netout: Option<u64>,
    /// Bytes read from disks since its start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub diskread: Option<u64>,
    /// Bytes written to disks since its start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub diskwrite: Option<u64>,
    /// The operation that holds the VM.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// Tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// The pool it is in, if the token may see it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub pool: Option<String>,
    /// The state that high availability gives it, if managed.
    #[serde(default, deserialize_with = "lenient::text")]
    pub hastate: Option<String>,
}

/// Whether a node takes part in the cluster just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// It does.
    Online,
    /// It does not.
    Offline,
    /// It was never seen, or is in a state that this crate does not know.
    #[default]
    Unknown,
}

impl<'de> Deserialize<'de> for NodeState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match lenient::text(deserializer)?.as_deref() {
            Some("online") => Self::Online,
            Some("offline") => Self::Offline,
            _ => Self::Unknown,
        })
    }
}

/// A node as the cluster's list has it. Figures need `Sys.Audit`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodeResource {
    /// The node's name.
    pub node: NodeName,
    /// Whether it takes part in the cluster.
    #[serde(default)]
    pub status: NodeState,
    /// Used fraction of all CPUs, 0 to 1.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub cpu: Option<f64>,
    /// Number of CPUs.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub maxcpu: Option<f64>,
    /// Used memory, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub mem: Option<u64>,
    /// Memory, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxmem: Option<u64>,
    /// Seconds since the node booted.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub uptime: Option<u64>,
}

impl VmResource {
    /// Whether it is on its way to another node. What is asked of it meanwhile is refused, and in the end its
    /// old node does not know it any more.
    pub fn is_migrating(&self) -> bool {
        self.lock == Some(Lock::Migrate)
    }

    /// Whether high availability manages it: then the end of a start or stop task is not the end of the matter.
    pub fn is_ha_managed(&self) -> bool {
        self.hastate.is_some()
    }
}

impl NodeResource {
    /// Whether the node takes part in the cluster just now.
    pub fn is_online(&self) -> bool {
        self.status == NodeState::Online
    }
}

/// A storage on one node; a shared one is listed once for each node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StorageResource {
    /// The storage's name.
    pub storage: StorageId,
    /// The node this entry is about.
    pub node: NodeName,
    /// The kind, such as `dir`, `lvmthin`, `zfspool`, `pbs`.
    #[serde(default)]
    pub plugintype: String,
    /// Whether all nodes see the same content.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub shared: bool,
    /// What it may hold; kinds that this crate has no use for are left out.
    #[serde(default, deserialize_with = "kinds")]
    pub content: Vec<ContentKind>,
    /// Used bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub disk: Option<u64>,
    /// Size, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxdisk: Option<u64>,
    /// Whether its node reports about it just now.
    #[serde(default, rename = "status", deserialize_with = "available")]
    pub available: bool,
}

fn available<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(lenient::text(deserializer)?.as_deref() == Some("available"))
}

impl StorageResource {
    /// Whether the storage is set up to hold this kind of content.
    pub fn holds(&self, kind: ContentKind) -> bool {
        self.content.contains(&kind)
    }
}

/// Everything on the cluster that the token may see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Virtual machines and templates (no containers).
    pub vms: Vec<VmResource>,
    /// Nodes.
    pub nodes: Vec<NodeResource>,
    /// Storages by node.
    pub storages: Vec<StorageResource>,
}

impl Client {
    /// `GET /cluster/resources`: VMs, nodes and storages. Any endpoint answers from its own memory.
    pub async fn resources(&self) -> Result<Resources, Error> {
        self.fetch_resources(None).await
    }

    /// `GET /cluster/resources?type=vm`: VMs only.
    pub async fn vm_resources(&self) -> Result<Vec<VmResource>, Error> {
        Ok(self.fetch_resources(Some("vm")).await?.vms)
    }

    /// `GET /nodes`: the nodes, and which of them are there.
    pub async fn node_list(&self) -> Result<Vec<NodeResource>, Error> {
        let route = Route::get("/nodes");
        let entries: Entries<_> = self.call(Class::Read, &route, &Params::new()).await?.data;
        Ok(entries.kept("nodes of a cluster"))
    }

    async fn fetch_resources(&self, kind: Option<&'static str>) -> Result<Resources, Error> {
        let asked = Instant::now();
        let route = Route::get("/cluster/resources");
        let entries: Entries<Entry> = self
            .call(Class::Read, &route, &Params::new().opt("type", kind))
            .await?
            .data;
        let resources = sort(entries);
        self.nodes()
            .renew(resources.vms.iter().map(|vm| (vm.vmid, vm.node.clone())), asked);
        Ok(resources)
    }
}

/// One entry of the cluster's list.
enum Entry {
    Vm(VmResource),
    Node(NodeResource),
    Storage(StorageResource),
    /// Containers, SDN zones and what later versions add.
    Other,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(default, rename = "type", deserialize_with = "lenient::text")]
            kind: Option<String>,
        }

        let text = <&RawValue>::deserialize(deserializer)?.get();
        let kind: Kind = parsed(text)?;
        Ok(match kind.kind.as_deref() {
            Some("qemu") => Self::Vm(vm(text)?),
            Some("node") => Self::Node(parsed(text)?),
            Some("storage") => Self::Storage(parsed(text)?),
            _ => Self::Other,
        })
    }
}

fn parsed<'a, T: Deserialize<'a>, E: de::Error>(text: &'a str) -> Result<T, E> {
    serde_json::from_str(text).map_err(E::custom)
}

/// A VM; if its entry cannot be read only number and node. A part that no version of this crate knows must not make a
/// VM disappear from the cluster.
fn vm<E: de::Error>(text: &str) -> Result<VmResource, E> {
    #[derive(Deserialize)]
    struct Identity<'a> {
        #[serde(borrow)]
        vmid: &'a RawValue,
        #[serde(borrow)]
        node: &'a RawValue,
    }

    serde_json::from_str(text).or_else(|problem| {
        let Identity { vmid, node } = parsed(text)?;
        let vm = serde_json::from_str(&format!(r#"{{"vmid":{vmid},"node":{node}}}"#)).map_err(E::custom)?;
        let problem = lenient::without_content(&problem.to_string());
        tracing::warn!(%problem, "a VM of cluster/resources could not be read but for its number and node");
        Ok(vm)
    })
}

fn sort(entries: Entries<Entry>) -> Resources {
    let mut resources = Resources {
        vms: Vec::with_capacity(entries.total()),
        nodes: Vec::new(),
        storages: Vec::new(),
    };
    for entry in entries.kept("entries of cluster/resources") {
        match entry {
            Entry::Vm(vm) => resources.vms.push(vm),
            Entry::Node(node) => resources.nodes.push(node),
            Entry::Storage(storage) => resources.storages.push(storage),
            Entry::Other => {}
        }
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_and_the_bare_entry_of_a_silent_node_is_kept() {
        let resources = sort(
            serde_json::from_str(
                r#"[
                {"id":"qemu/100","type":"qemu","vmid":100,"name":"web","node":"pve1","status":"running",
                 "template":0,"uptime":3600,"cpu":0.25,"maxcpu":2,"mem":"1.0e+9","maxmem":2147483648,
                 "maxdisk":34359738368,"netin":1,"netout":2,"diskread":3,"diskwrite":4,"lock":"backup","tags":"a;b"},
                {"id":"qemu/101","vmid":"101","node":"pve2","type":"qemu","status":"unknown","tags":" "},
                {"id":"lxc/200","type":"lxc","vmid":200,"node":"pve1"},
                {"id":"qemu/1","type":"qemu","vmid":1,"node":"pve1"},
                {"id":"node/pve1","type":"node","node":"pve1","status":"online","maxcpu":8},
                {"id":"storage/pve1/local","type":"storage","storage":"local","node":"pve1","shared":0,
                 "content":"iso,backup","status":"available","plugintype":"dir","disk":1,"maxdisk":2},
                {"id":"sdn/pve1/x","type":"sdn"}]"#,
            )
            .unwrap(),
        );
        let numbers: Vec<u32> = resources.vms.iter().map(|vm| vm.vmid.get()).collect();
        assert_eq!(
            numbers,
            [100, 101],
            "containers and impossible numbers are left out"
        );
        let [web, silent] = &resources.vms[..] else {
            panic!()
        };
        assert_eq!(
            (&web.state, web.mem, &web.lock),
            (&PowerState::Running, Some(1_000_000_000), &Some(Lock::Backup))
        );
        assert_eq!(web.tags, ["a", "b"]);
        assert_eq!(
            (&silent.state, &silent.name, silent.maxcpu),
            (&PowerState::Unknown, &None, None)
        );
        assert!(silent.tags.is_empty());
        assert!(resources.nodes[0].is_online());
        let local = &resources.storages[0];
        assert!(local.holds(ContentKind::Backup) && !local.holds(ContentKind::Images) && local.available);
    }

    #[test]
    fn a_vm_with_a_part_that_cannot_be_read_is_still_where_it_is() {
        let resources = sort(
            serde_json::from_str(
                r#"[{"type":"qemu","vmid":100,"node":"pve1","status":"running","uptime":-1},
                    {"type":"qemu","vmid":101,"node":"pve1","lock":{"by":"backup"}}]"#,
            )
            .unwrap(),
        );
        let places = resources.vms.iter().map(|vm| (vm.vmid.get(), vm.node.as_str()));
        assert_eq!(places.collect::<Vec<_>>(), [(100, "pve1"), (101, "pve1")]);
        let [figure, lock] = &resources.vms[..] else {
            panic!()
        };
        assert_eq!((&figure.state, figure.uptime), (&PowerState::Running, None));
        assert_eq!(lock.state, PowerState::Unknown);
    }
}
