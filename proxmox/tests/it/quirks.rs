//! What bites clients of real clusters, one test for each: the ways in which PVE surprises.
//!
//! Some have their tests elsewhere: numbers and strings (`lenient`), DELETE without a body (`wire`), keys that are
//! encoded twice and repeated words of commands (`reinstall`), the console.

use crate::support::*;
use portico_proxmox::{AgentState, ConfigUpdate, Error, InvalidUpdate, Reason, Secret, TaskState};

#[tokio::test]
async fn a_task_with_warnings_has_succeeded() {
    let (_server, vm) = serving(data(r#"{"status":"stopped","exitstatus":"WARNINGS: 3"}"#)).await;
    let state = vm.client().task_status(&upid()).await.unwrap();
    assert_eq!(state, TaskState::SucceededWithWarnings(3));
    assert!(state.is_success());
}

#[tokio::test]
async fn memory_cpulimit_and_numbers_change_their_types() {
    for json in [
        r#"{"memory":2048,"cpulimit":1.5,"cores":"2"}"#,
        r#"{"memory":"2048","cpulimit":"1.5","cores":2}"#,
        r#"{"memory":"current=2048","cpulimit":"1.5","cores":"2"}"#,
    ] {
        let (_server, vm) = serving(data(json)).await;
        let config = vm.config().await.unwrap();
        assert_eq!(
            (config.memory_mib(), config.number("cpulimit"), config.cpus()),
            (2048, Some(1.5), 2),
            "{json}"
        );
    }
}

#[tokio::test]
async fn a_missing_vm_is_a_500_and_never_a_404() {
    let text = "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist";
    let (_server, vm) = serving(fail(500, text)).await;
    assert!(vm.config().await.unwrap_err().is_vm_missing());
    let (_server, vm) = serving(bare(404, "Not Found")).await;
    assert!(!vm.config().await.unwrap_err().is_vm_missing());
}

#[tokio::test]
async fn lock_timeouts_pass_by_themselves_and_a_lost_worker_is_unknown() {
    for (text, reason, happened) in [
        (
            "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout",
            Reason::LockTimeout,
            false,
        ),
        (
            "cfs-lock 'storage-ceph' error: got lock request timeout",
            Reason::LockTimeout,
            false,
        ),
        (
            "got no worker upid - start worker failed",
            Reason::WorkerLost,
            true,
        ),
    ] {
        let (server, vm) = serving(fail(500, text)).await;
        let error = vm.start().await.unwrap_err();
        assert_eq!(error.reason(), Some(&reason), "{text}");
        assert_eq!(error.may_have_happened(), happened, "{text}");
        let starts = server
            .lines()
            .iter()
            .filter(|line| line.contains("start"))
            .count();
        assert_eq!(starts, 1, "never repeated blindly");
    }
}

#[tokio::test]
async fn a_task_that_is_not_known_for_a_moment_is_not_a_failed_one() {
    let body =
        r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"upid":"no such task"}}"#;
    let reply = Reply::Send(400, "Parameter verification failed.".to_owned(), body.to_owned());
    let (_server, vm) = serving(reply).await;
    let error = vm.client().task_status(&upid()).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::NoSuchTask));
}

#[tokio::test]
async fn a_596_of_a_busy_daemon_is_repeated_for_reads_and_open_for_writes() {
    let (server, vm) = serving(bare(596, "Connection timed out")).await;
    let error = vm.config().await.unwrap_err();
    assert!(error.is_transient_read());
    let reads = server
        .lines()
        .iter()
        .filter(|line| line.contains("/config"))
        .count();
    assert!(reads > 1, "{:?}", server.lines());
    let error = vm.start().await.unwrap_err();
    assert!(error.may_have_happened());
    let writes = server
        .lines()
        .iter()
        .filter(|line| line.contains("start"))
        .count();
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn a_privilege_of_the_other_major_is_named() {
    for (text, privilege) in [
        ("Permission check failed (/vms/100, VM.Monitor)", "VM.Monitor"),
        (
            "Permission check failed (/vms/100, VM.GuestAgent.Unrestricted)",
            "VM.GuestAgent.Unrestricted",
        ),
    ] {
        let (_server, vm) = serving(fail(403, text)).await;
        let error = vm.agent_os().await.unwrap_err();
        let Error::PermissionDenied { path, privileges, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(path.as_deref(), Some("/vms/100"));
        assert_eq!(privileges, [privilege]);
    }
    let (_server, vm) = serving(fail(403, "Permission check failed")).await;
    let error = vm.agent_os().await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { path: None, .. }));
}

