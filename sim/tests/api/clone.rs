//! Proves copying, removing and converting VMs, and growing disks.

use crate::lab::{AUDITOR, Lab};
use pve_sim::{Effect, Fault, Options, Scenario};
use serde_json::{Value, json};

const CLONE: &str = "/nodes/pve1/qemu/9000/clone";

async fn volumes(lab: &Lab, node: &str, storage: &str, vmid: u32) -> Vec<String> {
    let path = format!("/nodes/{node}/storage/{storage}/content?vmid={vmid}");
    let list = lab.list(&path).await;
    let mut names = list
        .iter()
        .map(|item| item["volid"].as_str().unwrap_or_default().to_owned())
        .collect::<Vec<_>>();
    names.sort();
    names
}

#[tokio::test]
async fn a_template_is_cloned_linked_with_new_addresses_and_everything_else_kept() {
    let lab = Lab::new().await;
    let before = lab.control().vm(9000).unwrap().config;
    assert_eq!(lab.run(CLONE, &[("newid", "200"), ("name", "fresh")]).await, "OK");
    let vm = lab.control().vm(200).unwrap();
    assert_eq!(vm.config["name"], "fresh");
    assert_eq!(vm.config["scsi0"], "local-lvm:vm-200-disk-0,size=4G");
    assert_eq!(
        vm.config["ide2"],
        "local-lvm:vm-200-cloudinit,media=cdrom,size=4M"
    );
    for key in ["cores", "memory", "agent", "boot", "ostype"] {
        assert_eq!(vm.config[key], before[key], "{key}");
    }
    assert_ne!(vm.config["net0"], before["net0"], "a MAC address of its own");
    assert!(vm.config["net0"].starts_with("virtio=BC:24:11:"));
    assert!(vm.config["smbios1"].starts_with("uuid="));
    assert!(!vm.config.contains_key("template") && vm.lock.is_none());
    assert_eq!(
        volumes(&lab, "pve1", "local-lvm", 200).await,
        ["local-lvm:vm-200-cloudinit", "local-lvm:vm-200-disk-0"]
    );
    assert_eq!(lab.control().effect_count(Effect::Cloned, 200, Some("9000")), 1);
    let task = lab.control().tasks().pop().unwrap();
    assert_eq!((task.kind.as_str(), task.id.as_str()), ("qmclone", "9000"));
    assert_eq!(lab.run(CLONE, &[("newid", "201")]).await, "OK");
    assert_eq!(
        lab.control().vm(201).unwrap().config["name"],
        "Copy-of-VM-debian-13"
    );
}

#[tokio::test]
async fn a_full_clone_goes_to_another_storage_and_tells_how_far_it_is() {
    let lab = Lab::new().await;
    let form = [
        ("newid", "200"),
        ("full", "1"),
        ("storage", "local"),
        ("format", "raw"),
    ];
    let upid = lab.post(CLONE, &form).await.data();
    lab.until("the lock is there", |control| {
        control
            .vm(200)
            .is_some_and(|vm| vm.lock.as_deref() == Some("clone"))
    })
    .await;
    let answer = lab.put("/nodes/pve1/qemu/200/config", &[("cores", "4")]).await;
    assert_eq!(answer.reason, "VM is locked (clone)");
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let config = lab.control().vm(200).unwrap().config;
    assert_eq!(config["scsi0"], "local:200/vm-200-disk-0.raw,size=4G");
    let log = lab.control().tasks().pop().unwrap().log;
    let said = |text: &str| log.iter().any(|line| line.contains(text));
    assert!(
        said("create full clone of drive scsi0 (local-lvm:base-9000-disk-0)"),
        "{log:?}"
    );
    assert!(said("transferred 2.0 GiB of 4.0 GiB (50.00%)"), "{log:?}");
}

#[tokio::test]
async fn what_cannot_be_cloned_is_refused_before_any_task() {
    let lab = Lab::new().await;
    let refusal = |path: &'static str, form: Vec<(&'static str, &'static str)>| {
        let lab = &lab;
        async move {
            let answer = lab.post(path, &form).await;
            assert_eq!(answer.status, 500, "{}", answer.text);
            answer.reason
        }
    };
    assert_eq!(
        refusal(CLONE, vec![("newid", "100")]).await,
        "unable to create VM 100: config file already exists"
    );
    assert_eq!(
        refusal(CLONE, vec![("newid", "200"), ("storage", "local")]).await,
        "parameter 'storage' not allowed for linked clones"
    );
    assert_eq!(
        refusal(CLONE, vec![("newid", "200"), ("target", "pve2")]).await,
        "can't clone VM to node 'pve2' (VM uses local storage)"
    );
    assert_eq!(
        refusal(
            "/nodes/pve1/qemu/102/clone",
            vec![("newid", "200"), ("full", "0")]
        )
        .await,
        "Linked clone feature is not supported for 'local-lvm:vm-102-disk-0' (scsi0)"
    );
    assert_eq!(
        refusal(CLONE, vec![("newid", "200"), ("snapname", "none")]).await,
        "snapshot 'none' does not exist"
    );
    lab.control().set_lock(9000, Some("backup")).unwrap();
    assert_eq!(
        refusal(CLONE, vec![("newid", "200")]).await,
        "VM is locked (backup)"
    );
    assert!(lab.control().tasks().is_empty());
}

