//! Proves storages: what is listed to whom, single volumes, removal, retention, media.

use pve_sim::{Effect, Fault, Options, Scenario};
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab, of_storage};

const DEMO_BACKUP: &str = "backups:backup/vm/100/2026-08-20T03:00:01Z";

fn content(storage: &str, rest: &str) -> String {
    format!("/nodes/pve1/storage/{storage}/content{rest}")
}

#[tokio::test]
async fn storages_are_listed_by_content_with_their_space() {
    let lab = Lab::new().await;
    let list = lab.get("/nodes/pve1/storage?content=backup").await.data();
    let mut names = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["storage"].as_str().unwrap())
        .collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["backups", "local", "nas"]);
    let nas = of_storage(&list, "nas");
    assert_eq!(
        (&nas["type"], &nas["shared"], &nas["active"]),
        (&json!("nfs"), &json!(1), &json!(1))
    );
    let number = |key: &str| nas[key].as_u64().unwrap();
    assert_eq!(number("used") + number("avail"), number("total"));
}

#[tokio::test]
async fn a_storage_that_is_offline_is_listed_but_not_active() {
    let lab = Lab::new().await;
    for storage in ["nas", "backups"] {
        lab.control().inject(Fault::StorageOffline {
            storage: storage.to_owned(),
        });
    }
    let list = lab.get("/nodes/pve1/storage").await.data();
    let nas = of_storage(&list, "nas");
    assert_eq!((&nas["active"], &nas["total"]), (&json!(0), &json!(0)));
    assert!(nas["used_fraction"].is_null());
    let answer = lab.get(&content("nas", "")).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "storage 'nas' is not online")
    );
    let answer = lab.get(&content("backups", "?content=backup")).await;
    assert!(
        answer
            .reason
            .starts_with("backups: error fetching datastores - 500 ")
    );
    let upid = lab
        .delete(&content("backups", &format!("/{DEMO_BACKUP}")))
        .await
        .data();
    assert!(lab.exit_of(&upid).await.contains("error fetching datastores"));
    let resources = lab.get("/cluster/resources?type=storage").await.data();
    assert_eq!(of_storage(&resources, "nas")["status"], "unknown");
    lab.control().clear_faults();
    assert_eq!(lab.get(&content("nas", "")).await.status, 200);
}

#[tokio::test]
async fn backups_are_hidden_from_who_may_not_back_up_their_vm() {
    let mut lab = Lab::new().await;
    let path = content("backups", "?content=backup");
    assert_eq!(lab.get(&path).await.data().as_array().unwrap().len(), 1);
    lab.use_token(AUDITOR);
    assert_eq!(lab.get(&path).await.data(), json!([]));
    let answer = lab.get(&content("backups", &format!("/{DEMO_BACKUP}"))).await;
    assert_eq!(
        answer.reason,
        "Permission check failed (/storage/backups, Datastore.AllocateSpace)"
    );
    let answer = lab.delete(&content("backups", &format!("/{DEMO_BACKUP}"))).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_volume_is_found_by_its_name_raw_or_encoded_with_or_without_storage() {
    let lab = Lab::new().await;
    let encoded = DEMO_BACKUP.replace(':', "%3A").replace('/', "%2F");
    let bare = DEMO_BACKUP.strip_prefix("backups:").unwrap();
    for volume in [DEMO_BACKUP, encoded.as_str(), bare] {
        let data = lab.get(&content("backups", &format!("/{volume}"))).await.data();
        assert_eq!(
            (&data["format"], &data["notes"], &data["protected"]),
            (&json!("pbs-vm"), &json!("web1"), &json!(0)),
            "{volume}"
        );
    }
    let answer = lab.get(&content("local", &format!("/{DEMO_BACKUP}"))).await;
    assert_eq!(answer.error("volume"), "storage ID mismatch (backups != local)\n");
    let answer = lab.get(&content("local", "/local:iso/none.iso")).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "volume_size_info on 'local:iso/none.iso' failed - no format")
    );
    let answer = lab.get(&content("local", "/local:..%2F..%2Fetc%2Fpasswd")).await;
    assert_eq!(
        answer.reason,
        "unable to parse directory volume name '../../etc/passwd'"
    );
}

