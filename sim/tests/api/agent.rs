//! Proves the guest agent: what it says, when it does not, who may ask.

use std::time::{Duration, Instant};

use crate::lab::{AUDITOR, Answer, Lab};
use pve_sim::{Action, Effect, GuestAgent, Major, Options, Scenario};
use serde_json::{Value, json};

const AGENT: &str = "/nodes/pve1/qemu/100/agent";

fn set(lab: &Lab, agent: GuestAgent) {
    lab.act(Action::SetGuestAgent { vmid: 100, agent });
}

async fn ask(lab: &Lab, command: &str) -> Answer {
    match command {
        "ping" => lab.post(&format!("{AGENT}/ping"), &[]).await,
        _ => lab.get(&format!("{AGENT}/{command}")).await,
    }
}

async fn password(lab: &Lab, user: &str, password: &str, crypted: &str) -> Answer {
    let form = [("username", user), ("password", password), ("crypted", crypted)];
    lab.post(&format!("{AGENT}/set-user-password"), &form).await
}

#[tokio::test]
async fn a_present_agent_tells_of_its_guest() {
    let lab = Lab::new().await;
    assert_eq!(ask(&lab, "ping").await.data(), json!({ "result": {} }));
    let os = ask(&lab, "get-osinfo").await.data();
    assert_eq!(os["result"]["id"], "debian");
    let host = ask(&lab, "get-host-name").await.data();
    assert_eq!(host["result"]["host-name"], "web1");
    let disks = ask(&lab, "get-fsinfo").await.data();
    let root = &disks["result"][0];
    assert_eq!(root["mountpoint"], "/");
    assert!(root["used-bytes"].as_u64() < root["total-bytes"].as_u64());
    let cards = ask(&lab, "network-get-interfaces").await.data();
    assert_eq!(cards["result"][1]["ip-addresses"][0]["ip-address"], "192.0.2.10");
    let info = ask(&lab, "info").await.data();
    let commands = info["result"]["supported_commands"].as_array().unwrap();
    assert!(commands.iter().any(|c| c["name"] == "guest-set-user-password"));
    let frozen = lab.post(&format!("{AGENT}/fsfreeze-status"), &[]).await.data();
    assert_eq!(frozen["result"], "thawed");
    assert_eq!(
        lab.post(AGENT, &[("command", "get-osinfo")]).await.data()["result"]["id"],
        "debian"
    );
    let answer = lab.post(AGENT, &[("command", "exec")]).await;
    assert!(answer.error("command").starts_with("value 'exec' does not have"));
}

#[tokio::test]
async fn each_kind_of_silence_has_its_own_text() {
    let lab = Lab::new().await;
    set(&lab, GuestAgent::Absent);
    assert_eq!(ask(&lab, "ping").await.reason, "QEMU guest agent is not running");
    set(&lab, GuestAgent::Slow);
    let began = Instant::now();
    assert_eq!(
        ask(&lab, "get-osinfo").await.reason,
        "VM 100 qga command 'guest-get-osinfo' failed - got timeout"
    );
    assert!(
        began.elapsed() >= Duration::from_millis(50),
        "five seconds, at scale 100"
    );
    lab.control()
        .act(Action::SetRunning {
            vmid: 100,
            running: false,
        })
        .unwrap();
    assert_eq!(ask(&lab, "ping").await.reason, "VM 100 is not running");
    let path = "/nodes/pve2/qemu/103/agent/ping";
    assert_eq!(lab.post(path, &[]).await.reason, "No QEMU guest agent configured");
}

#[tokio::test]
async fn an_agent_that_is_switched_off_counts_as_configured_and_is_silent() {
    let lab = Lab::new().await;
    let config = "/nodes/pve1/qemu/102/config";
    assert_eq!(lab.put(config, &[("agent", "0")]).await.status, 200);
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, "OK");
    let answer = lab.post("/nodes/pve1/qemu/102/agent/ping", &[]).await;
    assert_eq!(answer.reason, "QEMU guest agent is not running");
}

#[tokio::test]
async fn pve_8_speaks_of_qmp_and_wants_the_monitor_privilege() {
    let mut lab = Lab::with(Options {
        time_scale: 100.0,
        pve: Major::V8,
        ..Options::default()
    })
    .await;
    set(&lab, GuestAgent::Slow);
    assert_eq!(
        ask(&lab, "ping").await.reason,
        "VM 100 qmp command 'guest-ping' failed - got timeout"
    );
    lab.use_token(AUDITOR);
    assert_eq!(
        ask(&lab, "ping").await.reason,
        "Permission check failed (/vms/100, VM.Monitor)"
    );
}

