//! Proves migrations that a caller asks for: what is in the way, what goes along, how they fail.

use crate::lab::{AUDITOR, Lab, log_has};
use pve_sim::{Action, Effect, Fault, Major, Options, Wanted};
use serde_json::{Value, json};

fn path(vmid: u32) -> String {
    format!("/nodes/pve1/qemu/{vmid}/migrate")
}

/// Asks for a migration and gives how it ended and its log.
async fn migrated(lab: &Lab, vmid: u32, form: &[(&str, &str)]) -> (String, Vec<String>) {
    let upid = lab.post(&path(vmid), form).await.data();
    (lab.exit_of(&upid).await, lab.log_of(&upid).await)
}

#[tokio::test]
async fn the_preconditions_name_nodes_disks_and_what_blocks() {
    let lab = Lab::new().await;
    let found = lab.get(&path(100)).await.data();
    assert_eq!(found["running"], 1);
    assert_eq!(found["allowed_nodes"], json!(["pve2"]));
    assert_eq!(found["not_allowed_nodes"], json!({}));
    assert_eq!(found["has-dbus-vmstate"], 1);
    let disks = found["local_disks"].as_array().unwrap();
    let disk = |volid: &str| disks.iter().find(|disk| disk["volid"] == volid).unwrap();
    let root = disk("local-lvm:vm-100-disk-0");
    assert_eq!((&root["cdrom"], &root["size"]), (&json!(0), &json!(40_u64 << 30)));
    assert_eq!(root["referenced_in_snapshot"], json!({ "before-upgrade": 1 }));
    assert_eq!(disk("local-lvm:vm-100-cloudinit")["cdrom"], 1);
    let found = lab.get("/nodes/pve2/qemu/106/migrate?target=pve1").await.data();
    assert_eq!(found["allowed_nodes"], json!([]));
    assert_eq!(
        found["not_allowed_nodes"],
        json!({ "pve1": { "unavailable_storages": ["local-zfs"] } })
    );
    lab.control().set_lock(100, Some("backup")).unwrap();
    assert_eq!(lab.get(&path(100)).await.reason, "VM is locked (backup)");
}

#[tokio::test]
async fn a_vm_that_is_off_takes_its_disks_along() {
    let lab = Lab::new().await;
    let upid = lab.post(&path(102), &[("target", "pve2")]).await.data();
    assert!(
        upid.as_str()
            .unwrap()
            .contains(":qmigrate:102:portico@pve!panel:")
    );
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    for text in [
        "starting migration of VM 102 to node 'pve2' (",
        "found local disk 'local-lvm:vm-102-disk-0' (attached)",
        "copying local disk images",
        "volume 'local-lvm:vm-102-disk-0' is 'local-lvm:vm-102-disk-0' on the target",
        "migration finished successfully (duration ",
    ] {
        assert!(log_has(&log, text), "{text}: {log:?}");
    }
    assert_eq!(lab.config("pve2", 102).await["name"], "staging");
    assert!(lab.get("/nodes/pve1/qemu/102/config").await.status == 500);
    let on = |node: &str| format!("/nodes/{node}/storage/local-lvm/content?vmid=102");
    assert_eq!(lab.list(&on("pve2")).await.len(), 1);
    assert_eq!(lab.list(&on("pve1")).await.len(), 0);
    assert_eq!(lab.control().effect_count(Effect::Migrated, 102, Some("pve2")), 1);
}

#[tokio::test]
async fn a_vm_that_runs_moves_online_with_its_disks() {
    let lab = Lab::new().await;
    let answer = lab.post(&path(101), &[("target", "pve2")]).await;
    assert_eq!(answer.reason, "can't migrate running VM without --online");
    let form = [("target", "pve2"), ("online", "1")];
    let (exit, log) = migrated(&lab, 101, &form).await;
    assert_eq!(exit, "migration aborted");
    let text =
        "can't migrate local disk 'local-lvm:vm-101-disk-0': can't live migrate attached local disks without";
    assert!(log_has(&log, text), "{log:?}");
    assert!(log_has(
        &log,
        "ERROR: Problem found while scanning volumes - can't migrate VM - check log"
    ));
    assert_eq!(lab.control().vm(101).unwrap().lock, None);
    let key = [("key", "x")];
    lab.put("/nodes/pve1/qemu/101/sendkey", &key).await.data();
    let form = [("target", "pve2"), ("online", "1"), ("with-local-disks", "1")];
    let (exit, log) = migrated(&lab, 101, &form).await;
    assert_eq!(exit, "OK");
    let screen = lab.control().console(101).unwrap().text();
    assert!(screen.ends_with("db1 login: x"), "its screen stays: {screen}");
    for text in [
        "starting VM 101 on remote node 'pve2'",
        "drive-scsi1: transferred 200.0 GiB of 200.0 GiB (100.00%)",
        "starting online/live migration on unix:/run/qemu-server/101.migrate",
        "migration active, transferred",
        "migration status: completed",
    ] {
        assert!(log_has(&log, text), "{text}: {log:?}");
    }
    let vm = lab.control().vm(101).unwrap();
    assert_eq!((vm.node.as_str(), vm.status.as_str()), ("pve2", "running"));
}

