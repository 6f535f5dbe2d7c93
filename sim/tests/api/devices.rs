//! Proves who may change which device of a VM, and when that is told.

use crate::lab::{AUDITOR, Lab, PANEL};
use serde_json::Value;

const CONFIG: &str = "/nodes/pve1/qemu/102/config";

/// Makes a user who has these privileges on all VMs and may use storages and bridges, and calls as that user.
async fn become_user(lab: &mut Lab, privileges: &str) {
    lab.root().await;
    let done = async |path: &str, form: &[(&str, &str)]| lab.post(path, form).await.data();
    done("/access/roles", &[("roleid", "Few"), ("privs", privileges)]).await;
    done("/access/users", &[("userid", "few@pve")]).await;
    for (path, role) in [
        ("/vms", "Few"),
        ("/storage", "PVEDatastoreUser"),
        ("/sdn/zones", "PVESDNUser"),
    ] {
        let form = [("path", path), ("roles", role), ("users", "few@pve")];
        lab.put("/access/acl", &form).await.data();
    }
    let token = lab
        .post("/access/users/few@pve/token/few", &[("privsep", "0")])
        .await
        .data();
    let secret = token.get("value").and_then(Value::as_str).unwrap_or_default();
    lab.use_token(&format!("PVEAPIToken=few@pve!few={secret}"));
}

async fn refusal(lab: &Lab, form: &[(&str, &str)]) -> (u16, String) {
    let answer = lab.put(CONFIG, form).await;
    (answer.status, answer.reason)
}

#[tokio::test]
async fn serial_ports_of_the_host_are_roots() {
    let mut lab = Lab::new().await;
    let died = |text: &str| (500, text.to_owned());
    lab.put(CONFIG, &[("serial0", "socket")]).await.data();
    assert_eq!(
        refusal(&lab, &[("serial0", "/dev/ttyS0")]).await,
        died("only root can modify 'serial0' config for real devices")
    );
    let new = [("vmid", "200"), ("serial1", "/dev/ttyS0")];
    assert_eq!(
        lab.post("/nodes/pve1/qemu", &new).await.reason,
        "only root can set 'serial1' config for real devices"
    );
    lab.root().await;
    lab.put(CONFIG, &[("serial0", "/dev/ttyS0")]).await.data();
    lab.use_token(PANEL);
    assert_eq!(
        refusal(&lab, &[("delete", "serial0")]).await,
        died("only root can delete 'serial0' config for real devices")
    );
    assert_eq!(
        refusal(&lab, &[("serial0", "socket")]).await,
        died("only root can modify 'serial0' config for real devices")
    );
    become_user(&mut lab, "VM.Config.Disk").await;
    assert_eq!(
        refusal(&lab, &[("serial1", "socket")]).await,
        (
            403,
            "Permission check failed (/vms/102, VM.Config.HWType)".to_owned()
        )
    );
}

#[tokio::test]
async fn usb_and_pci_devices_are_redirected_or_mapped_or_roots() {
    let mut lab = Lab::new().await;
    let died = |text: &str| (500, text.to_owned());
    lab.put(CONFIG, &[("usb0", "spice,usb3=1")]).await.data();
    for (form, text) in [
        (
            ("usb1", "1234:5678"),
            "only root can set 'usb1' config for real devices",
        ),
        (
            ("usb0", "1-2"),
            "only root can set 'usb0' config for real devices",
        ),
        (("usb1", "usb3=1"), "either 'host' or 'mapping' must be set."),
        (
            ("hostpci0", "0000:01:00.0"),
            "only root can set 'hostpci0' config for non-mapped devices",
        ),
    ] {
        assert_eq!(refusal(&lab, &[form]).await, died(text));
    }
    assert_eq!(
        refusal(&lab, &[("usb1", "mapping=stick")]).await,
        (
            403,
            "Permission check failed (/mapping/usb/stick, Mapping.Use)".to_owned()
        )
    );
    let answer = lab.put(CONFIG, &[("usb1", "host=stick")]).await;
    assert_eq!(
        answer.error("usb1"),
        "invalid format - format error\nusb1.host: value does not match the regex pattern\n"
    );
    lab.root().await;
    lab.put(CONFIG, &[("usb1", "1234:5678")]).await.data();
    let mapping = [
        ("path", "/mapping/pci/gpu"),
        ("roles", "PVEMappingUser"),
        ("users", "portico@pve"),
    ];
    lab.put("/access/acl", &mapping).await.data();
    let mapping = [mapping[0], mapping[1], ("tokens", "portico@pve!panel")];
    lab.put("/access/acl", &mapping).await.data();
    lab.use_token(PANEL);
    assert_eq!(
        refusal(&lab, &[("delete", "usb1")]).await,
        died("only root can set 'usb1' config for real devices")
    );
    lab.put(CONFIG, &[("delete", "usb0"), ("hostpci0", "mapping=gpu")])
        .await
        .data();
}

