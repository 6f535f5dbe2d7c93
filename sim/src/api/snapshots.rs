//! Snapshots.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Flock};
use crate::config::shown;
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::{fork, snapshots};
use crate::world::counters::Effect;

const TAKE: Allow = Allow::On("/vms/{vmid}", &["VM.Snapshot"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/snapshot",
        Allow::On("/vms/{vmid}", &["VM.Audit"]),
        &[],
        list,
    ),
    Endpoint::on_node("POST", "/nodes/{node}/qemu/{vmid}/snapshot", TAKE, CREATE, create),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        Allow::User,
        &[],
        index,
    ),
    Endpoint::on_node(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        TAKE,
        &[Property::boolean("force").optional()],
        remove,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        Allow::On("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]),
        &[Property::boolean("start").optional()],
        rollback,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        Allow::On(
            "/vms/{vmid}",
            &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"],
        ),
        &[],
        config,
    ),
    Endpoint {
        flock: Some(Flock::USUAL),
        ..Endpoint::on_node(
            "PUT",
            "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
            TAKE,
            &[Property::text("description").optional()],
            describe,
        )
    },
];

const CREATE: &[Property] = &[
    Property::text("snapname")
        .format(format::config_id)
        .no_longer_than(40),
    Property::boolean("vmstate").optional(),
    Property::text("description").optional(),
];

fn list(call: &mut Call<'_>) -> Answer {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let mut list = Vec::new();
    for (name, snapshot) in &vm.snapshots {
        let mut item = Map::new();
        item.insert("name".to_owned(), Value::from(name.as_str()));
        item.insert("snaptime".to_owned(), Value::from(snapshot.time()));
        item.insert(
            "vmstate".to_owned(),
            Value::from(u8::from(snapshot.get("vmstate").is_some())),
        );
        item.insert(
            "description".to_owned(),
            Value::from(snapshot.get("description").unwrap_or_default()),
        );
        for key in ["parent", "snapstate"] {
            if let Some(text) = snapshot.get(key) {
                item.insert(key.to_owned(), Value::from(text));
            }
        }
        list.push((
            crate::units::mix(1, name.len() as u64 + u64::from(vm.vmid)),
            Value::Object(item),
        ));
    }
    // PVE lists them in the order of a hash: no client may rely on it.
    list.sort_by_key(|(order, _)| *order);
    let mut list = list.into_iter().map(|(_, item)| item).collect::<Vec<_>>();
    let mut current = json!({
        "name": "current", "description": "You are here!", "digest": vm.digest(),
        "running": u8::from(vm.run.is_some()),
    });
    if let (Some(parent), Some(map)) = (vm.get("parent"), current.as_object_mut()) {
        map.insert("parent".to_owned(), Value::from(parent));
    }
    list.push(current);
    Ok(Value::from(list).into())
}

fn create(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let name = call.params.text("snapname").to_owned();
    if name == "current" || name.eq_ignore_ascii_case("pending") {
        let reserved = if name == "current" { "current" } else { "pending" };
        return Err(Failure::died(format!(
            "unable to use snapshot name '{reserved}' (reserved name)"
        )));
    }
    let with_state = call.params.flag("vmstate");
    let vm = call.world.vm(&node, vmid)?;
    let blockers = vm
        .config
        .keys()
        .filter(|key| key.starts_with("hostpci") || key.starts_with("virtiofs"));
    let blockers = blockers.cloned().collect::<Vec<_>>().join(", ");
    if with_state && !blockers.is_empty() {
        return Err(Failure::died(format!(
            "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: {blockers}"
        )));
    }
    let description = call.params.get("description").map(str::to_owned);
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmsnapshot",
        vmid,
        call.who,
        |worker| snapshots::create(worker, vmid, name, description, with_state),
    );
    Ok(upid.into())
}

fn index(_: &mut Call<'_>) -> Answer {
    Ok(json!([{ "cmd": "rollback" }, { "cmd": "config" }]).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let (node, vmid, name) = (call.node(), call.vmid(), call.params.text("snapname").to_owned());
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmdelsnapshot",
        vmid,
        call.who,
        |worker| snapshots::remove(worker, vmid, name),
    );
    Ok(upid.into())
}

fn rollback(call: &mut Call<'_>) -> Answer {
    let (node, vmid, name) = (call.node(), call.vmid(), call.params.text("snapname").to_owned());
    let start = call.params.flag("start");
    let path = format!("/vms/{vmid}");
    if start && !call.may(&path, "VM.PowerMgmt") {
        return Err(Failure::forbidden(&format!("{path}, VM.PowerMgmt")));
    }
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmrollback",
        vmid,
        call.who,
        |worker| snapshots::rollback(worker, vmid, name, start),
    );
    Ok(upid.into())
}

/// The configuration which a snapshot keeps. As in PVE, the password's hash is not masked here.
fn config(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("snapname");
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let Some(snapshot) = vm.snapshots.get(name) else {
        return Err(format!("snapshot '{name}' does not exist").into());
    };
    let mut out = shown(&snapshot.section);
    if let Some(hash) = snapshot.get("cipassword") {
        out.insert("cipassword".to_owned(), Value::from(hash));
    }
    Ok(Value::Object(out).into())
}

fn describe(call: &mut Call<'_>) -> Answer {
    let (node, vmid, name) = (call.node(), call.vmid(), call.params.text("snapname").to_owned());
    let description = call.params.get("description").map(str::to_owned);
    let vm = call.world.vm_mut(&node, vmid)?;
    vm.check_lock()?;
    let Some(snapshot) = vm.snapshots.get_mut(&name) else {
        return Err(format!("snapshot '{name}' does not exist").into());
    };
    if let Some(text) = description {
        snapshot.section.insert("description".to_owned(), text);
    }
    call.world
        .counters
        .effect(Effect::SnapshotDescribed, vmid, Some(&name));
    Ok(Value::Null.into())
}
