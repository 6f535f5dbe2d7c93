//! The sentences of PVE and what they mean.

use super::{Lock, Reason};
use crate::id::VmId;

/// Phrases and what they mean. The first match wins: what is more special stands above what is more general.
const PHRASES: &[(&str, Reason)] = &[
    ("No QEMU guest agent configured", Reason::AgentNotConfigured),
    ("QEMU guest agent is not running", Reason::AgentNotRunning),
    ("config file already exists", Reason::VmExists),
    ("used in HA resources", Reason::HaManaged),
    ("volume is still in use", Reason::VolumeInUse),
    ("is still in use by linked clone", Reason::VolumeInUse),
    ("shrinking disks is not supported", Reason::ShrinkUnsupported),
    ("you can't resize a cdrom", Reason::NotADisk),
    ("because VM contains snapshots", Reason::HasSnapshots),
    ("(VM uses local storage)", Reason::LocalStorage),
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
    ("if vm is a template", Reason::Template),
    ("can't convert a template to a template", Reason::Template),
    ("if VM is running", Reason::VmRunning),
    ("protection mode enabled", Reason::Protected),
    (
        "checksum mismatch (file change by other user?)",
        Reason::DigestMismatch,
    ),
    ("detected modified configuration", Reason::DigestMismatch),
    ("No space left on device", Reason::StorageFull),
    ("ENOSPC", Reason::StorageFull),
    ("out of space", Reason::StorageFull),
    // A thin pool that may get no more volumes; a volume group; a ZFS volume that grows.
    ("free space in thin pool", Reason::StorageFull),
    ("not enough free space", Reason::StorageFull),
    ("nsufficient free space", Reason::StorageFull),
    ("size is greater than available space", Reason::StorageFull),
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
    ("only root can set '", Reason::PermissionDenied),
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

/// What a text of PVE means. Rules that look at more than one phrase come before the table.
pub(super) fn meaning(text: &str) -> Reason {
    // What follows are the guest's own words, which must not pass for PVE's.
    if text.trim_start().starts_with("Agent error: ") {
        return Reason::AgentRefused;
    }
    if let Some(lock) = between(text, "VM is locked (", ")") {
        return Reason::Locked(Lock::from(lock));
    }
    if text.contains("Configuration file '") && text.contains(".conf' does not exist") {
        return Reason::VmNotFound;
    }
    // So says what asks for the process before it reads the config: reset, reboot, suspend, resume.
    if text.contains("unable to find configuration file for VM ") {
        return Reason::VmNotFound;
    }
    if (text.contains("can't lock file '") && text.contains("got timeout"))
        || text.contains("got lock request timeout")
    {
        return Reason::LockTimeout;
    }
    if about_a_vm(text, &["not running", "is not running"]) {
        return Reason::NotRunning;
    }
    if about_a_vm(text, &["is running - "]) {
        return Reason::VmRunning;
    }
    if about_a_vm(text, &["already exists"]) {
        return Reason::VmExists;
    }
    if about_a_vm(text, &["already running"]) {
        return Reason::AlreadyRunning;
    }
    if text.contains("snapshot name '") && text.contains("' already used") {
        return Reason::SnapshotNameUsed;
    }
    if text.contains("snapshot '") && text.contains("' does not exist") {
        return Reason::SnapshotNotFound;
    }
    if text.contains("disk '") && text.contains("' does not exist") {
        return Reason::NoSuchDisk;
    }
    if let Some(reason) = about_a_place(text) {
        return reason;
    }
    if text.trim() == "job errors" {
        return Reason::JobErrors;
    }
    // Without a quorum the cluster's file system takes no writes, and whatever writes there says so in its own words.
    if text.contains("'/etc/pve/") && text.contains("Permission denied") {
        return Reason::NoQuorum;
    }
    if text.starts_with("RRD error") && text.contains("No such file or directory") {
        return Reason::NoSeries;
    }
    if text.contains("IPSet '") && text.contains("' is not empty") {
        return Reason::SetNotEmpty;
    }
    PHRASES
        .iter()
        .find(|(phrase, _)| text.contains(phrase))
        .map_or(Reason::Other, |(_, reason)| reason.clone())
}

/// The VM of which a text says that its config is not there.
pub(super) fn missing_vm(text: &str) -> Option<VmId> {
    if let Some(number) = between(text, "/qemu-server/", ".conf' does not exist") {
        return number.parse().ok();
    }
    let (_, rest) = text.split_once("unable to find configuration file for VM ")?;
    rest.split(' ').next()?.parse().ok()
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
mod tests;
