//! Every call of the client, on both major versions, with what it reads and what it changes.

use portico_proxmox::{
    AgentState, ConfigUpdate, ContentKind, Feature, FirewallDirection, FirewallName, FirewallOptionsUpdate,
    FirewallPolicy, Membership, NewSnapshot, PowerState, Reason, RuleComment, RuleDraft, RulePlace, RuleText,
    SetMember, TaskFilter, TaskSource, TaskState,
};
use pve_sim::{Action, Effect, Fault, Major};

use crate::lab::{AUDITOR, Lab, id, majors, node, snapshot, storage};

#[tokio::test]
async fn version_and_rights_are_read() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let number = if major == Major::V8 { 8 } else { 9 };
        assert_eq!(lab.client.version().await.unwrap().major(), Some(number));
        let rights = lab.client.permissions(None).await.unwrap();
        assert!(rights.allows("/vms/100", "VM.Snapshot") && !rights.allows("/", "Sys.Modify"));
        let auditor = lab.as_token(AUDITOR).permissions(None).await.unwrap();
        assert!(auditor.allows("/vms/100", "VM.Audit") && !auditor.allows("/vms/100", "VM.Snapshot"));
    }
}

#[tokio::test]
async fn the_cluster_is_listed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let all = lab.client.resources().await.unwrap();
        let web = all.vms.iter().find(|vm| vm.vmid == id(100)).unwrap();
        assert_eq!(
            (web.name.as_deref(), web.node.as_str(), &web.state),
            (Some("web1"), "pve1", &PowerState::Running)
        );
        assert_eq!(
            (web.maxcpu, web.maxmem, web.maxdisk),
            (Some(2.0), Some(4 << 30), Some(40 << 30))
        );
        assert!(all.vms.iter().any(|vm| vm.template));
        assert_eq!(all.nodes.iter().filter(|node| node.is_online()).count(), 2);
        let local = all
            .storages
            .iter()
            .find(|entry| entry.storage.as_str() == "local" && entry.node.as_str() == "pve1");
        assert!(local.unwrap().holds(ContentKind::Iso));
        assert_eq!(lab.client.vm_resources().await.unwrap().len(), all.vms.len());
        assert_eq!(lab.client.node_of(id(106)).await.unwrap(), node("pve2"));
    }
}

#[tokio::test]
async fn a_vm_is_started_paused_resumed_reset_rebooted_shut_down_and_stopped() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(102);
        let upid = lab.done(vm.start().await).await;
        assert_eq!(
            (upid.kind(), upid.node().as_str(), upid.vmid()),
            ("qmstart", "pve1", Some(id(102)))
        );
        assert!(vm.status().await.unwrap().is_running());
        lab.done(vm.suspend(false).await).await;
        assert_eq!(*vm.status().await.unwrap().state(), PowerState::Paused);
        lab.done(vm.resume().await).await;
        lab.done(vm.reset().await).await;
        lab.done(vm.reboot(Some(std::time::Duration::from_mins(1))).await)
            .await;
        lab.until("it runs again", |control| {
            control.effect_count(Effect::Started, 102, None) == 2
        })
        .await;
        lab.done(vm.shutdown(Some(std::time::Duration::from_mins(1)), false).await)
            .await;
        assert!(!vm.status().await.unwrap().is_running());
        lab.done(vm.start().await).await;
        lab.done(vm.suspend(true).await).await;
        let status = vm.status().await.unwrap();
        assert_eq!(
            (status.is_running(), status.lock),
            (false, Some(portico_proxmox::Lock::Suspended))
        );
        lab.done(vm.start().await).await;
        lab.done(vm.stop(true).await).await;
        assert_eq!(lab.control.effect_count(Effect::Reset, 102, None), 1);
        assert_eq!(lab.control.effect_count(Effect::Stopped, 102, None), 1);
        let paused = lab.vm(103).shutdown(None, false).await.unwrap_err();
        assert_eq!(paused.reason(), Some(&Reason::Paused), "{paused}");
        let stopped = vm.reset().await.unwrap_err();
        assert_eq!(stopped.reason(), Some(&Reason::NotRunning), "{stopped}");
    }
}

