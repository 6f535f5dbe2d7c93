//! Bringing the VM in line with the service's plan. Scope: `provision.apply-plan`.

use crate::bindings::portico::plugin::provision as import;
use crate::{Error, host};

pub use import::Applied;

/// Sets cores, memory, disk limits, network and cloud-init addresses to what product and service say now. Changes only
/// what differs, so it may be repeated. Allowed only in a step of an exclusive job.
///
/// # Errors
/// `busy` when another operation holds the VM, `unavailable` when Proxmox does not answer.
pub fn apply_plan() -> Result<Applied, Error> {
    host!("provision.apply-plan", import::apply_plan(), |host| {
        host.plans_applied += 1;
        Ok(host.applied.clone())
    })
}
