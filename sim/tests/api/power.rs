//! Proves starting, stopping and the metrics of running VMs.

use crate::lab::Lab;
use pve_sim::{Action, Effect, Options};

fn action(vmid: u32, what: &str) -> String {
    let node = if [103, 104, 106].contains(&vmid) {
        "pve2"
    } else {
        "pve1"
    };
    format!("/nodes/{node}/qemu/{vmid}/status/{what}")
}

#[tokio::test]
async fn what_fails_at_once_and_what_fails_in_the_task() {
    let lab = Lab::new().await;
    for what in ["reset", "reboot", "suspend", "resume"] {
        let answer = lab.post(&action(102, what), &[]).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, "VM 102 not running"),
            "{what}"
        );
    }
    let answer = lab.post(&action(103, "shutdown"), &[]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "VM is paused - cannot shutdown")
    );
    assert_eq!(
        lab.run(&action(100, "start"), &[]).await,
        "VM 100 already running"
    );
    assert_eq!(
        lab.run(&action(9000, "start"), &[]).await,
        "you can't start a vm if it's a template"
    );
    assert_eq!(
        lab.run(&action(102, "stop"), &[]).await,
        "OK",
        "stopping a stopped VM is fine"
    );
    let missing = lab.run("/nodes/pve1/qemu/777/status/start", &[]).await;
    assert_eq!(
        missing,
        "Configuration file 'nodes/pve1/qemu-server/777.conf' does not exist"
    );
    let elsewhere = lab.get("/nodes/pve2/qemu/100/status/current").await;
    assert_eq!(
        elsewhere.reason,
        "Configuration file 'nodes/pve2/qemu-server/100.conf' does not exist"
    );
    assert_eq!(
        lab.control()
            .effects()
            .iter()
            .filter(|e| e.effect != Effect::TaskStarted)
            .count(),
        0
    );
}

#[tokio::test]
async fn a_vm_starts_stops_and_shuts_down() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(&action(102, "start"), &[]).await, "OK");
    let status = lab.get(&action(102, "current")).await.data();
    assert_eq!(
        (&status["status"], &status["qmpstatus"]),
        (&"running".into(), &"running".into())
    );
    assert!(status["pid"].is_number() && status["uptime"].as_u64().unwrap() < 3600);
    assert_eq!(lab.run(&action(102, "shutdown"), &[]).await, "OK");
    let status = lab.get(&action(102, "current")).await.data();
    assert_eq!(
        (&status["status"], &status["uptime"], &status["mem"]),
        (&"stopped".into(), &0.into(), &0.into())
    );
    assert!(status["pid"].is_null() && status["diskread"].is_null());
    let control = lab.control();
    assert_eq!(control.effect_count(Effect::Started, 102, None), 1);
    assert_eq!(control.effect_count(Effect::ShutDown, 102, None), 1);
}

#[tokio::test]
async fn a_guest_that_ignores_the_button_times_out_or_is_forced() {
    let lab = Lab::new().await;
    let exit = lab.run(&action(104, "shutdown"), &[("timeout", "20")]).await;
    assert_eq!(exit, "VM quit/powerdown failed - got timeout");
    assert_eq!(lab.control().vm(104).unwrap().status, "running");
    assert_eq!(
        lab.run(&action(104, "shutdown"), &[("timeout", "5"), ("forceStop", "1")])
            .await,
        "OK"
    );
    assert_eq!(lab.control().effect_count(Effect::Stopped, 104, None), 1);
    assert_eq!(lab.control().effect_count(Effect::ShutDown, 104, None), 0);
}

#[tokio::test]
async fn a_waiting_shutdown_holds_the_file_lock_and_can_be_overruled() {
    let lab = Lab::new().await;
    let shutdown = lab
        .post(&action(104, "shutdown"), &[("timeout", "1000")])
        .await
        .data();
    let answer = lab.put("/nodes/pve2/qemu/104/config", &[("onboot", "1")]).await;
    let text = "can't lock file '/var/lock/qemu-server/lock-104.conf' - got timeout";
    assert_eq!((answer.status, answer.reason.as_str()), (500, text));
    assert_eq!(lab.run(&action(104, "stop"), &[]).await, text);
    assert_eq!(
        lab.run(&action(104, "stop"), &[("overrule-shutdown", "1")]).await,
        "OK"
    );
    assert_eq!(lab.exit_of(&shutdown).await, "interrupted by signal");
}

