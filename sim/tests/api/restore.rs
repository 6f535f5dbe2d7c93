//! Proves restores: what comes back, what is gone, what is refused, what a failure leaves.

use pve_sim::{Action, Effect, Fault};
use serde_json::json;

use crate::backups::{DEMO_BACKUP, VZDUMP, has};
use crate::lab::Lab;

const RESTORE: &str = "/nodes/pve1/qemu";

async fn stop(lab: &Lab, vmid: u32) {
    let exit = lab
        .run(&format!("/nodes/pve1/qemu/{vmid}/status/stop"), &[])
        .await;
    assert_eq!(exit, "OK");
}

#[tokio::test]
async fn a_restore_replaces_the_configuration_and_drops_all_snapshots() {
    let lab = Lab::new().await;
    stop(&lab, 100).await;
    let path = "/nodes/pve1/qemu/100/config";
    assert_eq!(lab.put(path, &[("scsi1", "local-lvm:10")]).await.status, 200);
    let form = [("vmid", "100"), ("archive", DEMO_BACKUP), ("force", "1")];
    let upid = lab.post(RESTORE, &form).await.data();
    assert!(upid.as_str().unwrap().contains(":qmrestore:100:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");

    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.config["cores"].as_str(), vm.config["memory"].as_str()),
        ("1", "2048")
    );
    assert_eq!(
        vm.config["net0"], "virtio=BC:24:11:10:00:01,bridge=vmbr0,firewall=1,rate=5,tag=20",
        "the rate of then, the same MAC"
    );
    assert!(vm.lock.is_none() && vm.snapshots.is_empty() && vm.pending.is_empty());
    assert!(!vm.config.contains_key("parent"));
    assert_eq!(
        vm.config["unused0"], "local-lvm:vm-100-disk-1",
        "not in the backup"
    );
    assert!(
        vm.config["scsi0"].starts_with("local-lvm:vm-100-disk-"),
        "{:?}",
        vm.config
    );
    assert!(vm.config["ide2"].contains("vm-100-cloudinit"));
    assert_eq!(vm.status, "stopped");
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=100")
        .await
        .data();
    assert_eq!(content.as_array().unwrap().len(), 3, "{content}");
    let log = lab.log_of(&upid).await;
    assert!(has(&log, "restore proxmox backup image: /usr/bin/pbs-restore"));
    assert!(
        has(&log, "progress 100% (read 42949672960 bytes, zeroes = 50%"),
        "{log:?}"
    );
    assert!(has(&log, "rescan volumes..."));
    let count = |effect| lab.control().effect_count(effect, 100, Some(DEMO_BACKUP));
    assert_eq!((count(Effect::Restored), count(Effect::RestoreBegun)), (1, 1));
}

#[tokio::test]
async fn during_a_restore_the_configuration_is_nearly_empty() {
    let lab = Lab::new().await;
    stop(&lab, 100).await;
    lab.control().inject(Fault::StickTasks {
        task: "qmrestore".into(),
        vmid: Some(100),
        times: 1,
    });
    let form = [("vmid", "100"), ("archive", DEMO_BACKUP), ("force", "1")];
    let upid = lab.post(RESTORE, &form).await.data();
    lab.until("the data come", |c| c.vm(100).unwrap().config["memory"] == "128")
        .await;
    let mut config = lab.config("pve1", 100).await;
    config.as_object_mut().unwrap().remove("digest");
    assert_eq!(config, json!({ "memory": "128", "lock": "create" }));
    let again = lab.post(RESTORE, &form).await;
    assert_eq!(again.status, 500);
    lab.control().act(Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.control().effect_count(Effect::Restored, 100, None), 1);
}

#[tokio::test]
async fn a_restore_that_fails_halfway_leaves_a_vm_without_disks() {
    let lab = Lab::new().await;
    stop(&lab, 100).await;
    let form = [("vmid", "100"), ("archive", DEMO_BACKUP), ("force", "1")];
    lab.control().inject(Fault::StorageFull {
        storage: "local-lvm".into(),
    });
    let upid = lab.post(RESTORE, &form).await.data();
    let exit = lab.exit_of(&upid).await;
    assert!(exit.ends_with("failed: exit code 255"), "{exit}");
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        vm.config.into_iter().collect::<Vec<_>>(),
        [("memory".into(), "128".into())]
    );
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=100")
        .await
        .data();
    assert_eq!(content, json!([]), "old and new disks are gone");
    let log = lab.log_of(&upid).await;
    assert!(has(
        &log,
        "temporary volume 'local-lvm:vm-100-disk-0' successfully removed"
    ));
    assert!(has(&log, "error before or during data restore"));
    assert_eq!(lab.control().effect_count(Effect::Restored, 100, None), 0);

    lab.control().clear_faults();
    assert_eq!(lab.run(RESTORE, &form).await, "OK", "the customer may try again");
    assert_eq!(lab.control().vm(100).unwrap().config["name"], "web1");
}

