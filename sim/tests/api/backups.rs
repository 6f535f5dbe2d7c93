//! Proves backup jobs: what they make, what they refuse, what they leave when they fail. `restore` has the way back.

use pve_sim::{Action, Effect, Fault, GuestAgent};
use serde_json::{Value, json};

use crate::lab::Lab;

pub(crate) const VZDUMP: &str = "/nodes/pve1/vzdump";
pub(crate) const DEMO_BACKUP: &str = "backups:backup/vm/100/2026-08-20T03:00:01Z";

type Form<'f> = &'f [(&'f str, &'f str)];

pub(crate) fn has(log: &[String], part: &str) -> bool {
    log.iter().any(|line| line.contains(part))
}

#[tokio::test]
async fn a_backup_appears_with_its_notes_when_the_job_is_done() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "vzdump".into(),
        vmid: Some(101),
        times: 1,
    });
    let form = [
        ("vmid", "101"),
        ("storage", "local"),
        ("compress", "zstd"),
        ("mode", "snapshot"),
        ("notes-template", "{{guestname}} on {{node}}\\nsecond"),
    ];
    let upid = lab.post(VZDUMP, &form).await.data();
    assert!(upid.as_str().unwrap().contains(":vzdump:101:"), "{upid}");
    lab.until("locked", |c| c.vm(101).unwrap().lock.as_deref() == Some("backup"))
        .await;
    assert!(
        lab.backups("local", 101).await.is_empty(),
        "a running backup is not listed"
    );
    assert_eq!(lab.control().vm(101).unwrap().status, "running");

    lab.control().act(Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert!(lab.control().vm(101).unwrap().lock.is_none());
    let list = lab.backups("local", 101).await;
    let [backup] = list.as_slice() else {
        panic!("{list:?}")
    };
    let volid = backup["volid"].as_str().unwrap();
    assert!(volid.starts_with("local:backup/vzdump-qemu-101-") && volid.ends_with(".vma.zst"));
    assert_eq!(
        (&backup["format"], &backup["subtype"], &backup["vmid"]),
        (&json!("vma.zst"), &json!("qemu"), &json!(101))
    );
    assert_eq!(backup["notes"], "db1 on pve1", "only the first line is listed");
    assert!(backup["protected"].is_null() && backup["verification"].is_null());
    let detail = lab
        .get(&format!("/nodes/pve1/storage/local/content/{volid}"))
        .await
        .data();
    assert_eq!(detail["notes"], "db1 on pve1\nsecond");
    assert_eq!(
        (&detail["protected"], &detail["size"]),
        (&json!(0), &backup["size"])
    );

    let log = lab.log_of(&upid).await;
    assert!(
        log[0].starts_with("INFO: starting new backup job: vzdump 101 "),
        "{log:?}"
    );
    assert!(has(
        &log,
        "INFO: include disk 'scsi0' 'local-lvm:vm-101-disk-0' 60G"
    ));
    assert!(has(
        &log,
        "INFO: exclude disk 'scsi1' 'local-lvm:vm-101-disk-1' (backup=no)"
    ));
    assert!(has(&log, "issuing guest-agent 'fs-freeze' command"));
    assert!(has(&log, "INFO: 100% (60.0 GiB of 60.0 GiB) in "));
    assert!(has(&log, "INFO: Finished Backup of VM 101 ("));
    assert_eq!(log.last().unwrap(), "TASK OK");
    let count = |effect| lab.control().effect_count(effect, 101, Some(volid));
    assert_eq!(count(Effect::BackupCreated), 1);
}

