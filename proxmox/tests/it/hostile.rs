//! Whatever an endpoint sends, in whatever bytes: an error or data, never a panic, never without end, and no secret in it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portico_proxmox::{
    BackupFailure, Client, CloudinitData, Error, Feature, Fingerprint, FirewallName, LogLine, NodeName,
    Notes, Reason, RestoreFailure, Retention, RuleComment, RuleText, SetMember, SnapshotName, StorageId,
    TaskFilter, TaskProgress, TaskState, Timeframe, Upid, Vm, VolumeId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value};

use crate::support::*;

/// Names that PVE's answers have, so that values of the wrong type get where they hurt.
const KEYS: &[&str] = &[
    "data",
    "total",
    "message",
    "errors",
    "vmid",
    "node",
    "type",
    "status",
    "upid",
    "name",
    "tags",
    "lock",
    "mem",
    "cpu",
    "pos",
    "enable",
    "action",
    "digest",
    "volid",
    "size",
    "ctime",
    "snaptime",
    "vmstate",
    "exitstatus",
    "t",
    "n",
    "key",
    "value",
    "pending",
    "delete",
    "result",
    "error",
    "ip-addresses",
    "port",
    "ticket",
    "password",
    "ha",
    "template",
    "content",
    "cidr",
    "time",
    "hasFeature",
    "pid",
    "exited",
    "scsi0",
    "net0",
    "memory",
    "storage",
    "active",
    "protected",
    "verification",
    "{secret}",
];

