//! Copying a VM.

use std::collections::BTreeMap;

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, Raw, format};
use crate::work::clone::{self, Copy, Plan};
use crate::work::fork;
use crate::world::World;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "POST",
    "/nodes/{node}/qemu/{vmid}/clone",
    Allow::Judged(judge),
    CLONE,
    clone,
)];

const CLONE: &[Property] = &[
    Property::integer("newid")
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
    Property::integer("bwlimit").optional().at_least(0),
    Property::text("description").optional(),
    Property::text("format")
        .optional()
        .one_of(&["raw", "qcow2", "vmdk"]),
    Property::boolean("full").optional(),
    Property::text("name").optional().format(format::dns_name),
    Property::text("pool").optional().format(format::pool_id),
    Property::text("snapname")
        .optional()
        .format(format::config_id)
        .no_longer_than(40),
    Property::text("storage").optional().format(format::storage_id),
    Property::text("target").optional().format(format::node),
];

/// `VM.Clone` on the source, and `VM.Allocate` on the copy or on the pool it goes to.
fn judge(world: &World, given: &BTreeMap<String, Raw>, who: &str) -> Result<(), Failure> {
    let text = |name: &str| match given.get(name) {
        Some(Raw::Text(text)) => text.as_str(),
        _ => "",
    };
    let source = format!("/vms/{}", text("vmid"));
    if !world.access.may(who, &source, "VM.Clone") {
        return Err(Failure::forbidden(&format!("{source}, VM.Clone")));
    }
    let may = |path: String| world.access.may(who, &path, "VM.Allocate");
    let pool = text("pool");
    if may(format!("/vms/{}", text("newid"))) || (!pool.is_empty() && may(format!("/pool/{pool}"))) {
        Ok(())
    } else {
        Err(Failure::forbidden(""))
    }
}

fn clone(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let given = |name: &str| call.params.get(name).map(str::to_owned);
    let newid = call.params.text("newid").parse::<u32>().unwrap_or(0);
    super::create::pool_exists(call, given("pool").as_deref())?;
    let target = given("target").filter(|target| *target != node);
    if let Some(target) = &target
        && !call.world.nodes.contains_key(target)
    {
        return Err(Failure::died(format!("no such cluster node '{target}'")));
    }
    if let Some(storage) = call.params.get("storage") {
        let shared = call.world.usable_storage(storage, &node)?.shared;
        if target.is_some() && !shared {
            let text = format!("can't clone to non-shared storage '{storage}'");
            return Err(Failure::parameter("target", text));
        }
    }
    let plan = Plan {
        newid,
        name: given("name"),
        description: given("description"),
        full: call.params.get("full").map(|full| full == "1"),
        storage: given("storage"),
        format: given("format"),
        pool: given("pool"),
        snapshot: given("snapname"),
        target,
    };
    let copies = clone::check(call.world, &node, vmid, &plan)?;
    for storage in copies.iter().filter_map(Copy::storage) {
        let path = format!("/storage/{storage}");
        if !call.may(&path, "Datastore.AllocateSpace") {
            return Err(Failure::forbidden(&format!("{path}, Datastore.AllocateSpace")));
        }
    }
    let bridges = clone::bridges(call.world.vm(&node, vmid)?);
    for bridge in bridges {
        let path = format!("/sdn/zones/localnetwork/{bridge}");
        if !call.may(&path, "SDN.Use") {
            return Err(Failure::forbidden(&format!("{path}, SDN.Use")));
        }
    }
    let upid = fork(call.sim, call.world, &node, "qmclone", vmid, call.who, |worker| {
        clone::clone(worker, vmid, plan)
    });
    Ok(upid.into())
}