#[tokio::test]
async fn notes_and_protection_are_changed_and_read_back() {
    let lab = Lab::new().await;
    let path = content("backups", &format!("/{DEMO_BACKUP}"));
    let form = [("notes", "before\nthe update"), ("protected", "1")];
    assert_eq!(lab.put(&path, &form).await.data(), Value::Null);
    let data = lab.get(&path).await.data();
    assert_eq!(
        (&data["notes"], &data["protected"]),
        (&json!("before\nthe update"), &json!(1))
    );
    let list = lab.get(&content("backups", "?content=backup")).await.data();
    assert_eq!(
        (&list[0]["notes"], &list[0]["protected"]),
        (&json!("before"), &json!(1))
    );
    let upid = lab.delete(&path).await.data();
    let exit = lab.exit_of(&upid).await;
    assert_eq!(
        exit,
        "proxmox-backup-client failed: Error: cannot remove protected snapshot"
    );
    assert_eq!(
        lab.put(&path, &[("notes", ""), ("protected", "0")]).await.status,
        200
    );
    let list = lab.get(&content("backups", "?content=backup")).await.data();
    assert!(list[0]["notes"].is_null() && list[0]["protected"].is_null());
    let count = |effect| lab.control().effect_count(effect, 100, Some(DEMO_BACKUP));
    assert_eq!(
        (count(Effect::BackupEdited), count(Effect::BackupRemoved)),
        (2, 0)
    );
}

#[tokio::test]
async fn a_backup_is_removed_by_a_task_of_its_own() {
    let lab = Lab::new().await;
    let path = content("backups", &format!("/{DEMO_BACKUP}"));
    let upid = lab.delete(&path).await.data();
    assert!(upid.as_str().unwrap().contains(":imgdel:100@backups:"), "{upid}");
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(
        lab.get(&content("backups", "?content=backup")).await.data(),
        json!([])
    );
    let upid = lab.delete(&path).await.data();
    assert!(lab.exit_of(&upid).await.contains("does not exist"));
    let count = lab.control().effect_count(Effect::BackupRemoved, 100, None);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn with_a_delay_the_end_of_the_removal_is_the_answer() {
    let lab = Lab::new().await;
    let form = [("vmid", "102"), ("storage", "local"), ("protected", "1")];
    assert_eq!(lab.run("/nodes/pve1/vzdump", &form).await, "OK");
    let list = lab.get(&content("local", "?content=backup")).await.data();
    let volid = list[0]["volid"].as_str().unwrap();
    let path = content("local", &format!("/{volid}"));
    let (_, name) = volid.split_once(':').unwrap();
    let answer = lab.delete(&format!("{path}?delay=20")).await;
    assert_eq!(
        (answer.status, answer.reason),
        (500, format!("cannot remove protected volume '{name}' on 'local'"))
    );
    assert_eq!(lab.put(&path, &[("protected", "0")]).await.status, 200);
    assert_eq!(lab.delete(&format!("{path}?delay=20")).await.data(), Value::Null);
    // A file that is not there is no error for PVE.
    assert_eq!(lab.delete(&format!("{path}?delay=20")).await.data(), Value::Null);
    let answer = lab.delete(&format!("{path}?delay=31")).await;
    assert_eq!(answer.error("delay"), "value must have a maximum value of 30");
    assert_eq!(lab.control().effect_count(Effect::BackupRemoved, 102, None), 1);
}

#[tokio::test]
async fn media_have_no_notes_and_go_only_by_who_owns_the_storage() {
    let mut lab = Lab::new().await;
    let path = content("local", "/local:iso/virtio-win-0.1.271.iso");
    let data = lab.get(&path).await.data();
    assert_eq!(data["path"], "/var/lib/vz/template/iso/virtio-win-0.1.271.iso");
    assert!(data["notes"].is_null());
    assert_eq!(
        lab.put(&path, &[("protected", "1")]).await.reason,
        "only backups support attribute 'protected'"
    );
    assert_eq!(
        lab.delete(&path).await.reason,
        "Permission check failed (/storage/local, Datastore.Allocate)"
    );
    lab.root().await;
    let upid = lab.delete(&path).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.control().effect_count(Effect::VolumeRemoved, 0, None), 1);
}

#[tokio::test]
async fn media_are_listed_with_sizes_and_not_for_a_vm() {
    let lab = Lab::new().await;
    let list = lab.get(&content("local", "?content=iso")).await.data();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(list[0]["volid"], "local:iso/debian-13.1.0-amd64-netinst.iso");
    assert_eq!(
        (&list[0]["format"], &list[0]["size"]),
        (&json!("iso"), &json!(783_u64 << 20))
    );
    let none = lab.get(&content("local", "?content=iso&vmid=100")).await.data();
    assert_eq!(none, json!([]));
    let answer = lab.get(&content("local", "?content=movies")).await;
    assert_eq!(
        answer.error("content"),
        "invalid format - invalid content type 'movies'\n"
    );
}

