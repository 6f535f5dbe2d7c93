//! What PVE's texts mean: one classification for refused calls and for the end of failed tasks.
//!
//! PVE answers nearly every refusal with status 500 and a sentence, so the sentence is the error code. The
//! same sentences appear as the exit text of tasks. To teach the client another one, add a variant and a
//! line in [`Reason::classify`], with the text in the test below.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The persistent lock in a VM's config: an operation is under way (or was broken off).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// A backup runs.
    Backup,
    /// The VM is being cloned.
    Clone,
    /// The VM is being created or restored.
    Create,
    /// The VM is being destroyed.
    Destroyed,
    /// Disks are being imported.
    Import,
    /// The VM moves to another node.
    Migrate,
    /// A snapshot is being rolled back.
    Rollback,
    /// A snapshot is being taken.
    Snapshot,
    /// A snapshot is being removed.
    SnapshotDelete,
    /// The VM is being suspended to disk.
    Suspending,
    /// The VM is suspended to disk; starting resumes it.
    Suspended,
    /// A lock that this crate does not know.
    Other(String),
}

impl Lock {
    /// The word PVE uses for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Backup => "backup",
            Self::Clone => "clone",
            Self::Create => "create",
            Self::Destroyed => "destroyed",
            Self::Import => "import",
            Self::Migrate => "migrate",
            Self::Rollback => "rollback",
            Self::Snapshot => "snapshot",
            Self::SnapshotDelete => "snapshot-delete",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Lock {
    fn from(word: &str) -> Self {
        match word {
            "backup" => Self::Backup,
            "clone" => Self::Clone,
            "create" => Self::Create,
            "destroyed" => Self::Destroyed,
            "import" => Self::Import,
            "migrate" => Self::Migrate,
            "rollback" => Self::Rollback,
            "snapshot" => Self::Snapshot,
            "snapshot-delete" => Self::SnapshotDelete,
            "suspending" => Self::Suspending,
            "suspended" => Self::Suspended,
            other => Self::Other(other.chars().filter(|c| !c.is_control()).take(64).collect()),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

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
    /// The token lacks a privilege, which PVE noticed only in the task.
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
    /// There is no task of this id (or not yet: right after its start PVE may say so for a moment).
    NoSuchTask,
    /// The task was broken off.
    Interrupted,
    /// None of the above; read the text.
    Other,
}

/// Phrases and what they mean. The first match wins: what is more special stands above what is more general.
const PHRASES: &[(&str, Reason)] = &[
    ("No QEMU guest agent configured", Reason::AgentNotConfigured),
    ("QEMU guest agent is not running", Reason::AgentNotRunning),
    ("Agent error: ", Reason::AgentRefused),
    ("config file already exists", Reason::VmExists),
    ("used in HA resources", Reason::HaManaged),
    ("volume is still in use", Reason::VolumeInUse),
    ("is still in use by linked clone", Reason::VolumeInUse),
    ("shrinking disks is not supported", Reason::ShrinkUnsupported),
    (
        "Linked clone feature is not supported",
        Reason::LinkedCloneUnsupported,
    ),
    ("SSH public key validation error", Reason::InvalidSshKeys),
    ("vm is running", Reason::VmRunning),
    ("VM is paused - cannot shutdown", Reason::Paused),
    ("VM quit/powerdown failed", Reason::ShutdownTimeout),
    ("unable to use snapshot name '", Reason::SnapshotNameReserved),
    ("is not most recent snapshot", Reason::SnapshotNotMostRecent),
    ("incomplete snapshot", Reason::SnapshotIncomplete),
    ("snapshot feature is not available", Reason::SnapshotsUnsupported),
    (
        "Cannot live-migrate, snapshot (with RAM)",
        Reason::StateUnsupported,
    ),
    ("if it's a template", Reason::Template),
    ("protection mode enabled", Reason::Protected),
    (
        "checksum mismatch (file change by other user?)",
        Reason::DigestMismatch,
    ),
    ("detected modified configuration", Reason::DigestMismatch),
    ("No space left on device", Reason::StorageFull),
    ("ENOSPC", Reason::StorageFull),
    ("out of space", Reason::StorageFull),
    ("cannot remove protected", Reason::BackupProtected),
    ("There is a max backup limit of", Reason::BackupLimit),
    (
        "number of protected backups per guest is limited",
        Reason::ProtectedLimit,
    ),
    ("wrong content type", Reason::WrongContent),
    ("content type needs to be", Reason::WrongContent),
    ("Content type '", Reason::WrongContent),
    ("' does not support vm images", Reason::WrongContent),
    ("error fetching datastores", Reason::StorageUnavailable),
    ("error listing snapshots", Reason::StorageUnavailable),
    ("could not activate storage", Reason::StorageUnavailable),
    ("unable to activate storage", Reason::StorageUnavailable),
    ("can't find file '", Reason::VolumeNotFound),
    ("volume_size_info on '", Reason::VolumeNotFound),
    ("no such logical volume", Reason::VolumeNotFound),
    ("Permission check failed", Reason::PermissionDenied),
    ("no rule at position", Reason::RuleNotFound),
    ("no such IPSet", Reason::SetNotFound),
    ("no quorum", Reason::NoQuorum),
    ("replication running", Reason::ReplicationRunning),
    ("got no worker upid", Reason::WorkerLost),
    ("no such task", Reason::NoSuchTask),
    ("hostname lookup '", Reason::NodeUnknown),
    ("received interrupt", Reason::Interrupted),
    ("interrupted by signal", Reason::Interrupted),
    ("got timeout", Reason::Timeout),
];

impl Reason {
    /// Finds the reason in a text of PVE.
    pub fn classify(text: &str) -> Self {
        if let Some(lock) = between(text, "VM is locked (", ")") {
            return Self::Locked(Lock::from(lock));
        }
        if text.contains("Configuration file '") && text.contains(".conf' does not exist") {
            return Self::VmNotFound;
        }
        // So says what asks for the process before it reads the config: reset, reboot, suspend, resume.
        if text.contains("unable to find configuration file for VM ") {
            return Self::VmNotFound;
        }
        if (text.contains("can't lock file '") && text.contains("got timeout"))
            || text.contains("got lock request timeout")
        {
            return Self::LockTimeout;
        }
        if about_a_vm(text, &["not running", "is not running"]) {
            return Self::NotRunning;
        }
        if about_a_vm(text, &["is running - "]) {
            return Self::VmRunning;
        }
        if about_a_vm(text, &["already exists"]) {
            return Self::VmExists;
        }
        if about_a_vm(text, &["already running"]) {
            return Self::AlreadyRunning;
        }
        if text.contains("snapshot name '") && text.contains("' already used") {
            return Self::SnapshotNameUsed;
        }
        if text.contains("snapshot '") && text.contains("' does not exist") {
            return Self::SnapshotNotFound;
        }
        if text.contains("disk '") && text.contains("' does not exist") {
            return Self::NoSuchDisk;
        }
        if let Some(reason) = about_a_place(text) {
            return reason;
        }
        if text.trim() == "job errors" {
            return Self::JobErrors;
        }
        if text.contains("IPSet '") && text.contains("' is not empty") {
            return Self::SetNotEmpty;
        }
        PHRASES
            .iter()
            .find(|(phrase, _)| text.contains(phrase))
            .map_or(Self::Other, |(_, reason)| reason.clone())
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
            Self::NoSuchTask => "there is no such task",
            Self::Interrupted => "the task was interrupted",
            Self::Other => "Proxmox refused",
        })
    }
}

/// Whether the text says `VM <number> <phrase>`, anywhere in it.
fn about_a_vm(text: &str, phrases: &[&str]) -> bool {
    text.match_indices("VM ").any(|(at, _)| {
        let rest = text.get(at + 3..).unwrap_or_default();
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len()
            && phrases
                .iter()
                .any(|phrase| after.trim_start().starts_with(phrase))
    })
}

/// What a text says about a VM number, a storage or a volume that it quotes in the middle.
fn about_a_place(text: &str) -> Option<Reason> {
    if let Some((_, rest)) = text.split_once("storage '")
        && let Some((_, after)) = rest.split_once('\'')
    {
        let gone = [
            " is not online",
            " is disabled",
            " is not available on node",
            " does not exist",
        ];
        if gone.iter().any(|phrase| after.starts_with(phrase)) {
            return Some(Reason::StorageUnavailable);
        }
    }
    // `volume local:iso/x.iso does not exist`, and of a backup server `snapshot vm/100/… does not exist`.
    let missing = ["volume ", "snapshot vm/", "snapshot ct/"].iter().any(|word| {
        text.split_once(word)
            .and_then(|(_, rest)| rest.split_once(' '))
            .is_some_and(|(_, after)| after.starts_with("does not exist"))
    });
    missing.then_some(Reason::VolumeNotFound)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_text_of_pve_has_its_reason() {
        let cases = [
            (
                "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist\n",
                Reason::VmNotFound,
            ),
            (
                "unable to find configuration file for VM 101 on node 'pve1'",
                Reason::VmNotFound,
            ),
            ("VM is locked (backup)", Reason::Locked(Lock::Backup)),
            (
                "unable to restore VM 100 - VM is locked (snapshot-delete)",
                Reason::Locked(Lock::SnapshotDelete),
            ),
            (
                "VM is locked (brand-new)",
                Reason::Locked(Lock::Other("brand-new".to_owned())),
            ),
            (
                "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
                Reason::LockTimeout,
            ),
            (
                "clone failed: cfs-lock 'storage-x' error: got lock request timeout",
                Reason::LockTimeout,
            ),
            ("cfs-lock 'storage-x' error: no quorum!", Reason::NoQuorum),
            ("cluster not ready - no quorum?", Reason::NoQuorum),
            ("VM 100 not running", Reason::NotRunning),
            ("VM 100 is not running", Reason::NotRunning),
            ("VM 100 already running", Reason::AlreadyRunning),
            ("VM is paused - cannot shutdown", Reason::Paused),
            ("VM quit/powerdown failed - got timeout", Reason::ShutdownTimeout),
            ("you can't start a vm if it's a template", Reason::Template),
            ("you can't take a snapshot if it's a template", Reason::Template),
            ("can't remove VM 100 - protection mode enabled", Reason::Protected),
            ("snapshot name 'daily' already used", Reason::SnapshotNameUsed),
            (
                "unable to use snapshot name 'current' (reserved name)",
                Reason::SnapshotNameReserved,
            ),
            ("snapshot 'daily' does not exist", Reason::SnapshotNotFound),
            (
                "can't rollback, 'daily' is not most recent snapshot on 'zfs:vm-100-disk-0'",
                Reason::SnapshotNotMostRecent,
            ),
            (
                "unable to rollback to incomplete snapshot (snapstate = prepare)",
                Reason::SnapshotIncomplete,
            ),
            ("snapshot feature is not available", Reason::SnapshotsUnsupported),
            (
                "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: hostpci0",
                Reason::StateUnsupported,
            ),
            (
                "checksum mismatch (file change by other user?)",
                Reason::DigestMismatch,
            ),
            (
                "detected modified configuration - file changed by other user? Try again.",
                Reason::DigestMismatch,
            ),
            ("no rule at position 7", Reason::RuleNotFound),
            ("no such IPSet 'ipfilter-net0'", Reason::SetNotFound),
            ("IPSet 'ipfilter-net0' is not empty", Reason::SetNotEmpty),
            (
                "cfs-lock 'firewall-vm-100' error: got lock request timeout",
                Reason::LockTimeout,
            ),
            (
                "Failed to obtain guest migration lock - replication running?",
                Reason::ReplicationRunning,
            ),
            ("No QEMU guest agent configured", Reason::AgentNotConfigured),
            ("QEMU guest agent is not running", Reason::AgentNotRunning),
            (
                "VM 100 qga command 'guest-ping' failed - got timeout",
                Reason::Timeout,
            ),
            (
                "hostname lookup 'x' failed - failed to get address info for: x: Name or service not known",
                Reason::NodeUnknown,
            ),
            ("got no worker upid - start worker failed", Reason::WorkerLost),
            ("no such task", Reason::NoSuchTask),
            ("received interrupt", Reason::Interrupted),
            ("interrupted by signal", Reason::Interrupted),
            ("unable to parse volume ID", Reason::Other),
            ("", Reason::Other),
        ];
        for (text, reason) in cases {
            assert_eq!(Reason::classify(text), reason, "{text}");
        }
    }

    #[test]
    fn texts_about_storages_backups_and_restores_have_their_reason() {
        let cases = [
            ("unable to restore VM 100 - vm is running", Reason::VmRunning),
            ("VM 100 is running - destroy failed", Reason::VmRunning),
            (
                "unable to restore VM 100 - - protection mode enabled",
                Reason::Protected,
            ),
            (
                "unable to restore VM 100 - VM 100 already exists on node 'pve1'",
                Reason::VmExists,
            ),
            (
                "vma_queue_write: write error - No space left on device",
                Reason::StorageFull,
            ),
            (
                "backup write data failed: command error: write_data upload error: ENOSPC: No space left on device",
                Reason::StorageFull,
            ),
            ("storage 'nas' is not online", Reason::StorageUnavailable),
            ("storage 'nas' is disabled", Reason::StorageUnavailable),
            (
                "storage 'nas' is not available on node 'pve1'",
                Reason::StorageUnavailable,
            ),
            ("storage 'nas' does not exist", Reason::StorageUnavailable),
            (
                "could not activate storage 'nas': storage 'nas' is not online",
                Reason::StorageUnavailable,
            ),
            (
                "pbs: error fetching datastores - 500 Can't connect to 192.0.2.9:8007 (No route to host)",
                Reason::StorageUnavailable,
            ),
            (
                "could not get storage information for 'x': can't use storage 'x' for backups - wrong content type",
                Reason::WrongContent,
            ),
            (
                "unable to use volume local:iso/x.iso - content type needs to be 'backup'",
                Reason::WrongContent,
            ),
            (
                "Content type 'images' is not available on storage 'backups'",
                Reason::WrongContent,
            ),
            ("volume local:iso/x.iso does not exist", Reason::VolumeNotFound),
            ("volume 'local:iso/x.iso' does not exist", Reason::VolumeNotFound),
            (
                "can't find file 'dir1:backup/vzdump-qemu-100-2026_08_20-03_00_01.vma'",
                Reason::VolumeNotFound,
            ),
            (
                "volume_size_info on 'local:iso/none.iso' failed - no format",
                Reason::VolumeNotFound,
            ),
            (
                "proxmox-backup-client failed: Error: snapshot vm/100/2026-08-20T03:00:01Z does not exist",
                Reason::VolumeNotFound,
            ),
            (
                "cannot remove protected volume 'backup/vzdump-qemu-100-x.vma' on 'dir1'",
                Reason::BackupProtected,
            ),
            (
                "proxmox-backup-client failed: Error: cannot remove protected snapshot",
                Reason::BackupProtected,
            ),
            (
                "There is a max backup limit of 3 enforced by the target storage or the vzdump parameters. Either \
                 increase the limit or delete old backups.",
                Reason::BackupLimit,
            ),
            (
                "The number of protected backups per guest is limited to 5 on storage 'dir1'",
                Reason::ProtectedLimit,
            ),
            ("job errors", Reason::JobErrors),
            (
                "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
                Reason::PermissionDenied,
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(Reason::classify(text), reason, "{text}");
        }
    }

    #[test]
    fn each_known_text_about_disks_copies_and_the_guest_has_its_reason() {
        let cases = [
            (
                "unable to find configuration file for VM 100 on node 'pve1'",
                Reason::VmNotFound,
            ),
            ("VM 100 is running - destroy failed", Reason::VmRunning),
            ("unable to restore VM 100 - vm is running", Reason::VmRunning),
            (
                "unable to create VM 100: config file already exists",
                Reason::VmExists,
            ),
            (
                "unable to create VM 100 - VM 100 already exists on node 'pve2'",
                Reason::VmExists,
            ),
            (
                "unable to remove VM 100 - used in HA resources and purge parameter not set.",
                Reason::HaManaged,
            ),
            (
                "unable to delete 'local-lvm:vm-100-disk-0' - volume is still in use (snapshot?)",
                Reason::VolumeInUse,
            ),
            (
                "base volume 'x:base-9000-disk-0' is still in use by linked cloned",
                Reason::VolumeInUse,
            ),
            ("volume local:iso/x.iso does not exist", Reason::VolumeNotFound),
            ("disk 'scsi9' does not exist", Reason::NoSuchDisk),
            ("shrinking disks is not supported", Reason::ShrinkUnsupported),
            (
                "Linked clone feature is not supported for 'x:vm-100-disk-0' (scsi0)",
                Reason::LinkedCloneUnsupported,
            ),
            ("SSH public key validation error", Reason::InvalidSshKeys),
            (
                "Agent error: child process has failed to set user password",
                Reason::AgentRefused,
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(Reason::classify(text), reason, "{text}");
        }
    }

    #[test]
    fn words_of_locks_round_trip() {
        for word in [
            "backup",
            "clone",
            "create",
            "destroyed",
            "import",
            "migrate",
            "rollback",
            "snapshot",
            "snapshot-delete",
            "suspending",
            "suspended",
            "whatever",
        ] {
            assert_eq!(Lock::from(word).as_str(), word);
        }
    }
}
