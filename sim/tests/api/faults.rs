//! Proves the injected faults, the counters, and the control API over HTTP.

use std::time::{Duration, Instant};

use crate::lab::{Lab, PANEL};
use pve_sim::{Action, Effect, Fault, Moment, Options};
use reqwest::Method;
use serde_json::{Value, json};

const SNAPSHOT: &str = "/nodes/{node}/qemu/{vmid}/snapshot";

fn cut(moment: Moment) -> Fault {
    Fault::Cut {
        method: Some("POST".into()),
        path: Some(SNAPSHOT.into()),
        vmid: Some(100),
        moment,
        times: 1,
    }
}

#[tokio::test]
async fn a_connection_cut_before_the_effect_does_nothing_and_one_cut_after_it_does() {
    let lab = Lab::new().await;
    let send = || {
        let form = [("snapname", "cut")];
        lab.request(Method::POST, "/nodes/pve1/qemu/100/snapshot")
            .form(&form)
            .send()
    };
    lab.control().inject(cut(Moment::BeforeEffect));
    assert!(send().await.is_err());
    assert_eq!(lab.control().effect_count(Effect::TaskStarted, 100, None), 0);
    lab.control().inject(cut(Moment::AfterEffect));
    assert!(send().await.is_err());
    lab.until("the snapshot exists", |c| {
        c.effect_count(Effect::SnapshotCreated, 100, Some("cut")) == 1
    })
    .await;
    assert!(lab.control().faults().is_empty());
    let log = lab.control().request_log(10);
    assert!(
        log.iter()
            .filter(|r| r.method == "POST")
            .all(|r| r.status.is_none())
    );
}

#[tokio::test]
async fn an_offline_node_is_595_and_its_vms_are_unknown() {
    let lab = Lab::new().await;
    lab.control().set_node_online("pve2", false).unwrap();
    let answer = lab.get("/nodes/pve2/qemu/103/status/current").await;
    assert_eq!(
        (answer.status, answer.reason.as_str(), answer.text.as_str()),
        (595, "No route to host", "")
    );
    assert_eq!(lab.get("/nodes/pve1/qemu/100/status/current").await.status, 200);
    let list = lab.get("/cluster/resources").await.data();
    let find = |id: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|e| e["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(
        find("qemu/103"),
        json!({ "id": "qemu/103", "type": "qemu", "vmid": 103, "node": "pve2", "status": "unknown" })
    );
    assert_eq!(find("node/pve2")["status"], "offline");
    assert_eq!(find("qemu/100")["name"], "web1");
    lab.control().set_node_online("pve2", true).unwrap();
    assert_eq!(lab.get("/nodes/pve2/qemu/103/status/current").await.status, 200);
}

#[tokio::test]
async fn a_pseudo_status_hits_only_its_node_and_as_often_as_it_says() {
    let lab = Lab::new().await;
    let node = Some("pve2".to_owned());
    let times = Some(2);
    lab.control().inject(Fault::Status {
        node,
        method: None,
        path: None,
        status: 596,
        reason: None,
        moment: Moment::BeforeEffect,
        times,
    });
    assert_eq!(lab.get("/nodes/pve1/qemu").await.status, 200);
    for _ in 0..2 {
        let answer = lab.get("/nodes/pve2/qemu").await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (596, "Connection timed out")
        );
    }
    assert_eq!(lab.get("/nodes/pve2/qemu").await.status, 200);
}

#[tokio::test]
async fn a_596_after_the_effect_has_one_and_hides_no_refusal_of_the_first_node() {
    let mut lab = Lab::new().await;
    let start = "/nodes/pve1/qemu/102/status/start";
    lab.control().inject(Fault::Status {
        node: Some("pve1".to_owned()),
        method: Some("POST".to_owned()),
        path: None,
        status: 596,
        reason: None,
        moment: Moment::AfterEffect,
        times: Some(1),
    });
    lab.use_token(crate::lab::AUDITOR);
    assert_eq!(
        lab.post(start, &[]).await.status,
        403,
        "who may not is told by the node that was asked"
    );
    lab.use_token(PANEL);
    let answer = lab.post(start, &[]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str(), answer.text.as_str()),
        (596, "Connection timed out", "")
    );
    lab.until("the VM runs all the same", |control| {
        control.vm(102).is_some_and(|vm| vm.status == "running")
    })
    .await;
    assert_eq!(lab.run(start, &[]).await, "VM 102 already running");
}

