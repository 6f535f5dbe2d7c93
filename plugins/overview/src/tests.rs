//! The overview as customer and panel see it.

use portico_sdk::testing::{Bench, Ending};
use portico_sdk::vm::{DiskRole, State};
use portico_sdk::{Error, Response, jobs::Phase};
use serde_json::json;

use crate::Overview;
use crate::power::NO_REACTION;

fn bench() -> Bench<Overview> {
    let mut bench = Bench::new();
    bench.crash_every_step();
    bench
}

#[test]
fn the_page_shows_state_load_disks_and_adapters() {
    let data = bench().data("");
    assert_eq!(
        data["status"],
        json!({ "text": "Running", "tone": "success", "uptime": 125, "stale": null })
    );
    assert_eq!(data["cpu"], 0.25);
    assert_eq!(data["memory"], 0.25);
    assert_eq!(data["disks"][0]["title"], "System disk");
    assert_eq!(data["disks"][0]["read"], json!({ "rate": 200e6, "iops": 2000 }));
    assert_eq!(data["adapters"][0]["mac"], "BC:24:11:AA:BB:CC");
    assert_eq!(data["network"]["ipv4_mask"], "255.255.255.0");
    assert_eq!(data["network"]["ipv6_prefix"], 64);
    assert_eq!(data["force"], json!(null));
}

#[test]
fn the_page_asks_for_each_thing_once() {
    let mut bench = bench();
    bench.data("");
    let mut calls = bench.host.calls.clone();
    calls.sort_unstable();
    assert_eq!(calls, ["jobs.list", "vm.hardware", "vm.network", "vm.status"]);
}

#[test]
fn a_single_additional_disk_has_no_number_and_several_have() {
    let mut bench = bench();
    let mut extra = bench.host.vm.hardware.disks[0];
    extra.role = DiskRole::Additional;
    bench.host.vm.hardware.disks.push(extra);
    assert_eq!(bench.data("live")["disks"][1]["title"], "Additional disk");
    bench.host.vm.hardware.disks.push(extra);
    let data = bench.data("live");
    assert_eq!(data["disks"][1]["title"], "Additional disk 1");
    assert_eq!(data["disks"][2]["title"], "Additional disk 2");
}

#[test]
fn a_stopped_vm_has_no_load_and_no_uptime() {
    let mut bench = bench();
    bench.host.vm.status.state = State::Stopped;
    let data = bench.data("live");
    assert_eq!(data["status"]["text"], "Stopped");
    assert_eq!(data["status"]["uptime"], json!(null));
    assert_eq!(data["cpu"], 0.0);
    assert_eq!(data["rates"], json!(null));
}

#[test]
fn an_old_state_is_shown_with_its_age_and_an_unknown_one_is_not_invented() {
    let mut bench = bench();
    bench.host.vm.status.age = 90;
    assert_eq!(bench.data("live")["status"]["stale"], 90);
    bench.host.fail("vm.status", Error::Unavailable);
    assert_eq!(bench.get(""), Err(Error::Unavailable));
}

#[test]
fn the_state_is_shown_while_the_hardware_cannot_be_read() {
    let mut bench = bench();
    bench.host.fail("vm.hardware", Error::Unavailable);
    let data = bench.data("");
    assert_eq!(data["status"]["text"], "Running");
    assert_eq!(data["disks"], json!([]));
}

#[test]
fn each_switch_starts_its_own_work_and_says_how_it_went() {
    let cases = [
        ("start", "power.start", "The VM was started."),
        ("stop", "power.shutdown", "The VM was shut down."),
        ("force-stop", "power.stop", "The VM was switched off."),
        ("reboot", "power.reboot", "The VM was rebooted."),
        ("reset", "power.reset", "The VM was reset."),
    ];
    for (path, work, result) in cases {
        let mut bench = bench();
        let response = bench.post(path, &[]).unwrap();
        assert!(matches!(response, Response::Redirect(_)));
        bench.run();
        assert_eq!(
            bench.host.work.iter().map(|work| work.name).collect::<Vec<_>>(),
            [work]
        );
        let job = bench.job("power");
        assert_eq!((job.phase, job.text.as_str()), (Phase::Done, result));
    }
}

#[test]
fn a_switch_that_the_product_does_not_grant_is_denied_and_starts_nothing() {
    let switches = [
        ("start", "start"),
        ("stop", "stop"),
        ("force-stop", "stop"),
        ("reboot", "reboot"),
        ("reset", "reset"),
    ];
    for (path, permission) in switches {
        let mut bench = bench();
        let others: Vec<_> = ["start", "stop", "reboot", "reset"]
            .into_iter()
            .filter(|other| *other != permission)
            .collect();
        bench.permit(&others);
        assert!(matches!(bench.post(path, &[]), Err(Error::Denied(_))), "{path}");
        assert!(bench.jobs().is_empty());
    }
}

