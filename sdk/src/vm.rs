//! Reading the VM of the service. Scope: `vm.read`.
//!
//! The host answers from its live cache; ask as often as a page needs.

use crate::bindings::portico::plugin::vm as import;
use crate::{Error, host};

pub use import::{
    Adapter, Disk, DiskRole, HardwareView as Hardware, NetworkView as Network, Rates, State,
    StatusView as Status,
};

/// The present state and load.
///
/// # Errors
/// `unavailable` when Proxmox does not answer and nothing is known yet.
pub fn status() -> Result<Status, Error> {
    host!("vm.status", import::status(), |host| Ok(host.status()))
}

/// Cores, memory, disks and adapters.
///
/// # Errors
/// As [`status`].
pub fn hardware() -> Result<Hardware, Error> {
    host!("vm.hardware", import::hardware(), |host| Ok(host
        .vm
        .hardware
        .clone()))
}

/// Addresses, gateways, resolvers and domain. Never asks Proxmox.
///
/// # Errors
/// `denied` only.
pub fn network() -> Result<Network, Error> {
    host!("vm.network", import::network(), |host| Ok(host
        .vm
        .network
        .clone()))
}