#[tokio::test]
async fn latency_delays_matching_requests_in_real_time() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::Latency {
        milliseconds: 120,
        path: Some("/version".into()),
    });
    let began = Instant::now();
    assert_eq!(lab.get("/version").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(120));
    lab.control().clear_faults();
    assert!(lab.control().faults().is_empty());
}

#[tokio::test]
async fn a_revoked_token_is_refused_until_it_is_restored() {
    let lab = Lab::new().await;
    let token = "portico@pve!panel";
    lab.control().set_token_revoked(token, true).unwrap();
    assert_eq!(lab.get("/version").await.reason, "Authentication failed!");
    lab.control().set_token_revoked(token, false).unwrap();
    assert_eq!(lab.get("/version").await.status, 200);
    assert!(lab.control().set_token_revoked("no@pve!t", true).is_err());
}

#[tokio::test]
async fn an_api_that_is_down_drops_connections_and_comes_back_on_the_same_port() {
    let lab = Lab::new().await;
    assert_eq!(lab.get("/version").await.status, 200);
    lab.control().set_api_down(true);
    assert!(lab.request(Method::GET, "/version").send().await.is_err());
    lab.control().set_api_down(false);
    assert_eq!(lab.get("/version").await.status, 200);
}

#[tokio::test]
async fn a_held_file_lock_times_out_writers() {
    let lab = Lab::new().await;
    lab.control()
        .act(Action::HoldFlock {
            vmid: 102,
            held: true,
        })
        .unwrap();
    let text = "can't lock file '/var/lock/qemu-server/lock-102.conf' - got timeout";
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, text);
    assert_eq!(
        lab.put("/nodes/pve1/qemu/102/config", &[("cores", "2")])
            .await
            .reason,
        text
    );
    lab.control()
        .act(Action::HoldFlock {
            vmid: 102,
            held: false,
        })
        .unwrap();
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, "OK");
}

#[tokio::test]
async fn a_vm_can_move_and_vanish() {
    let lab = Lab::new().await;
    lab.control()
        .act(Action::MoveVm {
            vmid: 100,
            node: "pve2".into(),
        })
        .unwrap();
    let answer = lab.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(
        answer.reason,
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    );
    assert_eq!(lab.config("pve2", 100).await["name"], "web1");
    lab.control().act(Action::RemoveVm { vmid: 100 }).unwrap();
    assert_eq!(lab.get("/nodes/pve2/qemu/100/config").await.status, 500);
    let list = lab.get("/cluster/resources?type=vm").await.data();
    assert!(list.as_array().unwrap().iter().all(|e| e["vmid"] != 100));
    assert_eq!(lab.get("/cluster/nextid").await.data(), "100");
    let answer = lab.get("/cluster/nextid?vmid=101").await;
    assert_eq!(
        (answer.status, answer.error("vmid")),
        (400, "VM 101 already exists")
    );
}

#[tokio::test]
async fn requests_are_counted_by_endpoint_and_logged_without_secrets() {
    let lab = Lab::new().await;
    for _ in 0..3 {
        lab.get("/nodes/pve1/qemu/100/status/current").await;
    }
    lab.get("/no/such").await;
    let control = lab.control();
    assert_eq!(
        control.requests_to("GET", "/nodes/{node}/qemu/{vmid}/status/current"),
        3
    );
    assert_eq!(control.requests_to("GET", "-"), 1);
    assert_eq!(control.request_count(), 4);
    let log = control.request_log(1);
    assert_eq!(
        (log[0].status, log[0].user.as_deref()),
        (Some(501), Some("portico@pve!panel"))
    );
    assert!(!format!("{:?}", control.request_log(10)).contains("7f0a3c52"));
    control.reset_counters();
    assert_eq!(control.request_count(), 0);
}

