//! Proves the life of snapshots: creation, rollback that restores the configuration, removal, refusals.

use crate::lab::Lab;
use pve_sim::{Action, Effect, Fault};

const PATH: &str = "/nodes/pve1/qemu/100/snapshot";

#[tokio::test]
async fn a_snapshot_is_prepared_under_a_lock_and_then_becomes_the_parent() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "qmsnapshot".into(),
        vmid: None,
        times: 1,
    });
    let form = [("snapname", "first"), ("description", "mine"), ("vmstate", "0")];
    let upid = lab.post(PATH, &form).await.data();
    lab.until("locked", |c| {
        c.vm(100).unwrap().lock.as_deref() == Some("snapshot")
    })
    .await;

    assert_eq!(lab.snapshots("pve1", 100).await["first"]["snapstate"], "prepare");
    assert_eq!(
        lab.get("/nodes/pve1/qemu/100/status/current").await.data()["lock"],
        "snapshot"
    );
    assert_eq!(lab.config("pve1", 100).await["lock"], "snapshot");
    let resources = lab.get("/cluster/resources?type=vm").await.data();
    let entry = resources
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["vmid"] == 100)
        .unwrap()
        .clone();
    assert_eq!(entry["lock"], "snapshot");
    let refused = lab.put("/nodes/pve1/qemu/100/config", &[("onboot", "0")]).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (500, "VM is locked (snapshot)")
    );
    assert_eq!(
        lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await,
        "VM is locked (snapshot)"
    );
    assert_eq!(
        lab.run(PATH, &[("snapname", "second")]).await,
        "VM is locked (snapshot)"
    );

    lab.control().act(pve_sim::Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let snapshots = lab.snapshots("pve1", 100).await;
    assert_eq!(snapshots["first"]["description"], "mine");
    assert_eq!(snapshots["first"]["parent"], "before-upgrade");
    assert_eq!(snapshots["first"]["vmstate"], 0);
    assert!(snapshots["first"]["snapstate"].is_null());
    assert_eq!(snapshots["current"]["parent"], "first");
    assert_eq!(snapshots["current"]["description"], "You are here!");
    assert!(lab.control().vm(100).unwrap().lock.is_none());
    assert_eq!(
        lab.control()
            .effect_count(Effect::SnapshotCreated, 100, Some("first")),
        1
    );
    assert_eq!(
        lab.control()
            .effect_count(Effect::SnapshotCreated, 100, Some("second")),
        0
    );
    assert_eq!(
        lab.control()
            .effect_count(Effect::TaskStarted, 100, Some("qmsnapshot")),
        2
    );
}

#[tokio::test]
async fn names_that_are_taken_or_reserved_are_refused() {
    let lab = Lab::new().await;
    let answer = lab.post(PATH, &[("snapname", "current")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "unable to use snapshot name 'current' (reserved name)")
    );
    assert_eq!(lab.post(PATH, &[("snapname", "PENDING")]).await.status, 500);
    let exit = lab.run(PATH, &[("snapname", "before-upgrade")]).await;
    assert_eq!(exit, "snapshot name 'before-upgrade' already used");
    assert!(lab.control().vm(100).unwrap().lock.is_none());
}

#[tokio::test]
async fn rollback_restores_the_configuration_and_stops_the_vm() {
    let lab = Lab::new().await;
    let form = [
        ("cores", "4"),
        ("description", "changed"),
        ("net0", "virtio=BC:24:11:10:00:01,bridge=vmbr0,rate=99"),
    ];
    assert_eq!(lab.put("/nodes/pve1/qemu/100/config", &form).await.status, 200);
    assert_eq!(
        lab.run(&format!("{PATH}/before-upgrade/rollback"), &[]).await,
        "OK"
    );

    let config = lab.config("pve1", 100).await;
    assert_eq!((&config["cores"], &config["memory"]), (&1.into(), &"2048".into()));
    assert_eq!(
        config["net0"],
        "virtio=BC:24:11:10:00:01,bridge=vmbr0,firewall=1,rate=12.5,tag=20"
    );
    assert_eq!(config["description"], "changed", "the description is kept");
    assert_eq!(config["parent"], "before-upgrade");
    assert!(config["lock"].is_null() && config["snaptime"].is_null());
    let pending = lab.get("/nodes/pve1/qemu/100/pending").await.data();
    assert!(
        pending
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["pending"].is_null()),
        "pending changes are gone"
    );
    assert_eq!(
        lab.get("/nodes/pve1/qemu/100/status/current").await.data()["status"],
        "stopped"
    );
    assert_eq!(
        lab.control()
            .effect_count(Effect::SnapshotRolledBack, 100, Some("before-upgrade")),
        1
    );
    assert_eq!(lab.control().effect_count(Effect::Stopped, 100, None), 1);
}