#[tokio::test]
async fn a_number_that_another_node_took_fails_in_the_task_and_leaves_nothing() {
    let lab = Lab::new().await;
    let exit = lab.run(CLONE, &[("newid", "104")]).await;
    assert!(
        exit.starts_with("clone failed: unable to create VM 104"),
        "{exit}"
    );
    assert_eq!(lab.control().vm(104).unwrap().config["name"], "windows");
    assert_eq!(lab.control().effect_count(Effect::Cloned, 104, None), 0);
}

#[tokio::test]
async fn of_two_clones_to_one_number_one_wins() {
    let lab = Lab::new().await;
    let (one, two) = (
        lab.post(CLONE, &[("newid", "200")]).await,
        lab.post(CLONE, &[("newid", "200")]).await,
    );
    let mut good = 0;
    for answer in [one, two] {
        match answer.status {
            200 => good += usize::from(lab.exit_of(&answer.json["data"]).await == "OK"),
            _ => assert_eq!(
                answer.reason,
                "unable to create VM 200: config file already exists"
            ),
        }
    }
    assert_eq!(good, 1);
    assert_eq!(lab.control().effect_count(Effect::Cloned, 200, Some("9000")), 1);
}

#[tokio::test]
async fn a_clone_that_breaks_is_cleaned_up() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::FailTasks {
        task: "qmclone".into(),
        vmid: None,
        text: "no space left".into(),
        times: 1,
    });
    assert_eq!(
        lab.run(CLONE, &[("newid", "200")]).await,
        "clone failed: no space left"
    );
    assert!(lab.control().vm(200).is_none());
    assert!(volumes(&lab, "pve1", "local-lvm", 200).await.is_empty());
    // A full copy breaks on the way, with a disk that is half written.
    lab.control().inject(Fault::FailTasks {
        task: "qmclone".into(),
        vmid: None,
        text: "no space left".into(),
        times: 1,
    });
    let form = [("newid", "200"), ("full", "1")];
    assert_eq!(lab.run(CLONE, &form).await, "clone failed: no space left");
    let log = lab.control().tasks().pop().unwrap().log;
    assert!(log.iter().any(|line| line.contains("(50.00%)")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("(100.00%)")), "{log:?}");
    assert!(volumes(&lab, "pve1", "local-lvm", 200).await.is_empty());
}

#[tokio::test]
async fn a_template_that_is_being_changed_gives_a_lock_timeout_and_clones_do_not_disturb_each_other() {
    let lab = Lab::new().await;
    let upids = [
        lab.post(CLONE, &[("newid", "200")]).await.data(),
        lab.post(CLONE, &[("newid", "201")]).await.data(),
        lab.post(CLONE, &[("newid", "202")]).await.data(),
    ];
    for upid in &upids {
        assert_eq!(lab.exit_of(upid).await, "OK");
    }
    let hold = |held| lab.control().act(pve_sim::Action::HoldFlock { vmid: 9000, held });
    hold(true).unwrap();
    assert_eq!(
        lab.run(CLONE, &[("newid", "203")]).await,
        "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout"
    );
    hold(false).unwrap();
    lab.control().inject(Fault::HoldCfsLock {
        lock: "storage-local-lvm".into(),
        text: None,
        times: Some(1),
    });
    assert_eq!(
        lab.run(CLONE, &[("newid", "203")]).await,
        "clone failed: can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout"
    );
    assert!(lab.control().vm(203).is_none());
    assert_eq!(lab.run(CLONE, &[("newid", "203")]).await, "OK");
}

#[tokio::test]
async fn a_clone_needs_rights_on_both_ends() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let answer = lab.post(CLONE, &[("newid", "200")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (/vms/9000, VM.Clone)")
    );
    // Rights come before parameters.
    let answer = lab.post(CLONE, &[]).await;
    assert_eq!(answer.status, 403);
}

