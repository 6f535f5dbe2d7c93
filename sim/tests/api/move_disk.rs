//! Proves disks that move: to other storages, with and without what they leave, and to other VMs.

use crate::lab::{AUDITOR, Lab, log_has};
use pve_sim::{Action, Effect, Fault, Options, Scenario};

const STOPPED: &str = "/nodes/pve1/qemu/102/move_disk";
const RUNNING: &str = "/nodes/pve1/qemu/100/move_disk";

/// The images of a VM on a storage of `pve1`.
async fn images(lab: &Lab, storage: &str, vmid: u32) -> Vec<String> {
    let path = format!("/nodes/pve1/storage/{storage}/content?content=images&vmid={vmid}");
    let list = lab.list(&path).await;
    let names = list
        .iter()
        .map(|item| item["volid"].as_str().unwrap_or_default().to_owned());
    names.collect()
}

#[tokio::test]
async fn a_moved_disk_leaves_an_unused_one() {
    let lab = Lab::new().await;
    let form = [("disk", "scsi0"), ("storage", "local"), ("format", "qcow2")];
    let upid = lab.post(STOPPED, &form).await.data();
    assert!(upid.as_str().unwrap().contains(":qmmove:102:portico@pve!panel:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let config = lab.config("pve1", 102).await;
    assert_eq!(config["scsi0"], "local:102/vm-102-disk-0.qcow2,size=20G");
    assert_eq!(config["unused0"], "local-lvm:vm-102-disk-0");
    let log = lab.log_of(&upid).await;
    for text in [
        "create full clone of drive scsi0 (local-lvm:vm-102-disk-0)",
        "transferred 20.0 GiB of 20.0 GiB (100.00%)",
        "adding source volume 'local-lvm:vm-102-disk-0' as 'unused0' to config",
    ] {
        assert!(log_has(&log, text), "{text}: {log:?}");
    }
    assert_eq!(
        lab.control().effect_count(Effect::DiskMoved, 102, Some("scsi0")),
        1
    );
}

#[tokio::test]
async fn with_delete_the_old_volume_is_gone_and_limits_stay() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/101/move_disk";
    let form = [("disk", "scsi0"), ("storage", "local"), ("delete", "1")];
    let upid = lab.post(path, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let config = lab.config("pve1", 101).await;
    let disk = config["scsi0"].as_str().unwrap();
    assert!(
        disk.starts_with("local:101/vm-101-disk-0.raw,iops=3000,"),
        "{disk}"
    );
    assert!(disk.contains("mbps=150") && disk.ends_with("size=60G"), "{disk}");
    assert_eq!(config.get("unused0"), None);
    assert_eq!(images(&lab, "local-lvm", 101).await, ["local-lvm:vm-101-disk-1"]);
    let log = lab.log_of(&upid).await;
    for text in [
        "drive mirror is starting for drive-scsi0",
        "drive-scsi0: transferred 60.0 GiB of 60.0 GiB (100.00%) in",
        "drive-scsi0: mirror-job finished",
        "removing source volume 'local-lvm:vm-101-disk-0' after successful copy",
    ] {
        assert!(log_has(&log, text), "{text}: {log:?}");
    }
}

#[tokio::test]
async fn a_disk_with_snapshots_moves_only_without_delete() {
    let lab = Lab::new().await;
    let form = [("disk", "scsi0"), ("storage", "local"), ("delete", "1")];
    let answer = lab.post(RUNNING, &form).await;
    assert_eq!(
        answer.reason,
        "you can't move a disk with snapshots and delete the source"
    );
    let upid = lab.post(RUNNING, &form[..2]).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    assert!(log_has(
        &log,
        "moving disk with snapshots, snapshots will not be moved!"
    ));
}

#[tokio::test]
async fn what_cannot_move_is_refused_at_once() {
    let mut lab = Lab::new().await;
    let refused = async |lab: &Lab, disk: &str, storage: &str| {
        let form = [("disk", disk), ("storage", storage)];
        lab.post(STOPPED, &form).await.reason
    };
    for (disk, storage, reason) in [
        ("scsi9", "local", "disk 'scsi9' does not exist"),
        ("ide2", "local", "you can't move a cdrom"),
        (
            "scsi0",
            "local-lvm",
            "you can't move to the same storage with same format",
        ),
        (
            "scsi0",
            "local-zfs",
            "storage 'local-zfs' is not available on node 'pve1'",
        ),
        ("scsi0", "gone-one", "storage 'gone-one' does not exist"),
    ] {
        assert_eq!(refused(&lab, disk, storage).await, reason);
    }
    let answer = lab.post(STOPPED, &[("disk", "scsi0"), ("storage", "nas")]).await;
    assert_eq!(
        answer.error("storage"),
        "storage 'nas' does not support vm images"
    );
    let answer = lab.post(STOPPED, &[("disk", "net0"), ("storage", "local")]).await;
    assert!(answer.error("disk").ends_with("unused254, unused255'"));
    let form = [("disk", "scsi0"), ("storage", "local"), ("digest", "0123")];
    assert_eq!(
        lab.post(STOPPED, &form).await.reason,
        "checksum mismatch (file change by other user?)"
    );
    let both = [("disk", "scsi0"), ("storage", "local"), ("target-vmid", "105")];
    for form in [&both[..], &both[..1]] {
        let answer = lab.post(STOPPED, form).await;
        assert!(answer.error("storage").contains("'target-vmid'"));
        assert_eq!(answer.error("storage"), answer.error("target-vmid"));
    }
    lab.control().set_lock(102, Some("backup")).unwrap();
    assert_eq!(refused(&lab, "scsi0", "local").await, "VM is locked (backup)");
    lab.use_token(AUDITOR);
    assert_eq!(
        refused(&lab, "scsi0", "local").await,
        "Permission check failed (/vms/102, VM.Config.Disk)"
    );
    assert_eq!(lab.control().tasks().len(), 0);
}

#[tokio::test]
async fn the_image_of_cloud_init_moves_like_a_disk() {
    let lab = Lab::new().await;
    let form = [("disk", "ide2"), ("storage", "local"), ("delete", "1")];
    assert_eq!(lab.run(RUNNING, &form).await, "OK");
    let drive = lab.config("pve1", 100).await["ide2"].clone();
    assert_eq!(drive, "local:100/vm-100-cloudinit.raw,media=cdrom,size=4M");
}

#[tokio::test]
async fn a_move_that_fails_leaves_the_disk_where_it_was() {
    let lab = Lab::new().await;
    let storage = "local".to_owned();
    lab.control().inject(Fault::StorageFull { storage });
    let form = [("disk", "scsi0"), ("storage", "local"), ("delete", "1")];
    let exit = lab.run(STOPPED, &form).await;
    assert!(
        exit.starts_with("storage migration failed: unable to create image: "),
        "{exit}"
    );
    lab.control().clear_faults();
    lab.control().inject(Fault::FailTasks {
        task: "qmmove".into(),
        vmid: Some(102),
        text: "power cut".into(),
        times: 1,
    });
    assert_eq!(
        lab.run(STOPPED, &form).await,
        "storage migration failed: power cut"
    );
    let disk = lab.config("pve1", 102).await["scsi0"].clone();
    assert_eq!(disk, "local-lvm:vm-102-disk-0,size=20G");
    assert!(images(&lab, "local", 102).await.is_empty());
    assert_eq!(lab.run(STOPPED, &form).await, "OK", "and it can be tried again");
}

#[tokio::test]
async fn a_storage_that_is_too_small_breaks_the_copy() {
    let demo = Scenario::DEMO;
    let small = "[[storage]]\nid = \"small\"\ntype = \"dir\"\ncontent = [\"images\"]\nsize_gib = 20\n";
    let lab = Lab::with(Options {
        time_scale: 100.0,
        scenario: Scenario::from_toml(&format!("{demo}\n{small}")).unwrap(),
        ..Options::default()
    })
    .await;
    let form = [("disk", "scsi0"), ("storage", "small"), ("delete", "1")];
    let upid = lab.post(STOPPED, &form).await.data();
    let exit = lab.exit_of(&upid).await;
    assert!(
        exit.starts_with("storage migration failed: copy failed: "),
        "{exit}"
    );
    assert!(log_has(&lab.log_of(&upid).await, "No space left on device"));
    let path = "/nodes/pve1/qemu/101/move_disk";
    assert_eq!(
        lab.run(path, &form[..2]).await,
        "storage migration failed: block job (mirror) error: drive-scsi0: 'mirror' has been cancelled"
    );
    assert!(images(&lab, "small", 101).await.is_empty() && images(&lab, "small", 102).await.is_empty());
}

#[tokio::test]
async fn a_moved_disk_of_a_template_stays_a_base() {
    let lab = Lab::new().await;
    let form = [("disk", "scsi0"), ("storage", "local"), ("delete", "1")];
    assert_eq!(lab.run("/nodes/pve1/qemu/9000/move_disk", &form).await, "OK");
    let disk = lab.config("pve1", 9000).await["scsi0"].clone();
    assert_eq!(disk, "local:9000/base-9000-disk-0.raw,size=4G");
}

#[tokio::test]
async fn a_bandwidth_limit_makes_it_last() {
    let lab = Lab::with(Options {
        time_scale: 2_000.0,
        ..Options::default()
    })
    .await;
    lab.act(Action::SetRunning {
        vmid: 102,
        running: true,
    });
    let form = [("disk", "scsi0"), ("storage", "local"), ("bwlimit", "20480")];
    let upid = lab.post(STOPPED, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    assert!(log_has(
        &log,
        "drive mirror is starting for drive-scsi0 with bandwidth limit: 20480 KiB/s"
    ));
    assert!(log_has(&log, "(100.00%) in 17m 4s, ready"), "{log:?}");
}

#[tokio::test]
async fn a_disk_changes_its_owner() {
    let lab = Lab::new().await;
    lab.act(Action::SetRunning {
        vmid: 105,
        running: false,
    });
    let form = [
        ("disk", "scsi0"),
        ("target-vmid", "105"),
        ("target-disk", "scsi3"),
    ];
    let upid = lab.post(STOPPED, &form).await.data();
    assert!(upid.as_str().unwrap().contains(":qmmove:102-scsi0>105-scsi3:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let config = lab.config("pve1", 102).await;
    assert_eq!(
        (config.get("scsi0"), &config["boot"]),
        (None, &"order=ide2;net0".into())
    );
    let config = lab.config("pve1", 105).await;
    assert_eq!(config["scsi3"], "local-lvm:vm-105-disk-0,size=20G");
    assert_eq!(images(&lab, "local-lvm", 105).await, ["local-lvm:vm-105-disk-0"]);
    let log = lab.log_of(&upid).await;
    assert!(log_has(
        &log,
        "reassign disk 'scsi0' from VM '102' as 'scsi3' to VM '105'"
    ));
    assert!(log_has(&log, "removing disk 'scsi0' from boot order config"));
}

#[tokio::test]
async fn a_disk_that_cannot_change_its_owner_is_refused() {
    let lab = Lab::new().await;
    let refused = async |vmid: u32, disk: &str, target: &str| {
        let path = format!("/nodes/pve1/qemu/{vmid}/move_disk");
        let answer = lab.post(&path, &[("disk", disk), ("target-vmid", target)]).await;
        answer.reason
    };
    for (vmid, disk, target, reason) in [
        (102, "scsi0", "555", "could not find target VM 555"),
        (
            102,
            "scsi0",
            "103",
            "Both VMs need to be on the same node (pve1 != pve2)",
        ),
        (102, "scsi0", "9000", "Can't move disks from or to template VMs"),
        (102, "scsi9", "105", "Disk 'scsi9' for VM '102' does not exist"),
        (
            102,
            "scsi0",
            "101",
            "Target disk key 'scsi0' is already in use for VM '101'",
        ),
        (
            102,
            "ide2",
            "105",
            "CD drive contents can't be moved to another VM",
        ),
        (
            100,
            "scsi0",
            "105",
            "Can't move disk used by a snapshot to another VM",
        ),
        (
            101,
            "scsi1",
            "105",
            "Cannot move disk to another VM while the source VM is running - detach first",
        ),
    ] {
        assert_eq!(refused(vmid, disk, target).await, reason);
    }
    let answer = lab
        .post(STOPPED, &[("disk", "scsi0"), ("target-vmid", "102")])
        .await;
    assert_eq!(
        answer.error("target-vmid"),
        "must be different than source VMID to reassign disk"
    );
}