#[tokio::test]
async fn the_control_api_does_the_same_over_http() {
    let control = Some("127.0.0.1:0".parse().unwrap());
    let lab = Lab::with(Options {
        control,
        time_scale: 100.0,
        ..Options::default()
    })
    .await;
    let base = format!("http://{}", lab.handle.control_addr().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| {
        let request = client.get(format!("{base}{path}"));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let post = |path: &str, body: Value| {
        let request = client.post(format!("{base}{path}")).json(&body);
        async move { request.send().await.unwrap() }
    };
    let fault = json!({ "fault": "fail-tasks", "task": "qmstart", "text": "no luck" });
    assert_eq!(post("/faults", fault).await.status(), 200);
    assert_eq!(get("/faults").await[0]["times"], 1);
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, "no luck");
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, "OK");
    let effects = get("/effects").await;
    assert!(
        effects
            .as_array()
            .unwrap()
            .contains(&json!({ "effect": "started", "vmid": 102, "name": null, "count": 1 }))
    );
    assert_eq!(get("/vms/102").await["status"], "running");
    assert!(get("/requests").await["total"].as_u64().unwrap() >= 4);
    assert_eq!(get("/requests/log?last=2").await.as_array().unwrap().len(), 2);
    assert_eq!(get("/tasks").await[0]["exit"], "no luck");
    let action = json!({ "action": "set-lock", "vmid": 102, "lock": "backup" });
    assert_eq!(post("/actions", action).await.status(), 200);
    assert_eq!(get("/vms/102").await["lock"], "backup");

    let wrong = post("/faults", json!({ "fault": "lightning" })).await;
    assert_eq!(wrong.status(), 400);
    assert!(
        wrong
            .text()
            .await
            .unwrap()
            .contains("unknown variant `lightning`")
    );
    assert_eq!(
        post("/actions", json!({ "action": "remove-vm", "vmid": 555 }))
            .await
            .status(),
        404
    );
    assert_eq!(
        get("/nothing").await["error"],
        "there is no `GET /nothing`; see sim/README.md"
    );
    let page = client
        .delete(format!("{base}/faults"))
        .header("origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 403);
}

#[tokio::test]
async fn a_certificate_is_kept_in_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let first = Lab::with(options()).await;
    let fingerprint = first.handle.fingerprint().to_owned();
    assert_eq!(fingerprint.len(), 95);
    first.handle.shutdown().await;
    let mut second = Lab::with(options()).await;
    assert_eq!(second.handle.fingerprint(), fingerprint);
    second.use_token(PANEL);
    assert_eq!(second.get("/version").await.data()["release"], "9.1");
}

#[tokio::test]
async fn a_new_certificate_is_served_at_once_and_the_old_one_is_trusted_in_vain() {
    let lab = Lab::new().await;
    assert_eq!(lab.get("/version").await.status, 200);
    let before = lab.control().fingerprint();
    assert_eq!(before, lab.handle.fingerprint());
    lab.control().act(Action::RenewCertificate).unwrap();
    assert_ne!(lab.control().fingerprint(), before);
    let request = lab.request(Method::GET, "/version");
    assert!(
        request.send().await.is_err(),
        "the client trusts the old one only"
    );
    let certificate = reqwest::Certificate::from_pem(lab.control().certificate_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/api2/json/version", lab.handle.url());
    let answer = client
        .get(url)
        .header("authorization", PANEL)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_task_fails_at_the_percent_that_was_asked_for() {
    let lab = Lab::with(Options {
        time_scale: 2.0,
        ..Options::default()
    })
    .await;
    let mut took = Vec::new();
    for percent in [0, 100] {
        lab.control().clear_faults();
        lab.control().inject(Fault::StrikeTasksAt {
            task: "qmsnapshot".into(),
            percent,
        });
        lab.control().inject(Fault::FailTasks {
            task: "qmsnapshot".into(),
            vmid: None,
            text: "no space".into(),
            times: 1,
        });
        let began = Instant::now();
        let exit = lab
            .run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "late")])
            .await;
        assert_eq!(exit, "no space");
        took.push(began.elapsed());
    }
    // Four seconds of work at scale two.
    let work = Duration::from_secs(2);
    assert!(took[0] < work && took[1] >= work, "{took:?}");
}

/// What makes or grows a disk of a stopped VM, in a task, and how PVE says so of a full thin pool.
const NO_ROOM: &str =
    "Cannot create new thin volume, free space in thin pool local-lvm/local-lvm reached threshold.";

