//! The endpoints.
//!
//! Each file serves one area and lists its endpoints in a `ROUTES` table: method, path template, who may call
//! it, whether the call is forwarded to the node in the path, its parameters, its handler. A handler is a plain
//! function of a [`Call`]: it reads checked parameters and changes the world, or forks a task. To add an
//! endpoint, write the handler and add a line to a table; the order of checks is `http::pipeline`'s affair.

#![expect(
    clippy::unnecessary_wraps,
    reason = "handlers share one signature, also those that never refuse"
)]

mod access;
mod agent;
mod allocate;
mod clone;
mod cloudinit;
mod cluster;
mod config;
mod console;
mod create;
mod datacenter;
mod datacenter_options;
mod destroy;
mod disks;
mod download;
mod firewall;
mod ha;
mod jobs;
mod migrate;
mod move_disk;
mod network;
mod node_rrd;
mod nodes;
mod pools;
mod power;
mod prune;
mod restore;
mod rrd;
mod snapshots;
mod storage;
mod storage_config;
mod tasks;
mod upload;
mod vms;
mod volume;
mod vzdump;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::config::keys::{KEYS, Key};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{Params, Property, Raw, format};
use crate::simulation::Simulation;
use crate::work::FLOCK_SECONDS;
use crate::world::World;
use crate::world::access::names;

