//! Waiting for the end of a task, with all that PVE says of one around its start and its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portico_proxmox::{Client, Error, Reason, TaskState, TaskWait};

use crate::support::*;

const LONG: Duration = Duration::from_secs(20);

const RUNNING: &str = r#"{"status":"running"}"#;
const ENDED: &str = r#"{"status":"stopped","exitstatus":"OK"}"#;
const UNCLEAR: &str = r#"{"status":"stopped","exitstatus":"unexpected status"}"#;

fn unknown() -> Reply {
    let phrase = "Parameter verification failed.";
    let body = format!(r#"{{"data":null,"errors":{{"upid":"no such task"}},"message":"{phrase}\n"}}"#);
    Reply::Send(400, phrase.to_owned(), body)
}

/// A client of a server that gives these answers one after the other, and then the last one for ever.
async fn answering(replies: Vec<Reply>) -> (Server, Client) {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let now = asked.fetch_add(1, Ordering::SeqCst);
        replies[now.min(replies.len() - 1)].clone()
    })
    .await;
    let client = server.client();
    (server, client)
}

fn wait(limit: Duration, settle: Duration) -> TaskWait {
    TaskWait {
        poll: Duration::from_millis(2),
        limit,
        settle,
    }
}

#[tokio::test]
async fn what_pve_says_for_a_moment_around_start_and_end_is_not_believed() {
    let replies = vec![
        unknown(),
        data(RUNNING),
        data(UNCLEAR),
        unknown(),
        data(UNCLEAR),
        data(ENDED),
    ];
    let (server, client) = answering(replies).await;
    let end = client.task_end(&upid(), &wait(LONG, LONG)).await.unwrap();
    assert_eq!(end, TaskState::Succeeded);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn an_end_that_stays_unclear_is_lost_and_a_task_that_stays_unknown_is_an_error() {
    let settle = Duration::from_millis(50);
    let (server, client) = answering(vec![data(RUNNING), data(UNCLEAR)]).await;
    let end = client.task_end(&upid(), &wait(LONG, settle)).await.unwrap();
    assert_eq!(end, TaskState::Lost);
    assert!(server.requests().len() > 2, "it was doubted first");
    let (server, client) = answering(vec![unknown()]).await;
    let error = client.task_end(&upid(), &wait(LONG, settle)).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::NoSuchTask), "{error}");
    assert!(server.requests().len() > 1, "it was doubted first");
}

#[tokio::test]
async fn a_failure_is_told_at_once() {
    let failed = r#"{"status":"stopped","exitstatus":"VM is locked (backup)"}"#;
    let (server, client) = answering(vec![data(failed)]).await;
    let end = client.task_end(&upid(), &wait(LONG, LONG)).await.unwrap();
    assert!(
        matches!(
            end,
            TaskState::Failed {
                reason: Reason::Locked(_),
                ..
            }
        ),
        "{end:?}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_task_that_takes_longer_than_one_waits_runs_still() {
    let (_server, client) = answering(vec![data(RUNNING)]).await;
    let limit = Duration::from_millis(50);
    let end = client.task_end(&upid(), &wait(limit, LONG)).await.unwrap();
    assert_eq!(end, TaskState::Running);
    // Without any time one look is taken.
    let end = client
        .task_end(&upid(), &wait(Duration::ZERO, LONG))
        .await
        .unwrap();
    assert_eq!(end, TaskState::Running);
}

#[tokio::test]
async fn a_node_that_is_away_for_a_while_is_waited_for_and_a_missing_right_is_not() {
    let away = bare(595, "No route to host");
    let replies = [vec![data(RUNNING)], vec![away; 12], vec![data(ENDED)]].concat();
    let (_server, client) = answering(replies).await;
    let end = client.task_end(&upid(), &wait(LONG, LONG)).await.unwrap();
    assert_eq!(end, TaskState::Succeeded);
    let (_server, client) = answering(vec![fail(403, "Permission check failed")]).await;
    let error = client.task_end(&upid(), &wait(LONG, LONG)).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
}

#[tokio::test]
async fn waiting_can_be_dropped_and_begun_again() {
    let (server, client) = answering(vec![data(RUNNING), data(RUNNING), data(ENDED)]).await;
    let (upid, wait) = (upid(), wait(LONG, LONG));
    let slow = TaskWait { poll: LONG, ..wait };
    tokio::select! {
        end = client.task_end(&upid, &slow) => panic!("{end:?}"),
        () = until("one look was taken", || server.requests().len() == 1) => {}
    }
    let end = client.task_end(&upid, &wait).await.unwrap();
    assert_eq!(end, TaskState::Succeeded);
}
