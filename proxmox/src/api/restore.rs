//! Restoring a VM from a backup.
//!
//! The task of a restore first frees the disks that are in the backup, drops all snapshots and empties the
//! configuration; then come the data, then the configuration of the backup. When it fails in between, the VM has
//! neither. A restore that succeeded brings back the limits, addresses and password of then: whoever sets those
//! sets them again afterwards.

use std::time::Instant;

use http::Method;

use crate::api::config::ConfigUpdate;
use crate::client::{Client, Vm};
use crate::error::Error;
use crate::id::{NodeName, StorageId, VmId, VolumeId};
use crate::property::DriveSlot;
use crate::route::{Params, Route};
use crate::transport::Class;
use crate::upid::Upid;

/// A restore that PVE would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRestore {
    /// The volume is no backup by its name.
    #[error("`{0}` is not the volume of a backup")]
    NotABackup(String),
    /// A name that is longer than PVE takes here.
    #[error("the name of the backup is longer than 255 characters")]
    TooLong,
    /// Drives come from the backup and cannot be given with the restore.
    #[error("`{0}` is a drive and comes from the backup")]
    Drive(String),
    /// A restore sets keys; it takes none away and knows no digest.
    #[error("a restore can only set keys of the configuration")]
    NotSet,
}

/// A restore to be made.
#[derive(Debug, Clone)]
pub struct Restore {
    archive: VolumeId,
    storage: Option<StorageId>,
    unique: bool,
    start: bool,
    config: ConfigUpdate,
}

impl Restore {
    /// A restore of that backup: disks to the storages they were on, MAC addresses as they were, VM left off.
    ///
    /// # Errors
    /// [`InvalidRestore::NotABackup`] for a volume of another kind.
    pub fn from(archive: VolumeId) -> Result<Self, InvalidRestore> {
        if !archive.volume_name().starts_with("backup/") {
            return Err(InvalidRestore::NotABackup(archive.to_string()));
        }
        if archive.as_str().len() > 255 {
            return Err(InvalidRestore::TooLong);
        }
        Ok(Self {
            archive,
            storage: None,
            unique: false,
            start: false,
            config: ConfigUpdate::new(),
        })
    }

    /// Puts all disks on this storage.
    #[must_use]
    pub fn storage(mut self, storage: StorageId) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Gives the VM new MAC addresses and a new UUID, as for a copy beside the original.
    #[must_use]
    pub fn unique(mut self, unique: bool) -> Self {
        self.unique = unique;
        self
    }

    /// Starts the VM afterwards, in a task of its own. Limits of the backup hold then: mostly they have to be set
    /// first.
    #[must_use]
    pub fn start(mut self, start: bool) -> Self {
        self.start = start;
        self
    }

    /// Sets keys of the configuration instead of what the backup has for them.
    ///
    /// # Errors
    /// See [`InvalidRestore`].
    pub fn config(mut self, config: ConfigUpdate) -> Result<Self, InvalidRestore> {
        if config.does_more_than_set() {
            return Err(InvalidRestore::NotSet);
        }
        let drive = config
            .keys()
            .find(|key| *key == "cdrom" || key.parse::<DriveSlot>().is_ok());
        if let Some(key) = drive {
            return Err(InvalidRestore::Drive(key.to_owned()));
        }
        self.config = config;
        Ok(self)
    }

    fn route(&self, node: &NodeName, vmid: VmId) -> Route {
        let route = Route::new(Method::POST).word("/nodes").node(node).word("/qemu");
        route.about(vmid).about_volume(&self.archive)
    }

    fn params(&self, vmid: VmId) -> Params {
        self.config
            .params()
            .set("vmid", vmid)
            .set("archive", &self.archive)
            .opt("storage", self.storage.as_ref())
            .flag("unique", self.unique)
            .flag("start", self.start)
    }
}

impl Vm {
    /// `POST /nodes/{node}/qemu` with `archive` and `force`: replaces the VM by a backup. The task is `qmrestore`.
    ///
    /// The cluster is asked where the VM is before this is sent, however new the last answer.
    ///
    /// # Errors
    /// [`Reason::Locked`](crate::Reason::Locked) at once. In the task, before anything is changed:
    /// [`Reason::VmRunning`](crate::Reason::VmRunning), [`Reason::Protected`](crate::Reason::Protected). Why one
    /// failed midway is mostly in its log alone: [`RestoreFailure`](crate::RestoreFailure).
    pub async fn restore(&self, restore: &Restore) -> Result<Upid, Error> {
        let node = self.client().resolve(self.vmid(), Some(Instant::now())).await?;
        let params = restore.params(self.vmid()).flag("force", true);
        let route = restore.route(&node, self.vmid());
        self.client().send_restore(&route, &params).await
    }
}

impl Client {
    /// `POST /nodes/{node}/qemu` with `archive`: makes a VM that does not exist out of a backup. The task is
    /// `qmrestore`.
    ///
    /// # Errors
    /// [`Reason::VmExists`](crate::Reason::VmExists) when the number is taken, on whatever node.
    pub async fn restore_new(&self, node: &NodeName, vmid: VmId, restore: &Restore) -> Result<Upid, Error> {
        let route = restore.route(node, vmid);
        let upid = self.send_restore(&route, &restore.params(vmid)).await?;
        self.nodes().note(vmid, node);
        Ok(upid)
    }

    async fn send_restore(&self, route: &Route, params: &Params) -> Result<Upid, Error> {
        let result = self.call(Class::Write, route, params).await;
        if matches!(result, Err(Error::NodeUnreachable { .. })) {
            self.nodes().doubt();
        }
        Ok(result?.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> VolumeId {
        VolumeId::new(text).unwrap()
    }

    #[test]
    fn only_backups_are_restored() {
        assert!(Restore::from(volume("pbs:backup/vm/100/2026-08-20T03:00:01Z")).is_ok());
        for other in ["local:iso/debian.iso", "local-lvm:vm-100-disk-0"] {
            assert!(
                matches!(Restore::from(volume(other)), Err(InvalidRestore::NotABackup(_))),
                "{other}"
            );
        }
        let long = volume(&format!("dir1:backup/{}.vma", "x".repeat(255)));
        assert_eq!(Restore::from(long).unwrap_err(), InvalidRestore::TooLong);
    }

    #[test]
    fn drives_deletions_and_digests_do_not_go_with_a_restore() {
        let restore = || Restore::from(volume("pbs:backup/vm/100/2026-08-20T03:00:01Z")).unwrap();
        let set = |key: &str| ConfigUpdate::new().set(key, "x").unwrap();
        for key in ["scsi0", "ide2", "efidisk0", "unused0", "cdrom"] {
            assert_eq!(
                restore().config(set(key)).unwrap_err(),
                InvalidRestore::Drive(key.to_owned())
            );
        }
        assert!(restore().config(set("net0")).is_ok());
        let delete = ConfigUpdate::new().delete("net1").unwrap();
        assert_eq!(restore().config(delete).unwrap_err(), InvalidRestore::NotSet);
        let revert = set("cores").revert("memory").unwrap();
        assert_eq!(restore().config(revert).unwrap_err(), InvalidRestore::NotSet);
        let digest = set("cores").digest("0f");
        assert_eq!(restore().config(digest).unwrap_err(), InvalidRestore::NotSet);
    }
}