#[tokio::test]
async fn only_a_401_speaks_against_the_credentials() {
    let (_server, vm) = serving(bare(401, "Authentication failed!")).await;
    assert!(matches!(
        vm.config().await.unwrap_err(),
        Error::Unauthorized { .. }
    ));
    let (_server, vm) = serving(fail(403, "Permission check failed")).await;
    assert!(matches!(
        vm.config().await.unwrap_err(),
        Error::PermissionDenied { .. }
    ));
}

#[tokio::test]
async fn an_agent_that_is_not_ready_after_boot_is_silent_in_both_texts() {
    for text in [
        "QEMU guest agent is not running",
        "VM 100 qga command 'guest-ping' failed - got timeout",
        "VM 100 qmp command 'guest-ping' failed - got timeout",
    ] {
        let (_server, vm) = serving(fail(500, text)).await;
        assert_eq!(vm.agent_ping().await.unwrap(), AgentState::Silent, "{text}");
    }
}

#[tokio::test]
async fn a_single_blank_is_no_tag() {
    let (_server, vm) = serving(data(r#"{"tags":" ","args":" "}"#)).await;
    let config = vm.config().await.unwrap();
    assert!(config.tags().is_empty());
    assert_eq!(
        config.text("args").as_deref(),
        Some(" "),
        "other texts stay as they are"
    );
}

#[tokio::test]
async fn a_managed_vms_task_says_nothing_of_the_effect() {
    let upid = "UPID:pve1:000F4A3C:01234567:68A5B0C1:hastart:100:panel@pve!portico:";
    let (_server, vm) = serving(data(&format!("{upid:?}"))).await;
    assert_eq!(vm.start().await.unwrap().kind(), "hastart");
    let (_server, vm) = serving(data(
        r#"{"status":"stopped","ha":{"managed":1,"state":"started"}}"#,
    ))
    .await;
    let status = vm.status().await.unwrap();
    assert!(status.ha.managed && !status.is_running());
}

#[tokio::test]
async fn the_mask_of_a_password_is_read_and_never_written() {
    let (server, vm) = serving(data(r#"{"cipassword":"**********","ciuser":"root"}"#)).await;
    let config = vm.config().await.unwrap();
    let mask = config.text("cipassword").unwrap().into_owned();
    let back = ConfigUpdate::new().set("cipassword", &mask);
    assert!(matches!(back, Err(InvalidUpdate::Mask(_))));
    let back = ConfigUpdate::new().set_secret("cipassword", Secret::new(mask));
    assert!(matches!(back, Err(InvalidUpdate::Mask(_))));
    assert_eq!(last(&server), "GET /qemu/100/config");
}

#[tokio::test]
async fn the_text_is_found_wherever_a_version_puts_it() {
    let text = "VM is locked (backup)";
    let new = fail(500, text);
    let old = Reply::Send(500, text.to_owned(), r#"{"data":null}"#.to_owned());
    let oldest = bare(500, text);
    for reply in [new, old, oldest] {
        let (_server, vm) = serving(reply).await;
        let error = vm.start().await.unwrap_err();
        assert_eq!(error.provider_text(), Some(text));
        assert!(matches!(error.reason(), Some(Reason::Locked(_))));
    }
    let body = r#"{"data":null,"errors":{"scsi0":"unable to parse drive options"},"message":"Parameter verification failed.\n"}"#;
    let reply = Reply::Send(400, "Parameter verification failed.".to_owned(), body.to_owned());
    let (_server, vm) = serving(reply).await;
    let update = ConfigUpdate::new().set("scsi0", "x").unwrap();
    let Error::Parameters { errors, .. } = vm.update_config(&update).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(errors["scsi0"], "unable to parse drive options");
}

#[tokio::test]
async fn a_disk_that_is_not_there_yet_after_a_clone_is_not_a_missing_vm() {
    let text = "volume 'nfs:200/vm-200-disk-0.qcow2' does not exist";
    let state = TaskState::from_exit_text(text);
    assert!(
        matches!(
            &state,
            TaskState::Failed {
                reason: Reason::VolumeNotFound,
                ..
            }
        ),
        "{state:?}"
    );
    let (_server, vm) = serving(fail(500, text)).await;
    assert!(!vm.config().await.unwrap_err().is_vm_missing());
}
