//! Each call against a recorded answer: where it goes, with which parameters, and what is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::*;
use portico_proxmox::{
    AgentState, ConfigUpdate, ContentKind, Error, Feature, NewSnapshot, NodeName, PowerState, Reason,
    SnapshotName, SnapshotState, StorageId, TaskFilter, TaskSource, TaskState,
};

#[tokio::test]
async fn power_actions_name_their_path_and_parameters_and_give_the_task() {
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    let minute = Some(Duration::from_mins(1));
    vm.start().await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/start");
    vm.stop(false).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/stop");
    vm.stop(true).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/stop overrule-shutdown=1");
    vm.shutdown(minute, true).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu/100/status/shutdown timeout=60&forceStop=1"
    );
    vm.reboot(minute).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/reboot timeout=60");
    vm.reset().await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/reset");
    vm.suspend(true).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/status/suspend todisk=1");
    assert_eq!(vm.resume().await.unwrap(), upid());
    assert_eq!(last(&server), "POST /qemu/100/status/resume");
}

#[tokio::test]
async fn the_status_of_a_running_vm_is_read() {
    let body = r#"{"status":"running","qmpstatus":"running","vmid":100,"name":"web","cpus":2,"cpu":0.5,
        "mem":1073741824,"maxmem":2147483648,"uptime":77,"netin":1,"netout":2,"ha":{"managed":0},"agent":1}"#;
    let (server, vm) = serving(data(body)).await;
    let status = vm.status().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/status/current");
    assert_eq!(
        (status.state(), status.uptime, status.cpu),
        (&PowerState::Running, Some(77), Some(0.5))
    );
}

#[tokio::test]
async fn snapshots_are_listed_taken_rolled_back_described_and_removed() {
    let (server, vm) = serving(data(
        r#"[{"name":"current","description":"You are here!","running":0,"digest":"aa","parent":"daily"},
            {"name":"daily","snaptime":1787194801,"vmstate":0,"description":"x","snapstate":"delete"}]"#,
    ))
    .await;
    let snapshots = vm.snapshots().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/snapshot");
    assert_eq!(snapshots.list[0].state, Some(SnapshotState::Deleting));

    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    let name = SnapshotName::new("daily").unwrap();
    let new = NewSnapshot {
        name: name.clone(),
        description: None,
        with_memory: false,
    };
    vm.create_snapshot(&new).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/snapshot snapname=daily");
    vm.rollback_snapshot(&name, false).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/snapshot/daily/rollback");
    vm.rollback_snapshot(&name, true).await.unwrap();
    assert_eq!(last(&server), "POST /qemu/100/snapshot/daily/rollback start=1");
    assert_eq!(vm.remove_snapshot(&name).await.unwrap(), upid());
    assert_eq!(last(&server), "DELETE /qemu/100/snapshot/daily");

    let (server, vm) = serving(data("null")).await;
    vm.describe_snapshot(&name, "new text").await.unwrap();
    assert_eq!(
        last(&server),
        "PUT /qemu/100/snapshot/daily/config description=new+text"
    );
}