#[tokio::test]
async fn snapshots_and_local_media_keep_a_vm_where_it_is() {
    let lab = Lab::new().await;
    let online = [("target", "pve2"), ("online", "1"), ("with-local-disks", "1")];
    let (exit, log) = migrated(&lab, 100, &online).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(
        &log,
        "online storage migration not possible if non-replicated snapshot exists"
    ));
    lab.act(Action::SetRunning {
        vmid: 100,
        running: false,
    });
    let (exit, log) = migrated(&lab, 100, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(&log, "non-migratable snapshot exists"), "{log:?}");
    let iso = "local:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom";
    let config = "/nodes/pve1/qemu/102/config";
    lab.put(config, &[("ide2", iso)]).await.data();
    let (exit, log) = migrated(&lab, 102, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(&log, "local cdrom image"), "{log:?}");
    lab.put(config, &[("ide2", "cdrom,media=cdrom")]).await;
    let (exit, log) = migrated(&lab, 102, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(&log, "can't migrate local cdrom drive"), "{log:?}");
}

#[tokio::test]
async fn a_storage_can_take_the_place_of_another() {
    let lab = Lab::new().await;
    let form = [("target", "pve2"), ("targetstorage", "local-lvm:local-zfs")];
    let (exit, _) = migrated(&lab, 102, &form).await;
    assert_eq!(exit, "OK");
    let disk = lab.config("pve2", 102).await["scsi0"].clone();
    assert_eq!(disk, "local-zfs:vm-102-disk-0,size=20G");
    // The way back has to leave the storage that only one node has.
    let back = "/nodes/pve2/qemu/102/migrate";
    let answer = lab.post(back, &[("target", "pve1")]).await;
    assert_eq!(
        answer.reason,
        "storage 'local-zfs' is not available on node 'pve1'"
    );
    let refused = |text: &'static str| {
        let form = [("target", "pve1"), ("targetstorage", text)];
        async move { (text, form) }
    };
    for (text, error) in [
        ("nas", "storage 'nas' does not support vm images"),
        ("local-zfs", "storage 'local-zfs' is not available on node 'pve1'"),
        ("gone-one", "storage 'gone-one' does not exist"),
    ] {
        let (_, form) = refused(text).await;
        assert_eq!(lab.post(back, &form).await.reason, error);
    }
    let form = [("target", "pve1"), ("targetstorage", "aa:bb,aa:cc")];
    let answer = lab.post(back, &form).await;
    assert_eq!(
        answer.error("targetstorage"),
        "failed to parse storage map: duplicate mapping for source 'aa'\n"
    );
    let form = [("target", "pve1"), ("targetstorage", "local")];
    assert_eq!(lab.run(back, &form).await, "OK");
    let disk = lab.config("pve1", 102).await["scsi0"].clone();
    assert_eq!(disk, "local:102/vm-102-disk-0.raw,size=20G");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_at_once() {
    let mut lab = Lab::new().await;
    let answer = lab.post(&path(102), &[("target", "pve1")]).await;
    assert_eq!(
        (answer.status, answer.error("target")),
        (400, "target is local node.")
    );
    let answer = lab.post(&path(102), &[("target", "pve9")]).await;
    assert_eq!(answer.reason, "no such cluster node 'pve9'");
    for (option, value) in [
        ("force", "1"),
        ("migration_type", "insecure"),
        ("migration_network", "10.0.0.0/24"),
    ] {
        let answer = lab.post(&path(102), &[("target", "pve2"), (option, value)]).await;
        assert_eq!(answer.error(option), "Only root may use this option.");
    }
    let answer = lab.post(&path(555), &[("target", "pve2")]).await;
    assert!(
        answer
            .reason
            .contains("'nodes/pve1/qemu-server/555.conf' does not exist")
    );
    lab.control().set_lock(102, Some("snapshot")).unwrap();
    let answer = lab.post(&path(102), &[("target", "pve2")]).await;
    assert_eq!(answer.reason, "VM is locked (snapshot)");
    lab.use_token(AUDITOR);
    let answer = lab.post(&path(102), &[("target", "pve2")]).await;
    assert_eq!(answer.reason, "Permission check failed (/vms/102, VM.Migrate)");
    assert_eq!(lab.control().tasks().len(), 0);
}

