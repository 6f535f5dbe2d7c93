//! Reading of whole VM configs: types by version, disks, the system disk, NICs, and what a change may not be.

use crate::support::*;
use portico_proxmox::property::{DiskLimits, Ip4};
use portico_proxmox::{ConfigUpdate, InvalidUpdate, Lock, Secret, VmConfig};

fn config(json: &str) -> VmConfig {
    serde_json::from_str(json).unwrap()
}

fn system(json: &str) -> Option<String> {
    config(json).system_disk().map(|(slot, _)| slot.to_string())
}

fn additional(json: &str) -> Vec<String> {
    config(json)
        .additional_disks()
        .iter()
        .map(|(slot, _)| slot.to_string())
        .collect()
}

const FULL: &str = r#"{
    "agent": "enabled=1,fstrim_cloned_disks=1", "balloon": 0, "boot": "order=ide2;scsi0;net0",
    "cores": 2, "sockets": 2, "memory": "4096", "cpulimit": "1.5", "name": "web", "onboot": 1,
    "description": "two\nlines", "digest": "0f1e", "lock": "backup", "ostype": "l26", "parent": "daily",
    "ide0": "local-lvm:vm-100-cloudinit,media=cdrom,size=4M",
    "ide2": "local:iso/debian-13.iso,media=cdrom,size=629M",
    "scsi0": "my.fast-store:vm-100-disk-0,discard=on,iops_rd=1000,mbps=200,size=32G",
    "scsi1": "my.fast-store:vm-100-disk-1,size=100G",
    "efidisk0": "local-lvm:vm-100-disk-2,size=4M", "unused0": "local-lvm:vm-100-disk-9",
    "net1": "virtio=BC:24:11:00:00:01,bridge=vmbr1", "net0": "virtio=BC:24:11:00:00:00,bridge=vmbr0,rate=10",
    "ipconfig0": "ip=192.0.2.10/24,gw=192.0.2.1", "nameserver": "192.0.2.53 2001:db8::53",
    "tags": "prod;web", "template": 0, "vga": "std", "scsihw": "virtio-scsi-single", "futurekey": 7
}"#;

#[test]
fn every_part_of_a_full_config_is_read() {
    let config = config(FULL);
    assert_eq!(
        (config.cpus(), config.memory_mib(), config.number("cpulimit")),
        (4, 4096, Some(1.5))
    );
    assert_eq!(config.description().as_deref(), Some("two\nlines"));
    assert_eq!(
        (config.lock(), config.parent().unwrap().as_str()),
        (Some(Lock::Backup), "daily")
    );
    assert!(config.agent().unwrap().enabled() && config.flag("onboot") && !config.is_template());
    assert_eq!(config.tags(), ["prod", "web"]);
    assert_eq!(config.nameservers(), ["192.0.2.53", "2001:db8::53"]);
    let all: serde_json::Value = serde_json::from_str(FULL).unwrap();
    assert_eq!(
        config.values().len(),
        all.as_object().unwrap().len(),
        "nothing is dropped"
    );
    assert_eq!(config.text("futurekey").as_deref(), Some("7"));
    assert!(!config.vga().unwrap().is_serial());
}