#[tokio::test]
async fn a_backup_server_names_backups_by_time_and_verifies_them_later() {
    let lab = Lab::new().await;
    let form = [("vmid", "102"), ("storage", "backups")];
    let upid = lab.post(VZDUMP, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let list = lab.backups("backups", 102).await;
    let volid = list[0]["volid"].as_str().unwrap();
    assert!(volid.starts_with("backups:backup/vm/102/") && volid.ends_with('Z'));
    assert_eq!(list[0]["format"], "pbs-vm");
    assert!(list[0]["verification"].is_null());
    let old = lab.backups("backups", 100).await;
    assert_eq!(old[0]["verification"]["state"], "ok");
    let log = lab.log_of(&upid).await;
    assert!(
        has(&log, "INFO: backup mode: stop"),
        "a stopped VM is backed up in mode stop"
    );
    assert!(has(&log, "starting kvm to execute backup task"));
    assert_eq!(lab.control().vm(102).unwrap().status, "stopped");
    assert_eq!(lab.control().effect_count(Effect::Started, 102, None), 0);
}

#[tokio::test]
async fn one_job_runs_on_a_node_and_the_next_waits_for_the_lock() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "vzdump".into(),
        vmid: Some(100),
        times: 1,
    });
    let first = lab
        .post(VZDUMP, &[("vmid", "100"), ("storage", "local")])
        .await
        .data();
    lab.until("the first runs", |c| c.vm(100).unwrap().lock.is_some())
        .await;
    let second = lab
        .post(VZDUMP, &[("vmid", "102"), ("storage", "local")])
        .await
        .data();
    lab.until("the second waits", |c| {
        let tasks = c.tasks();
        let waiting = tasks
            .iter()
            .find(|task| task.kind == "vzdump" && task.id == "102");
        waiting.is_some_and(|task| task.log == ["INFO: trying to get global lock - waiting..."])
    })
    .await;
    assert!(lab.control().vm(102).unwrap().lock.is_none());
    let form = [("vmid", "102"), ("storage", "local"), ("lockwait", "0")];
    assert_eq!(lab.run(VZDUMP, &form).await, "unexpected status");
    lab.control().act(Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&first).await, "OK");
    assert_eq!(lab.exit_of(&second).await, "OK");
    assert!(has(&lab.log_of(&second).await, "INFO: got global lock"));
}

#[tokio::test]
async fn a_vm_of_another_node_is_answered_with_ok_instead_of_a_task() {
    let lab = Lab::new().await;
    let answer = lab.post(VZDUMP, &[("vmid", "106"), ("storage", "backups")]).await;
    assert_eq!(answer.data(), "OK");
    assert_eq!(lab.control().effect_count(Effect::TaskStarted, 106, None), 0);
    let upid = lab
        .post(VZDUMP, &[("vmid", "100,106"), ("storage", "local")])
        .await
        .data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert!(has(&lab.log_of(&upid).await, "INFO: skip external VMs: 106"));
}

#[tokio::test]
async fn what_goes_wrong_with_a_vm_is_in_the_log_and_the_job_has_errors() {
    let lab = Lab::new().await;
    let cases = [
        (
            None,
            "999",
            "ERROR: Backup of VM 999 failed - unable to find VM '999'",
        ),
        (
            Some("snapshot"),
            "100",
            "ERROR: Backup of VM 100 failed - VM is locked (snapshot)",
        ),
    ];
    for (lock, vmid, line) in cases {
        if let (Some(lock), Ok(id)) = (lock, vmid.parse()) {
            lab.control().set_lock(id, Some(lock)).unwrap();
        }
        let upid = lab
            .post(VZDUMP, &[("vmid", vmid), ("storage", "local")])
            .await
            .data();
        assert_eq!(lab.exit_of(&upid).await, "job errors");
        let log = lab.log_of(&upid).await;
        assert!(log.iter().any(|l| l == line), "{log:?}");
    }
    assert_eq!(
        lab.control().vm(100).unwrap().lock.as_deref(),
        Some("snapshot"),
        "another's lock stays"
    );
    assert!(lab.backups("local", 100).await.is_empty());
}

#[tokio::test]
async fn a_full_storage_breaks_the_backup_and_leaves_neither_file_nor_lock() {
    let lab = Lab::new().await;
    for (storage, reason) in [
        ("local", "vma_queue_write: write error - Broken pipe"),
        ("backups", "ENOSPC: No space left on device"),
    ] {
        lab.control().inject(Fault::StorageFull {
            storage: storage.into(),
        });
        let before = lab.backups(storage, 100).await.len();
        let form = [("vmid", "100"), ("storage", storage), ("compress", "zstd")];
        let upid = lab.post(VZDUMP, &form).await.data();
        assert_eq!(lab.exit_of(&upid).await, "job errors");
        let log = lab.log_of(&upid).await;
        assert!(
            has(&log, "ERROR: Backup of VM 100 failed - ") && has(&log, reason),
            "{log:?}"
        );
        assert!(has(&log, "INFO: aborting backup job"));
        assert_eq!(lab.backups(storage, 100).await.len(), before);
        assert!(lab.control().vm(100).unwrap().lock.is_none());
    }
    assert_eq!(lab.control().effect_count(Effect::BackupCreated, 100, None), 0);
}