#[tokio::test]
async fn whether_snapshots_are_possible_is_asked_of_feature() {
    let (server, vm) = serving(data(r#"{"hasFeature":1,"nodes":["pve1","pve2"]}"#)).await;
    let answer = vm.feature(Feature::Snapshot, None).await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/feature?feature=snapshot");
    assert!(answer.available && answer.nodes.len() == 2);
    let (_server, vm) = serving(data(r#"{"hasFeature":"0"}"#)).await;
    assert!(!vm.feature(Feature::Snapshot, None).await.unwrap().available);
}

#[tokio::test]
async fn a_snapshot_refused_at_once_says_why() {
    for (text, reason) in [
        (
            "unable to use snapshot name 'current' (reserved name)",
            Reason::SnapshotNameReserved,
        ),
        (
            "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: hostpci0",
            Reason::StateUnsupported,
        ),
    ] {
        let (_server, vm) = serving(fail(500, text)).await;
        let name = SnapshotName::new("daily").unwrap();
        let new = NewSnapshot {
            name,
            description: None,
            with_memory: true,
        };
        let error = vm.create_snapshot(&new).await.unwrap_err();
        assert_eq!(
            (error.reason(), error.provider_text()),
            (Some(&reason), Some(text))
        );
        assert_eq!(error.target().node.as_ref().unwrap().as_str(), "pve1");
        assert!(!error.may_have_happened());
    }
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let (_server, vm) = serving(fail(403, "Permission check failed (/vms/100, VM.PowerMgmt)")).await;
    let Err(Error::PermissionDenied { path, privileges, .. }) = vm.start().await else {
        panic!()
    };
    assert_eq!(
        (path.as_deref(), privileges),
        (Some("/vms/100"), vec!["VM.PowerMgmt".to_owned()])
    );
}

#[tokio::test]
async fn the_config_is_read_and_changed_with_digest() {
    let (server, vm) = serving(data(
        r#"{"name":"web","memory":"2048","cores":2,"digest":"abcd"}"#,
    ))
    .await;
    let config = vm.config().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/config");
    assert_eq!(
        (config.memory_mib(), config.cpus(), config.digest().as_deref()),
        (2048, 2, Some("abcd"))
    );
    vm.current_config().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/config?current=1");

    let (server, vm) = serving(data("null")).await;
    let update = ConfigUpdate::new()
        .set("onboot", "1")
        .unwrap()
        .delete("net1")
        .unwrap()
        .delete("net2")
        .unwrap();
    vm.update_config(&update.digest("abcd")).await.unwrap();
    assert_eq!(
        last(&server),
        "PUT /qemu/100/config onboot=1&delete=net1%2Cnet2&digest=abcd"
    );

    let (_server, vm) = serving(fail(500, "checksum mismatch (file change by other user?)")).await;
    let error = vm
        .update_config(&ConfigUpdate::new().set("onboot", "1").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::DigestMismatch));
}

#[tokio::test]
async fn the_end_of_a_task_is_told_by_its_text() {
    for (json, state) in [
        (r#"{"status":"running","upid":"x"}"#, TaskState::Running),
        (r#"{"status":"stopped","exitstatus":"OK"}"#, TaskState::Succeeded),
        (
            r#"{"status":"stopped","exitstatus":"WARNINGS: 1"}"#,
            TaskState::SucceededWithWarnings(1),
        ),
        (
            r#"{"status":"stopped","exitstatus":"unexpected status"}"#,
            TaskState::Lost,
        ),
        (r#"{"status":"stopped"}"#, TaskState::Lost),
        (
            r#"{"status":"stopped","exitstatus":"can't rollback, 'x' is not most recent snapshot on 'zfs:vm'"}"#,
            TaskState::Failed {
                reason: Reason::SnapshotNotMostRecent,
                text: "can't rollback, 'x' is not most recent snapshot on 'zfs:vm'".to_owned(),
            },
        ),
    ] {
        let (server, vm) = serving(data(json)).await;
        assert_eq!(vm.client().task_status(&upid()).await.unwrap(), state);
        let escaped = UPID.replace(':', "%3A").replace('@', "%40").replace('!', "%21");
        assert_eq!(last(&server), format!("GET /tasks/{escaped}/status"));
    }
}

#[tokio::test]
async fn a_task_that_is_not_known_yet_has_its_own_reason() {
    let body =
        r#"{"data":null,"errors":{"upid":"no such task"},"message":"Parameter verification failed.\n"}"#;
    let (_server, vm) = serving(Reply::Send(
        400,
        "Parameter verification failed.".to_owned(),
        body.to_owned(),
    ))
    .await;
    let error = vm.client().task_status(&upid()).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.target().upid.as_ref()),
        (Some(&Reason::NoSuchTask), Some(&upid()))
    );
}

#[tokio::test]
async fn a_log_is_read_in_parts() {
    let (server, vm) = serving(ok(
        r#"{"data":[{"n":11,"t":"INFO: a"},{"n":"12","t":"TASK OK"}],"total":12}"#,
    ))
    .await;
    let log = vm.client().task_log(&upid(), 10, 50).await.unwrap();
    assert!(last(&server).ends_with("/log?start=10&limit=50"));
    assert_eq!(
        (
            log.lines.len(),
            log.lines[1].n,
            log.lines[1].t.as_str(),
            log.total
        ),
        (2, 12, "TASK OK", 12)
    );
    vm.client().task_log(&upid(), 0, 0).await.unwrap();
    assert!(last(&server).ends_with("limit=1"), "0 would be the whole log");
}

#[tokio::test]
async fn a_log_in_which_nothing_is_written_yet_has_no_lines() {
    let empty = ok(r#"{"data":[{"n":1,"t":"no content"}],"total":1}"#);
    let server = Server::start(move |_| empty.clone()).await;
    let log = server.client().task_log(&upid(), 0, 50).await.unwrap();
    assert_eq!((log.lines.len(), log.total), (0, 0));
}

#[tokio::test]
async fn tasks_are_listed_by_filter() {
    let (server, vm) = serving(ok(&format!(
        r#"{{"data":[{{"upid":"{UPID}","endtime":1755689160,"status":"OK"}},{{"upid":"garbage"}}],"total":2}}"#
    )))
    .await;
    let node = NodeName::new("pve1").unwrap();
    let filter = TaskFilter {
        vmid: Some(vmid()),
        kind: Some("qmstart".to_owned()),
        source: TaskSource::Active,
        since: Some(1_700_000_000),
        limit: Some(10),
        ..TaskFilter::default()
    };
    let tasks = vm.client().tasks(&node, &filter).await.unwrap();
    assert_eq!(
        last(&server),
        "GET /tasks?vmid=100&typefilter=qmstart&source=active&since=1700000000&limit=10"
    );
    assert_eq!(
        (tasks.len(), &tasks[0].upid, &tasks[0].state),
        (1, &upid(), &TaskState::Succeeded)
    );
    let all = vm.client().tasks(&node, &TaskFilter::default()).await.unwrap();
    assert_eq!((last(&server).as_str(), all.len()), ("GET /tasks?source=all", 1));
    // A server that does not know the filter lists other tasks too.
    let other = TaskFilter {
        kind: Some("qmsnapshot".to_owned()),
        ..TaskFilter::default()
    };
    assert!(vm.client().tasks(&node, &other).await.unwrap().is_empty());
    let later = TaskFilter {
        since: Some(upid().start_time() + 1),
        ..TaskFilter::default()
    };
    assert!(vm.client().tasks(&node, &later).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_content_of_a_storage_is_listed_by_kind_and_vm() {
    let (server, vm) = serving(data(
        r#"[{"volid":"local:iso/debian-13.iso","content":"iso","format":"iso","size":1}]"#,
    ))
    .await;
    let (node, storage) = (
        NodeName::new("pve1").unwrap(),
        StorageId::new("my.store").unwrap(),
    );
    let volumes = vm
        .client()
        .storage_content(&node, &storage, Some(ContentKind::Iso), None)
        .await
        .unwrap();
    assert_eq!(last(&server), "GET /storage/my.store/content?content=iso");
    assert_eq!(volumes[0].volid.volume_name(), "iso/debian-13.iso");
    vm.client()
        .storage_content(&node, &storage, Some(ContentKind::Backup), Some(vmid()))
        .await
        .unwrap();
    assert_eq!(
        last(&server),
        "GET /storage/my.store/content?content=backup&vmid=100"
    );
}

#[tokio::test]
async fn the_agent_answers_is_silent_or_is_not_configured() {
    for (reply, state) in [
        (data(r#"{"result":{}}"#), AgentState::Answers),
        (fail(500, "QEMU guest agent is not running"), AgentState::Silent),
        (
            fail(500, "VM 100 qga command 'guest-ping' failed - got timeout"),
            AgentState::Silent,
        ),
        (
            fail(500, "No QEMU guest agent configured"),
            AgentState::NotConfigured,
        ),
    ] {
        let (server, vm) = serving(reply).await;
        assert_eq!(vm.agent_ping().await.unwrap(), state);
        assert_eq!(last(&server), "POST /qemu/100/agent/ping");
    }
    let (_server, vm) = serving(fail(500, "VM 100 is not running")).await;
    assert_eq!(
        vm.agent_ping().await.unwrap_err().reason(),
        Some(&Reason::NotRunning)
    );
}

#[tokio::test]
async fn permissions_are_read_with_their_propagation() {
    let (server, vm) = serving(data(
        r#"{"/vms/100":{"VM.Audit":1,"VM.PowerMgmt":0},"/":{"Sys.Audit":"1"}}"#,
    ))
    .await;
    let permissions = vm.client().permissions(Some("/vms/100")).await.unwrap();
    assert_eq!(
        last(&server),
        "GET /api2/json/access/permissions?path=%2Fvms%2F100"
    );
    assert!(permissions.allows("/vms/100", "VM.PowerMgmt"));
    assert!(permissions.allows("/nodes/pve1", "Sys.Audit"));
    assert!(!permissions.allows("/vms/100", "VM.Console"));
}

#[tokio::test]
async fn a_poll_of_all_resources_spares_looking_up_nodes() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let server = Server::start(move |request| {
        if request.line.contains("/cluster/resources") {
            counted.fetch_add(1, Ordering::SeqCst);
            return ok(ON_PVE1);
        }
        data(r#"{"status":"stopped"}"#)
    })
    .await;
    let client = server.client();
    assert_eq!(client.resources().await.unwrap().vms.len(), 1);
    assert_eq!(
        client.vm(vmid()).status().await.unwrap().state(),
        &PowerState::Stopped
    );
    assert_eq!(polls.load(Ordering::SeqCst), 1);
}
