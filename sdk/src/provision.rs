//! Bringing the VM in line with the service's plan. Scope: `provision.apply-plan`.

use crate::Error;
use crate::bindings::portico::plugin::provision as contract;
use crate::import::provision as import;

pub use contract::Applied;

/// Sets cores, memory, disk limits, network and cloud-init addresses to what product and service say now. Changes only
/// what differs, so it may be repeated. Allowed only in a step of an exclusive job.
///
/// # Errors
/// `busy` when another operation holds the VM, `unavailable` when Proxmox does not answer.
pub fn apply_plan() -> Result<Applied, Error> {
    import::apply_plan()
}