#[tokio::test]
async fn a_reboot_is_a_shutdown_and_then_a_start_by_root() {
    let lab = Lab::new().await;
    assert_eq!(
        lab.put("/nodes/pve1/qemu/100/config", &[("cores", "4")])
            .await
            .status,
        200
    );
    let before = lab.control().vm(100).unwrap();
    assert_eq!(
        (before.config["cores"].as_str(), before.pending["cores"].as_str()),
        ("2", "4")
    );
    assert_eq!(lab.run(&action(100, "reboot"), &[]).await, "OK");
    lab.until("started again", |c| {
        c.effect_count(Effect::Started, 100, None) == 1
    })
    .await;
    let after = lab.control().vm(100).unwrap();
    assert_eq!(after.config["cores"], "4", "pending changes were applied");
    assert!(after.uptime < 3600 && after.pending.is_empty());
    let start = lab
        .control()
        .tasks()
        .into_iter()
        .find(|task| task.kind == "qmstart")
        .unwrap();
    assert_eq!(start.user, "root@pam");
}

#[tokio::test]
async fn reset_keeps_the_uptime_and_pause_stops_the_processors() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(&action(100, "reset"), &[]).await, "OK");
    assert!(lab.control().vm(100).unwrap().uptime > 1_000_000);
    assert_eq!(lab.run(&action(100, "suspend"), &[]).await, "OK");
    let status = lab.get(&action(100, "current")).await.data();
    assert_eq!(
        (&status["status"], &status["qmpstatus"]),
        (&"running".into(), &"paused".into())
    );
    assert_eq!(status["cpu"], 0.0);
    assert_eq!(lab.run(&action(100, "resume"), &[]).await, "OK");
    assert_eq!(lab.control().vm(100).unwrap().status, "running");
}

#[tokio::test]
async fn suspend_to_disk_locks_and_a_start_resumes() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(&action(100, "suspend"), &[("todisk", "1")]).await, "OK");
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.status.as_str(), vm.lock.as_deref()),
        ("stopped", Some("suspended"))
    );
    assert_eq!(lab.run(&action(100, "start"), &[]).await, "OK");
    let vm = lab.control().vm(100).unwrap();
    assert!(vm.status == "running" && vm.lock.is_none() && !vm.config.contains_key("vmstate"));
}

#[tokio::test]
async fn root_only_options_are_refused_to_others() {
    let mut lab = Lab::new().await;
    let answer = lab.post(&action(100, "stop"), &[("skiplock", "1")]).await;
    assert_eq!(
        (answer.status, answer.error("skiplock")),
        (400, "Only root may use this option.")
    );
    for what in ["stop", "shutdown"] {
        let answer = lab.post(&action(100, what), &[("keepActive", "1")]).await;
        assert_eq!(
            (answer.status, answer.error("keepActive")),
            (400, "Only root may use this option."),
            "{what}"
        );
    }
    lab.control().set_lock(100, Some("backup")).unwrap();
    assert_eq!(lab.run(&action(100, "stop"), &[]).await, "VM is locked (backup)");
    lab.root().await;
    assert_eq!(lab.run(&action(100, "stop"), &[("skiplock", "1")]).await, "OK");
}

