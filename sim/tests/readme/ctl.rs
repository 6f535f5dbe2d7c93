//! `pve-sim ctl`: every command of the document is run, and what its row promises is looked for with the API.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use pve_sim::Effect;
use serde_json::Value;

use crate::control::lab;
use crate::lab::{Lab, of_storage};
use crate::markdown::{blocks_of, prose, rows, sections, spans};
use crate::shell::{run, shell};

const SECTION: &str = "Making things go wrong";

/// Runs a command as the document has it, against this simulator.
async fn ctl(lab: &Lab, command: &str) -> String {
    let mut shell = shell(Path::new("."), command);
    shell.env(
        "PVE_SIM_CONTROL",
        format!("http://{}", lab.handle.control_addr().unwrap()),
    );
    run(shell).await
}

#[tokio::test]
async fn every_command_of_the_table_does_what_its_row_says() {
    for row in rows(SECTION) {
        let (promise, commands) = (row[0], row[1]);
        // Each row has a simulator of its own: what it breaks stays broken.
        let mut lab = lab().await;
        for command in spans(commands) {
            let words = command.split(' ').collect::<Vec<_>>();
            assert_eq!(words[..2], ["pve-sim", "ctl"], "not in full: `{command}`");
            let before = Before::new(&mut lab, words[2]).await;
            assert_eq!(ctl(&lab, command).await, "", "`{command}`");
            shows(&lab, promise, &words[2..], before).await;
        }
    }
}

/// What must be seen before a command, to know what it changed.
struct Before {
    backup: Duration,
}

impl Before {
    async fn new(lab: &mut Lab, verb: &str) -> Self {
        let mut before = Self {
            backup: Duration::MAX,
        };
        match verb {
            "rotate-keys;" | "clock-skew" => lab.root().await,
            "slow-storage" => {
                for _ in 0..3 {
                    before.backup = before.backup.min(back_up(lab).await);
                }
            }
            _ => {}
        }
        before
    }
}

/// How long a backup of VM 102 takes.
async fn back_up(lab: &Lab) -> Duration {
    let begun = Instant::now();
    let form = [("vmid", "102"), ("storage", "local")];
    assert_eq!(lab.run("/nodes/pve1/vzdump", &form).await, "OK");
    begun.elapsed()
}

async fn status(lab: &Lab, path: &str) -> u16 {
    lab.get(path).await.status
}

/// Whether the API gives no answer at all.
async fn is_cut(request: reqwest::RequestBuilder) -> bool {
    request.send().await.is_err()
}

/// Looks for what the row promises of a command, after it was run.
async fn shows(lab: &Lab, promise: &str, words: &[&str], before: Before) {
    let version = || lab.request(reqwest::Method::GET, "/version");
    let snapshot = |name: &'static str| {
        let request = lab.request(reqwest::Method::POST, "/nodes/pve1/qemu/100/snapshot");
        request.form(&[("snapname", name)])
    };
    match words {
        ["latency", milliseconds] => {
            let begun = Instant::now();
            assert_eq!(status(lab, "/version").await, 200);
            assert!(begun.elapsed() >= Duration::from_millis(milliseconds.parse().unwrap()));
        }
        ["cut", "after", ..] => {
            assert!(is_cut(snapshot("lost")).await);
            let begun = lab
                .control()
                .effect_count(Effect::TaskStarted, 100, Some("qmsnapshot"));
            assert_eq!(begun, 1, "the effect is there");
        }
        ["cut", "before"] => {
            assert!(is_cut(snapshot("lost")).await);
            let begun = lab
                .control()
                .effect_count(Effect::TaskStarted, 100, Some("qmsnapshot"));
            assert_eq!(begun, 0, "nothing happened");
        }
        ["node", node, "off", "--stale"] => {
            assert_eq!(status(lab, &format!("/nodes/{node}/status")).await, 595);
            let vms = lab.get("/cluster/resources?type=vm").await.data();
            let mut vms = vms.as_array().unwrap().iter();
            let vm = vms.find(|vm| vm["node"] == *node).unwrap();
            assert!(vm["status"] != "unknown" && vm["name"].is_string(), "{vm}");
        }
        ["status", wanted, "after", ..] => {
            let lost = lab.send(snapshot("lost")).await;
            assert_eq!(lost.status.to_string(), **wanted);
            let begun = lab
                .control()
                .effect_count(Effect::TaskStarted, 100, Some("qmsnapshot"));
            assert_eq!(begun, 1, "the effect is there");
        }
        ["node", node, "off"] => {
            assert_eq!(status(lab, &format!("/nodes/{node}/status")).await, 595);
        }
        ["status", wanted, "--node", node, "--times", times] => {
            let path = format!("/nodes/{node}/status");
            for _ in 0..times.parse().unwrap() {
                assert_eq!(status(lab, &path).await.to_string(), **wanted);
            }
            assert_eq!(status(lab, &path).await, 200);
        }
        ["new-certificate"] => {
            assert_ne!(lab.control().fingerprint(), lab.handle.fingerprint());
            assert!(is_cut(version()).await, "the client trusts the one before");
        }
        ["revoke-token", _] | ["rotate-keys;", ..] | ["clock-skew", "7300"] => {
            assert_eq!(status(lab, "/version").await, 401);
        }
        ["api", "off"] => assert!(is_cut(version()).await),
        ["api", "on"] | ["restore-token", _] => assert_eq!(status(lab, "/version").await, 200),
        _ => shows_in_cluster(lab, promise, words, before).await,
    }
}