#[tokio::test]
async fn an_8_does_not_know_what_only_a_9_has() {
    let lab = Lab::with(Options {
        pve: Major::V8,
        time_scale: 100.0,
        ..Options::default()
    })
    .await;
    assert_eq!(lab.get(&path(102)).await.data().get("has-dbus-vmstate"), None);
    let form = [("target", "pve2"), ("with-conntrack-state", "1")];
    let answer = lab.post(&path(102), &form).await;
    assert!(
        answer
            .error("with-conntrack-state")
            .starts_with("property is not defined")
    );
}

#[tokio::test]
async fn devices_of_the_node_block_and_root_may_force() {
    let mut lab = Lab::new().await;
    lab.root().await;
    let config = "/nodes/pve1/qemu/102/config";
    lab.put(config, &[("usb0", "host=1234:5678")]).await.data();
    assert_eq!(
        lab.get(&path(102)).await.data()["local_resources"],
        json!(["usb0"])
    );
    let (exit, log) = migrated(&lab, 102, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(&log, "can't migrate VM which uses local devices: usb0"));
    let (exit, _) = migrated(&lab, 102, &[("target", "pve2"), ("force", "1")]).await;
    assert_eq!(exit, "OK");
}

#[tokio::test]
async fn a_node_that_is_away_or_a_storage_that_is_full_aborts_it() {
    let lab = Lab::new().await;
    lab.control().set_node_online("pve2", false).unwrap();
    let (exit, log) = migrated(&lab, 102, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(
        &log,
        "Can't connect to destination address using public key"
    ));
    lab.control().set_node_online("pve2", true).unwrap();
    let storage = "local-lvm".to_owned();
    lab.control().inject(Fault::StorageFull { storage });
    let (exit, log) = migrated(&lab, 102, &[("target", "pve2")]).await;
    assert_eq!(exit, "migration aborted");
    assert!(log_has(
        &log,
        "storage migration for 'local-lvm:vm-102-disk-0' to storage 'local-lvm' failed - "
    ));
    let left = lab.list("/nodes/pve2/storage/local-lvm/content?vmid=102").await;
    assert_eq!(left.len(), 0, "what was begun there is gone");
    assert_eq!(lab.control().vm(102).unwrap().lock, None);
}

#[tokio::test]
async fn an_online_migration_that_breaks_ends_with_problems_and_the_vm_runs_on() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::FailTasks {
        task: "qmigrate".into(),
        vmid: Some(101),
        text: "connection lost".into(),
        times: 1,
    });
    let form = [("target", "pve2"), ("online", "1"), ("with-local-disks", "1")];
    let (exit, log) = migrated(&lab, 101, &form).await;
    assert_eq!(exit, "migration problems");
    assert!(log_has(&log, "ERROR: online migrate failure - connection lost"));
    assert!(log_has(&log, "aborting phase 2 - cleanup resources"));
    let vm = lab.control().vm(101).unwrap();
    assert_eq!((vm.node.as_str(), vm.status.as_str()), ("pve1", "running"));
    assert_eq!(vm.lock, None);
    assert_eq!(
        lab.list("/nodes/pve2/storage/local-lvm/content?vmid=101")
            .await
            .len(),
        0
    );
}

#[tokio::test]
async fn a_bandwidth_limit_makes_it_last() {
    let lab = Lab::with(Options {
        time_scale: 2_000.0,
        ..Options::default()
    })
    .await;
    // 20 GiB at 20 MiB a second are 1,024 seconds.
    let form = [("target", "pve2"), ("bwlimit", "20480")];
    let upid = lab.post(&path(102), &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    let mut told = log.iter().filter_map(|line| line.split_once("(duration "));
    let (_, lasted) = told.next().unwrap();
    // A busy machine makes it longer.
    assert!(lasted >= "00:17:00", "{lasted}");
}

#[tokio::test]
async fn a_managed_vm_is_moved_by_high_availability() {
    let lab = Lab::new().await;
    lab.act(Action::SetHa {
        vmid: 102,
        wanted: Some(Wanted::Stopped),
    });
    assert_eq!(
        lab.get(&path(102)).await.data()["dependent-ha-resources"],
        json!([])
    );
    let upid = lab.post(&path(102), &[("target", "pve2")]).await.data();
    assert!(upid.as_str().unwrap().contains(":hamigrate:102:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    lab.until("it moved", |control| control.vm(102).unwrap().node == "pve2")
        .await;
    let tasks = lab.control().tasks();
    let task = tasks.iter().find(|task| task.kind == "qmigrate").unwrap();
    assert_eq!((task.user.as_str(), task.node.as_str()), ("root@pam", "pve1"));
    assert_eq!(lab.config("pve2", 102).await["name"], Value::from("staging"));
}