#[tokio::test]
async fn storages_that_cannot_take_backups_are_told_before_the_job_begins() {
    let lab = Lab::new().await;
    let exit = lab
        .run(VZDUMP, &[("vmid", "100"), ("storage", "local-lvm")])
        .await;
    assert_eq!(
        exit,
        "could not get storage information for 'local-lvm': can't use storage 'local-lvm' for backups - wrong \
         content type"
    );
    lab.control().inject(Fault::StorageOffline {
        storage: "nas".into(),
    });
    let exit = lab.run(VZDUMP, &[("vmid", "100"), ("storage", "nas")]).await;
    assert_eq!(
        exit,
        "could not activate storage 'nas': storage 'nas' is not online"
    );
    let exit = lab.run(VZDUMP, &[("vmid", "100"), ("storage", "nowhere")]).await;
    assert!(exit.contains("storage 'nowhere' does not exist"), "{exit}");
}

#[tokio::test]
async fn parameters_and_privileges_are_checked_before_a_job_is_made() {
    let mut lab = Lab::new().await;
    let cases: &[(Form<'_>, &str, &str)] = &[
        (&[("storage", "local")], "vmid", "property is missing"),
        (
            &[("vmid", "100"), ("all", "1")],
            "all",
            "option conflicts with option 'vmid'",
        ),
        (
            &[("vmid", "100"), ("mode", "frozen")],
            "mode",
            "value 'frozen' does not have a value in the enumeration 'snapshot, suspend, stop'",
        ),
        (
            &[("vmid", "100"), ("notes-template", "x")],
            "storage",
            "missing property required by 'notes-template'",
        ),
        (
            &[
                ("vmid", "100"),
                ("storage", "local"),
                ("notes-template", "{{host}}"),
            ],
            "notes-template",
            "found unknown: variable 'host' at char 2\n",
        ),
        (
            &[("vmid", "100"), ("tmpdir", "/tmp")],
            "tmpdir",
            "Only root may set this option.",
        ),
        (
            &[("vmid", "100"), ("speed", "1")],
            "speed",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
    ];
    for (form, name, text) in cases {
        let answer = lab.post(VZDUMP, form).await;
        assert_eq!((answer.status, answer.error(name)), (400, *text), "{form:?}");
    }
    let form = [
        ("vmid", "100"),
        ("storage", "local"),
        ("prune-backups", "keep-last=1"),
    ];
    let answer = lab.post(VZDUMP, &form).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            403,
            "Permission check failed (/storage/local, Datastore.Allocate)"
        )
    );
    let answer = lab.post(VZDUMP, &[("vmid", "100"), ("bwlimit", "100")]).await;
    assert_eq!(answer.reason, "Permission check failed (/, Sys.Modify)");
    lab.use_token(crate::lab::AUDITOR);
    let answer = lab.post(VZDUMP, &[("vmid", "100"), ("storage", "local")]).await;
    assert_eq!(
        answer.reason,
        "Permission check failed (/storage/local, Datastore.AllocateSpace)"
    );
    assert_eq!(lab.control().effect_count(Effect::TaskStarted, 100, None), 0);
}

