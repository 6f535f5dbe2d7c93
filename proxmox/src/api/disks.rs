//! Disks that a VM has: their size, and what is left of them when they are detached.

use http::Method;

use crate::api::config::ConfigUpdate;
use crate::client::Vm;
use crate::error::Error;
use crate::property::{Bus, DriveSlot, format_size};
use crate::route::Params;
use crate::transport::Class;
use crate::upid::Upid;

impl Vm {
    /// `PUT resize`: lets a disk have so many bytes.
    ///
    /// The size is absolute, so that a repeated call changes nothing. Everything that can be wrong shows in the
    /// task: [`Reason::ShrinkUnsupported`](crate::Reason::ShrinkUnsupported),
    /// [`Reason::NoSuchDisk`](crate::Reason::NoSuchDisk), [`Reason::NotADisk`](crate::Reason::NotADisk),
    /// [`Reason::Locked`](crate::Reason::Locked), and where disks
    /// take their room at once [`Reason::StorageFull`](crate::Reason::StorageFull).
    ///
    /// # Errors
    /// A detached volume cannot be resized: [`Error::Parameters`].
    pub async fn resize(&self, slot: DriveSlot, bytes: u64) -> Result<Upid, Error> {
        // PVE counts in whole kibibytes; with a unit a number never has to be long.
        let size = format_size(bytes.div_ceil(1024).saturating_mul(1024));
        let params = Params::new().set("disk", slot).set("size", size);
        self.call(Class::Write, Method::PUT, |vm| vm.word("/resize"), params)
            .await
    }

    /// Frees volumes that are detached from the VM, for good. PVE refuses those that a snapshot still has
    /// ([`Reason::VolumeInUse`](crate::Reason::VolumeInUse)) and all of a protected VM.
    ///
    /// Nothing is sent when no slot is one of a detached volume.
    pub async fn free_unused(&self, slots: &[DriveSlot]) -> Result<Option<Upid>, Error> {
        let unused = slots.iter().filter(|slot| slot.bus() == Bus::Unused);
        let update = unused.fold(ConfigUpdate::new(), |update, slot| update.delete_slot(*slot));
        if update.is_empty() {
            return Ok(None);
        }
        self.update_config_task(&update).await
    }
}
