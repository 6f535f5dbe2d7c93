//! What is repeated and what never is, where a VM is looked for, and that no call takes another's turn.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use portico_proxmox::{
    Client, ClusterConfig, ConfigUpdate, Error, NoObserver, NodeName, Observer, Outcome, Reason, TaskFilter,
    Trust,
};
use tokio::sync::Semaphore;

use crate::support::*;

const EMPTY_LIST: &str = r#"{"data":[]}"#;
const NOT_HERE: &str = "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist";

// ---- repeating and failing over

#[tokio::test]
async fn a_read_goes_to_the_next_endpoint_when_the_first_is_dead_and_stays_there() {
    let server = Server::start(|_| ok(VERSION)).await;
    let mut config = config(&[&server]);
    config.endpoints.insert(0, dead_endpoint().await);
    let client = client(config);
    for _ in 0..3 {
        client.version().await.unwrap();
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_read_goes_to_the_next_endpoint_when_the_connection_breaks_or_the_node_is_unreachable() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\"".to_vec();
    for bad in [
        Reply::Cut,
        Reply::Raw(half),
        bare(596, "Connection timed out"),
        bare(595, "No route to host"),
    ] {
        let first = Server::start(move |_| bad.clone()).await;
        let second = Server::start(|_| ok(VERSION)).await;
        client(config(&[&first, &second])).version().await.unwrap();
        assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_read_of_the_only_endpoint_is_tried_once_more() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => fail(500, "can't lock file '/var/lock/x' - got timeout"),
        _ => ok(VERSION),
    })
    .await;
    server.client().version().await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_read_that_is_refused_for_good_is_not_repeated() {
    for bad in [
        bare(401, "Authentication failed!"),
        fail(403, "Permission check failed"),
        fail(500, "nonsense"),
    ] {
        let first = Server::start(move |_| bad.clone()).await;
        let second = Server::start(|_| ok(VERSION)).await;
        client(config(&[&first, &second])).version().await.unwrap_err();
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_becomes_of_the_answer() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\"".to_vec();
    for (bad, uncertain) in [
        (Reply::Cut, true),
        (Reply::Raw(half), true),
        (bare(596, "Connection timed out"), true),
        (bare(599, "Too many redirections"), true),
        (bare(595, "No route to host"), false),
        (ok(r#"{"data":"OK"}"#), true),
        (ok("<html>"), true),
        (fail(500, "can't lock file '/var/lock/x' - got timeout"), false),
    ] {
        let shown = format!("{bad:?}");
        let first = Server::routed(vec![("GET", ok(ON_PVE1)), ("", bad.clone())]).await;
        let second = Server::start(|_| ok(ON_PVE1)).await;
        let error = client(config(&[&first, &second]))
            .vm(vmid())
            .start()
            .await
            .unwrap_err();
        let sent = |server: &Server| {
            server
                .lines()
                .iter()
                .filter(|line| line.starts_with("POST"))
                .count()
        };
        assert_eq!((sent(&first), sent(&second)), (1, 0), "{shown}");
        assert_eq!(error.may_have_happened(), uncertain, "{shown}: {error}");
    }
}

#[tokio::test]
async fn a_write_goes_to_the_next_endpoint_when_the_first_could_not_be_connected() {
    let server = Server::routed(vec![("resources", ok(ON_PVE1)), ("", ok(&task_answer()))]).await;
    let mut config = config(&[&server]);
    config.endpoints.insert(0, dead_endpoint().await);
    config.endpoints.insert(1, dead_endpoint().await);
    let client = client(config);
    client.stop_task(&upid()).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    // The dead ones are passed over from now on.
    client.stop_task(&upid()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn without_any_endpoint_the_error_says_that_nothing_was_sent() {
    let server = Server::start(|_| ok(VERSION)).await;
    let mut config = config(&[&server]);
    config.endpoints = vec![dead_endpoint().await, dead_endpoint().await];
    let error = client(config).version().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(error.is_transient_read() && !error.may_have_happened());
}

#[tokio::test]
async fn plain_http_is_spoken_only_when_asked_for_and_to_this_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await.unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{VERSION}",
            VERSION.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let endpoint: url::Url = format!("http://{address}").parse().unwrap();
    let config = |trust| ClusterConfig::new("test", vec![endpoint.clone()], token(), trust);
    assert!(Client::new(config(Trust::SystemRoots), Arc::new(NoObserver)).is_err());
    client(config(Trust::PlainHttpForTests)).version().await.unwrap();
}

// ---- where a VM is

#[tokio::test]
async fn a_vm_that_moved_is_found_again_and_the_write_is_made_there_once() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.line.contains("resources") {
            return ok(if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                ON_PVE1
            } else {
                ON_PVE2
            });
        }
        if request.line.contains("/nodes/pve2/") {
            ok(&task_answer())
        } else {
            fail(500, NOT_HERE)
        }
    })
    .await;
    let vm = server.client().vm(vmid());
    vm.shutdown(None, false).await.unwrap();
    vm.start().await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /api2/json/cluster/resources?type=vm",
            "POST /api2/json/nodes/pve1/qemu/100/status/shutdown",
            "GET /api2/json/cluster/resources?type=vm",
            "POST /api2/json/nodes/pve2/qemu/100/status/shutdown",
            "POST /api2/json/nodes/pve2/qemu/100/status/start",
        ]
    );
}

