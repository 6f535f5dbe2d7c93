//! What happens around a VM: devices and guests that do not obey, a migration, a storage that others hold.

use portico_proxmox::{ConfigUpdate, Error, Lock, Reason, TaskState};
use pve_sim::{Action, Effect, Fault};

use crate::lab::{Lab, id, majors, node, storage};

#[tokio::test]
async fn a_device_that_a_running_vm_does_not_take_waits_and_the_other_keys_are_changed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        lab.control.inject(Fault::FailHotplug {
            vmid: 100,
            key: "net0".to_owned(),
            text: "device is busy".to_owned(),
            times: 1,
        });
        let vm = lab.vm(100);
        let (_, mut card) = vm.config().await.unwrap().nets().remove(0);
        card.set_rate(Some(7.0)).unwrap();
        let update = ConfigUpdate::new()
            .set("net0", &card)
            .and_then(|update| update.set("description", "changed"))
            .unwrap();
        let error = vm.update_config(&update).await.unwrap_err();
        assert!(
            matches!(&error, Error::Parameters { errors, .. } if errors["net0"].contains("device is busy")),
            "{error}"
        );
        assert!(error.may_have_happened(), "part of it did");
        let current = vm.current_config().await.unwrap();
        assert_eq!(current.description().as_deref(), Some("changed"));
        assert_ne!(current.nets()[0].1.rate(), Some(7.0));
        let pending = vm.pending().await.unwrap();
        assert!(
            pending
                .iter()
                .any(|value| value.key == "net0" && value.is_pending())
        );
    }
}

#[tokio::test]
async fn a_guest_that_ignores_the_power_button_runs_on_and_the_task_says_so() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(104);
        let wait = Some(std::time::Duration::from_secs(5));
        let upid = vm.shutdown(wait, false).await.unwrap();
        let state = lab.end(&upid).await;
        assert!(
            matches!(
                state,
                TaskState::Failed {
                    reason: Reason::ShutdownTimeout,
                    ..
                }
            ),
            "{state:?}"
        );
        assert!(vm.status().await.unwrap().is_running());
        lab.done(vm.shutdown(wait, true).await).await;
        assert!(!vm.status().await.unwrap().is_running());
    }
}

#[tokio::test]
async fn a_vm_that_migrates_refuses_changes_and_takes_them_where_it_arrives() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(102);
        assert_eq!(vm.node().await.unwrap(), node("pve1"));
        lab.control.inject(Fault::StickTasks {
            task: "qmigrate".to_owned(),
            vmid: None,
            times: 1,
        });
        let migrate = Action::MigrateVm {
            vmid: 102,
            node: "pve2".to_owned(),
        };
        lab.control.act(migrate).unwrap();
        lab.until("it is locked", |control| control.vm(102).unwrap().lock.is_some())
            .await;
        let update = ConfigUpdate::new().set("description", "on the way").unwrap();
        let error = vm.update_config(&update).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::Locked(Lock::Migrate)), "{error}");
        let vms = lab.client.vm_resources().await.unwrap();
        assert!(vms.iter().any(|vm| vm.vmid == id(102) && vm.is_migrating()));
        lab.control.act(Action::ReleaseStuckTasks).unwrap();
        lab.until("it has arrived", |control| {
            control.vm(102).unwrap().node == "pve2"
        })
        .await;
        vm.update_config(&update).await.unwrap();
        assert_eq!(vm.node().await.unwrap(), node("pve2"));
        assert_eq!(lab.control.effect_count(Effect::ConfigChanged, 102, None), 1);
    }
}

#[tokio::test]
async fn a_lock_of_a_storage_that_is_not_had_leaves_a_backup_where_it_is() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let (pve1, backups) = (node("pve1"), storage("backups"));
        let volid = lab.client.backups(&pve1, &backups, id(100)).await.unwrap()[0]
            .volid
            .clone();
        lab.control.inject(Fault::HoldCfsLock {
            lock: "storage-backups".to_owned(),
            text: None,
            times: Some(1),
        });
        let upid = lab.client.remove_volume(&pve1, &volid).await.unwrap();
        let state = lab.end(&upid).await;
        assert!(
            matches!(&state, TaskState::Failed { reason, .. } if *reason == Reason::LockTimeout && reason.is_transient()),
            "{state:?}"
        );
        assert_eq!(lab.control.effect_count(Effect::BackupRemoved, 100, None), 0);
        lab.done(lab.client.remove_volume(&pve1, &volid).await).await;
        assert_eq!(lab.control.effect_count(Effect::BackupRemoved, 100, None), 1);
    }
}
