//! That no call takes another's turn, that each ends in its time, and that the observer sees all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use portico_proxmox::{Client, ClusterConfig, Error, NodeName, Observer, Outcome, TaskFilter};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::*;

const EMPTY_LIST: &str = r#"{"data":[]}"#;

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

/// Calls about nodes that never answer, more than are allowed; with this many of them under way.
async fn hanging(
    client: &Client,
    server: &Server,
    nodes: &[&str],
    under_way: usize,
) -> Vec<tokio::task::JoinHandle<()>> {
    let call = |name: &&str| {
        let (client, node) = (client.clone(), NodeName::new(*name).unwrap());
        tokio::spawn(async move {
            let _ = client.tasks(&node, &TaskFilter::default()).await;
        })
    };
    let calls = nodes
        .iter()
        .flat_map(|name| std::iter::repeat_n(name, 10))
        .map(call)
        .collect();
    until("the hanging requests", || server.requests().len() >= under_way).await;
    calls
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn two_nodes_that_hang_hold_up_neither_the_others_nor_the_list() {
    let server = Server::routed(vec![
        ("/pve1/", Reply::Hang),
        ("/pve2/", Reply::Hang),
        ("", ok(r#"{"data":[]}"#)),
    ])
    .await;
    // With the limits that a cluster has by itself.
    let client = client(config(&[&server]));
    let hanging = hanging(&client, &server, &["pve1", "pve2"], 8).await;
    let pve3 = NodeName::new("pve3").unwrap();
    for _ in 0..5 {
        let tasks = timeout(SOON, client.tasks(&pve3, &TaskFilter::default())).await;
        tasks.expect("about another node").unwrap();
        timeout(SOON, client.vm_resources())
            .await
            .expect("the list")
            .unwrap();
    }
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn nodes_that_hold_all_turns_about_nodes_do_not_hold_up_the_list() {
    let server = Server::routed(vec![("/nodes/", Reply::Hang), ("", ok(r#"{"data":[]}"#))]).await;
    let mut config = config(&[&server]);
    (config.limits.per_node, config.limits.per_endpoint) = (4, 16);
    let client = client(config);
    let hanging = hanging(&client, &server, &["pve1", "pve2", "pve3", "pve4"], 12).await;
    timeout(SOON, client.vm_resources())
        .await
        .expect("the list")
        .unwrap();
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_call_takes_a_turn_at_another_endpoint_before_it_waits_for_one() {
    let first = Server::start(|_| Reply::Hang).await;
    let second = Server::start(|_| ok(VERSION)).await;
    let mut config = config(&[&first, &second]);
    config.limits.per_endpoint = 1;
    let client = client(config);
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.version().await }
    });
    until("the hanging request", || !first.requests().is_empty()).await;
    timeout(SOON, client.version()).await.expect("at once").unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    held.abort();
}

#[tokio::test]
async fn a_call_is_over_with_its_time_however_long_it_had_to_wait_for_its_turns() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut config = config(&[&server]);
    config.limits.per_node = 1;
    config.timeouts.write = Duration::from_secs(3);
    let client = client(config);
    let holder = tokio::spawn({
        let client = client.clone();
        let node = NodeName::new("pve1").unwrap();
        async move { client.tasks(&node, &TaskFilter::default()).await }
    });
    until("the first request", || server.requests().len() == 1).await;
    let began = std::time::Instant::now();
    let write = tokio::spawn({
        let client = client.clone();
        async move { client.stop_task(&upid()).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    holder.abort();
    let error = write.await.unwrap().unwrap_err();
    let Error::Timeout { after, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        after < Duration::from_millis(2100),
        "{after:?} and the time it waited"
    );
    assert!(began.elapsed() >= Duration::from_secs(3));
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