#[tokio::test]
async fn a_dump_file_is_restored_too_and_leaves_out_what_was_not_backed_up() {
    let lab = Lab::new().await;
    let form = [("vmid", "101"), ("storage", "local"), ("compress", "zstd")];
    assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    let volid = lab.backups("local", 101).await[0]["volid"]
        .as_str()
        .unwrap()
        .to_owned();
    stop(&lab, 101).await;
    let form = [
        ("vmid", "101"),
        ("archive", volid.as_str()),
        ("force", "1"),
        ("cores", "2"),
        ("start", "1"),
    ];
    let upid = lab.post(RESTORE, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    lab.until("it runs again", |c| c.vm(101).unwrap().status == "running")
        .await;
    let vm = lab.control().vm(101).unwrap();
    assert_eq!(vm.config["cores"], "2", "overridden in the call");
    assert_eq!(
        vm.config["unused0"], "local-lvm:vm-101-disk-1",
        "its data were left alone"
    );
    assert!(!vm.config.contains_key("scsi1"));
    assert!(
        vm.config["description"].starts_with("scsi1: local-lvm:vm-101-disk-1,backup=0"),
        "its line became a comment"
    );
    let log = lab.log_of(&upid).await;
    assert!(log[0].starts_with("restore vma archive: zstd -q -d -c /var/lib/vz/dump/vzdump-qemu-101-"));
    assert!(has(&log, "DEV: dev_id=1 size: 64424509440 devname: drive-scsi0"));
    assert!(has(&log, "progress 100% (read 64424509440 bytes, duration "));
}

#[tokio::test]
async fn a_restore_is_refused_at_once_or_in_its_task_before_anything_changes() {
    let mut lab = Lab::new().await;
    let before = lab.control().vm(100).unwrap().config;
    let restore = |extra: &[(&'static str, &'static str)]| {
        let mut form = vec![("vmid", "100"), ("archive", DEMO_BACKUP)];
        form.extend(extra);
        form
    };
    let answer = lab.post(RESTORE, &restore(&[])).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            500,
            "unable to restore VM 100 - VM 100 already exists on node 'pve1'"
        )
    );
    let exit = lab.run(RESTORE, &restore(&[("force", "1")])).await;
    assert_eq!(exit, "unable to restore VM 100 - vm is running");
    assert!(
        lab.control().vm(100).unwrap().lock.is_none(),
        "the lock is taken back"
    );
    lab.control().set_lock(100, Some("backup")).unwrap();
    let answer = lab.post(RESTORE, &restore(&[("force", "1")])).await;
    assert_eq!(answer.reason, "unable to restore VM 100 - VM is locked (backup)");
    lab.control().set_lock(100, None).unwrap();
    let answer = lab
        .post(RESTORE, &restore(&[("force", "1"), ("scsi1", "local-lvm:5")]))
        .await;
    assert_eq!(answer.error("scsi1"), "option conflicts with option 'archive'");
    let answer = lab.post(RESTORE, &[("vmid", "100"), ("force", "1")]).await;
    assert_eq!(answer.error("archive"), "missing property required by 'force'");
    for (archive, text) in [
        (
            "local:backup/vzdump-qemu-100-2020_01_01-00_00_00.vma",
            "can't find file",
        ),
        (
            "local:iso/virtio-win-0.1.271.iso",
            "content type needs to be 'backup'",
        ),
        ("/etc/passwd", "Only root can pass arbitrary filesystem paths."),
        (
            "nowhere:backup/vm/100/2026-08-20T03:00:01Z",
            "storage 'nowhere' does not exist",
        ),
    ] {
        let form = [("vmid", "100"), ("archive", archive), ("force", "1")];
        let answer = lab.post(RESTORE, &form).await;
        assert!(
            answer.status == 500 && answer.reason.contains(text),
            "{archive}: {}",
            answer.reason
        );
    }
    stop(&lab, 100).await;
    let exit = lab
        .run(RESTORE, &restore(&[("force", "1"), ("storage", "backups")]))
        .await;
    assert_eq!(
        exit,
        "Content type 'images' is not available on storage 'backups'"
    );
    let gone = "backups:backup/vm/100/2020-01-01T00:00:00Z";
    let exit = lab
        .run(RESTORE, &[("vmid", "100"), ("archive", gone), ("force", "1")])
        .await;
    assert!(exit.contains("does not exist"), "{exit}");
    let config = [("protection", "1")];
    assert_eq!(lab.put("/nodes/pve1/qemu/100/config", &config).await.status, 200);
    let exit = lab.run(RESTORE, &restore(&[("force", "1")])).await;
    assert_eq!(exit, "unable to restore VM 100 - - protection mode enabled");
    assert_eq!(
        lab.put("/nodes/pve1/qemu/100/config", &[("delete", "protection")])
            .await
            .status,
        200
    );
    lab.use_token(crate::lab::AUDITOR);
    let answer = lab.post(RESTORE, &restore(&[("force", "1")])).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed")
    );
    assert_eq!(lab.control().vm(100).unwrap().config, before);
    assert_eq!(lab.control().effect_count(Effect::RestoreBegun, 100, None), 0);
}