#[tokio::test]
async fn counters_grow_within_the_limits_and_loads_are_fractions() {
    let lab = Lab::new().await;
    let first = lab.get(&action(100, "current")).await.data();
    lab.until("a second passed", |c| {
        c.vm(100).unwrap().uptime > first["uptime"].as_u64().unwrap()
    })
    .await;
    let second = lab.get(&action(100, "current")).await.data();
    for key in ["netin", "netout", "diskread", "diskwrite", "uptime"] {
        assert!(second[key].as_u64() > first[key].as_u64(), "{key}");
    }
    let cpu = second["cpu"].as_f64().unwrap();
    assert!(cpu > 0.0 && cpu < 1.0);
    assert!(second["mem"].as_u64() < second["maxmem"].as_u64());
    let growth = second["netout"].as_u64().unwrap() - first["netout"].as_u64().unwrap();
    let seconds = second["uptime"].as_u64().unwrap() - first["uptime"].as_u64().unwrap();
    // Uptimes are whole seconds, so up to one more may lie between the two.
    assert!(growth <= 13_107_200 * (seconds + 1), "net0 has rate=12.5");
    assert_eq!(second["maxdisk"], 40_u64 << 30);
    assert_eq!(second["cpus"], 2);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_machine() {
    let run = |seed| async move {
        let lab = Lab::with(Options {
            seed,
            ..Options::default()
        })
        .await;
        let status = lab.get(&action(101, "current")).await.data();
        status["netin"].as_f64().unwrap() / status["uptime"].as_f64().unwrap()
    };
    let (first, second, other) = (run(7).await, run(7).await, run(8).await);
    assert!((first - second).abs() / first < 1e-3, "{first} {second}");
    assert!((first - other).abs() / first > 1e-3);
}

#[tokio::test]
async fn series_have_each_majors_steps_and_gaps_when_the_vm_was_off() {
    for (pve, day) in [(pve_sim::Major::V8, (70, 1800)), (pve_sim::Major::V9, (1440, 60))] {
        let lab = Lab::with(Options {
            pve,
            ..Options::default()
        })
        .await;
        let rows = lab
            .get("/nodes/pve1/qemu/100/rrddata?timeframe=day&cf=AVERAGE")
            .await
            .data();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), day.0);
        assert_eq!(
            rows[1]["time"].as_i64().unwrap() - rows[0]["time"].as_i64().unwrap(),
            day.1
        );
        assert!(rows.last().unwrap()["cpu"].as_f64().unwrap() < 1.0);
        assert_eq!(rows[0]["memhost"].is_null(), pve == pve_sim::Major::V8);
        let rows = lab
            .get("/nodes/pve1/qemu/102/rrddata?timeframe=hour")
            .await
            .data();
        let last = rows.as_array().unwrap().last().unwrap().clone();
        assert!(
            last["cpu"].is_null() && last["maxcpu"] == 1,
            "absent, not null: {last}"
        );
        assert!(!last.as_object().unwrap().contains_key("cpu"));
        let answer = lab.get("/nodes/pve1/qemu/777/rrddata?timeframe=hour").await;
        assert_eq!(answer.status, 500);
        assert!(
            answer.reason.starts_with("RRD error: ") && answer.reason.ends_with("No such file or directory")
        );
    }
}

#[tokio::test]
async fn a_guest_agent_answers_is_absent_or_slow() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/100/agent/network-get-interfaces";
    let data = lab.get(path).await.data();
    let addresses = &data["result"][1]["ip-addresses"];
    assert_eq!(addresses[0]["ip-address"], "192.0.2.10");
    assert_eq!(data["result"][1]["hardware-address"], "bc:24:11:10:00:01");
    let agent = |agent| Action::SetGuestAgent { vmid: 100, agent };
    lab.control().act(agent(pve_sim::GuestAgent::Absent)).unwrap();
    assert_eq!(lab.get(path).await.reason, "QEMU guest agent is not running");
    lab.control().act(agent(pve_sim::GuestAgent::Slow)).unwrap();
    let reason = lab.get(path).await.reason;
    assert_eq!(
        reason,
        "VM 100 qga command 'guest-network-get-interfaces' failed - got timeout"
    );
    let reason = lab
        .get("/nodes/pve2/qemu/103/agent/network-get-interfaces")
        .await
        .reason;
    assert_eq!(reason, "No QEMU guest agent configured");
    let reason = lab
        .get("/nodes/pve1/qemu/102/agent/network-get-interfaces")
        .await
        .reason;
    assert_eq!(reason, "VM 102 is not running");
}