#[tokio::test]
async fn only_media_of_a_storage_one_may_read_go_into_a_drive() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/config";
    let put = async |value: &str| lab.put(path, &[("ide2", value)]).await;
    let good = "local:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom";
    assert_eq!(put(good).await.data(), Value::Null);
    assert_eq!(put("none,media=cdrom").await.data(), Value::Null);
    for (value, text) in [
        (
            "local:iso/none.iso,media=cdrom",
            "volume local:iso/none.iso does not exist",
        ),
        (
            "nowhere:iso/a.iso,media=cdrom",
            "storage 'nowhere' does not exist",
        ),
    ] {
        let answer = put(value).await;
        assert_eq!((answer.status, answer.reason.as_str()), (500, text));
    }
    let answer = put(&format!("{DEMO_BACKUP},media=cdrom")).await;
    assert_eq!(answer.error("ide2"), "content type needs to be 'images' or 'iso'");
    let answer = put("local:iso/debian-13.1.0-amd64-netinst.iso").await;
    assert_eq!(
        answer.error("ide2"),
        "explicit 'media=cdrom' is required for iso images"
    );
    lab.control().inject(Fault::StorageOffline {
        storage: "local".to_owned(),
    });
    assert_eq!(put(good).await.status, 500);
    assert_eq!(lab.control().vm(102).unwrap().config["ide2"], "none,media=cdrom");
}

#[tokio::test]
async fn a_medium_that_is_gone_keeps_a_vm_from_starting() {
    let mut lab = Lab::new().await;
    let iso = "local:iso/virtio-win-0.1.271.iso";
    let form = [("ide2", "local:iso/virtio-win-0.1.271.iso,media=cdrom")];
    assert_eq!(lab.put("/nodes/pve1/qemu/102/config", &form).await.status, 200);
    let start = "/nodes/pve1/qemu/102/status/start";
    lab.control().inject(Fault::StorageOffline {
        storage: "local".to_owned(),
    });
    assert!(
        lab.run(start, &[])
            .await
            .starts_with("unable to activate storage 'local'")
    );
    lab.control().clear_faults();
    lab.root().await;
    let upid = lab.delete(&content("local", &format!("/{iso}"))).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let exit = lab.run(start, &[]).await;
    assert_eq!(exit, format!("volume '{iso}' does not exist"));
}

#[tokio::test]
async fn retention_can_be_looked_at_before_it_is_applied() {
    let lab = Lab::new().await;
    for _ in 0..3 {
        let form = [("vmid", "102"), ("storage", "local")];
        assert_eq!(lab.run("/nodes/pve1/vzdump", &form).await, "OK");
    }
    let path = "/nodes/pve1/storage/local/prunebackups?vmid=102&prune-backups=keep-last%3D1";
    let list = lab.get(path).await.data();
    let marks = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["mark"] == "remove" && entry["vmid"] == 102)
        .count();
    assert_eq!((list.as_array().unwrap().len(), marks), (3, 2));
    let upid = lab.delete(path).await.data();
    assert!(upid.as_str().unwrap().contains(":prunebackups:102@local:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.control().effect_count(Effect::BackupRemoved, 102, None), 2);
    let answer = lab.delete("/nodes/pve1/storage/local/prunebackups").await;
    assert_eq!(
        answer.reason,
        "Permission check failed (/storage/local, Datastore.Allocate)"
    );
    let bad = "/nodes/pve1/storage/local/prunebackups?prune-backups=keep-all%3D1,keep-last%3D1";
    let answer = lab.get(bad).await;
    assert_eq!(
        answer.error("prune-backups"),
        "invalid format - keep-all cannot be set together with other options.\n"
    );
}

#[tokio::test]
async fn the_defaults_of_backups_name_the_retention_of_the_storage() {
    let lab = Lab::new().await;
    let data = lab.get("/nodes/pve1/vzdump/defaults?storage=nas").await.data();
    assert_eq!(data["prune-backups"], "keep-last=3");
    let path = format!("/nodes/pve1/vzdump/extractconfig?volume={DEMO_BACKUP}");
    let text = lab.get(&path).await.data();
    let text = text.as_str().unwrap();
    assert!(text.contains("\ncores: 1\n") && text.contains("#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:"));
    assert!(!text.contains("parent:"));
}

#[tokio::test]
async fn a_backup_server_says_what_it_encrypted_and_what_it_found() {
    let demo = Scenario::DEMO.replace(
        "name = \"backup/vm/100/",
        "encrypted = \"AA:BB\"\nverification = \"failed\"\nname = \"backup/vm/100/",
    );
    let lab = Lab::with(Options {
        scenario: Scenario::from_toml(&demo).unwrap(),
        ..Options::default()
    })
    .await;
    let backup = lab.list("/nodes/pve1/storage/backups/content").await.remove(0);
    assert_eq!(backup["encrypted"], "AA:BB");
    assert_eq!(backup["verification"]["state"], "failed");
}
