//! The cluster as a whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{Property, format};
use crate::world::Node;
use crate::world::figures::Published;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/resources", Allow::User, RESOURCES, resources),
    Endpoint::anywhere("GET", "/cluster/nextid", Allow::User, NEXT_ID, next_id),
    Endpoint::anywhere(
        "GET",
        "/cluster/status",
        Allow::On("/", &["Sys.Audit"]),
        &[],
        status,
    ),
    Endpoint::anywhere("GET", "/cluster/tasks", Allow::User, &[], tasks),
];

const RESOURCES: &[Property] = &[Property::text("type")
    .optional()
    .one_of(&["vm", "storage", "node", "sdn"])];

const NEXT_ID: &[Property] = &[Property::integer("vmid")
    .optional()
    .format(format::vmid)
    .at_least(100)
    .at_most(999_999_999)];

fn resources(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.get("type").map(str::to_owned);
    let wants = |kind: &str| wanted.as_deref().is_none_or(|w| w == kind);
    let mut list = Vec::new();
    if wanted.is_none() {
        for (pool, _) in call.world.access.pools.iter().filter(|(pool, _)| {
            call.world
                .access
                .may(call.who, &format!("/pool/{pool}"), "Pool.Audit")
        }) {
            list.push(json!({ "id": format!("/pool/{pool}"), "type": "pool", "pool": pool }));
        }
    }
    if wants("vm") {
        let vms = call.world.vms.values();
        list.extend(
            vms.filter(|vm| call.may(&format!("/vms/{}", vm.vmid), "VM.Audit"))
                .map(|vm| vm_entry(call, vm)),
        );
    }
    if wants("node") {
        list.extend(call.world.nodes.values().map(|node| node_entry(call, node)));
    }
    if wants("storage") {
        list.extend(storage_entries(call));
    }
    if wants("sdn") {
        for node in call.world.nodes.keys() {
            if call.may_any(
                "/sdn/zones/localnetwork",
                &["SDN.Audit", "SDN.Use", "SDN.Allocate"],
            ) {
                list.push(json!({
                    "id": format!("sdn/{node}/localnetwork"), "type": "sdn", "node": node,
                    "sdn": "localnetwork", "status": "ok",
                }));
            }
        }
    }
    Ok(Value::from(list).into())
}

pub(super) fn vm_entry(call: &Call<'_>, vm: &Vm) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("id", Value::from(format!("qemu/{}", vm.vmid)));
    put("type", Value::from("qemu"));
    put("vmid", Value::from(vm.vmid));
    put("node", Value::from(vm.node.clone()));
    for key in ["lock", "tags"] {
        if let Some(text) = vm.get(key) {
            put(key, Value::from(text));
        }
    }
    if let Some(pool) = call.world.access.pool_of(vm.vmid)
        && call.may(&format!("/pool/{pool}"), "Pool.Audit")
    {
        put("pool", Value::from(pool));
    }
    if let Some(managed) = call.world.ha.get(&vm.vmid) {
        put("hastate", Value::from(managed.state(vm.run.is_some())));
    }
    let Some(published) = told(call, vm) else {
        put("status", Value::from("unknown"));
        return Value::Object(entry);
    };
    let sample = published.sample;
    put("status", Value::from(published.status));
    put("name", Value::from(published.name.as_str()));
    put("template", Value::from(u8::from(published.template)));
    put("uptime", Value::from(sample.uptime));
    put("cpu", Value::from(sample.cpu));
    put("maxcpu", Value::from(published.cpus));
    put("mem", Value::from(published.memory));
    put("maxmem", Value::from(published.max_memory));
    put("disk", Value::from(0));
    put("maxdisk", Value::from(published.max_disk));
    put("netin", Value::from(sample.netin));
    put("netout", Value::from(sample.netout));
    put("diskread", Value::from(sample.diskread));
    put("diskwrite", Value::from(sample.diskwrite));
    if call.major() == Major::V9 {
        put("memhost", Value::from(sample.host));
    }
    Value::Object(entry)
}

/// How long the cluster goes by what a node told it last, in seconds.
const TOLD_FOR: f64 = 300.0;

/// What the cluster knows of a VM's figures. A node that is reached tells them every few seconds.
fn told<'a>(call: &Call<'_>, vm: &'a Vm) -> Option<&'a Published> {
    let online = call.world.nodes.get(&vm.node).is_some_and(|node| node.online);
    let clock = &call.sim.clock;
    vm.published
        .as_ref()
        .filter(|published| online || clock.simulated(clock.now() - published.time) <= TOLD_FOR)
}

