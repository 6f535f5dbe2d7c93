//! Proves the datacenter's options, its log, what no backup covers, and how storages are set up.

use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab};

async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab
}

#[tokio::test]
async fn options_are_kept_and_shown_as_pve_reads_them() {
    let mut lab = lab().await;
    let before = lab.get("/cluster/options").await.data();
    assert_eq!(
        (&before["mac_prefix"], &before["description"]),
        (&json!("BC:24:11"), &json!(""))
    );
    let form = [
        ("console", "applet"),
        ("registered-tags", "prod;test"),
        ("max_workers", "3"),
        ("description", "ours"),
        ("mac_prefix", "BC:24:22"),
    ];
    assert_eq!(lab.put("/cluster/options", &form).await.data(), Value::Null);
    let options = lab.get("/cluster/options").await.data();
    assert_eq!(options["console"], "html5");
    assert_eq!(options["registered-tags"], json!(["prod", "test"]));
    assert_eq!(
        (&options["max_workers"], &options["description"]),
        (&json!("3"), &json!("ours\n"))
    );
    let tags = options["allowed-tags"].as_array().map(Vec::len);
    assert!(tags >= Some(2), "{options}");
    lab.put("/cluster/options", &[("delete", "console,max_workers")])
        .await
        .data();
    let options = lab.get("/cluster/options").await.data();
    assert!(options.get("console").is_none() && options.get("max_workers").is_none());
    let form = [
        ("migration", "insecure,network=10.0.0.0/24"),
        ("next-id", "lower=500"),
        ("ha", "shutdown_policy=migrate"),
    ];
    lab.put("/cluster/options", &form).await.data();
    let options = lab.get("/cluster/options").await.data();
    assert_eq!(
        options["migration"],
        json!({ "type": "insecure", "network": "10.0.0.0/24" })
    );
    assert_eq!(options["next-id"]["lower"], "500");
    assert_eq!(options["ha"]["shutdown_policy"], "migrate");
    assert_eq!(lab.get("/cluster/nextid").await.data(), "500");
    let none_left = [("next-id", "lower=100,upper=102")];
    lab.put("/cluster/options", &none_left).await.data();
    assert_eq!(
        lab.get("/cluster/nextid").await.reason,
        "unable to get any free VMID in range [100, 102]"
    );
    let wrong = lab.put("/cluster/options", &[("migration", "type=fast")]).await;
    let told = wrong.error("migration");
    assert!(
        told.starts_with("invalid format - format error\nmigration.type: value 'fast'"),
        "{told}"
    );
    for (name, value) in [
        ("mac_prefix", "01:00:00"),
        ("http_proxy", "ftp://x"),
        ("max_workers", "0"),
    ] {
        assert_eq!(
            lab.put("/cluster/options", &[(name, value)]).await.status,
            400,
            "{name}"
        );
    }
    lab.use_token(AUDITOR);
    let refused = lab.put("/cluster/options", &[("console", "vv")]).await;
    assert_eq!(refused.reason, "Permission check failed (/, Sys.Modify)");
}

#[tokio::test]
async fn who_may_not_audit_sees_few_options() {
    let mut lab = lab().await;
    lab.put("/cluster/options", &[("console", "vv"), ("description", "ours")])
        .await
        .data();
    lab.use_token(crate::lab::PANEL);
    let options = lab.get("/cluster/options").await.data();
    assert_eq!(options["console"], "vv");
    assert!(options.get("description").is_none() && options["allowed-tags"].is_array());
}

