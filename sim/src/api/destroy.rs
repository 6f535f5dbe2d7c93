//! Removing a VM, and making it a template.

use super::{Allow, Answer, Call, Endpoint};
use crate::config::keys;
use crate::failure::Failure;
use crate::schema::Property;
use crate::work::{destroy, fork};

const ALLOCATE: Allow = Allow::On("/vms/{vmid}", &["VM.Allocate"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("DELETE", "/nodes/{node}/qemu/{vmid}", ALLOCATE, DESTROY, remove),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/template",
        ALLOCATE,
        TEMPLATE,
        template,
    ),
];

const DESTROY: &[Property] = &[
    Property::boolean("destroy-unreferenced-disks").optional(),
    Property::boolean("purge").optional(),
    Property::boolean("skiplock").optional(),
];

const TEMPLATE: &[Property] = &[Property::text("disk").optional().one_of(keys::DISKS)];

fn remove(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    let (node, vmid) = (call.node(), call.vmid());
    // As in PVE, the lock is looked at in the task.
    let vm = call.world.vm(&node, vmid)?;
    if vm.get("protection") == Some("1") {
        return Err(Failure::died(format!(
            "can't remove VM {vmid} - protection mode enabled"
        )));
    }
    let purge = call.params.flag("purge");
    if call.world.ha.contains_key(&vmid) && !purge {
        return Err(Failure::died(format!(
            "unable to remove VM {vmid} - used in HA resources and purge parameter not set."
        )));
    }
    if vm.run.is_some() {
        return Err(Failure::died(format!("VM {vmid} is running - destroy failed")));
    }
    let how = destroy::Thoroughly {
        unreferenced: call.params.flag("destroy-unreferenced-disks"),
        skiplock: call.params.flag("skiplock"),
    };
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmdestroy",
        vmid,
        call.who,
        |worker| destroy::destroy(worker, vmid, how),
    );
    Ok(upid.into())
}

fn template(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let disk = call.params.get("disk").map(str::to_owned);
    destroy::convertible(call.world, &node, vmid, disk.as_deref())?;
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmtemplate",
        vmid,
        call.who,
        |worker| destroy::template(worker, vmid, disk),
    );
    Ok(upid.into())
}