#[test]
fn the_scopes_of_each_permission_are_enough_for_its_switches() {
    let switches = [
        ("start", "start"),
        ("stop", "stop"),
        ("stop", "force-stop"),
        ("reboot", "reboot"),
        ("reset", "reset"),
    ];
    for (permission, path) in switches {
        let mut bench = bench();
        bench.permit(&[permission]);
        bench.post(path, &[]).unwrap();
        bench.run();
        assert_eq!(bench.job("power").phase, Phase::Done, "{path}");
        bench.data("");
    }
}

#[test]
fn force_is_offered_after_a_shutdown_that_the_guest_ignored() {
    let mut bench = bench();
    bench
        .host
        .end_next("power.shutdown", Ending::failure("timeout", "It took too long."));
    bench.post("stop", &[]).unwrap();
    bench.run();
    let job = bench.job("power");
    assert_eq!((job.phase, job.text.as_str()), (Phase::Failed, NO_REACTION));
    assert_eq!(
        bench.data("live")["force"],
        json!({ "text": NO_REACTION, "disabled_reason": null })
    );

    bench.post("force-stop", &[]).unwrap();
    bench.run();
    assert_eq!(bench.data("live")["force"], json!(null));
    assert_eq!(bench.host.vm.status.state, State::Stopped);
}

#[test]
fn force_is_not_offered_after_another_failure_nor_for_ever() {
    let mut bench = bench();
    bench.host.end_next(
        "power.shutdown",
        Ending::failure("locked", "A backup holds the VM."),
    );
    bench.post("stop", &[]).unwrap();
    bench.run();
    assert_eq!(bench.job("power").text, "A backup holds the VM.");
    assert_eq!(bench.data("live")["force"], json!(null));

    bench
        .host
        .end_next("power.shutdown", Ending::failure("timeout", ""));
    bench.post("stop", &[]).unwrap();
    bench.run();
    assert!(!bench.data("live")["force"].is_null());
    bench.pass(3_600);
    assert_eq!(bench.data("live")["force"], json!(null));
}

#[test]
fn force_is_dimmed_when_the_product_does_not_grant_stop() {
    let mut bench = bench();
    bench
        .host
        .end_next("power.shutdown", Ending::failure("timeout", ""));
    bench.post("stop", &[]).unwrap();
    bench.run();
    bench.permit(&["start"]);
    assert_eq!(
        bench.data("live")["force"]["disabled_reason"],
        "Not included in your plan"
    );
}

#[test]
fn a_switch_is_refused_while_another_one_works() {
    let mut bench = bench();
    bench.post("reboot", &[]).unwrap();
    assert_eq!(bench.post("stop", &[]), Err(Error::Busy("reboot".into())));
    bench.host.vm.status.busy = Some("backup".into());
    bench.run();
    assert_eq!(bench.post("stop", &[]), Err(Error::Busy("backup".into())));
}

#[test]
fn a_host_that_does_not_answer_is_asked_again_and_the_job_then_says_so() {
    let mut bench = bench();
    bench.host.fail("power.start", Error::Unavailable);
    bench.post("start", &[]).unwrap();
    bench.run();
    assert_eq!(bench.job("power").phase, Phase::Done);
    for _ in 0..8 {
        bench.host.fail("power.reset", Error::Unavailable);
    }
    bench.post("reset", &[]).unwrap();
    bench.run();
    let job = bench.job("power");
    assert_eq!(job.phase, Phase::Failed);
    assert!(job.text.contains("did not answer"), "{}", job.text);
}

#[test]
fn the_shutdown_timeout_comes_from_the_settings_within_what_the_host_takes() {
    for (setting, seconds) in [
        ("{}", "180"),
        (r#"{"shutdown_timeout":"5m"}"#, "300"),
        (r#"{"shutdown_timeout":"1d"}"#, "600"),
    ] {
        let mut bench = bench();
        bench.context.settings = setting.into();
        bench.post("stop", &[]).unwrap();
        bench.run();
        assert_eq!(bench.host.work[0].subject, seconds);
    }
}

#[test]
fn unknown_paths_are_not_found() {
    assert_eq!(bench().get("start"), Err(Error::NotFound));
    assert_eq!(bench().post("", &[]), Err(Error::NotFound));
    assert_eq!(bench().get("../snapshots"), Err(Error::NotFound));
}
