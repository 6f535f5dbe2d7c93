//! What bit other clients of Proxmox VE; the table in `main` says which test is about what.

use portico_proxmox::property::Throttle;
use portico_proxmox::{
    AgentState, ConfigUpdate, Error, InvalidUpdate, Lock, Reason, Secret, TaskState, Upid,
};
use pve_sim::{Action, Effect, Fault, GuestAgent, Major, Moment};

use crate::lab::{AUDITOR, Lab, PANEL, id, majors, node, snapshot};

const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";
const START: &str = "/nodes/{node}/qemu/{vmid}/status/start";

fn status(method: &str, path: &str, status: u16, times: u32) -> Fault {
    Fault::Status {
        node: None,
        method: Some(method.to_owned()),
        path: Some(path.to_owned()),
        status,
        reason: None,
        moment: Moment::BeforeEffect,
        times: Some(times),
    }
}

#[tokio::test]
async fn a_task_that_ends_with_warnings_is_a_success() {
    for major in majors() {
        let lab = Lab::new(major).await;
        lab.control.inject(Fault::WarnTasks {
            task: "qmreset".to_owned(),
            vmid: None,
            text: "the clock is late".to_owned(),
            times: 1,
        });
        let upid = lab.vm(101).reset().await.unwrap();
        let state = lab.end(&upid).await;
        assert_eq!(state, TaskState::SucceededWithWarnings(1));
        assert!(state.is_success());
    }
}

#[tokio::test]
async fn numbers_are_read_whatever_their_type_on_either_major() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new()
            .set("memory", "3072")
            .and_then(|update| update.set("cpulimit", "1.5"))
            .and_then(|update| update.set("cores", "3"));
        lab.vm(102).update_config(&update.unwrap()).await.unwrap();
        let config = lab.vm(102).config().await.unwrap();
        assert_eq!((config.memory_mib(), config.cpus()), (3072, 3));
        assert_eq!(config.number("cpulimit"), Some(1.5));
        let status = lab.vm(102).status().await.unwrap();
        assert_eq!((status.cpus, status.maxmem), (Some(3.0), Some(3072 << 20)));
    }
}

#[tokio::test]
async fn ssh_keys_survive_their_double_escaping() {
    let keys = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF2xu2j0Vyrnlm8Zq7x4dcP7G1f8YV+nXqSgqV/H5G9k a+b@c d%20e",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh größe",
    ];
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new().ssh_keys(&keys).unwrap();
        lab.vm(102).update_config(&update).await.unwrap();
        assert_eq!(lab.vm(102).config().await.unwrap().ssh_keys(), keys);
        let raw = ConfigUpdate::new().set("sshkeys", keys[0]).unwrap();
        let error = lab.vm(102).update_config(&raw).await.unwrap_err();
        assert!(
            matches!(&error, Error::Parameters { errors, .. } if errors["sshkeys"].contains("invalid urlencoded string")),
            "{error}"
        );
        let none = update.ssh_keys::<&str>(&[]).unwrap();
        lab.vm(102).update_config(&none).await.unwrap();
        assert_eq!(lab.vm(102).config().await.unwrap().text("sshkeys"), None);
    }
}

#[tokio::test]
async fn a_delete_takes_its_parameters_without_a_body() {
    for major in majors() {
        let lab = Lab::new(major).await;
        lab.done(lab.vm(100).forget_snapshot(&snapshot("before-upgrade")).await)
            .await;
        let log = lab.control.request_log(100);
        let delete = log.iter().find(|request| request.method == "DELETE").unwrap();
        let forced = delete.params.get("force").map(String::as_str);
        assert_eq!((delete.status, forced), (Some(200), Some("1")), "{delete:?}");
    }
}

#[tokio::test]
async fn a_missing_vm_is_told_by_its_text() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let error = lab.vm(555).status().await.unwrap_err();
        assert!(
            matches!(error, Error::VmUnknown { .. }) && error.is_vm_missing(),
            "{error}"
        );
        // Known a moment ago, removed meanwhile.
        lab.vm(102).status().await.unwrap();
        lab.control.act(Action::RemoveVm { vmid: 102 }).unwrap();
        let update = ConfigUpdate::new().set("description", "gone").unwrap();
        let error = lab.vm(102).update_config(&update).await.unwrap_err();
        assert!(error.is_vm_missing() && !error.may_have_happened(), "{error}");
    }
}

