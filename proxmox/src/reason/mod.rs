//! What PVE's texts mean: one classification for refused calls and for the end of failed tasks.
//!
//! PVE answers nearly every refusal with status 500 and a sentence, so the sentence is the error code. The same
//! sentences appear as the exit text of tasks. [`Reason`] is what they can mean, [`Lock`] the persistent lock that some
//! of them name, `phrases` knows the sentences.
//!
//! To teach the client another sentence: if it means something new, add a variant to [`Reason`] with its words in
//! `Display` (and in [`Reason::is_transient`] if it passes by itself); then a line in `phrases`, or a rule there when
//! no fixed phrase tells it from others; then the whole sentence, as PVE says it, in the tests beside it.

mod lock;
mod phrases;

use std::fmt;

pub use self::lock::Lock;
use crate::id::VmId;

/// Why PVE refused a call or why a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The VM has no config on the node that was asked: it is gone, or it moved to another node.
    VmNotFound,
    /// Another operation holds the VM.
    Locked(Lock),
    /// A short-lived lock (config file, storage, firewall) was not had in time. Passes by itself.
    LockTimeout,
    /// The VM has to run for this.
    NotRunning,
    /// The VM runs already.
    AlreadyRunning,
    /// A paused VM cannot be shut down or rebooted.
    Paused,
    /// The guest did not power down in the time it was given.
    ShutdownTimeout,
    /// The VM is a template.
    Template,
    /// The VM's protection flag forbids it.
    Protected,
    /// The VM must not run for this.
    VmRunning,
    /// There is a VM of this number already.
    VmExists,
    /// High availability manages the VM.
    HaManaged,
    /// A volume is still needed by a snapshot or by a linked clone.
    VolumeInUse,
    /// A volume is not there. Right after a clone or a move, on a network storage, this can pass by itself.
    VolumeNotFound,
    /// The VM has no such disk.
    NoSuchDisk,
    /// A disk cannot become smaller.
    ShrinkUnsupported,
    /// A CD drive has no size to change.
    NotADisk,
    /// The VM has snapshots, and must not for this.
    HasSnapshots,
    /// A disk is on a storage that the other node does not have.
    LocalStorage,
    /// The storage of a disk cannot make linked clones.
    LinkedCloneUnsupported,
    /// A text that should be public keys is none.
    InvalidSshKeys,
    /// There is a snapshot of this name already.
    SnapshotNameUsed,
    /// PVE keeps this snapshot name for itself.
    SnapshotNameReserved,
    /// There is no snapshot of this name.
    SnapshotNotFound,
    /// The storage can only roll back to the newest snapshot.
    SnapshotNotMostRecent,
    /// The snapshot was never finished, or is being removed.
    SnapshotIncomplete,
    /// A disk's storage cannot take snapshots.
    SnapshotsUnsupported,
    /// The VM's memory cannot be saved (passed-through devices).
    StateUnsupported,
    /// There is no firewall rule at that place.
    RuleNotFound,
    /// There is no firewall set of that name.
    SetNotFound,
    /// The firewall set is not empty.
    SetNotEmpty,
    /// The config changed since its digest was read.
    DigestMismatch,
    /// The cluster has lost its quorum: reads work, writes do not.
    NoQuorum,
    /// A replication job holds the VM.
    ReplicationRunning,
    /// A storage has no room left.
    StorageFull,
    /// A storage cannot be reached, is switched off, or is not there on this node.
    StorageUnavailable,
    /// A storage or volume is not for this kind of content.
    WrongContent,
    /// The backup is protected against removal.
    BackupProtected,
    /// The storage keeps no more backups of the VM.
    BackupLimit,
    /// The VM can have no more protected backups on the storage.
    ProtectedLimit,
    /// The backup of at least one VM failed; why is in the task's log alone.
    JobErrors,
    /// The token lacks a privilege, which PVE noticed only in the task; or it is a thing that only `root@pam` may do.
    PermissionDenied,
    /// The VM's config does not enable the guest agent.
    AgentNotConfigured,
    /// The guest agent does not answer.
    AgentNotRunning,
    /// The guest agent answered that it does not do this: no such user or program, or the guest forbids it.
    AgentRefused,
    /// Something inside PVE (QEMU, agent, storage) did not answer in time.
    Timeout,
    /// PVE does not know the node.
    NodeUnknown,
    /// PVE lost the task it had just begun; whether it runs is unknown.
    WorkerLost,
    /// Nothing was measured of the VM yet.
    NoSeries,
    /// There is no task of this id (or not yet: right after its start PVE may say so for a moment).
    NoSuchTask,
    /// The task was broken off.
    Interrupted,
    /// None of the above; read the text.
    Other,
}