#[tokio::test]
async fn pve_9_lets_an_auditor_look_but_not_touch() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    assert_eq!(ask(&lab, "get-osinfo").await.status, 200);
    assert_eq!(
        password(&lab, "root", "long enough", "0").await.reason,
        "Permission check failed (/vms/100, VM.GuestAgent.Unrestricted)"
    );
    assert_eq!(
        lab.control().effect_count(Effect::PasswordSet, 100, Some("root")),
        0
    );
}

#[tokio::test]
async fn a_password_is_set_for_users_there_are() {
    let lab = Lab::new().await;
    assert_eq!(
        password(&lab, "root", "correct horse", "0").await.data(),
        json!({ "result": {} })
    );
    assert_eq!(password(&lab, "debian", "$6$salt$hash", "1").await.status, 200);
    assert_eq!(
        lab.control().effect_count(Effect::PasswordSet, 100, Some("root")),
        1
    );
    let answer = password(&lab, "nobody", "correct horse", "0").await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "Agent error: child process has failed to set user password")
    );
    let answer = password(&lab, "root", "abcd", "0").await;
    assert_eq!(
        answer.error("password"),
        "value must be at least 5 characters long"
    );
    let log = format!("{:?}", lab.control().request_log(100));
    assert!(!log.contains("correct horse"));
}

#[tokio::test]
async fn a_refusing_agent_answers_questions_only() {
    let lab = Lab::new().await;
    set(&lab, GuestAgent::Refusing);
    assert_eq!(ask(&lab, "ping").await.status, 200);
    let answer = password(&lab, "root", "correct horse", "0").await;
    assert!(
        answer
            .reason
            .starts_with("Agent error: Command guest-set-user-password has been disabled"),
        "{}",
        answer.reason
    );
    // Commands without parameters carry the refusal in a success.
    let trimmed = lab.post(&format!("{AGENT}/fstrim"), &[]).await.data();
    assert_eq!(trimmed["result"]["error"]["class"], "CommandNotFound");
    assert_eq!(
        lab.control().effect_count(Effect::PasswordSet, 100, Some("root")),
        0
    );
}

#[tokio::test]
async fn a_command_takes_repeated_keys_and_its_end_is_told_once() {
    let lab = Lab::new().await;
    let form = [("command", "/bin/echo"), ("command", "two words")];
    let pid = lab.post(&format!("{AGENT}/exec"), &form).await.data()["pid"].clone();
    let path = format!("{AGENT}/exec-status?pid={pid}");
    let deadline = Instant::now() + Duration::from_secs(10);
    let ended = loop {
        let data = lab.get(&path).await.data();
        if data["exited"] == 1 {
            break data;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert_eq!(
        ended,
        json!({ "exited": 1, "exitcode": 0, "out-data": "two words\n" })
    );
    let again = lab.get(&path).await;
    assert_eq!(again.reason, format!("Agent error: PID {pid} does not exist"));
    let body = json!({ "command": ["cat"], "input-data": "given" });
    let request = lab
        .request(reqwest::Method::POST, &format!("{AGENT}/exec"))
        .json(&body);
    assert!(lab.send(request).await.data()["pid"].is_number());
}

#[tokio::test]
async fn an_agent_is_silent_while_its_guest_boots() {
    let scenario = Scenario::DEMO.replacen("load = 0.55", "load = 0.55\nagent_boot_seconds = 100.0", 1);
    let lab = Lab::with(Options {
        time_scale: 50.0,
        scenario: Scenario::from_toml(&scenario).unwrap(),
        ..Options::default()
    })
    .await;
    assert_eq!(ask(&lab, "ping").await.status, 200, "it has run for long");
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await, "OK");
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/start", &[]).await, "OK");
    assert_eq!(ask(&lab, "ping").await.reason, "QEMU guest agent is not running");
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask(&lab, "ping").await.status != 200 {
        assert!(Instant::now() < deadline, "it never answers");
    }
}

#[tokio::test]
async fn a_windows_guest_has_its_own_users() {
    let lab = Lab::new().await;
    let path = "/nodes/pve2/qemu/104";
    assert_eq!(
        lab.put(&format!("{path}/config"), &[("agent", "1")]).await.status,
        200
    );
    lab.control()
        .act(Action::SetGuestAgent {
            vmid: 104,
            agent: GuestAgent::Running,
        })
        .unwrap();
    assert_eq!(lab.run(&format!("{path}/status/stop"), &[]).await, "OK");
    assert_eq!(lab.run(&format!("{path}/status/start"), &[]).await, "OK");
    let os = lab.get(&format!("{path}/agent/get-osinfo")).await.data();
    assert_eq!(os["result"]["id"], Value::from("mswindows"));
    let form = |user| [("username", user), ("password", "long enough")];
    let set = format!("{path}/agent/set-user-password");
    assert_eq!(lab.post(&set, &form("Administrator")).await.status, 200);
    assert_eq!(lab.post(&set, &form("root")).await.status, 500);
}
