//! Making a VM from nothing: `POST /nodes/{node}/qemu` without `archive`. The endpoint is in [`super::restore`].

use super::{Answer, Call};
use crate::config::Section;
use crate::config::update::Change;
use crate::failure::Failure;
use crate::work::create::{self, New};
use crate::work::fork;
use crate::world::vm::Vm;

/// Makes the VM; `own` are the parameters of the call that are no keys of the configuration.
pub(super) fn create(call: &mut Call<'_>, own: &[&str]) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let pool = call.params.get("pool").map(str::to_owned);
    let change = Change::for_new(&call.params, own, call.who)?;
    change.permitted_in(call.world, vmid, pool.as_deref(), call.who)?;
    if let Some(other) = call.world.vms.get(&vmid) {
        return Err(Failure::died(format!(
            "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
            other.node
        )));
    }
    let lock = Section::from([("lock".to_owned(), "create".to_owned())]);
    let reserved = Vm::new(vmid, &node, lock, call.world.seed, call.sim.clock.now());
    call.world.vms.insert(vmid, reserved);
    let new = New {
        change,
        pool,
        start: call.params.flag("start"),
        managed: call.params.flag("ha-managed"),
    };
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmcreate",
        vmid,
        call.who,
        |worker| create::create(worker, vmid, new),
    );
    Ok(upid.into())
}

/// Whether a pool that was named is there.
pub(super) fn pool_exists(call: &Call<'_>, pool: Option<&str>) -> Result<(), Failure> {
    match pool {
        Some(pool) if !call.world.access.pools.contains_key(pool) => {
            Err(Failure::died(format!("pool '{pool}' does not exist")))
        }
        _ => Ok(()),
    }
}