#[tokio::test]
async fn figures_of_a_running_vm_are_read() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let status = lab.vm(100).status().await.unwrap();
        assert!(status.cpu.is_some_and(|cpu| (0.0..=1.0).contains(&cpu)));
        for figure in [
            status.mem,
            status.netin,
            status.netout,
            status.diskread,
            status.diskwrite,
            status.uptime,
            status.pid,
        ] {
            assert!(figure.is_some_and(|figure| figure > 0), "{status:?}");
        }
        let (system, _) = lab.vm(100).config().await.unwrap().system_disk().unwrap();
        let drive = status.drives[&system];
        for counter in [drive.read, drive.written, drive.reads, drive.writes] {
            assert!(counter.is_some_and(|counter| counter > 0), "{drive:?}");
        }
        assert!(drive.read <= status.diskread && drive.written <= status.diskwrite);
        assert!(status.agent && !status.template);
        assert_eq!(status.tags, ["demo", "web"]);
    }
}

#[tokio::test]
async fn a_config_is_read_changed_and_guarded_by_its_digest() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(100);
        let config = vm.config().await.unwrap();
        assert_eq!((config.cpus(), config.memory_mib()), (2, 4096));
        let (slot, disk) = config.system_disk().unwrap();
        assert_eq!(
            (slot.to_string().as_str(), disk.size()),
            ("scsi0", Some(40 << 30))
        );
        assert_eq!(config.cloudinit_drive().unwrap().0.to_string(), "ide2");
        assert_eq!(config.nets().len(), 1);
        let digest = config.digest().unwrap().into_owned();
        let update = ConfigUpdate::new()
            .set("cores", "4")
            .and_then(|update| update.set("description", "two\nlines"))
            .and_then(|update| update.delete("tags"))
            .unwrap()
            .digest(&digest);
        vm.update_config(&update).await.unwrap();
        let error = vm.update_config(&update).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::DigestMismatch), "{error}");
        assert_eq!(vm.config().await.unwrap().cpus(), 4);
        let current = vm.current_config().await.unwrap();
        assert_eq!((current.cpus(), current.tags().len()), (2, 0));
        assert_eq!(current.description().as_deref(), Some("two\nlines"));
        assert_eq!(lab.control.effect_count(Effect::ConfigChanged, 100, None), 1);
    }
}

#[tokio::test]
async fn snapshots_are_taken_described_rolled_back_and_removed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(100);
        assert!(vm.feature(Feature::Snapshot, None).await.unwrap().available);
        assert!(
            !lab.vm(105)
                .feature(Feature::Snapshot, None)
                .await
                .unwrap()
                .available
        );
        let new = |name: &str, with_memory| NewSnapshot {
            name: snapshot(name),
            description: Some("a text".to_owned()),
            with_memory,
        };
        lab.done(vm.create_snapshot(&new("first", false)).await).await;
        lab.done(vm.create_snapshot(&new("second", true)).await).await;
        vm.describe_snapshot(&snapshot("second"), "another")
            .await
            .unwrap();
        let list = vm.snapshots().await.unwrap();
        let names: Vec<_> = list.list.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["before-upgrade", "first", "second"]);
        assert_eq!(list.current_parent, Some(snapshot("second")));
        let second = list.list.last().unwrap();
        assert_eq!(
            (second.description.trim_end(), second.with_memory, &second.parent),
            ("another", true, &Some(snapshot("first")))
        );
        lab.done(vm.rollback_snapshot(&snapshot("before-upgrade"), false).await)
            .await;
        assert_eq!(vm.config().await.unwrap().memory_mib(), 2048);
        lab.done(vm.remove_snapshot(&snapshot("first")).await).await;
        assert_eq!(vm.snapshots().await.unwrap().list.len(), 2);
        let again = vm.create_snapshot(&new("second", false)).await.unwrap();
        assert!(matches!(
            lab.end(&again).await,
            TaskState::Failed {
                reason: Reason::SnapshotNameUsed,
                ..
            }
        ));
        let older = lab
            .vm(106)
            .rollback_snapshot(&snapshot("monday"), false)
            .await
            .unwrap();
        assert!(matches!(
            lab.end(&older).await,
            TaskState::Failed {
                reason: Reason::SnapshotNotMostRecent,
                ..
            }
        ));
    }
}

