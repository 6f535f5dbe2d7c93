//! Habits of clients that others wrote, which PVE bears with or is strict about. Each was met in such a client, or in a
//! comparison with another simulator, and looked up in PVE's sources.

use serde_json::json;

use crate::lab::Lab;

/// As the Go client of Telmate logs in.
#[tokio::test]
async fn a_ticket_may_stand_in_the_header_for_tokens() {
    let mut lab = Lab::new().await;
    lab.use_nothing();
    let form = [("username", "root@pam"), ("password", "demo-root-password")];
    let data = lab.post("/access/ticket", &form).await.data();
    let header = format!("PVEAuthCookie={}", data["ticket"].as_str().unwrap());
    lab.use_token(&header);
    assert_eq!(lab.get("/version").await.status, 200);
    // It is still a ticket, not a token: what changes something needs its companion.
    let refused = lab.post("/nodes/pve1/qemu/102/status/start", &[]).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (401, "Permission denied - invalid csrf token")
    );
    let csrf = data["CSRFPreventionToken"].as_str().unwrap();
    let request = lab.request(reqwest::Method::POST, "/nodes/pve1/qemu/102/status/start");
    let started = lab.send(request.header("CSRFPreventionToken", csrf)).await;
    assert_eq!(started.status, 200, "{}", started.reason);
}

/// As the modules of Ansible do.
#[tokio::test]
async fn a_cloud_init_drive_may_be_asked_for_with_a_format_and_can_be_cloned() {
    let lab = Lab::new().await;
    let config = "/nodes/pve1/qemu/102/config";
    let set = lab.put(config, &[("ide3", "local:cloudinit,format=raw")]).await;
    assert_eq!(set.status, 200, "{}", set.reason);
    assert_eq!(
        lab.config("pve1", 102).await["ide3"],
        "local:102/vm-102-cloudinit.raw,media=cdrom,size=4M"
    );
    let form = [("newid", "500"), ("full", "1")];
    assert_eq!(lab.run("/nodes/pve1/qemu/102/clone", &form).await, "OK");
    assert_eq!(
        lab.config("pve1", 500).await["ide3"],
        "local:500/vm-500-cloudinit.raw,media=cdrom,size=4M"
    );
}

/// As people do with `curl -d`.
#[tokio::test]
async fn a_form_value_that_was_not_encoded_loses_what_stands_behind_its_second_equals_sign() {
    let lab = Lab::new().await;
    let body = "description=a=b&onboot";
    let request = lab
        .request(reqwest::Method::PUT, "/nodes/pve1/qemu/102/config")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    assert_eq!(lab.send(request).await.status, 200);
    let config = lab.config("pve1", 102).await;
    assert_eq!(config["description"], "a");
    assert_eq!(config.get("onboot"), None, "a key without a value is left out");
}

#[tokio::test]
async fn null_is_as_good_as_left_out_for_what_is_known_and_refused_for_the_rest() {
    let lab = Lab::new().await;
    let post = |body: serde_json::Value| {
        lab.request(reqwest::Method::POST, "/nodes/pve1/qemu/100/snapshot")
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    let unknown = lab
        .send(post(json!({ "snapname": "first", "colour": null })))
        .await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.error("colour").contains("not defined in schema"));
    let missing = lab.send(post(json!({ "snapname": null }))).await;
    assert_eq!(
        missing.error("snapname"),
        "property is missing and it is not optional"
    );
    let taken = lab
        .send(post(json!({ "snapname": "first", "description": null })))
        .await;
    assert_eq!(taken.status, 200, "{}", taken.reason);
}

/// What two simulators answered differently to; the sources say who is right.
#[tokio::test]
async fn malformed_devices_are_refused_in_pves_words() {
    let mut lab = Lab::new().await;
    lab.root().await;
    for (key, value, text) in [
        (
            "scsi1",
            "rubbish",
            "invalid format - format error\nscsi1.file: invalid format - unable to parse volume ID 'rubbish'",
        ),
        (
            "hotplug",
            "disk,fan",
            "invalid format - invalid hotplug feature 'fan'",
        ),
        ("parallel0", "/dev/lp0", "value does not match the regex pattern"),
        (
            "machine",
            "pc-q35",
            "invalid format - format error\nmachine.type: value does not match the regex pattern",
        ),
        (
            "rng0",
            "/dev/zero",
            "invalid format - format error\nrng0.source: value '/dev/zero' does not have a value in the enumeration \
             '/dev/urandom, /dev/random, /dev/hwrng'",
        ),
    ] {
        let refused = lab.put("/nodes/pve1/qemu/102/config", &[(key, value)]).await;
        assert_eq!(refused.status, 400, "{key}");
        assert_eq!(refused.error(key).trim_end(), text);
    }
    let mail = [("vmid", "102"), ("mailto", "root,nobody at home!")];
    let refused = lab.post("/nodes/pve1/vzdump", &mail).await;
    assert!(
        refused
            .error("mailto")
            .contains("does not look like a valid email address")
    );
}