#[tokio::test]
async fn when_list_and_node_disagree_the_call_is_not_made_again() {
    let server = Server::routed(vec![("resources", ok(ON_PVE1)), ("", fail(500, NOT_HERE))]).await;
    let error = server.client().vm(vmid()).start().await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::VmNotFound));
    assert_eq!(
        server
            .lines()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_vm_is_not_taken_for_missing_when_the_source_of_its_disk_is() {
    let text = "Configuration file 'nodes/pve1/qemu-server/9000.conf' does not exist";
    let server = Server::routed(vec![("resources", ok(ON_PVE1)), ("", fail(500, text))]).await;
    let update = ConfigUpdate::new().set("scsi1", "a:0,import-from=b:base-9000-disk-0");
    let vm = server.client().vm(vmid());
    let error = vm.update_config(&update.unwrap()).await.unwrap_err();
    assert!(!error.is_vm_missing(), "{error:?}");
    assert_eq!(server.requests().len(), 2, "the list and the change");
}

#[tokio::test]
async fn a_vm_on_no_node_is_unknown() {
    let server = Server::start(|_| ok(r#"{"data":[]}"#)).await;
    let error = server.client().vm(vmid()).status().await.unwrap_err();
    assert!(
        matches!(error, Error::VmUnknown { .. }) && error.is_vm_missing(),
        "{error:?}"
    );
    assert_eq!(error.target().vmid, Some(vmid()));
}

#[tokio::test]
async fn many_calls_at_once_ask_for_the_list_once() {
    let server = Server::start(|_| ok(ON_PVE1)).await;
    let client = server.client();
    let calls = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.node_of(vmid()).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().as_str(), "pve1");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn calls_that_wait_for_a_list_that_is_not_to_be_had_give_up_together() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut config = config(&[&server]);
    config.timeouts.read = Duration::from_millis(200);
    let client = client(config);
    let calls = (0..30).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.node_of(vmid()).await.unwrap_err() })
    });
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap();
        assert!(
            matches!(error, Error::Timeout { .. } | Error::Busy { .. }),
            "{error:?}"
        );
    }
    let asked = server.requests().len();
    assert!(asked < 10, "asked {asked} times, one after the other");
}

#[tokio::test]
async fn a_task_that_failed_for_want_of_the_vm_lets_its_node_be_looked_up_anew() {
    let server = Server::routed(vec![
        ("resources", ok(ON_PVE1)),
        (
            "",
            ok(&serde_json::json!({"data": {"status": "stopped", "exitstatus": NOT_HERE}}).to_string()),
        ),
    ])
    .await;
    let client = server.client();
    client.node_of(vmid()).await.unwrap();
    client.task_status(&upid()).await.unwrap();
    client.node_of(vmid()).await.unwrap();
    let asked = server.requests();
    let lists = asked.iter().filter(|request| request.line.contains("resources"));
    assert_eq!(
        lists.count(),
        2,
        "not taken from the old list, and not taken for gone"
    );
}

// ---- turns and time

struct Recorder(Mutex<Vec<(Method, String, Outcome)>>);

impl Observer for Recorder {
    fn request(&self, method: &Method, route: &str, outcome: Outcome, _: Duration) {
        self.0
            .lock()
            .unwrap()
            .push((method.clone(), route.to_owned(), outcome));
    }
}

fn observed(config: ClusterConfig) -> (Client, Arc<Recorder>) {
    let recorder = Arc::new(Recorder(Mutex::new(Vec::new())));
    (
        Client::new(config, Arc::clone(&recorder) as Arc<dyn Observer>).unwrap(),
        recorder,
    )
}