#[tokio::test]
async fn rights_on_drives_are_asked_where_the_change_is_made() {
    let mut lab = Lab::new().await;
    become_user(&mut lab, "VM.Audit,VM.Config.CDROM").await;
    let iso = "local:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom";
    lab.put(CONFIG, &[("ide2", iso)]).await.data();
    let missing = "Permission check failed (/vms/102, VM.Config.Disk)";
    assert_eq!(
        refusal(&lab, &[("scsi1", "local-lvm:1")]).await,
        (403, missing.to_owned())
    );
    let in_task = format!("403 {missing}");
    assert_eq!(lab.run(CONFIG, &[("scsi1", "local-lvm:1")]).await, in_task);
    assert_eq!(lab.run(CONFIG, &[("delete", "scsi0")]).await, in_task);
    assert_eq!(
        lab.run(CONFIG, &[("ide0", "local-lvm:cloudinit")]).await,
        "403 Permission check failed (/vms/102, VM.Config.Cloudinit)"
    );
    // The lock is looked at first, and other keys before all.
    lab.control().set_lock(102, Some("backup")).unwrap();
    assert_eq!(
        refusal(&lab, &[("scsi1", "local-lvm:1")]).await,
        (500, "VM is locked (backup)".to_owned())
    );
    let answer = lab.post(CONFIG, &[("cores", "2")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (/vms/102, VM.Config.CPU)")
    );
}

#[tokio::test]
async fn freeing_and_growing_disks_needs_their_storage() {
    let mut lab = Lab::new().await;
    let form = [("delete", "scsi0"), ("scsi1", "local-lvm:1")];
    lab.put(CONFIG, &form).await.data();
    lab.root().await;
    let form = [
        ("path", "/vms"),
        ("roles", "PVEVMAdmin"),
        ("users", "auditor@pve"),
    ];
    lab.put("/access/acl", &form).await.data();
    lab.use_token(AUDITOR);
    assert_eq!(
        refusal(&lab, &[("delete", "unused0")]).await,
        (
            403,
            "Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)".to_owned()
        )
    );
    assert_eq!(
        refusal(&lab, &[("vmstatestorage", "local-lvm")]).await,
        (
            403,
            "Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)".to_owned()
        )
    );
    lab.set(CONFIG, &[("ide0", "local-lvm:cloudinit")]).await;
    let size = [("disk", "scsi1"), ("size", "+1G")];
    let upid = lab.put("/nodes/pve1/qemu/102/resize", &size).await.data();
    assert_eq!(
        lab.exit_of(&upid).await,
        "403 Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)"
    );
}

#[tokio::test]
async fn whoever_may_make_a_vm_may_give_it_disks() {
    let mut lab = Lab::new().await;
    become_user(&mut lab, "VM.Allocate,VM.Audit").await;
    let form = [("vmid", "200"), ("scsi0", "local-lvm:1")];
    assert_eq!(lab.run("/nodes/pve1/qemu", &form).await, "OK");
}