fn text() -> impl Strategy<Value = String> {
    let real = vec![
        "",
        "0",
        "1",
        "-1",
        "1e400",
        "NaN",
        "100",
        "OK",
        "qemu",
        "running",
        "pve1",
        UPID,
        "local:iso/x.iso",
        "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,rate=9e99",
        "local-lvm:vm-100-disk-0,size=99999999999999999999T",
        "Permission check failed (",
        "VM is locked (",
        "storage '",
        "{secret}",
        "UPID:{secret}",
        "VM is locked ({secret})",
    ];
    prop_oneof![
        prop::sample::select(real).prop_map(str::to_owned),
        "(?s).{0,40}",
        Just("ü".repeat(5000)),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let key = prop::sample::select(KEYS).prop_map(str::to_owned);
        let pairs = prop::collection::vec((key, inner.clone()), 0..10);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            pairs.prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Texts made of what PVE's sentences are made of, cut and joined anyhow.
fn sentence() -> impl Strategy<Value = String> {
    let pieces = vec![
        "VM ",
        "VM is locked (",
        ")",
        "100",
        "99999999999999999999",
        " already exists",
        " is running - ",
        "storage '",
        "' is not online",
        "volume ",
        " does not exist",
        "snapshot '",
        "Configuration file '",
        "/qemu-server/",
        ".conf' does not exist",
        "unable to find configuration file for VM ",
        "Agent error: ",
        "WARNINGS: ",
        "ERROR: ",
        "Backup of VM 100 failed - ",
        "TASK ERROR: ",
        "INFO: ",
        "progress ",
        "%",
        " (",
        "new volume ID is '",
        "keep-last=",
        "UPID:pve1:",
        "000F4A3C:",
        ":",
        "'",
        "`",
        "\"",
        "\n",
        "\u{0}",
        "ü",
        "🦀",
        " ",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => "(?s).{0,12}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_does_harm_to_what_reads_it(texts in prop::collection::vec(sentence(), 1..6)) {
        let lines = texts.iter().zip(1..).map(|(t, n)| LogLine { n, t: t.clone() });
        let lines = lines.collect::<Vec<_>>();
        if let Some(TaskProgress::Fraction(fraction)) = TaskProgress::of_log(&lines) {
            prop_assert!((0.0..=1.0).contains(&fraction));
        }
        let _ = (BackupFailure::of_log(&lines, vmid()), RestoreFailure::of_log(&lines));
        for text in &texts {
            let reason = Reason::classify(text);
            prop_assert!(!reason.to_string().is_empty());
            if let TaskState::Failed { text, .. } = TaskState::from_exit_text(text) {
                prop_assert!(text.chars().count() <= 1024 && !text.contains(char::is_control));
            }
            let _ = (Retention::parse(text).and_then(|kept| kept.limit()), text.parse::<Fingerprint>());
            if let Ok(upid) = text.parse::<Upid>() {
                prop_assert_eq!(upid.to_string(), text.as_str());
            }
        }
    }

    #[test]
    fn what_is_taken_is_fit_for_where_it_goes(text in prop_oneof![sentence(), "(?s).{0,80}", "[a-z0-9:/._-]{1,40}"]) {
        for name in [NodeName::new(&*text).is_ok(), StorageId::new(&*text).is_ok(), SnapshotName::new(&*text).is_ok()] {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            prop_assert!(!name || (text.chars().all(word) && !text.starts_with('.')));
        }
        if VolumeId::new(&*text).is_ok() {
            prop_assert!(!text.contains(',') && !text.contains(char::is_control) && !text.contains("/../"));
        }
        if RuleText::new(&*text).is_ok() || SetMember::new(&*text).is_ok() {
            prop_assert!(text.chars().all(|c| c.is_ascii_graphic()));
        }
        let comment = RuleComment::cleaned(&text);
        prop_assert_eq!(comment.as_str().lines().count().max(1), 1);
        prop_assert!(!comment.as_str().contains(char::is_control));
        if let Ok(notes) = Notes::new(&text) {
            prop_assert!(notes.as_str().chars().count() <= 1024);
        }
    }
}

/// An answer in which `{secret}` stands for the secret of the token that asked.
#[derive(Debug, Clone, Default)]
struct Answer {
    status: u16,
    phrase: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// The whole answer, from the status line on.
    fn quoting(&self, secret: &str) -> Vec<u8> {
        let filled = |bytes: &[u8]| {
            let mut filled = Vec::new();
            let mut rest = bytes;
            while let Some(at) = rest.windows(8).position(|window| window == b"{secret}") {
                filled.extend(&rest[..at]);
                filled.extend(secret.as_bytes());
                rest = &rest[at + 8..];
            }
            filled.extend(rest);
            filled
        };
        let (phrase, body) = (filled(&self.phrase), filled(&self.body));
        let length = body.len();
        [
            format!("HTTP/1.1 {} ", self.status).into_bytes(),
            phrase,
            format!("\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes(),
            body,
        ]
        .concat()
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![4 => Just(200_u16), 1 => 200_u16..1000];
    let phrase = prop_oneof![
        Just(b"OK".to_vec()),
        Just(b"no {secret}".to_vec()),
        prop::collection::vec(
            (0x20_u8..=0xFF).prop_filter("no control", |byte| *byte != 0x7F),
            0..80
        ),
    ];
    let body = prop_oneof![
        6 => json().prop_map(|data| serde_json::json!({ "data": data }).to_string().into_bytes()),
        2 => json().prop_map(|any| any.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..400),
    ];
    (status, phrase, body).prop_map(|(status, phrase, body)| Answer { status, phrase, body })
}

/// The errors of every reading call, and of some writing ones; what the others give can be shown.
async fn everything(client: &Client, vm: &Vm) -> String {
    let node = NodeName::new("pve1").unwrap();
    let storage = StorageId::new("local").unwrap();
    let volume = VolumeId::new("local:iso/x.iso").unwrap();
    let set = FirewallName::new("web").unwrap();
    let mut shown = String::new();
    macro_rules! made {
        ($($call:expr),* $(,)?) => {
            $(match $call.await {
                Ok(data) => drop(format!("{data:?}")),
                Err(error) => {
                    // What is asked of an error must not fail either.
                    let of: &Error = &error;
                    let _ = (of.target(), of.reason(), of.is_vm_missing(), of.may_have_happened());
                    shown.push_str(&format!("{error} {error:?} {}\n", error.with_causes()));
                }
            })*
        };
    }
    made!(
        client.version(),
        client.permissions(None),
        client.resources(),
        client.next_id(),
        client.task_status(&upid()),
        client.task_log(&upid(), 0, 50),
        client.tasks(&node, &TaskFilter::default()),
        client.storages(&node, None),
        client.storage_content(&node, &storage, None, None),
        client.volume(&node, &volume),
        client.backup_retention(&node, &storage),
        client.cluster_firewall(),
        client.firewall_macros(),
        vm.status(),
        vm.config(),
        vm.pending(),
        vm.cloudinit_dump(CloudinitData::User),
        vm.snapshots(),
        vm.feature(Feature::Snapshot, None),
        vm.series(Timeframe::Hour, portico_proxmox::Consolidation::Average),
        vm.firewall_rules(),
        vm.firewall_options(),
        vm.firewall_sets(),
        vm.firewall_set(&set),
        vm.firewall_references(),
        vm.agent_ping(),
        vm.agent_os(),
        vm.agent_interfaces(),
        vm.agent_file_systems(),
        vm.agent_exec_status(1),
        vm.vnc_proxy(),
        vm.start(),
    );
    shown
}

#[test]
fn no_answer_does_harm_to_any_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let reply = Arc::new(Mutex::new(Answer::default()));
    let (server, client) = runtime.block_on(async {
        let reply = Arc::clone(&reply);
        let server = Server::start(move |request| {
            if request.line.contains("type=vm") {
                return ok(ON_PVE1);
            }
            let (_, secret) = request.headers["authorization"].rsplit_once('=').unwrap();
            Reply::Raw(reply.lock().unwrap().quoting(secret))
        })
        .await;
        // Twice, so that no pause is made before a read is repeated.
        let client = client(config(&[&server, &server]));
        (server, client)
    });
    let vm = client.vm(vmid());
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&answer(), |answer| {
            *reply.lock().unwrap() = answer;
            let errors = runtime.block_on(everything(&client, &vm));
            prop_assert!(!errors.contains("5ec2e7ab"), "the token's secret: {errors}");
            Ok(())
        })
        .unwrap();
    assert!(!server.requests().is_empty());
    // The answers that surely quote it, in each place.
    for status in [200, 400, 401, 403, 500, 596] {
        for body in [
            r#"{"data":"{secret}"}"#,
            r#"{"data":{"status":["{secret}"],"template":"{secret}","enable":"{secret}"}}"#,
            r#"{"data":[{"vmid":"{secret}","node":"{secret}!","upid":"{secret}"}]}"#,
            r#"{"data":null,"message":"no {secret}","errors":{"{secret}":"bad {secret}"}}"#,
            "{secret}",
        ] {
            let phrase = b"got {secret}".to_vec();
            *reply.lock().unwrap() = Answer {
                status,
                phrase,
                body: body.as_bytes().to_vec(),
            };
            let errors = runtime.block_on(everything(&client, &vm));
            assert!(
                !errors.is_empty() && !errors.contains("5ec2e7ab"),
                "{status} {body}: {errors}"
            );
        }
    }
}

#[tokio::test]
async fn headers_without_end_and_answers_without_end_are_given_up() {
    let line = "X-More: and more\r\n".repeat(100_000);
    let many_headers = format!("HTTP/1.1 200 OK\r\n{line}\r\n").into_bytes();
    let long_phrase = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(4_000_000)).into_bytes();
    let one_header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(4_000_000)).into_bytes();
    let preliminary = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100_000).into_bytes();
    for bytes in [many_headers, long_phrase, one_header, preliminary] {
        let server = Server::start(move |_| Reply::Raw(bytes.clone())).await;
        let error = server.client().version().await.unwrap_err();
        assert!(matches!(error, Error::Transport { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_halfway_is_waited_for_no_longer_than_allowed() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\"".to_vec();
    let server = Server::start(move |_| Reply::Stall(half.clone())).await;
    let mut config = config(&[&server]);
    config.timeouts.read = Duration::from_millis(100);
    let error = client(config).version().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}