#[tokio::test]
async fn the_log_tells_of_tasks_newest_first_to_whom_they_belong() {
    let mut lab = lab().await;
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/reset", &[]).await, "OK");
    assert_ne!(lab.run("/nodes/pve1/qemu/100/status/start", &[]).await, "OK");
    let log = lab.list("/cluster/log").await;
    let of = |entry: &Value| {
        (
            entry["pri"].as_u64(),
            entry["msg"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (priority, text) = of(&log[0]);
    assert!(
        text.starts_with("end task UPID:pve1:") && text.contains("already running"),
        "{text}"
    );
    assert_eq!(priority, Some(3));
    assert_eq!(log.len(), 4);
    assert_eq!(log[0]["id"], format!("{}:pve1", log[0]["uid"]));
    assert_eq!(lab.list("/cluster/log?max=1").await.len(), 1);
    lab.use_token(crate::lab::PANEL);
    assert_eq!(
        lab.list("/cluster/log").await,
        [] as [Value; 0],
        "not the caller's own"
    );
}

#[tokio::test]
async fn no_vm_is_covered_by_a_backup_job() {
    let mut lab = lab().await;
    assert_eq!(
        lab.list("/cluster/backup-info").await,
        [json!({ "subdir": "not-backed-up" })]
    );
    let vms = lab.list("/cluster/backup-info/not-backed-up").await;
    assert!(vms.contains(&json!({ "vmid": 100, "type": "qemu", "name": "web1" })));
    lab.use_token(AUDITOR);
    let index = lab.get("/cluster/backup-info").await;
    assert_eq!(
        (index.status, index.reason.as_str()),
        (403, "Permission check failed (user != root@pam)")
    );
    assert_eq!(lab.get("/cluster/backup-info/not-backed-up").await.status, 200);
}

#[tokio::test]
async fn storages_show_their_section_and_take_some_changes() {
    let mut lab = lab().await;
    let nas = lab.get("/storage/nas").await.data();
    assert_eq!(
        (&nas["type"], &nas["shared"], &nas["content"]),
        (&json!("nfs"), &json!(1), &json!("backup,iso"))
    );
    assert_eq!(
        (&nas["prune-backups"], &nas["max-protected-backups"]),
        (&json!("keep-last=3"), &json!(2))
    );
    let only = lab.list("/storage?type=dir").await;
    assert_eq!((only.len(), &only[0]["path"]), (1, &json!("/var/lib/vz")));
    assert_eq!(only[0]["digest"], nas["digest"]);

    let form = [("content", "iso,backup,none"), ("digest", "0000")];
    let stale = lab.put("/storage/nas", &form).await;
    assert_eq!(
        stale.reason,
        "update storage failed: detected modified configuration - file changed by other user? Try again."
    );
    let mixed = lab.put("/storage/local", &[("content", "iso,none")]).await;
    assert_eq!(
        mixed.reason,
        "update storage failed: unable to combine 'none' with other content types"
    );
    let form = [
        ("content", "iso"),
        ("disable", "1"),
        ("nodes", "pve2"),
        ("delete", "prune-backups"),
    ];
    let answer = lab.put("/storage/nas", &form).await.data();
    assert_eq!(answer, json!({ "storage": "nas", "type": "nfs" }));
    let nas = lab.get("/storage/nas").await.data();
    assert_eq!(
        (&nas["content"], &nas["disable"], &nas["nodes"]),
        (&json!("iso"), &json!(1), &json!("pve2"))
    );
    assert!(nas.get("prune-backups").is_none());
    let listed = lab.list("/nodes/pve1/storage").await;
    assert!(
        listed.iter().all(|storage| storage["storage"] != "nas"),
        "it is on pve2 alone"
    );
    for (form, wanted) in [
        (
            vec![("delete", "path")],
            "unable to delete required option 'path'",
        ),
        (vec![("delete", "pool")], "no such option 'pool'"),
        (
            vec![("server", "10.0.0.9")],
            "can't change value of fixed parameter 'server'",
        ),
        (
            vec![("delete", "nodes"), ("nodes", "pve1")],
            "cannot set and delete property 'nodes' at the same time!",
        ),
    ] {
        let answer = lab.put("/storage/nas", &form).await;
        assert_eq!(answer.reason, format!("update storage failed: {wanted}"));
    }
    assert_eq!(
        lab.get("/storage/none").await.reason,
        "storage 'none' does not exist"
    );
    lab.use_token(AUDITOR);
    assert_eq!(lab.list("/storage").await.len(), 5);
    let refused = lab.get("/storage/nas").await;
    assert_eq!(
        refused.reason,
        "Permission check failed (/storage/nas, Datastore.Allocate)"
    );
    assert_eq!(lab.put("/storage/nas", &[("disable", "0")]).await.status, 403);
}

#[tokio::test]
async fn a_storage_is_made_used_and_removed_with_all_that_names_it() {
    let mut lab = lab().await;
    let form = [
        ("storage", "extra"),
        ("type", "nfs"),
        ("server", "10.0.0.60"),
        ("export", "/srv"),
        ("content", "iso,images"),
    ];
    let made = lab.post("/storage", &form).await.data();
    assert_eq!(made, json!({ "storage": "extra", "type": "nfs" }));
    let extra = lab.get("/storage/extra").await.data();
    assert_eq!(
        (&extra["path"], &extra["shared"]),
        (&json!("/mnt/pve/extra"), &json!(1))
    );
    let again = lab.post("/storage", &form).await;
    assert_eq!(
        again.reason,
        "create storage failed: storage ID 'extra' already defined"
    );
    let status = lab.get("/nodes/pve2/storage/extra/status").await.data();
    assert_eq!(
        (&status["active"], &status["content"]),
        (&json!(1), &json!("images,iso"))
    );
    lab.put("/nodes/pve1/qemu/102/config", &[("scsi3", "extra:4")])
        .await
        .data();
    lab.post("/pools", &[("poolid", "p1")]).await.data();
    lab.put("/pools/p1", &[("storage", "extra")]).await.data();
    let form = [
        ("path", "/storage/extra"),
        ("roles", "PVEAuditor"),
        ("users", "auditor@pve"),
    ];
    lab.put("/access/acl", &form).await.data();

    assert_eq!(lab.delete("/storage/extra").await.data(), Value::Null);
    assert_eq!(
        lab.get("/storage/extra").await.reason,
        "storage 'extra' does not exist"
    );
    assert_eq!(lab.get("/pools/p1").await.data()["members"], json!([]));
    let lines = lab.list("/access/acl").await;
    assert!(lines.iter().all(|line| line["path"] != "/storage/extra"));
    let start = lab.run("/nodes/pve1/qemu/102/status/start", &[]).await;
    assert_eq!(start, "storage 'extra' does not exist");
    let gone = lab.delete("/storage/extra").await;
    assert_eq!(
        gone.reason,
        "delete storage failed: storage 'extra' does not exist"
    );
    lab.use_token(AUDITOR);
    assert_eq!(lab.delete("/storage/local").await.status, 403);
}

#[tokio::test]
async fn a_storage_needs_what_its_kind_needs() {
    let lab = lab().await;
    for (form, wanted) in [
        (vec![("type", "dir")], "missing value for required option 'path'"),
        (
            vec![
                ("type", "lvmthin"),
                ("vgname", "vg"),
                ("thinpool", "t"),
                ("path", "/x"),
            ],
            "unexpected property 'path'",
        ),
        (
            vec![
                ("type", "pbs"),
                ("server", "s"),
                ("datastore", "d"),
                ("pool", "p"),
            ],
            "unexpected property 'pool'",
        ),
    ] {
        let mut form = form;
        form.push(("storage", "extra"));
        let answer = lab.post("/storage", &form).await;
        assert_eq!((answer.status, answer.reason.as_str()), (500, wanted));
    }
    let odd = lab.post("/storage", &[("storage", "1x"), ("type", "tape")]).await;
    assert_eq!(
        odd.error("storage"),
        "invalid format - storage ID '1x' contains illegal characters\n"
    );
    assert!(
        odd.error("type")
            .starts_with("value 'tape' does not have a value in the enumeration")
    );
    assert_eq!(lab.delete("/storage/local").await.data(), Value::Null);
    let local = lab.get("/storage/local").await.data();
    assert_eq!(local["content"], "images,rootdir", "it is always there");
}