impl Reason {
    /// Finds the reason in a text of PVE: a message, a reason phrase, the exit text of a task or a line of its log.
    ///
    /// A text that is not known is [`Reason::Other`].
    pub fn classify(text: &str) -> Self {
        phrases::meaning(text)
    }

    /// As [`Reason::classify`], of a text about one VM: that another one is missing, such as the source of a copied
    /// disk, is no news of this one.
    pub(crate) fn classify_about(vmid: Option<VmId>, text: &str) -> Self {
        match Self::classify(text) {
            Self::VmNotFound
                if vmid.is_some() && phrases::missing_vm(text).is_some_and(|id| Some(id) != vmid) =>
            {
                Self::Other
            }
            reason => reason,
        }
    }

    /// Whether the same call can succeed a little later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::LockTimeout | Self::Timeout | Self::NoQuorum)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked(lock) => return write!(f, "the VM is locked by `{lock}`"),
            Self::VmNotFound => "the VM is not on this node",
            Self::LockTimeout => "a lock was not had in time",
            Self::NotRunning => "the VM does not run",
            Self::AlreadyRunning => "the VM runs already",
            Self::Paused => "the VM is paused",
            Self::ShutdownTimeout => "the guest did not power down in time",
            Self::Template => "the VM is a template",
            Self::Protected => "the VM is protected",
            Self::VmRunning => "the VM runs",
            Self::VmExists => "the VM's number is taken",
            Self::HaManaged => "high availability manages the VM",
            Self::VolumeInUse => "a volume is still needed",
            Self::VolumeNotFound => "a volume is not there",
            Self::NoSuchDisk => "the VM has no such disk",
            Self::ShrinkUnsupported => "disks cannot become smaller",
            Self::NotADisk => "a CD drive cannot be resized",
            Self::HasSnapshots => "the VM has snapshots",
            Self::LocalStorage => "a disk is on a storage that the other node does not have",
            Self::LinkedCloneUnsupported => "a disk's storage cannot make linked clones",
            Self::InvalidSshKeys => "the public keys are not valid",
            Self::SnapshotNameUsed => "the snapshot name is taken",
            Self::SnapshotNameReserved => "the snapshot name is reserved",
            Self::SnapshotNotFound => "there is no such snapshot",
            Self::SnapshotNotMostRecent => "the snapshot is not the newest",
            Self::SnapshotIncomplete => "the snapshot is not complete",
            Self::SnapshotsUnsupported => "a disk's storage cannot take snapshots",
            Self::StateUnsupported => "the VM's memory cannot be saved",
            Self::RuleNotFound => "there is no firewall rule at that place",
            Self::SetNotFound => "there is no such firewall set",
            Self::SetNotEmpty => "the firewall set is not empty",
            Self::DigestMismatch => "the config was changed meanwhile",
            Self::NoQuorum => "the cluster has no quorum",
            Self::ReplicationRunning => "a replication runs",
            Self::StorageFull => "a storage is full",
            Self::StorageUnavailable => "a storage cannot be used",
            Self::WrongContent => "a storage or volume is of the wrong kind",
            Self::BackupProtected => "the backup is protected",
            Self::BackupLimit => "the storage keeps no more backups of the VM",
            Self::ProtectedLimit => "the VM can have no more protected backups",
            Self::JobErrors => "a backup failed, see the task's log",
            Self::PermissionDenied => "the token lacks a privilege",
            Self::AgentNotConfigured => "the guest agent is not enabled",
            Self::AgentNotRunning => "the guest agent does not answer",
            Self::AgentRefused => "the guest agent refused",
            Self::Timeout => "Proxmox waited for something in vain",
            Self::NodeUnknown => "Proxmox does not know the node",
            Self::WorkerLost => "Proxmox lost the task it began",
            Self::NoSeries => "nothing was measured of the VM yet",
            Self::NoSuchTask => "there is no such task",
            Self::Interrupted => "the task was interrupted",
            Self::Other => "Proxmox refused",
        })
    }
}