#[tokio::test]
async fn retention_of_the_storage_removes_the_oldest_but_not_the_protected() {
    let lab = Lab::new().await;
    let form = |extra: (&'static str, &'static str)| [("vmid", "102"), ("storage", "nas"), extra];
    assert_eq!(lab.run(VZDUMP, &form(("protected", "1"))).await, "OK");
    for _ in 0..3 {
        assert_eq!(lab.run(VZDUMP, &form(("remove", "1"))).await, "OK");
    }
    let before = lab.backups("nas", 102).await;
    assert_eq!(before.len(), 4, "three and a protected one");

    let upid = lab.post(VZDUMP, &form(("remove", "0"))).await.data();
    assert_eq!(lab.exit_of(&upid).await, "job errors");
    assert!(has(
        &lab.log_of(&upid).await,
        "There is a max backup limit of 3 enforced by the target storage or the vzdump parameters."
    ));

    let upid = lab.post(VZDUMP, &form(("remove", "1"))).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    let oldest = before[1]["volid"].as_str().unwrap();
    assert!(has(&log, "INFO: prune older backups with retention: keep-last=3"));
    assert!(has(&log, &format!("INFO: removing backup '{oldest}'")), "{log:?}");
    assert!(has(
        &log,
        "INFO: pruned 1 backup(s) not covered by keep-retention policy"
    ));
    let after = lab.backups("nas", 102).await;
    assert_eq!((after.len(), &after[0]["protected"]), (4, &json!(1)));
    let count = |name| lab.control().effect_count(Effect::BackupRemoved, 102, name);
    assert_eq!((count(Some(oldest)), count(None)), (1, 1));
}

#[tokio::test]
async fn protected_backups_have_a_limit_of_their_own() {
    let lab = Lab::new().await;
    let form = [("vmid", "102"), ("storage", "nas"), ("protected", "1")];
    for _ in 0..2 {
        assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    }
    let upid = lab.post(VZDUMP, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "job errors");
    let text = "The number of protected backups per guest is limited to 2 on storage 'nas'";
    assert!(has(&lab.log_of(&upid).await, text));
    assert_eq!(
        lab.run(VZDUMP, &[("vmid", "102"), ("storage", "nas")]).await,
        "OK"
    );
    let last = lab.backups("nas", 102).await.pop().unwrap();
    let path = format!(
        "/nodes/pve1/storage/nas/content/{}",
        last["volid"].as_str().unwrap()
    );
    let answer = lab.put(&path, &[("protected", "1")]).await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, text));
}

#[tokio::test]
async fn mode_stop_shuts_the_guest_down_and_brings_it_back_at_once() {
    let lab = Lab::new().await;
    let form = [("vmid", "100"), ("storage", "backups"), ("mode", "stop")];
    assert_eq!(lab.run(VZDUMP, &form).await, "OK");
    let count = |effect| lab.control().effect_count(effect, 100, None);
    assert_eq!((count(Effect::ShutDown), count(Effect::Started)), (1, 1));
    assert_eq!(lab.control().vm(100).unwrap().status, "running");

    lab.control()
        .act(Action::SetGuestAgent {
            vmid: 100,
            agent: GuestAgent::Absent,
        })
        .unwrap();
    let form = [("vmid", "100"), ("storage", "backups"), ("mode", "suspend")];
    let upid = lab.post(VZDUMP, &form).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(
        lab.control().vm(100).unwrap().status,
        "running",
        "paused only for a moment"
    );
    assert!(has(&lab.log_of(&upid).await, "skipping guest-agent 'fs-freeze'"));
}

#[tokio::test]
async fn a_vm_that_is_off_is_in_prelaunch_meanwhile_and_can_be_started() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "vzdump".into(),
        vmid: Some(102),
        times: 1,
    });
    let upid = lab
        .post(VZDUMP, &[("vmid", "102"), ("storage", "local")])
        .await
        .data();
    lab.until("QEMU runs", |c| c.vm(102).unwrap().status == "prelaunch")
        .await;
    let status = lab.get("/nodes/pve1/qemu/102/status/current").await.data();
    assert_eq!(
        (&status["status"], &status["qmpstatus"], &status["lock"]),
        (&json!("running"), &json!("prelaunch"), &json!("backup"))
    );
    for what in ["shutdown", "reboot"] {
        let answer = lab
            .post(&format!("/nodes/pve1/qemu/102/status/{what}"), &[])
            .await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, "VM is paused - cannot shutdown"),
            "{what}"
        );
    }
    let force = [("forceStop", "1")];
    assert_eq!(
        lab.run("/nodes/pve1/qemu/102/status/shutdown", &force).await,
        "VM is locked (backup)"
    );
    assert_eq!(lab.run("/nodes/pve1/qemu/102/status/start", &[]).await, "OK");
    assert_eq!(
        lab.run("/nodes/pve1/qemu/102/status/stop", &[]).await,
        "VM is locked (backup)"
    );
    lab.control().act(Action::ReleaseStuckTasks).unwrap();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert!(has(
        &lab.log_of(&upid).await,
        "kvm status changed after backup ('running') - keep VM running"
    ));
    assert_eq!(lab.control().vm(102).unwrap().status, "running");
    assert_eq!(lab.control().effect_count(Effect::Started, 102, None), 1);
}

