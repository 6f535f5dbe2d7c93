//! What is repeated and what never is, at which endpoint, and which error is told in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portico_proxmox::{Client, ClusterConfig, Error, NoObserver, Reason, Trust};

use crate::support::*;

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

fn posts(server: &Server) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| line.starts_with("POST")).count()
}

#[tokio::test]
async fn a_write_that_an_endpoint_could_not_pass_on_goes_to_the_next_one_which_is_first_for_that_node() {
    let first = Server::routed(vec![
        ("GET", ok(ON_PVE1)),
        ("/nodes/pve1/", bare(595, "No route to host")),
    ])
    .await;
    let second = Server::routed(vec![("/nodes/pve1/", ok(&task_answer()))]).await;
    let client = client(config(&[&first, &second]));
    client.vm(vmid()).start().await.unwrap();
    client.vm(vmid()).stop(false).await.unwrap();
    assert_eq!((posts(&first), posts(&second)), (1, 2));
    // For all that this node has not to answer, the first is as good as before.
    client.vm_resources().await.unwrap();
    assert_eq!(second.requests().len(), 2);
}

#[tokio::test]
async fn a_write_that_no_endpoint_could_pass_on_did_not_happen() {
    let dead = || Server::routed(vec![("GET", ok(ON_PVE1)), ("", bare(595, "No route to host"))]);
    let (first, second) = (dead().await, dead().await);
    let vm = client(config(&[&first, &second])).vm(vmid());
    let error = vm.start().await.unwrap_err();
    assert!(
        matches!(error, Error::NodeUnreachable { code: 595, .. }),
        "{error}"
    );
    assert!(!error.may_have_happened());
    assert_eq!((posts(&first), posts(&second)), (1, 1));
}

#[tokio::test]
async fn that_a_write_may_have_happened_is_told_whatever_came_before() {
    let first = Server::routed(vec![("GET", ok(ON_PVE1)), ("", bare(595, "No route to host"))]).await;
    let second = Server::start(|_| Reply::Cut).await;
    let error = client(config(&[&first, &second]))
        .vm(vmid())
        .start()
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Transport { .. }) && error.may_have_happened(),
        "{error}"
    );
}

#[tokio::test]
async fn that_a_node_is_unreachable_is_told_although_the_last_endpoint_is_dead() {
    let server = Server::routed(vec![
        ("resources", ok(ON_PVE1)),
        ("", bare(595, "No route to host")),
    ])
    .await;
    let mut config = config(&[&server]);
    config.endpoints.push(dead_endpoint().await);
    let error = client(config).vm(vmid()).status().await.unwrap_err();
    assert!(
        matches!(error, Error::NodeUnreachable { code: 595, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_pve_answered_is_told_and_not_that_another_endpoint_is_not_trusted() {
    let stranger = Server::start(|_| ok(VERSION)).await;
    for (answer, check) in [
        (bare(596, "Connection timed out"), None),
        (
            fail(500, "can't lock file '/var/lock/x' - got timeout"),
            Some(Reason::LockTimeout),
        ),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let mut config = config(&[&server, &stranger]);
        config.trust = Trust::Fingerprints(vec![server.fingerprint]);
        let error = client(config).version().await.unwrap_err();
        assert!(error.is_transient_read(), "{error}");
        assert_eq!(error.reason(), check.as_ref(), "{error}");
    }
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn a_question_to_the_agent_is_not_repeated_after_an_answer() {
    let slow = "VM 100 qga command 'guest-ping' failed - got timeout";
    for bad in [
        fail(500, slow),
        bare(596, "Connection timed out"),
        fail(500, "QEMU guest agent is not running"),
    ] {
        let first = Server::routed(vec![("resources", ok(ON_PVE1)), ("", bad.clone())]).await;
        let second = Server::start(|_| ok(r#"{"data":{"result":{}}}"#)).await;
        let vm = client(config(&[&first, &second])).vm(vmid());
        let _ = vm.agent_ping().await;
        let error = vm.agent_host_name().await.unwrap_err();
        assert!(!error.may_have_happened(), "{error}");
        let asked = first
            .lines()
            .iter()
            .filter(|line| line.contains("/agent/"))
            .count();
        assert_eq!((asked, second.requests().len()), (2, 0), "{bad:?}");
    }
}

#[tokio::test]
async fn a_question_to_the_agent_that_got_no_answer_is_asked_at_the_next_endpoint() {
    for bad in [Reply::Cut, bare(595, "No route to host")] {
        let first = Server::routed(vec![("resources", ok(ON_PVE1)), ("", bad)]).await;
        let second = Server::start(|_| ok(r#"{"data":{"result":{}}}"#)).await;
        let vm = client(config(&[&first, &second])).vm(vmid());
        assert_eq!(
            vm.agent_ping().await.unwrap(),
            portico_proxmox::AgentState::Answers
        );
        assert_eq!(second.requests().len(), 1);
    }
}