#[tokio::test]
async fn a_vm_that_can_boot_from_nothing_has_a_blank_for_its_boot_order() {
    let lab = Lab::new().await;
    let made = lab
        .run("/nodes/pve1/qemu", &[("vmid", "500"), ("name", "bare")])
        .await;
    assert_eq!(made, "OK");
    assert_eq!(lab.config("pve1", 500).await["boot"], " ");
}

/// As the tests of Telmate's client expect.
#[tokio::test]
async fn the_first_disk_cd_and_network_device_boot_and_leave_the_order_when_they_go() {
    let lab = Lab::new().await;
    let form = [
        ("vmid", "500"),
        ("ide0", "none,media=cdrom"),
        ("ide1", "local-lvm:1"),
        ("sata0", "none,media=cdrom"),
        ("virtio0", "local-lvm:1"),
        ("net1", "virtio,bridge=vmbr0"),
        ("net2", "virtio,bridge=vmbr0"),
    ];
    assert_eq!(lab.run("/nodes/pve1/qemu", &form).await, "OK");
    assert_eq!(lab.config("pve1", 500).await["boot"], "order=ide1;ide0;net1");
    let config = "/nodes/pve1/qemu/500/config";
    assert_eq!(lab.put(config, &[("delete", "ide1,net2")]).await.status, 200);
    assert_eq!(lab.config("pve1", 500).await["boot"], "order=ide0;net1");
    assert_eq!(lab.put(config, &[("delete", "ide0,net1")]).await.status, 200);
    assert_eq!(lab.config("pve1", 500).await["boot"], " ");
}

#[tokio::test]
async fn the_disks_of_firmware_have_their_own_size_whatever_is_asked_for() {
    let lab = Lab::new().await;
    let config = "/nodes/pve1/qemu/102/config";
    let form = [
        ("efidisk0", "local-lvm:1,efitype=4m"),
        ("tpmstate0", "local-lvm:1,version=v2.0"),
    ];
    assert_eq!(lab.put(config, &form).await.status, 200);
    let set = lab.config("pve1", 102).await;
    assert_eq!(set["efidisk0"], "local-lvm:vm-102-disk-1,efitype=4m,size=4M");
    assert_eq!(set["tpmstate0"], "local-lvm:vm-102-disk-2,size=4M,version=v2.0");
    lab.put(config, &[("delete", "efidisk0")]).await;
    assert_eq!(
        lab.put(config, &[("efidisk0", "local:1,efitype=4m")])
            .await
            .status,
        200
    );
    let set = lab.config("pve1", 102).await;
    assert!(set["efidisk0"].as_str().unwrap().ends_with(",size=528K"), "{set}");
}

/// As the modules of Ansible do.
#[tokio::test]
async fn a_drive_that_is_set_without_its_size_keeps_it() {
    let lab = Lab::new().await;
    let set = [("scsi0", "local-lvm:vm-102-disk-0,iops=100")];
    assert_eq!(lab.put("/nodes/pve1/qemu/102/config", &set).await.status, 200);
    assert_eq!(
        lab.config("pve1", 102).await["scsi0"],
        "local-lvm:vm-102-disk-0,iops=100,size=20G"
    );
}

/// As the modules of Ansible do.
#[tokio::test]
async fn disks_are_unlinked_by_a_call_of_their_own_and_freed_when_forced() {
    let lab = Lab::new().await;
    let unlink = "/nodes/pve1/qemu/102/unlink";
    assert!(
        lab.put(unlink, &[])
            .await
            .error("idlist")
            .contains("not optional")
    );
    assert_eq!(lab.put(unlink, &[("idlist", "scsi0")]).await.status, 200);
    let config = lab.config("pve1", 102).await;
    assert_eq!(config["unused0"], "local-lvm:vm-102-disk-0");
    assert_eq!(config.get("scsi0"), None);
    let form = [("idlist", "unused0"), ("force", "1")];
    assert_eq!(lab.put(unlink, &form).await.status, 200);
    assert_eq!(lab.config("pve1", 102).await.get("unused0"), None);
}

#[tokio::test]
async fn there_are_no_backup_jobs() {
    let mut lab = Lab::new().await;
    assert_eq!(lab.get("/cluster/backup").await.status, 403);
    lab.root().await;
    assert!(lab.list("/cluster/backup").await.is_empty());
}

/// As Telmate's client takes a comment away: the file of users keeps no blanks around its fields.
#[tokio::test]
async fn a_comment_that_is_only_a_blank_takes_the_comment_away() {
    let mut lab = Lab::new().await;
    lab.root().await;
    let token = "/access/users/portico@pve/token/panel";
    assert_eq!(
        lab.put(token, &[("comment", " for the panel ")]).await.status,
        200
    );
    assert_eq!(lab.get(token).await.data()["comment"], "for the panel");
    assert_eq!(lab.put(token, &[("comment", " ")]).await.status, 200);
    assert_eq!(lab.get(token).await.data().get("comment"), None);
    let user = "/access/users/portico@pve";
    let form = [("comment", " "), ("firstname", " Ada")];
    assert_eq!(lab.put(user, &form).await.status, 200);
    let shown = lab.get(user).await.data();
    assert_eq!((shown.get("comment"), &shown["firstname"]), (None, &"Ada".into()));
}