#[tokio::test]
async fn all_vms_of_a_node_are_backed_up_but_those_left_out() {
    let lab = Lab::new().await;
    let form = [("exclude", "100;101,105"), ("storage", "local")];
    let upid = lab.post(VZDUMP, &form).await.data();
    assert!(upid.as_str().unwrap().contains(":vzdump::"), "{upid}");
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let log = lab.log_of(&upid).await;
    assert!(has(&log, "INFO: skip external VMs: 103, 104, 106"));
    let count = |vmid| lab.control().effect_count(Effect::BackupCreated, vmid, None);
    assert_eq!([100, 101, 102, 105, 9000].map(count), [0, 0, 1, 0, 1]);
}

#[tokio::test]
async fn a_job_that_is_stopped_unlocks_the_vm_and_says_so() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::StickTasks {
        task: "vzdump".into(),
        vmid: None,
        times: 1,
    });
    let upid = lab
        .post(VZDUMP, &[("vmid", "100"), ("storage", "local")])
        .await
        .data();
    lab.until("it runs", |c| c.vm(100).unwrap().lock.is_some()).await;
    let path = format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap());
    assert_eq!(lab.delete(&path).await.data(), Value::Null);
    assert_eq!(lab.exit_of(&upid).await, "interrupted by signal");
    assert!(lab.control().vm(100).unwrap().lock.is_none());
    assert!(lab.backups("local", 100).await.is_empty());
}

#[tokio::test]
async fn a_warning_makes_the_task_end_with_warnings() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::WarnTasks {
        task: "vzdump".into(),
        vmid: None,
        text: "uploading backup task log failed".into(),
        times: 1,
    });
    let upid = lab
        .post(VZDUMP, &[("vmid", "102"), ("storage", "backups")])
        .await
        .data();
    assert_eq!(lab.exit_of(&upid).await, "WARNINGS: 1");
    let log = lab.log_of(&upid).await;
    assert!(has(&log, "WARN: uploading backup task log failed"));
    assert_eq!(log.last().unwrap(), "TASK WARNINGS: 1");
    assert_eq!(lab.control().effect_count(Effect::BackupCreated, 102, None), 1);
}

#[tokio::test]
async fn a_slow_disk_makes_the_backup_take_longer() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::SlowStorage {
        storage: "local-lvm".into(),
        factor: 1000,
    });
    let upid = lab
        .post(VZDUMP, &[("vmid", "100"), ("storage", "local")])
        .await
        .data();
    lab.until("one line of progress", |c| {
        c.tasks()
            .iter()
            .any(|t| t.log.iter().any(|line| line.contains("% (")))
    })
    .await;
    let status = lab
        .get(&format!("/nodes/pve1/tasks/{}/status", upid.as_str().unwrap()))
        .await
        .data();
    assert_eq!(status["status"], "running");
}

#[tokio::test]
async fn a_lock_on_a_shared_storage_that_is_not_had_fails_the_removal() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::HoldCfsLock {
        lock: "storage-backups".into(),
        text: None,
        times: Some(1),
    });
    let path = format!("/nodes/pve1/storage/backups/content/{DEMO_BACKUP}");
    let upid = lab.delete(&path).await.data();
    assert_eq!(
        lab.exit_of(&upid).await,
        "cfs-lock 'storage-backups' error: got lock request timeout"
    );
    let upid = lab.delete(&path).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
}
