//! Reading the VM of the service. Scope: `vm.read`.
//!
//! The host answers from its live cache; ask as often as a page needs.

use crate::Error;
use crate::bindings::portico::plugin::vm as contract;
use crate::import::vm as import;

pub use contract::{
    Adapter, Disk, DiskRole, HardwareView as Hardware, NetworkView as Network, Rates, State,
    StatusView as Status,
};

/// The present state and load.
///
/// # Errors
/// `unavailable` when Proxmox does not answer and nothing is known yet.
pub fn status() -> Result<Status, Error> {
    import::status()
}

/// Cores, memory, disks and adapters.
///
/// # Errors
/// As [`status`].
pub fn hardware() -> Result<Hardware, Error> {
    import::hardware()
}

/// Addresses, gateways, resolvers and domain. Never asks Proxmox.
///
/// # Errors
/// `denied` only.
pub fn network() -> Result<Network, Error> {
    import::network()
}

impl Status {
    /// Why nothing can be started on the VM just now, for a dimmed button: `A backup is running`. None when it is idle.
    pub fn busy_reason(&self) -> Option<String> {
        let reason = match self.busy.as_deref()? {
            "backup" => "A backup is running",
            "restore" => "A backup is being restored",
            "snapshot" => "A snapshot is being taken",
            "snapshot-delete" | "snapshot removal" => "A snapshot is being removed",
            "rollback" => "A rollback is running",
            "reinstall" => "The VM is being reinstalled",
            "migrate" => "The VM is being moved to another server",
            "start" => "The VM is being started",
            "shutdown" => "The VM is being shut down",
            "stop" => "The VM is being switched off",
            "reboot" => "The VM is being rebooted",
            "reset" => "The VM is being reset",
            other => return Some(format!("The VM is busy: {other}")),
        };
        Some(reason.into())
    }
}
