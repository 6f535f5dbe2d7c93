//! Proves what waits for the next cold start, what does not, and what becomes of the volumes meanwhile.

use crate::lab::Lab;
use pve_sim::Fault;
use serde_json::{Value, json};

const CONFIG: &str = "/nodes/pve1/qemu/101/config";
const WINDOWS: &str = "/nodes/pve2/qemu/104/config";

/// The images of a VM of `pve1` on `local-lvm`, without their storage.
async fn images(lab: &Lab, vmid: u32) -> Vec<String> {
    let path = format!("/nodes/pve1/storage/local-lvm/content?content=images&vmid={vmid}");
    let list = lab.list(&path).await;
    let mut names = list
        .iter()
        .filter_map(|item| item["volid"].as_str()?.strip_prefix("local-lvm:"))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// The entry of a key in the list of pending changes.
async fn entry(lab: &Lab, vmid: u32, key: &str) -> Option<Value> {
    let list = lab.list(&format!("/nodes/pve1/qemu/{vmid}/pending")).await;
    list.into_iter().find(|entry| entry["key"] == key)
}

/// VM 101 with a SATA disk, running.
async fn lab_with_sata() -> Lab {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("sata1", "local-lvm:5")]).await;
    lab.switched(101, false);
    lab.switched(101, true);
    let disk = "local-lvm:vm-101-disk-2,size=5G".to_owned();
    assert_eq!(lab.vm(101).config.get("sata1"), Some(&disk));
    lab
}

#[tokio::test]
async fn a_disk_that_goes_at_the_cold_stop_becomes_an_unused_one() {
    let lab = lab_with_sata().await;
    lab.set(CONFIG, &[("delete", "sata1")]).await;
    assert_eq!(entry(&lab, 101, "sata1").await.unwrap()["delete"], 1);
    let after = lab.switched(101, false);
    assert_eq!(
        (after.config.get("sata1"), after.config["unused0"].as_str()),
        (None, "local-lvm:vm-101-disk-2")
    );
    assert_eq!(images(&lab, 101).await.len(), 3);
}

#[tokio::test]
async fn a_disk_that_goes_by_force_is_freed_at_the_cold_stop() {
    let lab = lab_with_sata().await;
    let digest = lab.config("pve1", 101).await["digest"].clone();
    lab.set(CONFIG, &[("delete", "sata1"), ("force", "1")]).await;
    assert_eq!(entry(&lab, 101, "sata1").await.unwrap()["delete"], 2);
    assert_ne!(lab.config("pve1", 101).await["digest"], digest);
    assert_eq!(images(&lab, 101).await.len(), 3, "not before");
    let after = lab.switched(101, false);
    assert!(!after.config.contains_key("sata1") && !after.config.contains_key("unused0"));
    assert_eq!(images(&lab, 101).await, ["vm-101-disk-0", "vm-101-disk-1"]);
}

#[tokio::test]
async fn what_is_pending_waits_for_the_start_when_the_guest_powers_off_by_itself() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("cores", "7")]).await;
    let off = "/nodes/pve1/qemu/101/agent/shutdown";
    lab.post(off, &[]).await.data();
    let now = lab.vm(101);
    assert_eq!(
        (now.status.as_str(), now.pending["cores"].as_str()),
        ("stopped", "7")
    );
    assert_eq!(lab.run("/nodes/pve1/qemu/101/status/start", &[]).await, "OK");
    assert_eq!(lab.vm(101).config["cores"], "7");
}

#[tokio::test]
async fn a_disk_that_a_snapshot_has_is_not_freed_by_force() {
    let lab = Lab::new().await;
    let base = "/nodes/pve1/qemu/102";
    let snapshot = [("snapname", "first")];
    assert_eq!(lab.run(&format!("{base}/snapshot"), &snapshot).await, "OK");
    let path = format!("{base}/config");
    let answer = lab.put(&path, &[("delete", "scsi0"), ("force", "1")]).await;
    assert_eq!(
        (answer.status, answer.error("scsi0")),
        (
            400,
            "unable to apply pending change scsi0 : unable to delete 'local-lvm:vm-102-disk-0' - volume is still \
             in use (snapshot?)"
        )
    );
    assert!(lab.vm(102).config.contains_key("scsi0"));
    assert_eq!(entry(&lab, 102, "scsi0").await.unwrap()["delete"], 2);
}

