//! Moving a VM to another node: what would be in the way, and doing it.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{Property, format};
use crate::work::migrate::map::StorageMap;
use crate::work::migrate::{self, Online, Plan, Rules};
use crate::work::{fork, ha};
use crate::world::World;
use crate::world::devices::Devices;
use crate::world::references::{self, Reference};
use crate::world::vm::Vm;

const PATH: &str = "/nodes/{node}/qemu/{vmid}/migrate";
const MIGRATE: Allow = Allow::On("/vms/{vmid}", &["VM.Migrate"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", PATH, MIGRATE, &[TARGET.optional()], conditions),
    Endpoint::on_node("POST", PATH, MIGRATE, PARAMETERS, begin),
];

const TARGET: Property = Property::text("target").format(format::node);
const PARAMETERS: &[Property] = &[
    TARGET,
    Property::integer("bwlimit").optional().at_least(0),
    Property::boolean("force").optional(),
    Property::text("migration_network")
        .optional()
        .format(format::cidr),
    Property::text("migration_type")
        .optional()
        .one_of(&["secure", "insecure"]),
    Property::boolean("online").optional(),
    Property::text("targetstorage").optional().list_of(storage_pair),
    Property::boolean("with-conntrack-state").optional().new_in_9(),
    Property::boolean("with-local-disks").optional(),
];

/// One element of a map of storages.
fn storage_pair(_: &str, text: &str) -> Result<(), String> {
    StorageMap::parse(text).map(drop)
}

/// What would be in the way of a migration. As in PVE the target is taken and not looked at.
fn conditions(call: &mut Call<'_>) -> Answer {
    let node = call.node();
    let vm = call.world.vm(&node, call.vmid())?;
    vm.check_lock()?;
    let running = vm.run.is_some();
    let devices = Devices::of(vm);
    let (mut allowed, mut refused) = (Vec::new(), Map::new());
    for other in call.world.nodes.keys().filter(|other| **other != node) {
        let mut reasons = Map::new();
        let missing = missing_storages(call.world, vm, other);
        if !missing.is_empty() {
            reasons.insert("unavailable_storages".to_owned(), Value::from(missing));
        }
        if !devices.mapped.is_empty() {
            // No mappings are configured in the simulator.
            let keys = devices.mapped.keys().cloned().collect::<Vec<_>>();
            reasons.insert("unavailable-resources".to_owned(), Value::from(keys));
        }
        if reasons.is_empty() {
            allowed.push(other.clone());
        } else {
            refused.insert(other.clone(), Value::Object(reasons));
        }
    }
    let disks = references::of(vm);
    let disks = disks.iter().filter(|one| is_local(call.world, one)).map(shown);
    let mapped = devices.mapped.iter();
    let mut out = json!({
        "running": u8::from(running),
        "allowed_nodes": allowed,
        "not_allowed_nodes": refused,
        "local_disks": disks.collect::<Value>(),
        "local_resources": devices.local,
        "mapped-resources": devices.mapped.keys().collect::<Vec<_>>(),
        "mapped-resource-info": mapped.map(|(key, name)| (key.clone(), json!({ "name": name }))).collect::<Value>(),
    });
    if call.major() == Major::V9
        && let Some(out) = out.as_object_mut()
    {
        out.insert("has-dbus-vmstate".to_owned(), Value::from(1));
        if call.world.ha.contains_key(&call.vmid()) {
            out.insert("dependent-ha-resources".to_owned(), json!([]));
        }
    }
    Ok(out.into())
}

/// The storages of a VM's drives that another node does not have.
fn missing_storages(world: &World, vm: &Vm, node: &str) -> Vec<String> {
    let named = vm
        .config
        .iter()
        .filter(|(key, _)| is_disk(key))
        .filter_map(|(_, text)| text.split_once(':').map(|(id, _)| id));
    let away = named.filter(|id| {
        let storage = world.storages.get(*id);
        storage.is_some_and(|storage| !storage.enabled || !storage.on(node))
    });
    let sorted = away.collect::<std::collections::BTreeSet<_>>();
    sorted.into_iter().map(str::to_owned).collect()
}

/// Whether a key is a drive that the VM has, not one that is put aside.
fn is_disk(key: &str) -> bool {
    crate::config::keys::holds_volume(key) && !key.starts_with("unused")
}

/// Whether only the VM's node has a volume.
fn is_local(world: &World, one: &Reference) -> bool {
    let shared = one
        .storage()
        .and_then(|id| world.storages.get(id))
        .is_some_and(|storage| storage.shared);
    let empty = one.is_cdrom() && one.volid == "none";
    !(shared || empty || one.is_shared())
}

/// A volume with all that PVE finds out about it, of which its schema names the half.
fn shown(one: &Reference) -> Value {
    let flag = u8::from;
    let mut out = json!({
        "volid": one.volid,
        "cdrom": flag(one.is_cdrom()),
        "is_attached": flag(one.is_attached()),
        "is_cloudinit": flag(one.is_cloudinit()),
        "is_tpmstate": flag(one.is_tpmstate()),
        "is_unused": flag(one.is_unused()),
        "is_vmstate": flag(one.is_vmstate()),
        "replicate": flag(one.is_replicated()),
        "shared": flag(one.is_shared()),
    });
    let Some(map) = out.as_object_mut() else {
        return out;
    };
    if let Some(size) = one.size() {
        map.insert("size".to_owned(), Value::from(size));
    }
    if let Some(drive) = one.drive() {
        map.insert("drivename".to_owned(), Value::from(drive));
    }
    let snapshots = one.snapshots().into_iter();
    let snapshots = snapshots.map(|name| (name.to_owned(), Value::from(1)));
    let snapshots = snapshots.collect::<Map<_, _>>();
    if !snapshots.is_empty() {
        map.insert("referenced_in_snapshot".to_owned(), Value::Object(snapshots));
    }
    if one.is_pending() {
        map.insert("referenced_in_pending".to_owned(), Value::from(1));
    }
    out
}

fn begin(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let target = call.params.text("target").to_owned();
    if target == node {
        return Err(Failure::parameter("target", "target is local node."));
    }
    if !call.world.nodes.contains_key(&target) {
        return Err(Failure::died(format!("no such cluster node '{target}'")));
    }
    for option in ["force", "migration_type", "migration_network"] {
        call.root_only(option)?;
    }
    let vm = call.world.vm(&node, vmid)?;
    vm.check_lock()?;
    let running = vm.run.is_some();
    let online = running && call.params.flag("online");
    if running && !online {
        return Err(Failure::died("can't migrate running VM without --online"));
    }
    let map = storages(call, vm, &target)?;
    if call.world.ha.contains_key(&vmid) {
        let upid = fork(
            call.sim,
            call.world,
            &node,
            "hamigrate",
            vmid,
            call.who,
            |worker| ha::request_move(worker, vmid, target),
        );
        return Ok(upid.into());
    }
    let limit = call.params.integer("bwlimit");
    let rules = Rules {
        online: online.then(|| Online {
            with_local_disks: call.params.flag("with-local-disks"),
            conntrack: call.params.flag("with-conntrack-state"),
        }),
        force: call.params.flag("force"),
        map,
        limit: limit.and_then(|kib| u64::try_from(kib).ok()),
    };
    let plan = Plan {
        target,
        rules: Some(rules),
    };
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmigrate",
        vmid,
        call.who,
        |worker| migrate::migrate(worker, vmid, plan),
    );
    Ok(upid.into())
}