#[tokio::test]
async fn a_vm_that_is_gone_comes_back_from_its_backup() {
    let lab = Lab::new().await;
    lab.control().act(Action::RemoveVm { vmid: 100 }).unwrap();
    let form = [
        ("vmid", "100"),
        ("archive", DEMO_BACKUP),
        ("unique", "1"),
        ("storage", "local-lvm"),
    ];
    assert_eq!(lab.run(RESTORE, &form).await, "OK");
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.config["name"].as_str(), vm.status.as_str()),
        ("web1", "stopped")
    );
    assert!(
        !vm.config["net0"].contains("BC:24:11:10:00:01"),
        "unique: another MAC"
    );
}

#[tokio::test]
async fn the_firewall_comes_back_with_the_backup() {
    let lab = Lab::new().await;
    let rules = "/nodes/pve1/qemu/102/firewall/rules";
    let rule = |port: &'static str| {
        [
            ("type", "in"),
            ("action", "ACCEPT"),
            ("proto", "tcp"),
            ("dport", port),
            ("enable", "1"),
        ]
    };
    assert_eq!(lab.post(rules, &rule("22")).await.status, 200);
    let before = lab.get(rules).await.data();
    let form = [("vmid", "102"), ("storage", "local")];
    assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    assert_eq!(lab.post(rules, &rule("80")).await.status, 200);
    assert_ne!(lab.get(rules).await.data(), before);
    let volid = lab.backups("local", 102).await[0]["volid"]
        .as_str()
        .unwrap()
        .to_owned();
    let form = [("vmid", "102"), ("archive", volid.as_str()), ("force", "1")];
    assert_eq!(lab.run(RESTORE, &form).await, "OK");
    assert_eq!(lab.get(rules).await.data(), before);
}

#[tokio::test]
async fn a_live_restore_runs_before_its_data_are_there_and_needs_a_backup_server() {
    let lab = Lab::new().await;
    stop(&lab, 102).await;
    let form = [("vmid", "102"), ("storage", "local")];
    assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    let volid = lab.backups("local", 102).await[0]["volid"]
        .as_str()
        .unwrap()
        .to_owned();
    let live = |vmid: &'static str, archive: &str| {
        let form = [("vmid", vmid), ("force", "1"), ("live-restore", "1")];
        let archive = archive.to_owned();
        let form = form.map(|(key, value)| (key, value.to_owned()));
        form.into_iter().chain([("archive", archive)]).collect::<Vec<_>>()
    };
    let post = async |form: &[(&str, String)]| {
        let form = form.iter().map(|(key, value)| (*key, value.as_str()));
        lab.post(RESTORE, &form.collect::<Vec<_>>()).await.data()
    };
    let upid = post(&live("102", &volid)).await;
    assert_eq!(
        lab.exit_of(&upid).await,
        "live-restore is only compatible with backup images from a Proxmox Backup Server"
    );
    let vm = lab.control().vm(102).unwrap();
    assert!(vm.config.contains_key("scsi0") && vm.lock.is_none());

    stop(&lab, 100).await;
    lab.control().inject(Fault::StickTasks {
        task: "qmrestore".into(),
        vmid: Some(100),
        times: 1,
    });
    let upid = post(&live("100", DEMO_BACKUP)).await;
    lab.until("it runs", |c| c.vm(100).unwrap().status == "running")
        .await;
    assert!(
        !lab.control().tasks().iter().any(|task| task.kind == "qmrestore"
            && task.upid == upid.as_str().unwrap()
            && task.exit.is_some())
    );
    lab.act(Action::ReleaseStuckTasks);
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.control().vm(100).unwrap().status, "running");
}

#[tokio::test]
async fn a_restored_vm_has_a_generation_of_its_own() {
    let lab = Lab::new().await;
    let form = [("vmid", "200"), ("scsi0", "local-lvm:1")];
    assert_eq!(lab.run(RESTORE, &form).await, "OK");
    let before = lab.control().vm(200).unwrap().config["vmgenid"].clone();
    let form = [("vmid", "200"), ("storage", "local")];
    assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    let backup = lab.backups("local", 200).await[0].clone();
    let form = [
        ("vmid", "200"),
        ("force", "1"),
        ("archive", backup["volid"].as_str().unwrap()),
    ];
    assert_eq!(lab.run(RESTORE, &form).await, "OK");
    let after = lab.control().vm(200).unwrap().config["vmgenid"].clone();
    assert_eq!(after.len(), before.len());
    assert_ne!(after, before);
}