#[tokio::test]
async fn rollback_with_start_starts_the_vm_in_a_task_of_its_own() {
    let lab = Lab::new().await;
    assert_eq!(
        lab.run(&format!("{PATH}/before-upgrade/rollback"), &[("start", "1")])
            .await,
        "OK"
    );
    lab.until("running again", |c| {
        c.effect_count(Effect::Started, 100, None) == 1
    })
    .await;
    let start = lab
        .control()
        .tasks()
        .into_iter()
        .find(|task| task.kind == "qmstart")
        .unwrap();
    assert_eq!(start.user, "portico@pve!panel");
}

#[tokio::test]
async fn a_snapshot_with_memory_brings_the_vm_back_running() {
    let lab = Lab::new().await;
    assert_eq!(
        lab.run(PATH, &[("snapname", "ram"), ("vmstate", "1")]).await,
        "OK"
    );
    assert_eq!(lab.snapshots("pve1", 100).await["ram"]["vmstate"], 1);
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await, "OK");
    assert_eq!(lab.run(&format!("{PATH}/ram/rollback"), &[]).await, "OK");
    assert_eq!(lab.control().vm(100).unwrap().status, "running");
}

#[tokio::test]
async fn memory_is_not_saved_of_a_stopped_vm() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/snapshot";
    assert_eq!(
        lab.run(path, &[("snapname", "cold"), ("vmstate", "1")]).await,
        "OK"
    );
    assert_eq!(lab.snapshots("pve1", 102).await["cold"]["vmstate"], 0);
}

#[tokio::test]
async fn removing_a_snapshot_hands_its_children_to_its_parent() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(PATH, &[("snapname", "middle")]).await, "OK");
    assert_eq!(lab.run(PATH, &[("snapname", "last")]).await, "OK");
    let upid = lab.delete(&format!("{PATH}/middle")).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let snapshots = lab.snapshots("pve1", 100).await;
    assert!(!snapshots.contains_key("middle"));
    assert_eq!(snapshots["last"]["parent"], "before-upgrade");
    assert_eq!(snapshots["current"]["parent"], "last");
    let upid = lab.delete(&format!("{PATH}/middle")).await.data();
    assert_eq!(lab.exit_of(&upid).await, "snapshot 'middle' does not exist");
    assert_eq!(
        lab.control()
            .effect_count(Effect::SnapshotRemoved, 100, Some("middle")),
        1
    );
}

#[tokio::test]
async fn a_storage_without_snapshots_says_so_before_and_in_the_task() {
    let lab = Lab::new().await;
    let feature = lab
        .get("/nodes/pve1/qemu/105/feature?feature=snapshot")
        .await
        .data();
    assert_eq!(feature["hasFeature"], 0);
    assert_eq!(
        lab.get("/nodes/pve1/qemu/100/feature?feature=snapshot")
            .await
            .data()["hasFeature"],
        1
    );
    let exit = lab
        .run("/nodes/pve1/qemu/105/snapshot", &[("snapname", "no")])
        .await;
    assert_eq!(exit, "snapshot feature is not available");
    let exit = lab
        .run("/nodes/pve1/qemu/9000/snapshot", &[("snapname", "no")])
        .await;
    assert_eq!(exit, "you can't take a snapshot if it's a template");
}