/// The same, of what becomes of VMs, storages and tasks.
async fn shows_in_cluster(lab: &Lab, promise: &str, words: &[&str], before: Before) {
    match words {
        ["lock", "100", lock] => {
            let exit = lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await;
            assert_eq!(exit, format!("VM is locked ({lock})"));
        }
        ["unlock", "100"] => {
            assert_eq!(lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await, "OK");
        }
        ["hold-flock", "100"] => {
            let refused = lab.put("/nodes/pve1/qemu/100/config", &[("cores", "1")]).await;
            assert_promised(promise, refused.status, &refused.reason);
        }
        ["hold-flock", "100", "off"] => {
            let taken = lab.put("/nodes/pve1/qemu/100/config", &[("cores", "1")]).await;
            assert_eq!(taken.status, 200, "{}", taken.reason);
        }
        ["hold-cfs-lock", "firewall-vm-100"] => {
            let rule = [("type", "in"), ("action", "ACCEPT")];
            let refused = lab.post("/nodes/pve1/qemu/100/firewall/rules", &rule).await;
            assert_promised(promise, refused.status, &refused.reason);
        }
        ["fail-task", "qmsnapshot", ..] => {
            let exit = lab
                .run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "full")])
                .await;
            assert_eq!(exit, "no space left on device");
        }
        ["kill-task", "qmsnapshot", ..] => {
            let exit = lab
                .run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "half")])
                .await;
            assert_eq!(exit, "unexpected status");
            assert_eq!(lab.control().vm(100).unwrap().lock.as_deref(), Some("snapshot"));
        }
        ["quorum", switch] => {
            let start = lab.post("/nodes/pve1/qemu/102/status/start", &[]).await;
            assert_eq!(start.status, if *switch == "on" { 200 } else { 500 });
        }
        ["qmp-status", "100", wanted] => {
            let told = lab.get("/nodes/pve1/qemu/100/status/current").await.data();
            assert_eq!(told["qmpstatus"], **wanted);
        }
        ["stick-task", "qmstart"] => {
            let start = lab.post("/nodes/pve1/qemu/102/status/start", &[]).await.data();
            // A snapshot takes longer than a start: when it is through, the start would be too.
            assert_eq!(
                lab.run("/nodes/pve1/qemu/101/snapshot", &[("snapname", "later")])
                    .await,
                "OK"
            );
            let path = format!("/nodes/pve1/tasks/{}/status", start.as_str().unwrap());
            assert_eq!(lab.get(&path).await.data()["status"], "running");
        }
        ["release"] => {
            let stuck = lab.control().tasks().remove(0);
            assert_eq!(lab.exit_of(&Value::from(stuck.upid)).await, "OK");
        }
        ["slow-storage", ..] => {
            let now = back_up(lab).await;
            assert!(now > 3 * before.backup, "{now:?} after {:?}", before.backup);
        }
        ["full-storage", storage] => {
            let form = [("vmid", "100"), ("storage", *storage)];
            assert_eq!(lab.run("/nodes/pve1/vzdump", &form).await, "job errors");
        }
        ["offline-storage", storage] => {
            let list = lab.get("/nodes/pve1/storage").await.data();
            assert_eq!(of_storage(&list, storage)["active"], 0);
        }
        ["clock-skew", seconds] => {
            let upid = lab.post("/nodes/pve1/qemu/100/status/reset", &[]).await.data();
            let started = upid.as_str().unwrap().split(':').nth(4).unwrap();
            let started = i64::from_str_radix(started, 16).unwrap();
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let off = started - i64::try_from(now).unwrap() - seconds.parse::<i64>().unwrap();
            assert!(off.abs() < 60, "{off}");
        }
        other => panic!("{other:?} is new in the table: say here how it shows"),
    }
}

/// The row quotes the error, with `…` for what varies.
#[track_caller]
fn assert_promised(promise: &str, status: u16, reason: &str) {
    assert_eq!(status, 500);
    let quoted = spans(promise).next().unwrap();
    let mut rest = reason;
    for part in quoted.split(" … ") {
        let place = rest
            .find(part)
            .unwrap_or_else(|| panic!("no `{part}` in `{reason}`"));
        rest = &rest[place + part.len()..];
    }
}

#[tokio::test]
async fn the_commands_below_the_table_clear_faults_and_show_what_happened() {
    let lab = lab().await;
    lab.control().set_lock(101, Some("backup")).unwrap();
    ctl(&lab, "pve-sim ctl latency 1").await;
    lab.run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "first")])
        .await;
    for line in blocks_of(SECTION, "sh")[0].text.lines() {
        let shown = ctl(&lab, line).await;
        match line.split_whitespace().nth(2).unwrap() {
            "clear" => {
                assert!(lab.control().faults().is_empty());
                assert!(
                    lab.control().vm(101).unwrap().lock.is_some(),
                    "changes from outside stay"
                );
            }
            "requests" => assert!(
                shown.contains("1  POST   /nodes/{node}/qemu/{vmid}/snapshot\n"),
                "{shown}"
            ),
            "log" => assert!(
                shown.contains("200 POST /api2/json/nodes/pve1/qemu/100/snapshot portico@pve!panel OK\n"),
                "{shown}"
            ),
            "effects" => assert!(shown.contains("1  VM 100 snapshot-created first\n"), "{shown}"),
            other => panic!("`{other}` is new below the table: say here what it shows"),
        }
    }
}

#[tokio::test]
async fn the_commands_within_the_text_work_too() {
    let lab = lab().await;
    let within = |line: &&str| !line.starts_with('|');
    let all = sections()
        .into_iter()
        .flat_map(prose)
        .filter(within)
        .flat_map(spans);
    let commands = all
        .filter(|span| span.starts_with("pve-sim ctl "))
        .collect::<Vec<_>>();
    assert!(commands.len() > 1, "{commands:?}");
    for command in commands {
        assert!(!ctl(&lab, command).await.is_empty(), "{command}");
    }
}
