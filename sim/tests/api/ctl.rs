//! Proves `pve-sim ctl` as people run it: the program, its output, its exit status.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;

use pve_sim::{Fault, Options};

use crate::lab::Lab;

async fn lab() -> Lab {
    Lab::with(Options {
        control: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..Options::default()
    })
    .await
}

async fn ctl(lab: &Lab, arguments: &[&str]) -> Output {
    ctl_at(lab.handle.control_addr().unwrap(), arguments).await
}

async fn ctl_at(address: SocketAddr, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_pve-sim"))
        .arg("ctl")
        .args(["--control", &format!("http://{address}")])
        .args(arguments)
        .output()
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn commands_change_the_running_simulator_and_say_nothing() {
    let lab = lab().await;
    let done = ctl(&lab, &["lock", "100", "backup"]).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(
        (text(&done.stdout), text(&done.stderr)),
        (String::new(), String::new())
    );
    assert_eq!(lab.control().vm(100).unwrap().lock.as_deref(), Some("backup"));
    ctl(&lab, &["fail-task", "qmstart", "--at", "80", "--text", "no"]).await;
    let faults = lab.control().faults();
    assert!(
        matches!(&faults[..], [Fault::StrikeTasksAt { percent: 80, .. }, Fault::FailTasks { text, .. }] if text == "no"),
        "{faults:?}"
    );
    ctl(&lab, &["clear"]).await;
    assert!(lab.control().faults().is_empty());
}

#[tokio::test]
async fn lists_are_lines_for_people_and_tools() {
    let lab = lab().await;
    lab.get("/version").await;
    lab.get("/version").await;
    let counted = text(&ctl(&lab, &["requests"]).await.stdout);
    assert_eq!(counted, "       2  GET    /version\n       2  in all\n");
    let vms = text(&ctl(&lab, &["vms"]).await.stdout);
    assert!(vms.lines().next().unwrap().contains("web1"), "{vms}");
    let log = text(&ctl(&lab, &["log", "--last", "1"]).await.stdout);
    assert_eq!(log, "200 GET /api2/json/version portico@pve!panel OK\n");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_fails() {
    let lab = lab().await;
    let refused = ctl(&lab, &["lock", "555", "backup"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        text(&refused.stderr),
        "error: the simulator refused: there is no VM 555\n"
    );
    let unknown = ctl(&lab, &["lok", "100"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    let told = text(&unknown.stderr);
    assert!(told.contains("unrecognized subcommand 'lok'"), "{told}");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_the_remedy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let output = ctl_at(free, &["vms"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("was the simulator started with `--control"));
}