#[tokio::test]
async fn the_image_with_the_cloud_init_data_is_freed_when_its_drive_goes() {
    let lab = Lab::new().await;
    lab.set("/nodes/pve1/qemu/100/config", &[("delete", "ide2")])
        .await;
    assert_eq!(images(&lab, 100).await, ["vm-100-cloudinit", "vm-100-disk-0"]);
    let after = lab.switched(100, false);
    assert!(!after.config.contains_key("ide2") && !after.config.contains_key("unused0"));
    assert_eq!(images(&lab, 100).await, ["vm-100-disk-0"]);
}

#[tokio::test]
async fn a_disk_that_is_replaced_at_the_cold_stop_becomes_an_unused_one() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("hotplug", "network")]).await;
    lab.set(CONFIG, &[("scsi1", "local-lvm:10")]).await;
    let before = lab.vm(101);
    assert_eq!(before.pending["scsi1"], "local-lvm:vm-101-disk-2,size=10G");
    assert!(!before.config.contains_key("unused0"));
    let after = lab.switched(101, false);
    assert_eq!(
        (after.config["scsi1"].as_str(), after.config["unused0"].as_str()),
        ("local-lvm:vm-101-disk-2,size=10G", "local-lvm:vm-101-disk-1")
    );
}

#[tokio::test]
async fn a_new_disk_that_never_came_becomes_an_unused_one_unless_it_only_changes() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("sata1", "local-lvm:5")]).await;
    lab.set(CONFIG, &[("sata1", "local-lvm:vm-101-disk-2,ssd=1")])
        .await;
    let now = lab.vm(101);
    assert_eq!(now.pending["sata1"], "local-lvm:vm-101-disk-2,size=5G,ssd=1");
    assert!(!now.config.contains_key("unused0"));
    lab.set(CONFIG, &[("sata1", "local-lvm:6")]).await;
    let now = lab.vm(101);
    assert_eq!(now.pending["sata1"], "local-lvm:vm-101-disk-3,size=6G");
    assert_eq!(now.config["unused0"], "local-lvm:vm-101-disk-2");
    lab.set(CONFIG, &[("delete", "sata1")]).await;
    let now = lab.vm(101);
    assert_eq!(now.config["unused1"], "local-lvm:vm-101-disk-3");
    assert_eq!(entry(&lab, 101, "sata1").await, None);
}

#[tokio::test]
async fn a_cloud_init_image_that_never_came_is_freed() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("ide2", "local-lvm:cloudinit")]).await;
    assert_eq!(images(&lab, 101).await.len(), 3);
    lab.set(CONFIG, &[("revert", "ide2")]).await;
    assert_eq!(images(&lab, 101).await, ["vm-101-disk-0", "vm-101-disk-1"]);
}

#[tokio::test]
async fn a_vm_has_one_drive_with_cloud_init_data() {
    let lab = Lab::new().await;
    let text = "sata1 - cloud-init drive is already attached at 'ide2'";
    let again = [("sata1", "local-lvm:cloudinit")];
    let answer = lab.put("/nodes/pve1/qemu/100/config", &again).await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, text));
    // One that waits counts too.
    lab.set(CONFIG, &again).await;
    let answer = lab.put(CONFIG, &[("ide2", "local:cloudinit")]).await;
    assert_eq!(
        answer.reason,
        "ide2 - cloud-init drive is already attached at 'sata1'"
    );
    let form = [
        ("vmid", "200"),
        ("ide2", "local-lvm:cloudinit"),
        ("sata1", "local-lvm:cloudinit"),
    ];
    assert_eq!(
        lab.run("/nodes/pve1/qemu", &form).await,
        format!("unable to create VM 200 - {text}")
    );
    assert_eq!(images(&lab, 200).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_volume_that_a_drive_has_again_is_no_unused_one() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("delete", "scsi1")]).await;
    assert_eq!(lab.vm(101).config["unused0"], "local-lvm:vm-101-disk-1");
    lab.set(CONFIG, &[("sata3", "local-lvm:vm-101-disk-1")]).await;
    let now = lab.vm(101);
    assert!(now.pending.contains_key("sata3") && !now.config.contains_key("unused0"));
}

