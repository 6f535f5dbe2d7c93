//! Proves making VMs, and disks that copy a template's.

use crate::lab::{AUDITOR, Lab};
use pve_sim::{Effect, Fault};

const CREATE: &str = "/nodes/pve1/qemu";

#[tokio::test]
async fn a_vm_is_made_with_its_disks_and_defaults() {
    let lab = Lab::new().await;
    let form = [
        ("vmid", "200"),
        ("name", "made"),
        ("cores", "2"),
        ("memory", "2048"),
        ("scsi0", "local-lvm:32,iothread=1"),
        ("ide2", "local-lvm:cloudinit"),
        ("net0", "virtio,bridge=vmbr0"),
        ("start", "1"),
    ];
    assert_eq!(lab.run(CREATE, &form).await, "OK");
    let vm = lab.control().vm(200).unwrap();
    assert_eq!(vm.config["scsi0"], "local-lvm:vm-200-disk-0,iothread=1,size=32G");
    assert_eq!(
        vm.config["ide2"],
        "local-lvm:vm-200-cloudinit,media=cdrom,size=4M"
    );
    assert_eq!(vm.config["boot"], "order=scsi0;ide2;net0");
    assert!(vm.config["net0"].starts_with("virtio=BC:24:11:"));
    assert!(vm.config["smbios1"].starts_with("uuid=") && vm.lock.is_none());
    assert_eq!(lab.control().effect_count(Effect::Created, 200, None), 1);
    lab.until("it is started", |control| {
        control.vm(200).is_some_and(|vm| vm.status == "running")
    })
    .await;
}

#[tokio::test]
async fn a_taken_number_is_refused_at_once() {
    let lab = Lab::new().await;
    let answer = lab.post(CREATE, &[("vmid", "104")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            500,
            "unable to create VM 104 - VM 104 already exists on node 'pve2'"
        )
    );
    let answer = lab.post(CREATE, &[("vmid", "99")]).await;
    assert_eq!(answer.status, 400);
    let answer = lab.post(CREATE, &[("vmid", "200"), ("pool", "none")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (pool 'none' does not exist)")
    );
    assert!(lab.control().vm(200).is_none());
}

#[tokio::test]
async fn a_creation_that_breaks_leaves_nothing() {
    let lab = Lab::new().await;
    let form = [
        ("vmid", "200"),
        ("scsi0", "local-lvm:8"),
        ("scsi1", "local-lvm:vm-200-disk-9"),
    ];
    assert_eq!(
        lab.run(CREATE, &form).await,
        "unable to create VM 200 - volume local-lvm:vm-200-disk-9 does not exist"
    );
    lab.control().inject(Fault::FailTasks {
        task: "qmcreate".into(),
        vmid: Some(200),
        text: "no space".into(),
        times: 1,
    });
    assert_eq!(
        lab.run(CREATE, &[("vmid", "200"), ("scsi0", "local-lvm:8")])
            .await,
        "unable to create VM 200 - no space"
    );
    assert!(lab.control().vm(200).is_none());
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=200")
        .await
        .data();
    assert_eq!(content.as_array().unwrap().len(), 0, "{content}");
}

#[tokio::test]
async fn making_a_vm_needs_rights() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let answer = lab.post(CREATE, &[("vmid", "200")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed")
    );
}

#[tokio::test]
async fn a_system_disk_is_replaced_by_a_copy_of_the_templates() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/config";
    let disk = "local-lvm:0,import-from=local-lvm:base-9000-disk-0,mbps_rd=50";
    assert_eq!(
        lab.run(path, &[("scsi0", disk), ("ciuser", "debian")]).await,
        "OK"
    );
    let vm = lab.control().vm(102).unwrap();
    assert_eq!(
        vm.config["scsi0"], "local-lvm:vm-102-disk-1,mbps_rd=50,size=4G",
        "import-from is not echoed"
    );
    assert_eq!(vm.config["unused0"], "local-lvm:vm-102-disk-0");
    assert_eq!(
        vm.config["net0"],
        "virtio=BC:24:11:10:02:01,bridge=vmbr0,firewall=1,rate=12.5"
    );
    let log = lab.control().tasks().pop().unwrap().log;
    assert!(log.iter().any(|line| line.contains("(50.00%)")), "{log:?}");
    assert_eq!(
        lab.control().effect_count(Effect::Imported, 102, Some("scsi0")),
        1
    );
    assert_eq!(lab.put(path, &[("delete", "unused0")]).await.status, 200);
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=102")
        .await
        .data();
    assert_eq!(content.as_array().unwrap().len(), 1, "{content}");
}

