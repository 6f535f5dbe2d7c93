//! What QEMU says of itself beyond what a VM does: states that only trouble or the guest itself brings about.

use serde::{Deserialize, Serialize};

/// A state of QEMU that is set from outside. The others follow from what the VM does: `running`, `paused`,
/// `prelaunch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QmpStatus {
    /// QEMU cannot go on.
    InternalError,
    /// A disk failed, as when its storage is full.
    IoError,
    /// The guest sleeps.
    Suspended,
    /// The guest has shut down, QEMU is still there.
    Shutdown,
    /// The guest's kernel has panicked.
    GuestPanicked,
    /// The watchdog has struck.
    Watchdog,
    /// The memory is being saved.
    SaveVm,
    /// The memory is being loaded.
    RestoreVm,
    /// The VM comes in from another node.
    Inmigrate,
    /// The last part of a migration.
    FinishMigrate,
    /// The VM has gone to another node.
    Postmigrate,
}

impl QmpStatus {
    /// As QEMU writes it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::InternalError => "internal-error",
            Self::IoError => "io-error",
            Self::Suspended => "suspended",
            Self::Shutdown => "shutdown",
            Self::GuestPanicked => "guest-panicked",
            Self::Watchdog => "watchdog",
            Self::SaveVm => "save-vm",
            Self::RestoreVm => "restore-vm",
            Self::Inmigrate => "inmigrate",
            Self::FinishMigrate => "finish-migrate",
            Self::Postmigrate => "postmigrate",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_as_they_are_shown() {
        for state in [QmpStatus::InternalError, QmpStatus::SaveVm, QmpStatus::Inmigrate] {
            let read = serde_json::from_value::<QmpStatus>(state.text().into()).unwrap();
            assert_eq!(read, state);
        }
    }
}