/// Decides whether somebody may make a call, by its unchecked parameters.
pub(crate) type Judge = fn(&World, &BTreeMap<String, Raw>, &str) -> Result<(), Failure>;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Allow {
    /// Anybody, without authentication.
    World,
    /// Any user; the handler filters what is shown.
    User,
    /// Whoever has one of the privileges on the path.
    On(&'static str, &'static [&'static str]),
    /// The privileges differ between PVE 8 and 9.
    ByMajor(&'static str, &'static [&'static str], &'static [&'static str]),
    /// More than one object decides, of which some are named by unchecked parameters.
    Judged(Judge),
}

/// What an endpoint takes besides the parameters in its path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Takes {
    /// These parameters.
    Only(&'static [Property]),
    /// These, and those which it has in common with other endpoints.
    And(&'static [Property], &'static [Property]),
    /// These and every key of a VM's configuration.
    WithConfig(&'static [Property]),
}

/// The VM's configuration lock, as a call takes it.
pub(crate) struct Flock {
    /// How long it is waited for, in seconds.
    pub(crate) seconds: f64,
    /// What is said when it was not had in time, of the usual text.
    pub(crate) refused: fn(&Params, String) -> String,
}

impl Flock {
    /// As most calls take it.
    const USUAL: Self = Self {
        seconds: FLOCK_SECONDS,
        refused: |_, text| text,
    };
}

/// One endpoint.
pub(crate) struct Endpoint {
    /// The HTTP method.
    pub(crate) method: &'static str,
    /// The path template.
    pub(crate) path: &'static str,
    /// Who may call it.
    pub(crate) allow: Allow,
    /// Whether the call is forwarded to the node in the path.
    pub(crate) forwarded: bool,
    /// Whether API tokens may call it.
    pub(crate) token: bool,
    /// How it takes the VM's configuration lock, if it does.
    pub(crate) flock: Option<Flock>,
    /// Its parameters.
    pub(crate) takes: Takes,
    /// What it does.
    pub(crate) run: fn(&mut Call<'_>) -> Answer,
}

impl Endpoint {
    /// An endpoint of a VM or node, forwarded to the node in the path.
    const fn on_node(
        method: &'static str,
        path: &'static str,
        allow: Allow,
        takes: &'static [Property],
        run: fn(&mut Call<'_>) -> Answer,
    ) -> Self {
        Self {
            method,
            path,
            allow,
            forwarded: true,
            token: true,
            flock: None,
            takes: Takes::Only(takes),
            run,
        }
    }

    /// An endpoint that any node answers by itself.
    const fn anywhere(
        method: &'static str,
        path: &'static str,
        allow: Allow,
        takes: &'static [Property],
        run: fn(&mut Call<'_>) -> Answer,
    ) -> Self {
        Self {
            forwarded: false,
            ..Self::on_node(method, path, allow, takes, run)
        }
    }

    /// All its parameters, those in the path too.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &'static Property> + Clone {
        const NONE: &[Key] = &[];
        const ALONE: &[Property] = &[];
        let (own, shared, config) = match self.takes {
            Takes::Only(own) => (own, ALONE, NONE),
            Takes::And(own, shared) => (own, shared, NONE),
            Takes::WithConfig(own) => (own, ALONE, KEYS),
        };
        let path = self.path;
        let in_path = PATH_PROPERTIES.iter().filter(move |property| {
            let names = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            names.into_iter().any(|name| name == property.name)
        });
        own.iter()
            .chain(shared)
            .chain(in_path)
            .chain(config.iter().map(|key| &key.property))
    }
}

/// The parameters that stand in paths.
const PATH_PROPERTIES: &[Property] = &[
    Property::text("node").format(format::node),
    Property::integer("vmid")
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
    Property::text("snapname")
        .format(format::config_id)
        .no_longer_than(40),
    Property::text("storage").format(format::storage_id),
    Property::text("userid").format(names::user_id).no_longer_than(64),
    Property::text("tokenid").pattern(names::is_realm),
    Property::text("groupid").format(names::group_id),
    Property::text("roleid").format(names::role_id),
    Property::text("poolid").format(format::pool_id),
    Property::text("upid"),
    Property::text("volume"),
    Property::integer("pos").at_least(0),
    firewall::name("name", crate::world::firewall::names::LONGEST),
    firewall::name("group", crate::world::firewall::names::LONGEST_GROUP),
    Property::text("cidr").format(cidr_or_alias),
];

/// An address, a network, or the name of an alias.
fn cidr_or_alias(_: &str, text: &str) -> Result<(), String> {
    crate::world::firewall::values::ip_or_cidr_or_alias(text)
}

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, Failure>;

/// A success.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// The `data`.
    pub(crate) data: Value,
    /// The `total` of lists that have one.
    pub(crate) total: Option<u64>,
    /// A task to wait for, and for how many seconds: when it ends in time, its end is the answer.
    pub(crate) wait: Option<(String, f64)>,
    /// A console's port to connect to, when the caller asks for a WebSocket.
    pub(crate) console: Option<u16>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self {
            data,
            ..Self::default()
        }
    }
}

/// What an index lists.
fn subdirectories(names: &[&str]) -> Reply {
    let entries = names.iter().map(|name| serde_json::json!({ "subdir": name }));
    entries.collect::<Value>().into()
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

/// A call that passed all checks but its own.
pub(crate) struct Call<'a> {
    /// The simulator.
    pub(crate) sim: &'a Arc<Simulation>,
    /// The cluster.
    pub(crate) world: &'a mut World,
    /// The host that was called, by its place among the simulator's addresses.
    pub(crate) host: usize,
    /// The user or token.
    pub(crate) who: &'a str,
    /// Checked parameters, those in the path too.
    pub(crate) params: Params,
}

impl Call<'_> {
    /// The node in the path.
    pub(crate) fn node(&self) -> String {
        self.params.text("node").to_owned()
    }

    /// The VM in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.params.text("vmid").parse().unwrap_or(0)
    }

    /// Whether the caller has a privilege on a path.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        self.world.access.may(self.who, path, privilege)
    }

    /// Whether the caller has one of the privileges on a path.
    pub(crate) fn may_any(&self, path: &str, privileges: &[&str]) -> bool {
        privileges.iter().any(|privilege| self.may(path, privilege))
    }

    /// Refuses an option that only root@pam may use.
    pub(crate) fn root_only(&self, option: &str) -> Result<(), Failure> {
        if self.params.get(option).is_some_and(|value| value != "0") && self.who != "root@pam" {
            return Err(Failure::parameter(option, "Only root may use this option."));
        }
        Ok(())
    }

    /// Refuses unless the caller has one of the privileges on a path.
    pub(crate) fn require(&self, path: &str, any: &[&str]) -> Result<(), Failure> {
        self.world.require(self.who, path, any)
    }

    /// Which PVE is simulated.
    pub(crate) fn major(&self) -> Major {
        self.world.major
    }
}

const AREAS: &[&[Endpoint]] = &[
    allocate::ROUTES,
    clone::ROUTES,
    cloudinit::ROUTES,
    cluster::ROUTES,
    config::ROUTES,
    console::ROUTES,
    create::ROUTES,
    datacenter::ROUTES,
    datacenter_options::ROUTES,
    destroy::ROUTES,
    disks::ROUTES,
    ha::ROUTES,
    jobs::ROUTES,
    download::ROUTES,
    migrate::ROUTES,
    move_disk::ROUTES,
    network::ROUTES,
    node_rrd::ROUTES,
    nodes::ROUTES,
    pools::ROUTES,
    power::ROUTES,
    prune::ROUTES,
    rrd::ROUTES,
    snapshots::ROUTES,
    storage::ROUTES,
    storage_config::ROUTES,
    tasks::ROUTES,
    upload::ROUTES,
    vms::ROUTES,
    volume::ROUTES,
    vzdump::ROUTES,
];

/// All endpoints.
pub(crate) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    AREAS
        .iter()
        .chain(access::AREAS)
        .chain(agent::AREAS)
        .chain(firewall::AREAS)
        .flat_map(|area| area.iter())
}

/// The endpoint of a method and path, with the values of the path's parameters.
pub(crate) fn find(method: &str, path: &str) -> Option<(&'static Endpoint, BTreeMap<String, String>)> {
    let parts = path.trim_matches('/').split('/').collect::<Vec<_>>();
    endpoints()
        .filter(|e| e.method == method)
        .find_map(|endpoint| Some((endpoint, fill(endpoint.path, &parts)?)))
}

fn fill(template: &str, parts: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut wanted = template.trim_matches('/').split('/').collect::<Vec<_>>();
    let mut values = BTreeMap::new();
    // A volume's name has slashes, raw or encoded: it takes the rest of the path.
    let parts = if wanted.last() == Some(&"{volume}") && parts.len() >= wanted.len() {
        wanted.pop();
        let (head, rest) = parts.split_at_checked(wanted.len())?;
        let rest = rest.join("/");
        let text = percent_encoding::percent_decode_str(&rest).decode_utf8_lossy();
        values.insert("volume".to_owned(), text.into_owned());
        head
    } else {
        parts
    };
    if wanted.len() != parts.len() {
        return None;
    }
    for (wanted, part) in wanted.iter().zip(parts) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let text = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
                values.insert(name.to_owned(), text.into_owned());
            }
            None if wanted == part => {}
            None => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_endpoints_share_a_method_and_path() {
        let mut seen = std::collections::BTreeSet::new();
        for endpoint in endpoints() {
            assert!(
                seen.insert((endpoint.method, endpoint.path)),
                "{} {}",
                endpoint.method,
                endpoint.path
            );
        }
    }

    #[test]
    fn every_parameter_in_a_path_is_declared() {
        for endpoint in endpoints() {
            for name in endpoint
                .path
                .split('/')
                .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
            {
                assert!(
                    endpoint.properties().any(|p| p.name == name),
                    "{name} in {}",
                    endpoint.path
                );
            }
        }
    }

    #[test]
    fn a_path_gives_its_values_decoded() {
        let (endpoint, values) = find("GET", "/nodes/pve1/qemu/100/snapshot/a%2Db/config").unwrap();
        assert_eq!(
            endpoint.path,
            "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"
        );
        assert_eq!(values["snapname"], "a-b");
        assert!(find("GET", "/nodes/pve1/qemu/100/nothing").is_none());
    }

    #[test]
    fn a_volume_takes_the_rest_of_the_path() {
        for path in [
            "/nodes/pve1/storage/local/content/local:iso/a b.iso",
            "/nodes/pve1/storage/local/content/local%3Aiso%2Fa%20b.iso",
        ] {
            let (endpoint, values) = find("GET", path).unwrap();
            assert_eq!(endpoint.path, "/nodes/{node}/storage/{storage}/content/{volume}");
            assert_eq!(values["volume"], "local:iso/a b.iso");
        }
        let (endpoint, _) = find("GET", "/nodes/pve1/storage/local/content").unwrap();
        assert_eq!(endpoint.path, "/nodes/{node}/storage/{storage}/content");
    }
}