#[tokio::test]
async fn imports_need_their_special_syntax_and_a_source() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/config";
    let source = "import-from=local-lvm:base-9000-disk-0";
    let answer = lab
        .put(path, &[("scsi1", &format!("local-lvm:8,{source}"))])
        .await;
    assert!(
        answer
            .error("scsi1")
            .starts_with("'import-from' requires special syntax")
    );
    let answer = lab
        .put(
            path,
            &[("scsi1", "local-lvm:0,import-from=local-lvm:base-1-disk-0")],
        )
        .await;
    assert_eq!(answer.reason, "volume 'local-lvm:base-1-disk-0' does not exist");
    let answer = lab
        .put(path, &[("scsi1", "local-lvm:0,import-from=/etc/passwd")])
        .await;
    assert_eq!(answer.reason, "Only root can pass arbitrary filesystem paths.");
    let answer = lab.put(path, &[("scsi1", "backups:8")]).await;
    assert_eq!(
        answer.error("storage"),
        "storage 'backups' does not support vm images"
    );
    assert!(!lab.control().vm(102).unwrap().config.contains_key("scsi1"));
}

#[tokio::test]
async fn a_volume_that_a_snapshot_has_cannot_be_freed() {
    let lab = Lab::new().await;
    let base = "/nodes/pve1/qemu/102";
    assert_eq!(
        lab.run(&format!("{base}/snapshot"), &[("snapname", "first")])
            .await,
        "OK"
    );
    let path = format!("{base}/config");
    assert_eq!(lab.put(&path, &[("delete", "scsi0")]).await.status, 200);
    let answer = lab.put(&path, &[("delete", "unused0")]).await;
    assert_eq!(
        answer.reason,
        "unable to delete 'local-lvm:vm-102-disk-0' - volume is still in use (snapshot?)"
    );
    let upid = lab.delete(&format!("{base}/snapshot/first")).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.put(&path, &[("delete", "unused0")]).await.status, 200);
}

#[tokio::test]
async fn a_reverted_new_disk_becomes_an_unused_one() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/100/config";
    assert_eq!(lab.put(path, &[("sata0", "local-lvm:5")]).await.status, 200);
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(vm.pending["sata0"], "local-lvm:vm-100-disk-1,size=5G");
    assert_eq!(lab.put(path, &[("revert", "sata0")]).await.status, 200);
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.pending.len(), vm.config["unused0"].as_str()),
        (0, "local-lvm:vm-100-disk-1")
    );
}

#[tokio::test]
async fn a_device_that_a_running_vm_does_not_take_waits_and_the_other_keys_are_saved() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/100/config";
    lab.control().inject(Fault::FailHotplug {
        vmid: 100,
        key: "net0".into(),
        text: "error on hot-unplugging device 'net0'".into(),
        times: 1,
    });
    let net = "e1000=BC:24:11:10:00:01,bridge=vmbr0";
    let answer = lab.put(path, &[("name", "renamed"), ("net0", net)]).await;
    assert_eq!(
        (answer.status, answer.error("net0")),
        (400, "hotplug problem - error on hot-unplugging device 'net0'")
    );
    assert_eq!(answer.reason, "Parameter verification failed.");
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.config["name"].as_str(), vm.pending["net0"].as_str()),
        ("renamed", net)
    );
    assert!(vm.config["net0"].starts_with("virtio="));
    assert_eq!(
        lab.put(path, &[("net0", net)]).await.status,
        200,
        "it happens once"
    );
    assert_eq!(lab.control().vm(100).unwrap().config["net0"], net);
}