#[test]
fn disks_are_told_from_media_cloud_init_firmware_and_detached_volumes() {
    let config = config(FULL);
    let slots = |drives: Vec<(portico_proxmox::property::DriveSlot, _)>| {
        drives
            .iter()
            .map(|(slot, _): &(_, portico_proxmox::property::Disk)| slot.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(slots(config.disks()), ["scsi0", "scsi1"]);
    assert_eq!(
        slots(config.drives()),
        ["ide0", "ide2", "scsi0", "scsi1", "efidisk0", "unused0"]
    );
    assert_eq!(config.cloudinit_drive().unwrap().0.to_string(), "ide0");
    assert_eq!(config.disk_bytes(), 132 << 30);
}

#[test]
fn the_system_disk_keeps_its_storage_name_with_dots_and_its_limits() {
    let (slot, disk) = config(FULL).system_disk().unwrap();
    assert_eq!(
        slot.to_string(),
        "scsi0",
        "the CD that is first in the order is passed over"
    );
    assert_eq!(
        (disk.storage().unwrap().as_str(), disk.size()),
        ("my.fast-store", Some(32 << 30))
    );
    let expected = DiskLimits {
        mbps_read: Some(200.0),
        mbps_write: Some(200.0),
        iops_read: Some(1000.0),
        iops_write: None,
    };
    assert_eq!(disk.limits(), expected);
    assert_eq!(additional(FULL), ["scsi1"]);
}

#[test]
fn the_system_disk_follows_the_order_then_bootdisk_then_the_first_disk() {
    let disks = r#""virtio0":"st:vm-100-disk-0","scsi1":"st:vm-100-disk-1","scsi0":"st:vm-100-disk-2""#;
    let with = |extra: &str| format!("{{{disks}{extra}}}");
    assert_eq!(
        system(&with(r#","boot":"order=virtio0;scsi0""#)).unwrap(),
        "virtio0"
    );
    assert_eq!(
        system(&with(r#","boot":"cdn","bootdisk":"scsi1""#)).unwrap(),
        "scsi1"
    );
    assert_eq!(system(&with(r#","bootdisk":"virtio0""#)).unwrap(), "virtio0");
    assert_eq!(system(&with(r#","boot":"c""#)).unwrap(), "scsi0");
    assert_eq!(system(&with("")).unwrap(), "scsi0");
    assert_eq!(additional(&with("")), ["scsi1", "virtio0"]);
}

#[test]
fn an_order_without_a_real_disk_falls_back_to_the_first_one() {
    let json = r#"{"boot":"order=ide2;net0;scsi7","ide2":"none,media=cdrom","sata0":"st:vm-100-disk-0"}"#;
    assert_eq!(system(json).unwrap(), "sata0");
    assert_eq!(system(r#"{"boot":"order=net0","ide2":"none,media=cdrom"}"#), None);
    assert_eq!(
        system(r#"{"boot":"order=ide2","ide2":"st:vm-100-cloudinit","scsi0":"st:vm-100-disk-0"}"#).unwrap(),
        "scsi0"
    );
    assert_eq!(system("{}"), None);
}

#[test]
fn nics_and_addresses_come_in_the_order_of_their_numbers() {
    let config = config(FULL);
    let nets = config.nets();
    assert_eq!(
        nets.iter()
            .map(|(n, net)| (*n, net.bridge().unwrap()))
            .collect::<Vec<_>>(),
        [(0, "vmbr0"), (1, "vmbr1")]
    );
    assert_eq!(nets[0].1.rate(), Some(10.0));
    let (number, ip) = &config.ipconfigs()[0];
    assert_eq!(
        (*number, ip.ip()),
        (0, Some(Ip4::Static("192.0.2.10/24".parse().unwrap())))
    );
}

#[test]
fn memory_is_read_in_all_its_forms() {
    for (json, mib) in [
        (r#"{"memory":2048}"#, 2048),
        (r#"{"memory":"2048"}"#, 2048),
        (r#"{"memory":"current=2048"}"#, 2048),
        ("{}", 512),
        (r#"{"memory":[]}"#, 512),
    ] {
        assert_eq!(config(json).memory_mib(), mib, "{json}");
    }
}

#[test]
fn values_of_the_wrong_type_are_no_values() {
    let config = config(r#"{"scsi0":7,"net0":null,"boot":{},"cores":"many","ide2":"","digest":["x"]}"#);
    assert!(config.nets().is_empty() && config.boot().is_none() && config.digest().is_none());
    assert_eq!((config.cpus(), config.disk_bytes()), (1, 0));
    assert!(serde_json::from_str::<VmConfig>("[]").is_err());
}

#[test]
fn changes_that_would_do_harm_are_refused() {
    let update = ConfigUpdate::new;
    for key in [
        "delete",
        "digest",
        "skiplock",
        "force",
        "revert",
        "a",
        "",
        "a b",
        "net0&name",
        "1x",
    ] {
        assert!(
            matches!(update().set(key, "1"), Err(InvalidUpdate::Key(_))),
            "{key}"
        );
        assert!(update().delete(key).is_err(), "{key}");
    }
    assert!(matches!(
        update().set("name", "a\nargs: x"),
        Err(InvalidUpdate::Control(_))
    ));
    assert!(matches!(
        update().set("description", "a\u{0}"),
        Err(InvalidUpdate::Control(_))
    ));
    assert!(update().set("description", "two\nlines").is_ok());
    let mask = Secret::new("**********");
    assert!(matches!(
        update().set_secret("cipassword", mask),
        Err(InvalidUpdate::Mask(_))
    ));
    assert!(matches!(
        update().set("cipassword", "**********"),
        Err(InvalidUpdate::Mask(_))
    ));
    assert!(update().is_empty() && !update().delete("net1").unwrap().is_empty());
}

#[tokio::test]
async fn a_password_that_is_set_like_any_other_key_is_kept_as_a_secret_and_a_key_is_sent_once() {
    let update = ConfigUpdate::new()
        .set("cipassword", "hunter2")
        .and_then(|update| update.set_secret("ciuser", Secret::new("root")))
        .and_then(|update| update.set("ciuser", "debian"))
        .unwrap();
    assert!(!format!("{update:?}").contains("hunter2"), "{update:?}");
    let (server, vm) = serving(ok(r#"{"data":null}"#)).await;
    vm.update_config(&update).await.unwrap();
    assert_eq!(
        last(&server),
        "PUT /qemu/100/config ciuser=debian&cipassword=hunter2"
    );
}

fn two_keys() -> ConfigUpdate {
    let update = ConfigUpdate::new().set_secret("cipassword", Secret::new("hunter2hunter2"));
    update.unwrap().set("scsi1", "local-lvm:32").unwrap()
}

#[tokio::test]
async fn of_several_keys_some_may_be_changed_when_a_later_one_is_refused() {
    let full = "lvcreate 'pve/vm-100-disk-1' error: Volume group \"pve\" has insufficient free space";
    let storage = "cfs-lock 'storage-local-lvm' error: got lock request timeout";
    for text in [full, storage, "some sentence of a later version"] {
        let (_server, vm) = serving(fail(500, text)).await;
        let error = vm.update_config(&two_keys()).await.unwrap_err();
        assert!(error.may_have_happened(), "{error}");
        // One key alone is changed or not, and a task has not begun yet.
        let update = ConfigUpdate::new().set("scsi1", "local-lvm:32").unwrap();
        assert!(!vm.update_config(&update).await.unwrap_err().may_have_happened());
        assert!(
            !vm.update_config_task(&two_keys())
                .await
                .unwrap_err()
                .may_have_happened()
        );
        let update = ConfigUpdate::new()
            .delete("net1")
            .unwrap()
            .delete("net2")
            .unwrap();
        assert!(vm.update_config(&update).await.unwrap_err().may_have_happened());
    }
}

#[tokio::test]
async fn what_is_refused_before_the_first_key_changed_none() {
    let wrong =
        r#"{"errors":{"scsi1":"unable to parse drive options"},"message":"Parameter verification failed."}"#;
    for reply in [
        fail(500, "VM is locked (backup)"),
        fail(500, "checksum mismatch (file change by other user?)"),
        fail(
            500,
            "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
        ),
        fail(403, "Permission check failed (/vms/100, VM.Config.Disk)"),
        Reply::Send(400, "Parameter verification failed.".to_owned(), wrong.to_owned()),
        bare(595, "No route to host"),
    ] {
        let (_server, vm) = serving(reply).await;
        let error = vm.update_config(&two_keys()).await.unwrap_err();
        assert!(!error.may_have_happened(), "{error}");
    }
}
