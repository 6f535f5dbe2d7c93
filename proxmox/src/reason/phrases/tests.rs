//! Each sentence as PVE says it, with its meaning.

use super::*;

fn assert_each<const N: usize>(cases: [(&str, Reason); N]) {
    for (text, reason) in cases {
        assert_eq!(Reason::classify(text), reason, "{text}");
    }
}

#[test]
fn texts_about_places_locks_and_power_have_their_reason() {
    assert_each([
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
        (
            "unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.7' - Permission denied",
            Reason::NoQuorum,
        ),
        ("VM 100 not running", Reason::NotRunning),
        ("VM 100 is not running", Reason::NotRunning),
        ("VM 100 already running", Reason::AlreadyRunning),
        ("VM is paused - cannot shutdown", Reason::Paused),
        ("VM quit/powerdown failed - got timeout", Reason::ShutdownTimeout),
        ("you can't start a vm if it's a template", Reason::Template),
        ("you can't take a snapshot if it's a template", Reason::Template),
        ("you can't rollback if vm is a template", Reason::Template),
        ("you can't convert a template to a template", Reason::Template),
        (
            "you can't convert a VM to template if VM is running",
            Reason::VmRunning,
        ),
        ("can't remove VM 100 - protection mode enabled", Reason::Protected),
    ]);
}

#[test]
fn texts_about_snapshots_digests_and_the_firewall_have_their_reason() {
    assert_each([
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
    ]);
}

#[test]
fn texts_about_the_agent_nodes_and_tasks_have_their_reason() {
    assert_each([
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
    ]);
}

#[test]
fn texts_about_restores_and_full_storages_have_their_reason() {
    assert_each([
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
        (
            "clone failed: lvcreate 'pve/vm-100-disk-0' error:   Cannot create new thin volume, free space in thin \
             pool pve/data reached threshold.",
            Reason::StorageFull,
        ),
        ("not enough free space (1024 < 33554432)", Reason::StorageFull),
        (
            "error resizing volume '/dev/vg/vm-100-disk-0':   Insufficient free space: 256 extents needed, but only 0 \
             available",
            Reason::StorageFull,
        ),
        (
            "zfs error: cannot create 'rpool/data/vm-100-disk-0': out of space",
            Reason::StorageFull,
        ),
        (
            "zfs error: cannot set property for 'rpool/data/vm-100-disk-0': size is greater than available space",
            Reason::StorageFull,
        ),
        (
            "can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout",
            Reason::LockTimeout,
        ),
    ]);
}

#[test]
fn texts_about_storages_and_backups_have_their_reason() {
    assert_each([
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
    ]);
}

#[test]
fn texts_about_disks_and_copies_have_their_reason() {
    assert_each([
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
    ]);
}

#[test]
fn a_guest_cannot_pass_its_words_off_as_those_of_pve() {
    for words in [
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist",
        "VM is locked (backup)",
        "can't lock file '/x' - got timeout",
        "VM 100 is not running",
        "No space left on device",
    ] {
        let text = format!("Agent error: {words}");
        assert_eq!(Reason::classify(&text), Reason::AgentRefused, "{text}");
    }
}

#[test]
fn that_another_vm_is_missing_is_no_news_of_this_one() {
    let (own, other) = (VmId::new(100).ok(), VmId::new(9000).ok());
    for text in [
        "Configuration file 'nodes/pve1/qemu-server/9000.conf' does not exist",
        "unable to find configuration file for VM 9000 on node 'pve1'",
    ] {
        assert_eq!(Reason::classify_about(own, text), Reason::Other, "{text}");
        assert_eq!(Reason::classify_about(other, text), Reason::VmNotFound, "{text}");
        assert_eq!(Reason::classify_about(None, text), Reason::VmNotFound, "{text}");
    }
}

#[test]
fn texts_about_what_cannot_be_done_to_a_vm_have_their_reason() {
    assert_each([
        ("only root can set 'args' config", Reason::PermissionDenied),
        (
            "unable to create template, because VM contains snapshots",
            Reason::HasSnapshots,
        ),
        (
            "can't clone VM to node 'pve2' (VM uses local storage)",
            Reason::LocalStorage,
        ),
        ("you can't resize a cdrom", Reason::NotADisk),
        (
            "RRD error: opening '/var/lib/rrdcached/db/pve2-vm/100': No such file or directory",
            Reason::NoSeries,
        ),
        ("RRD error: mmap failed", Reason::Other),
        ("cat: /etc/x: No such file or directory", Reason::Other),
    ]);
}