/// A user who may allocate only in a pool: the trap of rights that go with a destroyed VM.
const POOLED: &str = r#"
[[node]]
name = "n1"
[[storage]]
id = "lvm1"
type = "lvmthin"
content = ["images"]
size_gib = 100
[[user]]
id = "p@pve"
  [[user.token]]
  name = "t"
  secret = "s"
  privsep = false
[[pool]]
name = "customers"
members = [100]
[[acl]]
path = "/vms/101"
subject = "p@pve"
role = "PVEVMAdmin"
[[acl]]
path = "/pool/customers"
subject = "p@pve"
role = "PVEVMAdmin"
[[acl]]
path = "/vms/900"
subject = "p@pve"
role = "PVETemplateUser"
[[acl]]
path = "/storage"
subject = "p@pve"
role = "PVEDatastoreUser"
[[acl]]
path = "/sdn/zones"
subject = "p@pve"
role = "PVESDNUser"
[[vm]]
vmid = 100
node = "n1"
status = "stopped"
[vm.config]
scsi0 = "lvm1:vm-100-disk-0,size=1G"
[[vm]]
vmid = 101
node = "n1"
status = "stopped"
[vm.config]
scsi0 = "lvm1:vm-101-disk-0,size=1G"
[[vm]]
vmid = 900
node = "n1"
status = "stopped"
[vm.config]
template = true
scsi0 = "lvm1:base-900-disk-0,size=1G"
"#;

