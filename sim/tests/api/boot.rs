//! Proves how the boot order follows drives that come and go, and what an order may name.

use crate::lab::Lab;

const RUNNING: &str = "/nodes/pve1/qemu/101/config";
const STOPPED: &str = "/nodes/pve1/qemu/102/config";
const ISO: &str = "local:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom";

#[tokio::test]
async fn a_new_cd_drive_of_a_running_vm_will_be_at_the_end_of_the_order() {
    let lab = Lab::new().await;
    lab.set(RUNNING, &[("ide2", ISO)]).await;
    let now = lab.vm(101);
    assert_eq!(now.config["boot"], "order=scsi0");
    assert_eq!(now.pending["boot"], "order=scsi0;ide2");
    assert!(now.pending["ide2"].starts_with("local:iso/debian"));
    let after = lab.switched(101, false);
    assert_eq!(after.config["boot"], "order=scsi0;ide2");
    assert!(after.config["ide2"].starts_with("local:iso/debian") && after.pending.is_empty());
}

#[tokio::test]
async fn a_cd_drive_joins_the_order_whenever_it_is_set_and_the_cloud_init_drive_never() {
    let lab = Lab::new().await;
    lab.set(STOPPED, &[("boot", "order=scsi0")]).await;
    lab.set(STOPPED, &[("ide0", "local-lvm:cloudinit"), ("onboot", "1")])
        .await;
    assert_eq!(lab.vm(102).config["boot"], "order=scsi0");
    lab.set(STOPPED, &[("ide2", ISO)]).await;
    assert_eq!(lab.vm(102).config["boot"], "order=scsi0;ide2");
    lab.set(STOPPED, &[("delete", "ide2"), ("sata0", "none,media=cdrom")])
        .await;
    assert_eq!(lab.vm(102).config["boot"], "order=scsi0;sata0");
}

#[tokio::test]
async fn an_order_that_is_asked_for_stands_and_takes_the_place_of_bootdisk() {
    let lab = Lab::new().await;
    lab.set(
        RUNNING,
        &[("boot", "order=ide2;scsi0"), ("ide2", ISO), ("sata0", ISO)],
    )
    .await;
    assert_eq!(lab.vm(101).pending["boot"], "order=ide2;scsi0");
    let path = "/nodes/pve1/qemu/105/config";
    lab.set(path, &[("boot", "order=virtio0;net0")]).await;
    let list = lab.list("/nodes/pve1/qemu/105/pending").await;
    let old = list.iter().find(|entry| entry["key"] == "bootdisk").unwrap();
    assert_eq!((&old["value"], &old["delete"]), (&"virtio0".into(), &1.into()));
    let after = lab.switched(105, false);
    assert_eq!(after.config["boot"], "order=virtio0;net0");
    assert!(!after.config.contains_key("bootdisk"));
}

#[tokio::test]
async fn an_order_names_only_devices_that_are_there_or_come() {
    let lab = Lab::new().await;
    let refused = "invalid bootorder: device 'sata5' does not exist'";
    let form = [("boot", "order=sata5;scsi0")];
    let answer = lab.put(STOPPED, &form).await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, refused));
    assert_eq!(lab.run(STOPPED, &form).await, refused);
    lab.set(STOPPED, &[form[0], ("sata5", "local-lvm:1")]).await;
    assert_eq!(lab.vm(102).config["boot"], "order=sata5;scsi0");
    let answer = lab.put(STOPPED, &[form[0], ("delete", "sata5")]).await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, refused));
    assert!(lab.vm(102).config.contains_key("sata5"), "nothing was done");
    // A device that waits is there too.
    lab.set(RUNNING, &[("sata5", "local-lvm:1")]).await;
    lab.set(RUNNING, &form).await;
}