#[tokio::test]
async fn tasks_are_followed_listed_and_stopped() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let upid = lab.done(lab.vm(102).start().await).await;
        let log = lab.client.task_log(&upid, 0, 50).await.unwrap();
        assert_eq!(log.lines.last().unwrap().t, "TASK OK");
        assert_eq!(log.total, log.lines.len() as u64);
        lab.control.inject(Fault::StickTasks {
            task: "qmreset".to_owned(),
            vmid: Some(102),
            times: 1,
        });
        let stuck = lab.vm(102).reset().await.unwrap();
        let filter = TaskFilter {
            vmid: Some(id(102)),
            source: TaskSource::Active,
            ..TaskFilter::default()
        };
        let running = lab.client.tasks(&node("pve1"), &filter).await.unwrap();
        assert_eq!((running.len(), &running[0].upid), (1, &stuck));
        assert_eq!(running[0].state, TaskState::Running);
        lab.client.stop_task(&stuck).await.unwrap();
        let state = lab.end(&stuck).await;
        assert!(
            matches!(
                state,
                TaskState::Failed {
                    reason: Reason::Interrupted,
                    ..
                } | TaskState::Lost
            ),
            "{state:?}"
        );
        let filter = TaskFilter {
            vmid: Some(id(102)),
            kind: Some("qmstart".to_owned()),
            limit: Some(10),
            ..TaskFilter::default()
        };
        let ended = lab.client.tasks(&node("pve1"), &filter).await.unwrap();
        assert_eq!((ended.len(), &ended[0].upid), (1, &upid));
        assert!(ended[0].state.is_success() && ended[0].end_time.is_some());
    }
}

#[tokio::test]
async fn storages_are_looked_into() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let isos = lab
            .client
            .storage_content(&node("pve1"), &storage("local"), Some(ContentKind::Iso), None)
            .await
            .unwrap();
        assert_eq!(isos.len(), 3);
        assert!(isos.iter().all(|volume| volume.size.is_some_and(|size| size > 0)));
        let backups = lab
            .client
            .storage_content(
                &node("pve2"),
                &storage("backups"),
                Some(ContentKind::Backup),
                Some(id(100)),
            )
            .await
            .unwrap();
        assert!(!backups.is_empty() && backups.iter().all(|volume| volume.vmid == Some(id(100))));
        let error = lab
            .client
            .storage_content(&node("pve1"), &storage("local-zfs"), None, None)
            .await
            .unwrap_err();
        assert!(error.provider_text().is_some(), "{error}");
    }
}

#[tokio::test]
async fn the_agent_is_asked() {
    for major in majors() {
        let lab = Lab::new(major).await;
        assert_eq!(lab.vm(100).agent_ping().await.unwrap(), AgentState::Answers);
    }
}