#[tokio::test]
async fn a_full_storage_fails_clones_new_disks_and_snapshots_and_leaves_nothing_behind() {
    let lab = Lab::new().await;
    let storage = || "local-lvm".to_owned();
    let content = "/nodes/pve1/storage/local-lvm/content";
    let before = lab.get(content).await.data();
    let config = lab.control().vm(102).unwrap().config;
    lab.control().inject(Fault::StorageFull { storage: storage() });
    for (path, form) in [
        ("/nodes/pve1/qemu/9000/clone", [("newid", "200")]),
        ("/nodes/pve1/qemu/102/config", [("scsi5", "local-lvm:4")]),
        (
            "/nodes/pve1/qemu/102/config",
            [("scsi5", "local-lvm:0,import-from=local-lvm:base-9000-disk-0")],
        ),
        ("/nodes/pve1/qemu/102/snapshot", [("snapname", "first")]),
    ] {
        let exit = lab.run(path, &form).await;
        assert!(exit.ends_with(NO_ROOM), "{path}: {exit}");
    }
    let with_memory = [("snapname", "first"), ("vmstate", "1")];
    let exit = lab.run("/nodes/pve1/qemu/100/snapshot", &with_memory).await;
    assert!(
        exit.starts_with("lvcreate 'local-lvm/vm-100-state-first' error:") && exit.ends_with(NO_ROOM),
        "{exit}"
    );
    assert!(lab.control().vm(200).is_none());
    assert_eq!(lab.control().vm(102).unwrap().config, config);
    assert_eq!(lab.control().vm(100).unwrap().lock, None);
    lab.control().clear_faults();
    assert_eq!(lab.get(content).await.data(), before);
}

#[tokio::test]
async fn a_held_lock_of_a_storage_strikes_what_makes_or_resizes_volumes_there() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::HoldCfsLock {
        lock: "storage-local-lvm".to_owned(),
        text: None,
        times: None,
    });
    let refusal = "can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout";
    let disk = [("scsi5", "local-lvm:4")];
    let answer = lab.put("/nodes/pve1/qemu/102/config", &disk).await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, refusal));
    assert_eq!(lab.run("/nodes/pve1/qemu/102/config", &disk).await, refusal);
    let memory = [("snapname", "first"), ("vmstate", "1")];
    assert_eq!(lab.run("/nodes/pve1/qemu/100/snapshot", &memory).await, refusal);
    let size = [("disk", "scsi0"), ("size", "+1G")];
    let upid = lab.put("/nodes/pve1/qemu/102/resize", &size).await.data();
    assert_eq!(lab.exit_of(&upid).await, refusal);
    // A snapshot without memory makes no volume by the storage's lock.
    let plain = [("snapname", "first")];
    assert_eq!(lab.run("/nodes/pve1/qemu/100/snapshot", &plain).await, "OK");
}

/// Seconds of patience at scale two: half of what PVE waits.
#[tokio::test]
async fn clones_of_running_vms_and_restores_wait_less_for_the_file_lock() {
    let lab = Lab::with(Options {
        time_scale: 2.0,
        ..Options::default()
    })
    .await;
    lab.act(Action::HoldFlock {
        vmid: 101,
        held: true,
    });
    let text = "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout";
    let began = Instant::now();
    let exit = lab
        .run("/nodes/pve1/qemu/101/clone", &[("newid", "200"), ("full", "1")])
        .await;
    assert_eq!(exit, text);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let form = [
        ("vmid", "101"),
        ("archive", "backups:backup/vm/100/2026-08-20T03:00:01Z"),
        ("force", "1"),
    ];
    let began = Instant::now();
    let answer = lab.post("/nodes/pve1/qemu", &form).await;
    assert_eq!(
        (answer.status, answer.reason),
        (500, format!("unable to restore VM 101 - {text}"))
    );
    let waited = began.elapsed().as_secs_f64();
    assert!((2.4..4.5).contains(&waited), "{waited}");
    let answer = lab.post("/nodes/pve1/qemu", &[("vmid", "101")]).await;
    assert_eq!(answer.reason, format!("unable to create VM 101 - {text}"));
}