#[tokio::test]
async fn zfs_rolls_back_only_to_the_newest_snapshot() {
    let lab = Lab::new().await;
    let path = "/nodes/pve2/qemu/106/snapshot";
    let exit = lab.run(&format!("{path}/monday/rollback"), &[]).await;
    assert_eq!(
        exit,
        "can't rollback, 'monday' is not most recent snapshot on 'local-zfs:vm-106-disk-0'"
    );
    assert_eq!(
        lab.control().vm(106).unwrap().status,
        "running",
        "nothing was stopped"
    );
    assert_eq!(lab.run(&format!("{path}/tuesday/rollback"), &[]).await, "OK");
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind() {
    let lab = Lab::new().await;
    let text = "lvcreate snapshot error: no space";
    lab.control().inject(Fault::FailTasks {
        task: "qmsnapshot".into(),
        vmid: None,
        text: text.into(),
        times: 1,
    });
    let upid = lab.post(PATH, &[("snapname", "broken")]).await.data();
    assert_eq!(lab.exit_of(&upid).await, text);
    let vm = lab.control().vm(100).unwrap();
    assert!(vm.lock.is_none() && !vm.snapshots.contains_key("broken"));
    let log = lab
        .get(&format!(
            "/nodes/pve1/tasks/{}/log?limit=0",
            upid.as_str().unwrap()
        ))
        .await
        .data();
    let lines = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["t"].as_str().unwrap())
        .collect::<Vec<_>>();
    assert!(
        lines.contains(&"snapshot create failed: starting cleanup"),
        "{lines:?}"
    );
    assert_eq!(*lines.last().unwrap(), format!("TASK ERROR: {text}"));
    assert_eq!(
        lab.run(PATH, &[("snapname", "broken")]).await,
        "OK",
        "the fault is used up"
    );
}

#[tokio::test]
async fn a_removal_that_breaks_leaves_its_lock_until_an_administrator_clears_it() {
    let lab = Lab::new().await;
    let task = "qmdelsnapshot".to_owned();
    lab.control().inject(Fault::FailTasks {
        task,
        vmid: None,
        text: "no".into(),
        times: 1,
    });
    let path = format!("{PATH}/before-upgrade?force=1");
    let upid = lab.delete(&path).await.data();
    assert_eq!(lab.exit_of(&upid).await, "no");
    assert_eq!(
        lab.snapshots("pve1", 100).await["before-upgrade"]["snapstate"],
        "delete"
    );
    let upid = lab.delete(&path).await.data();
    assert_eq!(lab.exit_of(&upid).await, "VM is locked (snapshot-delete)");
    lab.control().set_lock(100, None).unwrap();
    let upid = lab.delete(&path).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
}

#[tokio::test]
async fn a_description_can_be_changed_and_read_back() {
    let lab = Lab::new().await;
    let path = format!("{PATH}/before-upgrade/config");
    assert_eq!(
        lab.put(&path, &[("description", "new words")]).await.data(),
        serde_json::Value::Null
    );
    let config = lab.get(&path).await.data();
    assert_eq!(
        (&config["description"], &config["cores"]),
        (&"new words".into(), &1.into())
    );
    assert_eq!(
        lab.get(&format!("{PATH}/nothing/config")).await.reason,
        "snapshot 'nothing' does not exist"
    );
}

#[tokio::test]
async fn memory_cannot_be_saved_while_devices_of_the_host_are_passed_through() {
    let mut lab = Lab::new().await;
    lab.root().await;
    let config = "/nodes/pve1/qemu/100/config";
    let form = [("hostpci0", "0000:01:00.0"), ("virtiofs1", "share")];
    lab.put(config, &form).await.data();
    lab.act(Action::SetRunning {
        vmid: 100,
        running: false,
    });
    lab.act(Action::SetRunning {
        vmid: 100,
        running: true,
    });
    let answer = lab.post(PATH, &[("snapname", "mem"), ("vmstate", "1")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            500,
            "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: hostpci0, virtiofs1"
        )
    );
    assert_eq!(lab.run(PATH, &[("snapname", "mem")]).await, "OK");
}

#[tokio::test]
async fn nobody_goes_back_to_a_snapshot_that_is_not_complete() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "qmsnapshot".into(),
        vmid: Some(100),
        times: 1,
    });
    let upid = lab.post(PATH, &[("snapname", "half")]).await.data();
    lab.until("the snapshot is begun", |c| {
        c.vm(100).unwrap().snapshots.contains_key("half")
    })
    .await;
    assert_eq!(
        lab.run(&format!("{PATH}/half/rollback"), &[]).await,
        "unable to rollback to incomplete snapshot (snapstate = prepare)"
    );
    lab.act(Action::ReleaseStuckTasks);
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.run(&format!("{PATH}/half/rollback"), &[]).await, "OK");
}