#[tokio::test]
async fn firmware_disks_are_put_aside_like_others() {
    let lab = Lab::new().await;
    lab.switched(104, false);
    lab.set(WINDOWS, &[("delete", "efidisk0")]).await;
    let now = lab.vm(104);
    assert_eq!(
        (now.config.get("efidisk0"), now.config["unused0"].as_str()),
        (None, "local-lvm:vm-104-disk-1")
    );
}

#[tokio::test]
async fn a_running_guest_keeps_the_disk_it_boots_from_and_the_kind_of_its_drives() {
    let lab = Lab::new().await;
    for form in [("delete", "scsi0"), ("scsi0", "local-lvm:8")] {
        let answer = lab.put(CONFIG, &[form]).await;
        assert_eq!(
            (answer.status, answer.error("scsi0")),
            (400, "hotplug problem - can't unplug bootdisk 'scsi0'")
        );
    }
    assert!(lab.vm(101).config["scsi0"].starts_with("local-lvm:vm-101-disk-0,"));
    let answer = lab.put(WINDOWS, &[("ide0", "local-lvm:8")]).await;
    assert_eq!(
        (answer.status, answer.error("ide0")),
        (400, "hotplug problem - unable to change media type")
    );
    assert_eq!(
        lab.switched(104, false).config["ide0"],
        "local-lvm:vm-104-disk-2,size=8G",
        "it waited for the cold stop"
    );
}

#[tokio::test]
async fn only_what_a_call_names_is_tried_again() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::FailHotplug {
        vmid: 101,
        key: "net0".into(),
        text: "busy".into(),
        times: 1,
    });
    let net = "virtio=BC:24:11:10:01:01,bridge=vmbr0";
    assert_eq!(lab.put(CONFIG, &[("net0", net)]).await.status, 400);
    lab.set(CONFIG, &[("name", "other")]).await;
    assert_eq!(lab.vm(101).pending["net0"], net);
    lab.set(CONFIG, &[("net0", net)]).await;
    assert_eq!(lab.vm(101).config["net0"], net);
}

#[tokio::test]
async fn without_hotplug_a_network_device_changes_only_on_the_hosts_side() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("hotplug", "0")]).await;
    let slower = "virtio=BC:24:11:10:01:01,bridge=vmbr0,link_down=1,rate=3,tag=9";
    lab.set(CONFIG, &[("net0", slower)]).await;
    assert_eq!(lab.vm(101).config["net0"], slower);
    let other = "e1000=BC:24:11:10:01:01,bridge=vmbr0,link_down=1,rate=3,tag=9";
    let form = [("net0", other), ("net1", "virtio=BC:24:11:10:01:02,bridge=vmbr0")];
    lab.set(CONFIG, &form).await;
    let now = lab.vm(101);
    assert_eq!(now.config["net0"], slower);
    assert_eq!(now.pending.keys().collect::<Vec<_>>(), ["net0", "net1"]);
    lab.set(CONFIG, &[("delete", "net0")]).await;
    assert!(lab.vm(101).config.contains_key("net0"));
    assert_eq!(entry(&lab, 101, "net0").await.unwrap()["delete"], 1);
}

