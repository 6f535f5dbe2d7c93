//! The configuration of a VM.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Flock, Reply, Takes};
use crate::config::change::Change;
use crate::config::update::carry_out;
use crate::config::{rights, shown};
use crate::schema::{Property, format};
use crate::units::float_of_signed;
use crate::work::{fork, settings};

const AUDIT: Allow = Allow::On("/vms/{vmid}", &["VM.Audit"]);
const CHANGE: Allow = Allow::On(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/config", AUDIT, READ, read),
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/pending", AUDIT, &[], pending),
    Endpoint {
        flock: Some(Flock::USUAL),
        takes: Takes::WithConfig(PUT),
        ..Endpoint::on_node("PUT", "/nodes/{node}/qemu/{vmid}/config", CHANGE, &[], put)
    },
    Endpoint {
        takes: Takes::WithConfig(POST),
        ..Endpoint::on_node("POST", "/nodes/{node}/qemu/{vmid}/config", CHANGE, &[], post)
    },
    Endpoint {
        flock: Some(Flock::USUAL),
        ..Endpoint::on_node(
            "PUT",
            "/nodes/{node}/qemu/{vmid}/unlink",
            Allow::On("/vms/{vmid}", &["VM.Config.Disk"]),
            UNLINK,
            unlink,
        )
    },
];

/// Disks to take from a VM.
const UNLINK: &[Property] = &[
    Property::text("idlist").list_of(format::config_id),
    Property::boolean("force").optional(),
];
const READ: &[Property] = &[
    Property::boolean("current").optional(),
    Property::text("snapshot")
        .optional()
        .format(format::config_id)
        .no_longer_than(40),
];
const DELETE: Property = Property::text("delete").optional().list_of(format::config_id);
const REVERT: Property = Property::text("revert").optional().list_of(format::config_id);
const DIGEST: Property = Property::text("digest").optional().no_longer_than(40);
const SKIPLOCK: Property = Property::boolean("skiplock").optional();
const FORCE: Property = Property::boolean("force").optional().requires("delete");
const PUT: &[Property] = &[DELETE, REVERT, DIGEST, SKIPLOCK, FORCE];
const POST: &[Property] = &[
    DELETE,
    REVERT,
    DIGEST,
    SKIPLOCK,
    FORCE,
    Property::integer("background_delay")
        .optional()
        .at_least(1)
        .at_most(30),
    Property::text("import-working-storage")
        .optional()
        .format(format::storage_id),
];

fn read(call: &mut Call<'_>) -> Answer {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let section = if let Some(name) = call.params.get("snapshot") {
        match vm.snapshots.get(name) {
            Some(snapshot) => snapshot.section.clone(),
            None => return Err(format!("snapshot '{name}' does not exist").into()),
        }
    } else if call.params.flag("current") {
        vm.config.clone()
    } else {
        vm.with_pending()
    };
    let mut out = shown(&section);
    if let Some(text) = section.get("description") {
        out.insert("description".to_owned(), Value::from(text.trim_end()));
    }
    out.insert("digest".to_owned(), Value::from(vm.digest()));
    Ok(Value::Object(out).into())
}

fn pending(call: &mut Call<'_>) -> Answer {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let keys = vm.config.keys().chain(vm.pending.keys()).collect::<BTreeSet<_>>();
    let list = keys.into_iter().map(|key| {
        let mut entry = Map::new();
        entry.insert("key".to_owned(), Value::from(key.as_str()));
        for (name, section) in [("value", &vm.config), ("pending", &vm.pending)] {
            if let Some(text) = section.get(key) {
                entry.insert(name.to_owned(), crate::config::shown_value(key, text));
            }
        }
        if let Some(force) = vm.pending_delete.get(key) {
            entry.insert("delete".to_owned(), Value::from(1 + u8::from(*force)));
        }
        Value::Object(entry)
    });
    let mut list = list.collect::<Vec<_>>();
    list.push(json!({ "key": "digest", "value": vm.digest() }));
    Ok(Value::from(list).into())
}

/// The same as `delete` of `PUT …/config`.
fn unlink(call: &mut Call<'_>) -> Answer {
    call.params = call.params.renamed("idlist", "delete");
    put(call)
}

fn put(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let change = Change::read(&call.params, call.who)?;
    rights::permitted(&change, call.world, vmid, call.who)?;
    let now = call.sim.clock.seconds();
    carry_out(call.world, &node, vmid, &change, call.who, now)?;
    Ok(Value::Null.into())
}

fn post(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let change = Change::read(&call.params, call.who)?;
    rights::permitted(&change, call.world, vmid, call.who)?;
    change.possible(call.world.vm(&node, vmid)?)?;
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmconfig",
        vmid,
        call.who,
        |worker| settings::change(worker, vmid, change),
    );
    let wait = call
        .params
        .integer("background_delay")
        .map(|s| (upid.clone(), float_of_signed(s)));
    Ok(Reply {
        data: Value::from(upid),
        wait,
        ..Reply::default()
    })
}
