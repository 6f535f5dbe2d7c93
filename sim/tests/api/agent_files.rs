//! Proves files by the guest agent: reading, writing, what is refused, and when they are gone.

use crate::lab::{AUDITOR, Lab};
use pve_sim::{Action, GuestAgent, Major, Options};
use serde_json::{Value, json};

const READ: &str = "/nodes/pve1/qemu/100/agent/file-read";
const WRITE: &str = "/nodes/pve1/qemu/100/agent/file-write";

async fn read(lab: &Lab, query: &str) -> Value {
    lab.get(&format!("{READ}?{query}")).await.data()
}

async fn write(lab: &Lab, file: &str, content: &str) {
    let form = [("file", file), ("content", content)];
    assert_eq!(lab.post(WRITE, &form).await.data(), Value::Null);
}

async fn version(major: Major) -> Lab {
    Lab::with(Options {
        pve: major,
        time_scale: 100.0,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_guest_has_files_of_its_own_and_those_that_were_written() {
    let lab = Lab::new().await;
    let found = read(&lab, "file=/etc/hostname").await;
    assert_eq!(found, json!({ "content": "web1\n", "bytes-read": 5 }));
    let release = read(&lab, "file=/etc/os-release").await;
    assert!(release["content"].as_str().unwrap().contains("ID=debian"));
    write(&lab, "/srv/note", "one\ntwo\n").await;
    assert_eq!(read(&lab, "file=/srv/note").await["content"], "one\ntwo\n");
    write(&lab, "/etc/hostname", "other\n").await;
    assert_eq!(read(&lab, "file=/etc/hostname").await["content"], "other\n");
}

#[tokio::test]
async fn a_part_is_read_from_an_offset_and_says_that_there_is_more() {
    let lab = Lab::new().await;
    write(&lab, "/tmp/x", "0123456789").await;
    let part = read(&lab, "file=/tmp/x&offset=2&count=3").await;
    assert_eq!(part, json!({ "content": "234", "bytes-read": 3, "truncated": 1 }));
    // Who reads no further than the end does not know that it is one.
    assert_eq!(read(&lab, "file=/tmp/x&count=10").await["truncated"], 1);
    assert_eq!(read(&lab, "file=/tmp/x&count=11").await.get("truncated"), None);
    let beyond = read(&lab, "file=/tmp/x&offset=50").await;
    assert_eq!(beyond, json!({ "content": "", "bytes-read": 0 }));
    let encoded = read(&lab, "file=/tmp/x&decode=0").await;
    assert_eq!(encoded["content"], "MDEyMzQ1Njc4OQ==");
    let answer = lab.get(&format!("{READ}?file=/tmp/x&count=16777217")).await;
    assert_eq!(
        answer.error("count"),
        "value must have a maximum value of 16777216"
    );
}

#[tokio::test]
async fn what_is_not_ascii_goes_the_ways_that_pve_goes() {
    let lab = Lab::new().await;
    let form = [("file", "/tmp/u"), ("content", "w5w="), ("encode", "0")];
    lab.post(WRITE, &form).await.data();
    assert_eq!(
        read(&lab, "file=/tmp/u").await["content"],
        "\u{c3}\u{9c}",
        "bytes as Latin-1"
    );
    write(&lab, "/tmp/u", "Ü").await;
    assert_eq!(read(&lab, "file=/tmp/u").await["bytes-read"], 1);
    let answer = lab.post(WRITE, &[("file", "/tmp/u"), ("content", "語")]).await;
    assert!(answer.reason.starts_with("Wide character in subroutine entry"));
    let form = [("file", "/tmp/u"), ("content", "no base64!"), ("encode", "0")];
    assert_eq!(
        lab.post(WRITE, &form).await.reason,
        "Agent error: Base64 data 'no base64!' is not valid"
    );
}

#[tokio::test]
async fn the_agent_tells_why_a_file_is_not_opened() {
    let lab = Lab::new().await;
    let answer = lab.get(&format!("{READ}?file=/nope")).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            500,
            "Agent error: failed to open file '/nope' (mode: 'r'): No such file or directory"
        )
    );
    let answer = lab.get(&format!("{READ}?file=/etc")).await;
    assert_eq!(answer.reason, "Agent error: failed to read file: Is a directory");
    for (file, reason) in [
        ("/nowhere/x", "No such file or directory"),
        ("/etc", "Is a directory"),
        ("/etc/hostname/x", "Not a directory"),
    ] {
        let answer = lab.post(WRITE, &[("file", file), ("content", "x")]).await;
        assert_eq!(
            answer.reason,
            format!("Agent error: failed to open file '{file}' (mode: 'wb'): {reason}")
        );
    }
    let long = "x".repeat(60 * 1024 + 1);
    let answer = lab.post(WRITE, &[("file", "/tmp/x"), ("content", &long)]).await;
    assert_eq!(answer.error("content"), "value may only be 61440 characters long");
    lab.post("/nodes/pve1/qemu/100/agent/fsfreeze-freeze", &[])
        .await
        .data();
    let answer = lab.get(&format!("{READ}?file=/etc/hostname")).await;
    assert_eq!(
        answer.reason,
        "Agent error: Command guest-file-open has been disabled: the agent is in frozen state"
    );
    let agent = GuestAgent::Refusing;
    lab.act(Action::SetGuestAgent { vmid: 100, agent });
    let answer = lab.get(&format!("{READ}?file=/etc/hostname")).await;
    assert!(
        answer
            .reason
            .ends_with("guest-file-open has been disabled: the command is not allowed")
    );
}

#[tokio::test]
async fn snapshots_keep_files_and_another_system_has_none_of_them() {
    let lab = Lab::new().await;
    write(&lab, "/srv/note", "before").await;
    let snapshot = "/nodes/pve1/qemu/100/snapshot";
    assert_eq!(lab.run(snapshot, &[("snapname", "now")]).await, "OK");
    write(&lab, "/srv/note", "after").await;
    let path = format!("{snapshot}/now/rollback");
    assert_eq!(lab.run(&path, &[("start", "1")]).await, "OK");
    lab.until("it runs", |control| control.vm(100).unwrap().status == "running")
        .await;
    assert_eq!(read(&lab, "file=/srv/note").await["content"], "before");
    lab.act(Action::SetRunning {
        vmid: 100,
        running: false,
    });
    let form = [("scsi0", "local-lvm:0,import-from=local-lvm:base-9000-disk-0")];
    assert_eq!(lab.run("/nodes/pve1/qemu/100/config", &form).await, "OK");
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/start", &[]).await, "OK");
    let answer = lab.get(&format!("{READ}?file=/srv/note")).await;
    assert!(answer.reason.ends_with("No such file or directory"), "{answer:?}");
}

#[tokio::test]
async fn each_major_has_its_own_privileges_and_parameters() {
    let mut nine = version(Major::V9).await;
    nine.use_token(AUDITOR);
    let answer = nine.get(&format!("{READ}?file=/etc/hostname")).await;
    assert_eq!(
        answer.reason,
        "Permission check failed (/vms/100, VM.GuestAgent.FileRead|VM.GuestAgent.Unrestricted)"
    );
    let answer = nine.post(WRITE, &[("file", "/tmp/x"), ("content", "x")]).await;
    assert_eq!(
        answer.reason,
        "Permission check failed (/vms/100, VM.GuestAgent.FileWrite|VM.GuestAgent.Unrestricted)"
    );
    let mut eight = version(Major::V8).await;
    let answer = eight.get(&format!("{READ}?file=/etc/hostname&offset=1")).await;
    assert!(answer.error("offset").starts_with("property is not defined"));
    assert_eq!(read(&eight, "file=/etc/hostname").await["content"], "web1\n");
    eight.use_token(AUDITOR);
    let answer = eight.get(&format!("{READ}?file=/etc/hostname")).await;
    assert_eq!(answer.reason, "Permission check failed (/vms/100, VM.Monitor)");
}

#[tokio::test]
async fn guests_do_not_sleep_and_say_so() {
    let lab = Lab::new().await;
    let answer = lab.post("/nodes/pve1/qemu/100/agent/suspend-ram", &[]).await;
    assert_eq!(
        answer.data()["result"]["error"]["desc"],
        "the requested suspend mode is not supported by the guest"
    );
    let list = lab.list("/nodes/pve1/qemu/100/agent").await;
    let names = list.iter().map(|item| item["name"].as_str().unwrap());
    let names = names.collect::<Vec<_>>();
    assert!(names.is_sorted() && names.contains(&"file-read") && names.contains(&"suspend-disk"));
}
