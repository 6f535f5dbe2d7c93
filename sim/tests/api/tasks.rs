//! Proves tasks: who sees which, their logs, how they are stopped.

use crate::lab::{AUDITOR, Lab};
use pve_sim::{Action, Fault, Options, Scenario};
use serde_json::Value;

const START: &str = "/nodes/pve1/qemu/102/status/start";

#[tokio::test]
async fn a_token_sees_its_own_tasks_and_not_those_of_root() {
    // Without `Sys.Audit` on the nodes.
    let text = Scenario::DEMO.replace("path = \"/nodes\"", "path = \"/nodes/none\"");
    let scenario = Scenario::from_toml(&text).unwrap();
    let mut lab = Lab::with(Options {
        scenario,
        time_scale: 100.0,
        ..Options::default()
    })
    .await;
    let mine = lab.post(START, &[]).await.data();
    assert_eq!(lab.exit_of(&mine).await, "OK");
    lab.root().await;
    let roots = lab.post("/nodes/pve1/qemu/102/status/stop", &[]).await.data();
    assert_eq!(lab.exit_of(&roots).await, "OK");
    assert_eq!(
        lab.get("/nodes/pve1/tasks")
            .await
            .data()
            .as_array()
            .unwrap()
            .len(),
        2
    );

    lab.use_token(crate::lab::PANEL);
    let answer = lab.get("/nodes/pve1/tasks").await;
    assert_eq!(answer.json["total"], 1);
    let list = answer.data();
    assert_eq!(list[0]["upid"], mine);
    assert_eq!(
        (&list[0]["user"], &list[0]["tokenid"]),
        (&"portico@pve".into(), &"panel".into())
    );
    assert_eq!(list[0]["status"], "OK");
    let answer = lab
        .get(&format!("/nodes/pve1/tasks/{}/status", roots.as_str().unwrap()))
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (/nodes/pve1, Sys.Audit)")
    );
    let tasks = lab.get("/cluster/tasks").await.data();
    assert_eq!(
        tasks,
        Value::Array(vec![]),
        "a token without Sys.Audit on / sees none at all"
    );
    lab.use_token(AUDITOR);
    assert_eq!(
        lab.get("/cluster/tasks").await.data().as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn odd_upids_are_refused_by_name() {
    let lab = Lab::new().await;
    let answer = lab.get("/nodes/pve1/tasks/nonsense/status").await;
    assert_eq!(
        (answer.status, answer.error("upid")),
        (400, "unable to parse worker upid")
    );
    let path = "/nodes/pve1/tasks/UPID:pve1:00000001:00000001:68000000:qmstart:100:portico@pve!panel:/status";
    let answer = lab.get(path).await;
    assert_eq!((answer.status, answer.error("upid")), (400, "no such task"));
}

#[tokio::test]
async fn lists_are_filtered_by_source_type_vm_and_outcome() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(START, &[]).await, "OK");
    assert_eq!(lab.run(START, &[]).await, "VM 102 already running");
    lab.control().inject(Fault::StickTasks {
        task: "qmstop".into(),
        vmid: Some(102),
        times: 1,
    });
    let stuck = lab.post("/nodes/pve1/qemu/102/status/stop", &[]).await.data();
    let count = |query: &'static str| {
        let lab = &lab;
        async move {
            lab.get(&format!("/nodes/pve1/tasks?{query}"))
                .await
                .data()
                .as_array()
                .unwrap()
                .len()
        }
    };
    assert_eq!(count("").await, 2, "finished ones by default");
    assert_eq!(count("source=active").await, 1);
    assert_eq!(count("source=all&vmid=102").await, 3);
    assert_eq!(count("source=all&vmid=100").await, 0);
    assert_eq!(count("typefilter=qmstart&errors=1").await, 1);
    assert_eq!(count("statusfilter=ok").await, 1);
    assert_eq!(count("limit=1").await, 1);
    let none = lab.get("/nodes/pve1/tasks?limit=0").await;
    assert_eq!(none.json["total"], 2);
    assert_eq!(none.data(), Value::Array(vec![]));
    assert_eq!(
        count("userfilter=PORTICO@").await,
        2,
        "it is a part of the user, in any case"
    );
    assert_eq!(count("userfilter=panel").await, 0, "not of the token");
    assert_eq!(
        count("statusfilter=ok&errors=1").await,
        1,
        "of two filters of the outcome one counts"
    );
    assert_eq!(count("source=all&statusfilter=unknown").await, 1, "one that runs");
    let active = lab.get("/nodes/pve1/tasks?source=active").await.data();
    assert_eq!(
        (&active[0]["upid"], &active[0]["status"]),
        (&stuck, &"RUNNING".into())
    );
}