/// The map of storages, after the checks of what goes where.
fn storages(call: &Call<'_>, vm: &Vm, target: &str) -> Result<StorageMap, Failure> {
    let Some(text) = call.params.get("targetstorage").filter(|text| !text.is_empty()) else {
        available(call.world, vm, target)?;
        return Ok(StorageMap::default());
    };
    let map = StorageMap::parse(text).map_err(|reason| {
        Failure::parameter("targetstorage", format!("failed to parse storage map: {reason}"))
    })?;
    if map.identity {
        available(call.world, vm, target)?;
    } else {
        call.require(&format!("/vms/{}", vm.vmid), &["VM.Config.Disk"])?;
    }
    for id in map.targets() {
        let storage = call.world.enabled_storage(id, target)?;
        call.require(&format!("/storage/{id}"), &["Datastore.AllocateSpace"])?;
        if !storage.content.contains("images") {
            return Err(Failure::died(format!(
                "storage '{id}' does not support vm images"
            )));
        }
    }
    Ok(map)
}

/// Whether the other node has all storages of a VM's drives.
fn available(world: &World, vm: &Vm, target: &str) -> Result<(), Failure> {
    for (_, text) in vm.config.iter().filter(|(key, _)| is_disk(key)) {
        let volid = text.split(',').next().unwrap_or_default();
        let Some((id, _)) = volid.split_once(':') else {
            continue;
        };
        world.enabled_storage(id, &vm.node)?;
        migrate::takes(world, id, target, volid)?;
    }
    Ok(())
}
