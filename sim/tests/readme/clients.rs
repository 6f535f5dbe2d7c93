//! What a reader types first: the start of the simulator, and curl.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::markdown::{blocks_of, prose, sections, spans};
use crate::shell::{run, shell};

/// A simulator that was started by a command of the document, in a folder of its own, on free ports.
struct Started {
    folder: TempDir,
    program: Child,
    ready: String,
}

impl Started {
    async fn by(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let on_free_ports = command
            .replace("cargo run -p pve-sim --", "pve-sim")
            .replace("127.0.0.1:8006", "127.0.0.1:0")
            .replace("127.0.0.1:8007", "127.0.0.1:0")
            .replace("sim/scenarios", concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
        // Without the option it would take PVE's own port, which may be taken here.
        let listen = if command.contains("--listen") {
            ""
        } else {
            " --listen 127.0.0.1:0"
        };
        let mut program = shell(folder.path(), &format!("exec {}{listen}", on_free_ports.trim()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(program.stdout.take().unwrap())
            .read_line(&mut ready)
            .await
            .unwrap();
        Self {
            folder,
            program,
            ready,
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address in the ready line.
    fn address(&self) -> &str {
        let url = self.ready.split(' ').nth(1).unwrap_or_default();
        url.strip_prefix("https://")
            .unwrap_or_else(|| panic!("not ready: {}", self.ready))
    }
}

/// The start that the section on clients asks for.
fn start_for_clients() -> &'static str {
    let mut starts = prose("With the clients you have").flat_map(spans);
    starts.find(|span| span.starts_with("pve-sim --control")).unwrap()
}

/// Whether a text has the form of a pattern, in which an address stands for any port and `AB:CD:…` for a fingerprint.
fn fits(pattern: &str, text: &str) -> bool {
    let words = pattern.split_whitespace().zip(text.split_whitespace());
    let same_count = pattern.split_whitespace().count() == text.split_whitespace().count();
    let is_fingerprint = |text: &str| {
        text.len() == 95
            && text
                .split(':')
                .all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok())
    };
    same_count
        && words
            .into_iter()
            .all(|(wanted, word)| match wanted.rsplit_once(':') {
                Some((_, "…")) => is_fingerprint(word),
                Some((host, port)) if port.parse::<u16>().is_ok() => word
                    .strip_prefix(host)
                    .and_then(|rest| rest.strip_prefix(':')?.parse::<u16>().ok())
                    .is_some_and(|port| port != 0),
                _ => wanted == word,
            })
}

#[tokio::test]
async fn the_first_command_starts_a_simulator_which_says_so_in_one_line_and_ends_when_told() {
    let mut started = Started::by(&blocks_of("pve-sim", "sh")[0].text).await;
    let pattern = &blocks_of("pve-sim", "text")[0].text;
    assert!(
        fits(pattern, &started.ready),
        "{} is not {pattern}",
        started.ready
    );
    assert!(started.folder().join(".pve-sim/certificate.pem").exists());
    let pid = started.program.id().unwrap();
    run(shell(started.folder(), &format!("kill -INT {pid}"))).await;
    assert!(started.program.wait().await.unwrap().success());
}

#[test]
fn a_ready_line_without_a_port_or_fingerprint_would_be_noticed() {
    let pattern = "ready https://127.0.0.1:8006 sha256 AB:CD:…";
    let good = vec!["AB"; 32].join(":");
    assert!(fits(pattern, &format!("ready https://127.0.0.1:1 sha256 {good}")));
    assert!(!fits(
        pattern,
        &format!("ready https://127.0.0.1:0 sha256 {good}")
    ));
    assert!(!fits(pattern, "ready https://127.0.0.1:1 sha256 AB:CD"));
    assert!(!fits(pattern, "ready https://127.0.0.1:1"));
}

#[tokio::test]
async fn every_command_with_curl_is_answered_as_pve_would() {
    let started = Started::by(start_for_clients()).await;
    let block = blocks_of("With the clients you have", "sh").remove(0);
    let text = block
        .text
        .replace("127.0.0.1:8006", started.address())
        .replace("\\\n", " ");
    // What is set stays set for the commands behind it, as in the reader's shell.
    let (set, commands): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !line.starts_with("curl "));
    let mut answers = Vec::new();
    for command in commands {
        let with_status = command.replacen(
            "curl",
            "curl --silent --show-error --write-out '\\n%{http_code}'",
            1,
        );
        let text = run(shell(
            started.folder(),
            &format!("{}\n{with_status}", set.join("\n")),
        ))
        .await;
        let (body, status) = text.rsplit_once('\n').unwrap();
        assert_eq!(status, "200", "{command}: {body}");
        answers.push(serde_json::from_str::<Value>(body).unwrap()["data"].clone());
    }
    let [current, snapshot, rule, ticket] = &answers[..] else {
        panic!("a command came or went: say here what it is answered: {answers:?}");
    };
    assert_eq!(
        (&current["name"], &current["status"]),
        (&"web1".into(), &"running".into())
    );
    assert!(
        snapshot
            .as_str()
            .unwrap()
            .contains(":qmsnapshot:100:portico@pve!panel:")
    );
    assert_eq!(*rule, Value::Null);
    assert!(ticket["ticket"].as_str().unwrap().starts_with("PVE:root@pam:"));
}

/// Those of the control API need a simulator to talk to, and are run by `ctl`.
#[tokio::test]
async fn every_command_within_the_text_that_starts_the_program_works() {
    let all = sections().into_iter().flat_map(prose).flat_map(spans);
    let commands = all
        .filter(|span| span.starts_with("pve-sim ") && !span.starts_with("pve-sim ctl"))
        .collect::<Vec<_>>();
    assert!(commands.len() > 2, "{commands:?}");
    for command in commands {
        if !command.contains("--help") && !command.contains("--print-demo") {
            let started = Started::by(command).await;
            assert!(
                started.ready.starts_with("ready "),
                "{command}: {}",
                started.ready
            );
        } else {
            let shown = run(shell(Path::new("."), command)).await;
            assert!(shown.lines().count() > 10, "{command}: {shown}");
        }
    }
}