#[tokio::test]
async fn a_lock_that_is_not_had_in_time_is_transient_and_did_nothing() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let held = |held| Action::HoldFlock { vmid: 102, held };
        lab.control.act(held(true)).unwrap();
        let update = ConfigUpdate::new().set("description", "late").unwrap();
        let error = lab.vm(102).update_config(&update).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::LockTimeout), "{error}");
        assert!(error.is_transient_read() && !error.may_have_happened());
        assert_eq!(
            lab.control.requests_to("PUT", CONFIG),
            1,
            "a write is not repeated by itself"
        );
        let upid = lab.vm(102).start().await.unwrap();
        let state = lab.end(&upid).await;
        assert!(
            matches!(
                &state,
                TaskState::Failed {
                    reason: Reason::LockTimeout,
                    ..
                }
            ),
            "{state:?}"
        );
        lab.control.act(held(false)).unwrap();
        lab.vm(102).update_config(&update).await.unwrap();
        assert_eq!(lab.control.effect_count(Effect::ConfigChanged, 102, None), 1);
    }
}

#[tokio::test]
async fn an_unknown_task_has_its_own_reason() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let upid: Upid = "UPID:pve1:00000001:00000002:68A00000:qmstart:102:portico@pve!panel:"
            .parse()
            .unwrap();
        let error = lab.client.task_status(&upid).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::NoSuchTask), "{error}");
    }
}

#[tokio::test]
async fn a_read_survives_a_busy_daemon_and_a_write_is_not_repeated() {
    for major in majors() {
        let lab = Lab::new(major).await;
        for code in [595, 596, 597, 599] {
            lab.control.inject(status("GET", CONFIG, code, 1));
            lab.vm(100).config().await.unwrap();
            lab.control.inject(status("POST", START, code, 1));
            let error = lab.vm(102).start().await.unwrap_err();
            assert!(
                matches!(&error, Error::NodeUnreachable { code: shown, .. } if *shown == code),
                "{error}"
            );
            assert_eq!(error.may_have_happened(), code != 595, "{error}");
        }
        assert_eq!(lab.control.requests_to("POST", START), 4);
        assert_eq!(lab.control.effect_count(Effect::Started, 102, None), 0);
    }
}

#[tokio::test]
async fn the_agent_is_asked_by_the_rights_of_each_major() {
    for major in majors() {
        let lab = Lab::new(major).await;
        assert_eq!(lab.vm(100).agent_ping().await.unwrap(), AgentState::Answers);
        let rights = lab.client.permissions(Some("/vms/100")).await.unwrap();
        let monitor = rights.allows("/vms/100", "VM.Monitor");
        let agent = rights.allows("/vms/100", "VM.GuestAgent.Unrestricted");
        assert_eq!((monitor, agent), (major == Major::V8, major == Major::V9));
    }
}

#[tokio::test]
async fn a_token_without_rights_is_denied_and_not_logged_out() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let auditor = lab.as_token(AUDITOR);
        let error = auditor.vm(id(100)).stop(false).await.unwrap_err();
        assert!(
            matches!(&error, Error::PermissionDenied { path: Some(path), privileges, .. }
                if path == "/vms/100" && privileges == &["VM.PowerMgmt"]),
            "{error}"
        );
        assert!(!error.may_have_happened());
        assert_eq!(lab.control.effect_count(Effect::Stopped, 100, None), 0);
        let wrong = lab.as_token((AUDITOR.0, "00000000-0000-4000-8000-000000000000"));
        let error = wrong.version().await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_ready_is_silent_in_both_wordings() {
    for major in majors() {
        let lab = Lab::new(major).await;
        for agent in [GuestAgent::Absent, GuestAgent::Slow] {
            lab.control
                .act(Action::SetGuestAgent { vmid: 101, agent })
                .unwrap();
            assert_eq!(
                lab.vm(101).agent_ping().await.unwrap(),
                AgentState::Silent,
                "{agent:?}"
            );
        }
        assert_eq!(lab.vm(103).agent_ping().await.unwrap(), AgentState::NotConfigured);
        let error = lab.vm(102).agent_ping().await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::NotRunning), "{error}");
    }
}

#[tokio::test]
async fn the_mask_of_a_password_is_never_written_back() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new()
            .set_secret("cipassword", Secret::new("correct horse"))
            .unwrap();
        lab.vm(102).update_config(&update).await.unwrap();
        let shown = lab.vm(102).config().await.unwrap();
        let mask = shown.text("cipassword").unwrap().into_owned();
        assert_eq!(mask, "**********");
        let back = ConfigUpdate::new().set("cipassword", &mask);
        assert!(matches!(back, Err(InvalidUpdate::Mask(key)) if key == "cipassword"));
    }
}

#[tokio::test]
async fn wrong_parameters_are_named_with_their_texts() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new().set("cores", "0").unwrap();
        let error = lab.around().vm(id(102)).update_config(&update).await.unwrap_err();
        assert!(
            matches!(&error, Error::Parameters { errors, .. }
                if errors["cores"] == "value must have a minimum value of 1"),
            "{error}"
        );
        let filter = portico_proxmox::TaskFilter::default();
        let error = lab.client.tasks(&node("pve7"), &filter).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::NodeUnknown), "{error}");
    }
}