fn node_entry(call: &Call<'_>, node: &Node) -> Value {
    let mut entry = json!({
        "id": format!("node/{}", node.name), "type": "node", "node": node.name, "level": "",
        "status": if node.online { "online" } else { "offline" },
    });
    if node.online && call.may(&format!("/nodes/{}", node.name), "Sys.Audit") {
        let use_ = super::nodes::usage(call.world, node, call.sim.clock.now());
        if let Some(map) = entry.as_object_mut() {
            map.insert("cpu".into(), Value::from(use_.cpu));
            map.insert("maxcpu".into(), Value::from(node.cpus));
            map.insert("mem".into(), Value::from(use_.memory));
            map.insert("maxmem".into(), Value::from(node.memory));
            map.insert("disk".into(), Value::from(node.disk / 5));
            map.insert("maxdisk".into(), Value::from(node.disk));
            map.insert("uptime".into(), Value::from(use_.uptime));
            map.insert("cgroup-mode".into(), Value::from(2));
        }
    }
    entry
}

fn storage_entries(call: &Call<'_>) -> Vec<Value> {
    let mut out = Vec::new();
    for node in call.world.nodes.values() {
        for storage in call
            .world
            .storages
            .values()
            .filter(|s| s.enabled && s.on(&node.name))
        {
            let path = format!("/storage/{}", storage.id);
            if !call.may_any(
                &path,
                &["Datastore.Audit", "Datastore.AllocateSpace", "Datastore.Allocate"],
            ) {
                continue;
            }
            let reached = node.online && !call.world.faults.storage_is_offline(&storage.id);
            let mut entry = json!({
                "id": format!("storage/{}/{}", node.name, storage.id), "type": "storage",
                "storage": storage.id, "node": node.name, "plugintype": storage.kind.name(),
                "shared": u8::from(storage.shared), "content": storage.content_text(),
                "status": if reached { "available" } else { "unknown" },
            });
            if reached && let Some(map) = entry.as_object_mut() {
                let used = storage.total - call.world.free_on(storage, &node.name);
                map.insert("disk".into(), Value::from(used));
                map.insert("maxdisk".into(), Value::from(storage.total));
            }
            out.push(entry);
        }
    }
    out
}

fn next_id(call: &mut Call<'_>) -> Answer {
    let taken = &call.world.vms;
    if let Some(vmid) = call.params.get("vmid").and_then(|text| text.parse::<u32>().ok()) {
        return if taken.contains_key(&vmid) {
            Err(Failure::parameter("vmid", format!("VM {vmid} already exists")))
        } else {
            Ok(vmid.to_string().into())
        };
    }
    let (lower, upper) = super::datacenter_options::vmid_range(call.world);
    match (lower..upper).find(|vmid| !taken.contains_key(vmid)) {
        Some(vmid) => Ok(vmid.to_string().into()),
        None => Err(Failure::died(format!(
            "unable to get any free VMID in range [{lower}, {upper}]"
        ))),
    }
}

fn status(call: &mut Call<'_>) -> Answer {
    let nodes = &call.world.nodes;
    let mut list = vec![json!({
        "type": "cluster", "id": "cluster", "name": call.world.cluster, "version": nodes.len(),
        "nodes": nodes.len(), "quorate": u8::from(call.world.quorate),
    })];
    for (node, id) in nodes.values().zip(1_u32..) {
        list.push(json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name, "nodeid": id,
            "online": u8::from(node.online), "ip": node.address, "local": u8::from(id == 1), "level": "",
        }));
    }
    Ok(Value::from(list).into())
}

/// How many ended tasks each node tells the others of.
const TOLD: usize = 25;

/// Running and recent tasks of all nodes. As in PVE, the filter compares the task's user without its token with the
/// caller's whole id: a token without `Sys.Audit` on `/` sees none.
fn tasks(call: &mut Call<'_>) -> Answer {
    let all = call.may("/", "Sys.Audit");
    let mut told = BTreeMap::new();
    let recent = call.world.tasks.iter().rev().filter(|task| {
        let count = told.entry(task.upid.node.as_str()).or_insert(0);
        *count += usize::from(task.end.is_some());
        task.end.is_none() || *count <= TOLD
    });
    let mine = recent.filter(|task| all || task.upid.owner().0 == call.who);
    Ok(mine.map(super::tasks::listed).collect::<Value>().into())
}
