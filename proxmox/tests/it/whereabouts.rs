//! Where a VM is looked for, how often, and what is concluded when it is not found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portico_proxmox::{CloneOptions, ConfigUpdate, Error, Reason, Removal, VmId};

use crate::support::*;

const EMPTY_LIST: &str = r#"{"data":[]}"#;
const NOT_HERE: &str = "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist";

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

#[tokio::test]
async fn calls_that_wait_for_a_list_share_its_failure() {
    let server = Server::start(|_| Reply::Cut).await;
    let client = server.client();
    let calls = (0..30).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.node_of(vmid()).await.unwrap_err() })
    });
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap();
        assert!(matches!(error, Error::Transport { .. }), "{error:?}");
        assert_eq!(error.target().vmid, Some(vmid()));
    }
    assert_eq!(server.requests().len(), 2, "one list, and once more");
    // Who comes later asks anew.
    client.node_of(vmid()).await.unwrap_err();
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_write_whose_node_could_not_be_looked_up_did_not_happen() {
    for list in [
        Reply::Cut,
        Reply::Hang,
        bare(596, "Connection timed out"),
        ok("<html>"),
        fail(500, "got timeout"),
    ] {
        let shown = format!("{list:?}");
        let server = Server::routed(vec![("resources", list), ("", ok(&task_answer()))]).await;
        let mut config = config(&[&server]);
        config.timeouts.read = Duration::from_millis(500);
        let error = client(config).vm(vmid()).start().await.unwrap_err();
        assert!(!error.may_have_happened(), "{shown}: {error}");
        assert!(
            server.lines().iter().all(|line| line.starts_with("GET")),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_write_to_a_vm_that_moved_did_not_happen_when_it_cannot_be_looked_up_anew() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if !request.line.contains("resources") {
            return fail(500, NOT_HERE);
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => ok(ON_PVE1),
            _ => Reply::Cut,
        }
    })
    .await;
    let vm = server.client().vm(vmid());
    let update = ConfigUpdate::new()
        .set("cores", "2")
        .and_then(|update| update.set("name", "x"));
    let error = vm.update_config(&update.unwrap()).await.unwrap_err();
    assert!(
        matches!(error, Error::Transport { .. }) && !error.may_have_happened(),
        "{error}"
    );
}

#[tokio::test]
async fn a_vm_that_was_just_made_is_known_although_no_list_has_it_yet() {
    let upid = UPID.replace("qmstart:100", "qmclone:9000");
    let template = r#"{"data":[{"id":"qemu/9000","type":"qemu","vmid":9000,"node":"pve1"}]}"#;
    let server = Server::routed(vec![
        ("resources", ok(template)),
        ("/clone", ok(&format!(r#"{{"data":"{upid}"}}"#))),
        ("", ok(&task_answer())),
    ])
    .await;
    let client = server.client();
    let options = CloneOptions::new(vmid());
    let original = client.vm(VmId::new(9000).unwrap());
    original.clone_to(&options).await.unwrap();
    // A list of after the clone's beginning does not have it either, as when it is not in its pool yet.
    client.vm_resources().await.unwrap();
    assert_eq!(client.node_of(vmid()).await.unwrap().as_str(), "pve1");
    client.vm(vmid()).destroy(Removal::WHOLE).await.unwrap();
}

#[tokio::test]
async fn a_removal_does_not_take_a_vm_for_gone_by_an_old_list() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if !request.line.contains("resources") {
            return ok(&task_answer());
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => ok(EMPTY_LIST),
            _ => ok(ON_PVE1),
        }
    })
    .await;
    let client = server.client();
    client.vm_resources().await.unwrap();
    // Others take the list of a moment ago.
    let error = client.vm(vmid()).status().await.unwrap_err();
    assert!(matches!(error, Error::VmUnknown { .. }), "{error}");
    client.vm(vmid()).destroy(Removal::default()).await.unwrap();
    assert!(server.lines().last().unwrap().starts_with("DELETE"));
}

#[tokio::test]
async fn a_removal_of_a_vm_that_is_on_no_node_asks_once_and_is_told_so() {
    let server = Server::start(|_| ok(EMPTY_LIST)).await;
    let error = server
        .client()
        .vm(vmid())
        .destroy(Removal::default())
        .await
        .unwrap_err();
    assert!(error.is_vm_missing(), "{error}");
    assert_eq!(server.requests().len(), 1);
}