#[tokio::test]
async fn high_availability_is_shown_with_the_status() {
    let lab = Lab::new(Major::V9).await;
    assert!(!lab.vm(100).status().await.unwrap().ha.managed);
    lab.control
        .act(Action::SetHa {
            vmid: 100,
            wanted: Some(pve_sim::Wanted::Started),
        })
        .unwrap();
    assert!(lab.vm(100).status().await.unwrap().ha.managed);
    let upid = lab.vm(100).stop(false).await.unwrap();
    assert_eq!(upid.kind(), "hastop");
    assert!(lab.end(&upid).await.is_success());
    // The task has ended; whether the VM has stopped is another question, which only its status answers.
    lab.until("it has stopped", |control| {
        control.vm(100).unwrap().status == "stopped"
    })
    .await;
}

#[tokio::test]
async fn every_lock_is_told_by_its_name() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new().set("description", "locked").unwrap();
        for word in [
            "backup",
            "clone",
            "create",
            "migrate",
            "rollback",
            "snapshot",
            "snapshot-delete",
        ] {
            lab.control.set_lock(102, Some(word)).unwrap();
            let lock = Lock::from(word);
            let error = lab.vm(102).update_config(&update).await.unwrap_err();
            assert_eq!(error.reason(), Some(&Reason::Locked(lock.clone())), "{error}");
            assert_eq!(lab.vm(102).status().await.unwrap().lock, Some(lock));
        }
    }
}

#[tokio::test]
async fn a_changed_disk_and_card_come_back_in_the_order_they_were_written_in() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let before = lab.vm(100).config().await.unwrap();
        let (slot, mut disk) = before.system_disk().unwrap();
        disk.set_throttle(Throttle::MbpsRead, Some(77.5)).unwrap();
        disk.set_throttle(Throttle::IopsWrite, Some(900.0)).unwrap();
        let (number, mut net) = before.nets().swap_remove(0);
        net.set_rate(Some(33.0)).unwrap();
        net.set_firewall(!net.firewall()).unwrap();
        let update = ConfigUpdate::new()
            .drive(slot, &disk)
            .and_then(|update| update.set(&format!("net{number}"), &net))
            .unwrap();
        lab.vm(100).update_config(&update).await.unwrap();
        let after = lab.vm(100).config().await.unwrap();
        assert_ne!(before.drive(slot), after.drive(slot));
        assert_eq!(after.drive(slot).unwrap().to_string(), disk.to_string());
        assert_eq!(after.nets()[0].1.to_string(), net.to_string());
    }
}

#[tokio::test]
async fn what_only_root_may_set_is_a_missing_right() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let update = ConfigUpdate::new().set("args", "-S").unwrap();
        let error = lab.vm(102).update_config(&update).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::PermissionDenied), "{error}");
        assert!(!error.may_have_happened());
    }
}

#[tokio::test]
async fn a_vm_of_a_silent_node_is_known_and_its_figures_are_not() {
    for major in majors() {
        let lab = Lab::new(major).await;
        lab.control.set_node_online("pve2", false).unwrap();
        let vms = lab.client.vm_resources().await.unwrap();
        let mail = vms.iter().find(|vm| vm.vmid == id(106)).unwrap();
        assert_eq!((&mail.name, mail.mem, mail.node.as_str()), (&None, None, "pve2"));
        let error = lab.vm(106).status().await.unwrap_err();
        assert!(
            matches!(error, Error::NodeUnreachable { code: 595, .. }),
            "{error}"
        );
        lab.control.set_node_online("pve2", true).unwrap();
        lab.vm(106).status().await.unwrap();
    }
}

#[tokio::test]
async fn the_tokens_secret_is_in_no_error() {
    for major in majors() {
        let lab = Lab::new(major).await;
        // Somebody on the way quotes what was asked.
        for code in [400, 401, 403, 500, 502] {
            lab.control.inject(Fault::Status {
                node: None,
                method: None,
                path: Some("/version".to_owned()),
                status: code,
                reason: Some(format!("bad token PVEAPIToken={}={}", PANEL.0, PANEL.1)),
                moment: Moment::BeforeEffect,
                times: Some(9),
            });
            let error = lab.around().version().await.unwrap_err();
            let shown = format!("{error} {error:?} {}", error.with_causes());
            assert!(shown.contains("bad token") && !shown.contains(PANEL.1), "{shown}");
            lab.control.clear_faults();
        }
        lab.client.version().await.unwrap();
    }
}