#[tokio::test]
async fn rights_on_a_vm_go_with_it_and_rights_on_a_pool_do_not() {
    let mut lab = Lab::with(Options {
        time_scale: 100.0,
        scenario: Scenario::from_toml(POOLED).unwrap(),
        ..Options::default()
    })
    .await;
    lab.use_token("PVEAPIToken=p@pve!t=s");
    for vmid in ["100", "101"] {
        let upid = lab.delete(&format!("/nodes/n1/qemu/{vmid}")).await.data();
        assert_eq!(lab.exit_of(&upid).await, "OK");
    }
    let clone = "/nodes/n1/qemu/900/clone";
    let answer = lab.post(clone, &[("newid", "101")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed")
    );
    assert_eq!(
        lab.run(clone, &[("newid", "100"), ("pool", "customers")]).await,
        "OK"
    );
    let seen = lab.get("/nodes/n1/qemu/100/config").await;
    assert_eq!(seen.status, 200, "the pool gives the right: {}", seen.reason);
}

#[tokio::test]
async fn a_destroyed_vm_is_gone_with_its_disks_but_not_its_backups() {
    let lab = Lab::new().await;
    let control = lab.control();
    control
        .act(pve_sim::Action::SetRunning {
            vmid: 100,
            running: false,
        })
        .unwrap();
    let path = "/nodes/pve1/qemu/100?purge=1&destroy-unreferenced-disks=1";
    let upid = lab.delete(path).await.data();
    assert!(upid.as_str().unwrap().contains(":qmdestroy:100:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert!(control.vm(100).is_none());
    assert!(volumes(&lab, "pve1", "local-lvm", 100).await.is_empty());
    assert_eq!(control.effect_count(Effect::Destroyed, 100, None), 1);
    let content = lab.get("/nodes/pve1/storage/backups/content").await.data();
    assert_eq!(content.as_array().unwrap().len(), 1, "{content}");
    let answer = lab.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(
        answer.reason,
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    );
    assert_eq!(lab.get("/cluster/nextid").await.data(), json!("100"));
}

#[tokio::test]
async fn what_must_not_be_destroyed_is_refused() {
    let lab = Lab::new().await;
    let refusal = |path: &'static str| {
        let lab = &lab;
        async move { lab.delete(path).await.reason }
    };
    assert_eq!(
        refusal("/nodes/pve1/qemu/100").await,
        "VM 100 is running - destroy failed"
    );
    let config = "/nodes/pve1/qemu/102/config";
    assert_eq!(lab.put(config, &[("protection", "1")]).await.status, 200);
    assert_eq!(
        refusal("/nodes/pve1/qemu/102").await,
        "can't remove VM 102 - protection mode enabled"
    );
    assert_eq!(
        refusal("/nodes/pve2/qemu/102").await,
        "Configuration file 'nodes/pve2/qemu-server/102.conf' does not exist"
    );
    let answer = lab.delete("/nodes/pve1/qemu/102?purge=yes").await;
    assert_eq!(answer.error("purge"), "type check ('boolean') failed - got 'yes'");
}

#[tokio::test]
async fn a_base_with_linked_clones_cannot_be_destroyed() {
    let scenario = POOLED
        .replace("lvmthin", "zfspool")
        .replace("PVETemplateUser", "PVEVMAdmin");
    let mut lab = Lab::with(Options {
        time_scale: 100.0,
        scenario: Scenario::from_toml(&scenario).unwrap(),
        ..Options::default()
    })
    .await;
    lab.use_token("PVEAPIToken=p@pve!t=s");
    let clone = [("newid", "300"), ("pool", "customers")];
    assert_eq!(lab.run("/nodes/n1/qemu/900/clone", &clone).await, "OK");
    assert_eq!(
        lab.control().vm(300).unwrap().config["scsi0"],
        "lvm1:base-900-disk-0/vm-300-disk-0,size=1G"
    );
    let upid = lab.delete("/nodes/n1/qemu/900").await.data();
    assert_eq!(
        lab.exit_of(&upid).await,
        "base volume 'lvm1:base-900-disk-0' is still in use by linked cloned"
    );
    assert!(lab.control().vm(900).is_some());
}

#[tokio::test]
async fn a_stopped_vm_without_snapshots_becomes_a_template() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/template";
    assert_eq!(lab.run(path, &[]).await, "OK");
    let vm = lab.control().vm(102).unwrap();
    assert_eq!(vm.config["template"], "1");
    assert_eq!(vm.config["scsi0"], "local-lvm:base-102-disk-0,size=20G");
    assert_eq!(
        lab.run("/nodes/pve1/qemu/102/clone", &[("newid", "200")]).await,
        "OK"
    );
    let answer = lab.post("/nodes/pve1/qemu/100/template", &[]).await;
    assert_eq!(
        answer.reason,
        "unable to create template, because VM contains snapshots"
    );
}

#[tokio::test]
async fn a_disk_grows_in_a_task_and_never_shrinks() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/resize";
    let run = |disk: &'static str, size: &'static str| {
        let lab = &lab;
        async move {
            let upid = lab.put(path, &[("disk", disk), ("size", size)]).await.data();
            lab.exit_of(&upid).await
        }
    };
    assert_eq!(run("scsi0", "+5G").await, "OK");
    assert_eq!(run("scsi0", "30G").await, "OK");
    assert_eq!(run("scsi0", "30G").await, "OK", "the same size is nothing to do");
    assert_eq!(
        lab.control().vm(102).unwrap().config["scsi0"],
        "local-lvm:vm-102-disk-0,size=30G"
    );
    assert_eq!(lab.control().effect_count(Effect::Resized, 102, Some("scsi0")), 2);
    assert_eq!(run("scsi0", "10G").await, "shrinking disks is not supported");
    assert_eq!(run("scsi9", "10G").await, "disk 'scsi9' does not exist");
    assert_eq!(run("ide2", "10G").await, "you can't resize a cdrom");
    let form = [("disk", "scsi0"), ("size", "10G")];
    let upid = lab.put("/nodes/pve1/qemu/777/resize", &form).await.data();
    assert_eq!(
        lab.exit_of(&upid).await,
        "Configuration file 'nodes/pve1/qemu-server/777.conf' does not exist"
    );
    let answer = lab.put(path, &[("disk", "net0"), ("size", "5")]).await;
    assert!(
        answer
            .error("disk")
            .starts_with("value 'net0' does not have a value")
    );
    let answer = lab.put(path, &[("disk", "scsi0"), ("size", "-5G")]).await;
    assert_eq!(answer.error("size"), "value does not match the regex pattern");
    lab.control().set_lock(102, Some("backup")).unwrap();
    assert_eq!(run("scsi0", "+1G").await, "VM is locked (backup)");
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=102")
        .await
        .data();
    assert_eq!(content[0]["size"], Value::from(30_u64 << 30));
}

#[tokio::test]
async fn a_clone_has_the_templates_firewall_and_a_destroyed_vm_leaves_none() {
    let lab = Lab::new().await;
    let rules = |vmid: u32| format!("/nodes/pve1/qemu/{vmid}/firewall/rules");
    let rule = [
        ("type", "in"),
        ("action", "ACCEPT"),
        ("macro", "SSH"),
        ("enable", "1"),
    ];
    assert_eq!(lab.post(&rules(9000), &rule).await.status, 200);
    assert_eq!(lab.run(CLONE, &[("newid", "200")]).await, "OK");
    let copied = lab.list(&rules(200)).await;
    assert_eq!(copied, lab.list(&rules(9000)).await);
    assert!(copied.iter().any(|rule| rule["macro"] == "SSH"), "{copied:?}");
    let upid = lab.delete("/nodes/pve1/qemu/200").await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    // The number's next VM must not inherit them.
    assert_eq!(lab.run("/nodes/pve1/qemu", &[("vmid", "200")]).await, "OK");
    assert!(lab.list(&rules(200)).await.is_empty());
}