#[tokio::test]
async fn a_stuck_task_is_stopped_by_its_owner_and_another_goes_on_when_released() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "qmstart".into(),
        vmid: None,
        times: 2,
    });
    let upid = lab.post(START, &[]).await.data();
    let path = format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap());
    assert_eq!(
        lab.get(&format!("{path}/status")).await.data()["status"],
        "running"
    );
    assert_eq!(lab.delete(&path).await.data(), Value::Null);
    assert_eq!(lab.exit_of(&upid).await, "interrupted by signal");
    assert_eq!(lab.control().vm(102).unwrap().status, "stopped");

    let upid = lab.post(START, &[]).await.data();
    lab.control().act(Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(
        lab.delete(&path).await.data(),
        Value::Null,
        "stopping an ended task does nothing"
    );
}

#[tokio::test]
async fn logs_are_paged_and_end_with_the_outcome() {
    let lab = Lab::new().await;
    let upid = lab
        .post("/nodes/pve1/qemu/101/snapshot", &[("snapname", "two-disks")])
        .await
        .data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let path = format!("/nodes/pve1/tasks/{}/log", upid.as_str().unwrap());
    let answer = lab.get(&path).await;
    assert_eq!(answer.json["total"], 3);
    let lines = answer.data();
    assert_eq!(
        lines[0],
        serde_json::json!({ "n": 1, "t": "snapshotting 'drive-scsi0' (local-lvm:vm-101-disk-0)" })
    );
    assert_eq!(lines[2]["t"], "TASK OK");
    let page = lab.get(&format!("{path}?start=1&limit=1")).await.data();
    assert_eq!((page.as_array().unwrap().len(), &page[0]["n"]), (1, &2.into()));
}

#[tokio::test]
async fn warnings_stay_when_only_errors_are_wanted() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::WarnTasks {
        task: "qmstart".into(),
        vmid: None,
        text: "careful".into(),
        times: 1,
    });
    assert_eq!(lab.run(START, &[]).await, "WARNINGS: 1");
    let list = lab.list("/nodes/pve1/tasks?errors=1").await;
    assert_eq!((list.len(), &list[0]["status"]), (1, &"WARNINGS: 1".into()));
}

#[tokio::test]
async fn a_killed_task_leaves_its_lock_and_no_last_line() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::KillTasks {
        task: "qmsnapshot".into(),
        vmid: Some(101),
        times: 1,
    });
    let path = "/nodes/pve1/qemu/101/snapshot";
    let upid = lab.post(path, &[("snapname", "half")]).await.data();
    assert_eq!(lab.exit_of(&upid).await, "unexpected status");
    let log = lab.log_of(&upid).await;
    assert!(log.iter().all(|line| !line.starts_with("TASK")), "{log:?}");
    assert_eq!(
        lab.control().vm(101).unwrap().lock.as_deref(),
        Some("snapshot"),
        "nobody was left to remove it"
    );
    let snapshots = lab.snapshots("pve1", 101).await;
    assert_eq!(snapshots["half"]["snapstate"], "prepare");
    let list = lab.list("/nodes/pve1/tasks?statusfilter=unknown").await;
    assert_eq!(list[0]["upid"], upid);
    // The configuration file is free again, as it is when a process ends.
    let exit = lab.run(path, &[("snapname", "next")]).await;
    assert_eq!(exit, "VM is locked (snapshot)");
}

#[tokio::test]
async fn the_log_of_a_forgotten_task_is_a_file_that_is_not_there() {
    let lab = Lab::new().await;
    let upid = "UPID:pve1:00000001:00000001:68000000:qmstart:100:portico@pve!panel:";
    let answer = lab.get(&format!("/nodes/pve1/tasks/{upid}/log")).await;
    assert_eq!(answer.json["total"], 1);
    let line = "unable to open file - No such file or directory";
    assert_eq!(answer.data(), serde_json::json!([{ "n": 1, "t": line }]));
}

#[tokio::test]
async fn a_task_that_minds_no_signal_is_killed_for_it_after_a_while() {
    let lab = Lab::with(Options {
        // Five seconds are a quarter of one.
        time_scale: 20.0,
        ..Options::default()
    })
    .await;
    lab.control().inject(Fault::DeafTasks {
        task: "qmsnapshot".into(),
        vmid: None,
        times: 1,
    });
    let path = "/nodes/pve1/qemu/101/snapshot";
    let upid = lab.post(path, &[("snapname", "half")]).await.data();
    lab.until("it holds the VM", |control| {
        control.vm(101).unwrap().lock.is_some()
    })
    .await;
    let task = format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap());
    let began = std::time::Instant::now();
    assert_eq!(lab.delete(&task).await.status, 200);
    assert_eq!(lab.exit_of(&upid).await, "unexpected status");
    assert!(began.elapsed().as_millis() >= 250, "{:?}", began.elapsed());
    assert_eq!(lab.control().vm(101).unwrap().lock.as_deref(), Some("snapshot"));
}