#[tokio::test]
async fn the_firewall_is_read_and_changed_in_its_order() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(101);
        assert!(
            lab.client.cluster_firewall().await.is_err(),
            "needs a right that the panel has not"
        );
        let auditor = lab.as_token(AUDITOR);
        assert!(auditor.cluster_firewall().await.unwrap().enabled());
        assert!(lab.client.firewall_macros().await.unwrap().len() > 80);
        assert!(!vm.firewall_options().await.unwrap().enabled());
        let update = FirewallOptionsUpdate {
            enable: Some(true),
            policy_in: Some(FirewallPolicy::Reject),
            ..FirewallOptionsUpdate::default()
        };
        vm.set_firewall_options(update, None).await.unwrap();
        let options = vm.firewall_options().await.unwrap();
        assert!(options.enabled());
        assert_eq!(options.input(), FirewallPolicy::Reject);
        let draft = |comment: &str| RuleDraft {
            protocol: Some(RuleText::new("tcp").unwrap()),
            destination_ports: Some(RuleText::new("22").unwrap()),
            comment: RuleComment::cleaned(comment),
            ..RuleDraft::new(FirewallDirection::In, FirewallPolicy::Accept)
        };
        for comment in ["a", "b", "c"] {
            vm.add_firewall_rule(&draft(comment), RulePlace::End, None)
                .await
                .unwrap();
        }
        vm.move_firewall_rule(0, 2, None).await.unwrap();
        vm.update_firewall_rule(1, &draft("d"), None).await.unwrap();
        vm.enable_firewall_rule(0, false, None).await.unwrap();
        let rules = vm.firewall_rules().await.unwrap();
        let shown: Vec<_> = rules
            .list
            .iter()
            .map(|rule| (rule.comment.as_str(), rule.enabled))
            .collect();
        assert_eq!(shown, [("b", false), ("d", true), ("a", true)]);
        let stale = rules.digest.clone();
        vm.remove_firewall_rule(2, stale.as_deref()).await.unwrap();
        let error = vm.remove_firewall_rule(0, stale.as_deref()).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::DigestMismatch), "{error}");
        let name = FirewallName::new("ipfilter-net0").unwrap();
        vm.create_firewall_set(&name, &RuleComment::cleaned("own addresses"))
            .await
            .unwrap();
        let member = SetMember::new("192.0.2.0/28").unwrap();
        vm.add_to_firewall_set(&name, &member, Membership::Included, &RuleComment::cleaned(""))
            .await
            .unwrap();
        assert_eq!(vm.firewall_set(&name).await.unwrap().len(), 1);
        assert_eq!(vm.firewall_sets().await.unwrap().len(), 1);
        vm.firewall_references().await.unwrap();
        vm.remove_from_firewall_set(&name, &member, None).await.unwrap();
        vm.remove_firewall_set(&name, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_vm_that_moved_is_called_where_it_is_now() {
    for major in majors() {
        let lab = Lab::new(major).await;
        assert_eq!(lab.vm(102).node().await.unwrap(), node("pve1"));
        move_to(&lab, "pve2");
        let update = ConfigUpdate::new().set("description", "moved").unwrap();
        lab.vm(102).update_config(&update).await.unwrap();
        assert_eq!(lab.control.effect_count(Effect::ConfigChanged, 102, None), 1);
        assert_eq!(lab.vm(102).node().await.unwrap(), node("pve2"));
        // A start is only found out in its task, which lets the VM be looked up anew.
        move_to(&lab, "pve1");
        let upid = lab.vm(102).start().await.unwrap();
        assert_eq!(upid.node(), &node("pve2"));
        let state = lab.end(&upid).await;
        assert!(
            matches!(
                state,
                TaskState::Failed {
                    reason: Reason::VmNotFound,
                    ..
                }
            ),
            "{state:?}"
        );
        let upid = lab.done(lab.vm(102).start().await).await;
        assert_eq!(upid.node(), &node("pve1"));
        assert_eq!(lab.control.effect_count(Effect::Started, 102, None), 1);
        lab.client.forget_node(id(102));
        assert_eq!(lab.vm(102).node().await.unwrap(), node("pve1"));
    }
}

fn move_to(lab: &Lab, node: &str) {
    let node = node.to_owned();
    lab.control.act(Action::MoveVm { vmid: 102, node }).unwrap();
}