#[tokio::test]
async fn hotplug_itself_changes_at_once_unless_processors_or_memory_are_in_it() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("hotplug", "network,cpu")]).await;
    assert_eq!(lab.vm(101).pending["hotplug"], "network,cpu");
    lab.set(CONFIG, &[("hotplug", "disk,usb")]).await;
    assert_eq!(lab.vm(101).config["hotplug"], "disk,usb");
    lab.set(CONFIG, &[("usb0", "spice")]).await;
    assert_eq!(lab.vm(101).config["usb0"], "spice");
    let other = "/nodes/pve1/qemu/102/config";
    lab.set(other, &[("ostype", "other")]).await;
    lab.switched(102, true);
    lab.set(other, &[("usb0", "spice"), ("tablet", "0")]).await;
    let now = lab.vm(102);
    assert_eq!(
        (now.pending["usb0"].as_str(), now.config["tablet"].as_str()),
        ("spice", "0")
    );
}

#[tokio::test]
async fn a_balloon_is_smaller_than_the_memory_and_switches_only_cold() {
    let lab = Lab::new().await;
    let refusal = "balloon value too large (must be smaller than assigned memory)";
    for form in [
        &[("balloon", "8193")][..],
        &[("balloon", "1024"), ("memory", "1023")][..],
    ] {
        for answer in [lab.put(CONFIG, form).await, lab.post(CONFIG, form).await] {
            assert_eq!((answer.status, answer.reason.as_str()), (500, refusal));
        }
    }
    lab.set(CONFIG, &[("balloon", "4096")]).await;
    assert_eq!(lab.vm(101).config["balloon"], "4096");
    assert_eq!(lab.put(CONFIG, &[("memory", "4095")]).await.reason, refusal);
    lab.set(CONFIG, &[("balloon", "0")]).await;
    let now = lab.vm(101);
    assert_eq!(
        (now.config["balloon"].as_str(), now.pending["balloon"].as_str()),
        ("4096", "0")
    );
    assert_eq!(lab.switched(101, false).config["balloon"], "0");
    lab.switched(101, true);
    lab.set(CONFIG, &[("delete", "balloon")]).await;
    assert_eq!(
        entry(&lab, 101, "balloon").await,
        Some(json!({ "key": "balloon", "value": 0, "delete": 1 }))
    );
}

#[tokio::test]
async fn shares_of_memory_change_at_once() {
    let lab = Lab::new().await;
    lab.set(CONFIG, &[("shares", "500"), ("hotplug", "0")]).await;
    assert_eq!(lab.vm(101).config["shares"], "500");
}

#[tokio::test]
async fn protection_keeps_drives_and_unused_disks() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/config";
    lab.set(path, &[("delete", "scsi0")]).await;
    lab.set(path, &[("protection", "1"), ("scsi1", "local-lvm:2")])
        .await;
    for (key, reason) in [
        (
            "unused0",
            "can't remove unused disk 'local-lvm:vm-102-disk-0' - protection mode enabled",
        ),
        ("scsi1", "can't remove drive 'scsi1' - protection mode enabled"),
        ("ide2", "can't remove drive 'ide2' - protection mode enabled"),
    ] {
        let form = [("delete", key), ("sata0", "local-lvm:3")];
        let answer = lab.put(path, &form).await;
        assert_eq!((answer.status, answer.reason.as_str()), (500, reason));
    }
    assert_eq!(images(&lab, 102).await, ["vm-102-disk-0", "vm-102-disk-1"]);
    lab.set(path, &[("protection", "0")]).await;
    lab.set(path, &[("delete", "unused0,scsi1")]).await;
    assert_eq!(images(&lab, 102).await, ["vm-102-disk-1"]);
}

#[tokio::test]
async fn a_key_is_set_deleted_or_reverted_not_two_of_these() {
    let lab = Lab::new().await;
    for (form, place, text) in [
        (
            [("cores", "2"), ("delete", "cores")],
            "delete",
            "you can't use '-cores' and -delete cores' at the same time",
        ),
        (
            [("cores", "2"), ("revert", "cores")],
            "delete",
            "you can't use '-cores' and -revert cores' at the same time",
        ),
        (
            [("delete", "cdrom"), ("revert", "ide2")],
            "revert",
            "you can't use '-delete ide2' and -revert ide2' at the same time",
        ),
    ] {
        let answer = lab.put(CONFIG, &form).await;
        assert_eq!((answer.status, answer.error(place)), (400, text));
    }
}