#[tokio::test]
async fn every_request_is_observed_by_its_template_with_its_outcome() {
    let server = Server::routed(vec![
        ("version", ok(VERSION)),
        ("", fail(403, "Permission check failed")),
    ])
    .await;
    let (client, recorder) = observed(config(&[&server]));
    client.version().await.unwrap();
    client.task_status(&upid()).await.unwrap_err();
    assert_eq!(
        *recorder.0.lock().unwrap(),
        [
            (Method::GET, "/version".to_owned(), Outcome::Ok),
            (
                Method::GET,
                "/nodes/{node}/tasks/{upid}/status".to_owned(),
                Outcome::Refused(403)
            ),
        ]
    );
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout_and_a_write_may_have_happened() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut config = config(&[&server]);
    config.timeouts.write = Duration::from_millis(50);
    let (client, recorder) = observed(config);
    let error = client.stop_task(&upid()).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. }) && error.may_have_happened(),
        "{error:?}"
    );
    assert_eq!(recorder.0.lock().unwrap()[0].2, Outcome::Timeout);
}

#[tokio::test]
async fn a_dropped_call_is_observed_and_frees_its_turn() {
    let server = Server::routed(vec![("version", ok(VERSION)), ("", Reply::Hang)]).await;
    let mut config = config(&[&server]);
    (config.limits.per_node, config.limits.per_endpoint) = (1, 1);
    let (client, recorder) = observed(config);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.stop_task(&upid()).await }
    });
    until("the request to arrive", || !server.requests().is_empty()).await;
    call.abort();
    client.version().await.unwrap();
    assert_eq!(recorder.0.lock().unwrap()[0].2, Outcome::Dropped);
}

#[tokio::test]
async fn no_more_calls_than_allowed_are_under_way_for_one_node() {
    let gate = Arc::new(Semaphore::new(0));
    let at_gate = Arc::clone(&gate);
    let server = Server::start(move |_| Reply::Gate(Arc::clone(&at_gate), r#"{"data":[]}"#.to_owned())).await;
    let mut config = config(&[&server]);
    (config.limits.per_node, config.limits.per_endpoint) = (2, 8);
    let client = client(config);
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            let node = NodeName::new("pve1").unwrap();
            tokio::spawn(async move { client.tasks(&node, &TaskFilter::default()).await })
        })
        .collect();
    until("two requests at the gate", || server.waiting() == 2).await;
    gate.add_permits(6);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((server.most_waiting(), server.requests().len()), (2, 6));
}

#[tokio::test]
async fn limits_may_be_as_large_as_a_number_can_be() {
    let server = Server::start(|_| ok(EMPTY_LIST)).await;
    let mut config = config(&[&server]);
    config.limits.per_node = usize::MAX;
    config.limits.per_endpoint = usize::MAX;
    config.limits.max_body = usize::MAX;
    config.timeouts.read = Duration::MAX;
    let node = NodeName::new("pve1").unwrap();
    let tasks = client(config).tasks(&node, &TaskFilter::default()).await;
    assert_eq!(tasks.unwrap(), []);
}

#[tokio::test]
async fn a_node_that_hangs_does_not_hold_up_the_others() {
    let server = Server::routed(vec![("/pve1/", Reply::Hang), ("", ok(r#"{"data":[]}"#))]).await;
    let mut config = config(&[&server]);
    (config.limits.per_node, config.limits.per_endpoint) = (1, 2);
    let client = client(config);
    let hanging: Vec<_> = (0..5)
        .map(|_| {
            let client = client.clone();
            let node = NodeName::new("pve1").unwrap();
            tokio::spawn(async move { client.tasks(&node, &TaskFilter::default()).await })
        })
        .collect();
    until("the hanging request", || !server.requests().is_empty()).await;
    client
        .tasks(&NodeName::new("pve2").unwrap(), &TaskFilter::default())
        .await
        .unwrap();
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_turn_is_told_that_nothing_was_sent() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut config = config(&[&server]);
    (config.limits.per_node, config.timeouts.write) = (1, Duration::from_millis(50));
    let client = client(config);
    let holder = tokio::spawn({
        let client = client.clone();
        let node = NodeName::new("pve1").unwrap();
        async move { client.tasks(&node, &TaskFilter::default()).await }
    });
    until("the first request", || server.requests().len() == 1).await;
    let error = client.stop_task(&upid()).await.unwrap_err();
    assert!(
        matches!(error, Error::Busy { .. }) && !error.may_have_happened(),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 1);
    holder.abort();
}
