//! The life of a VM: copied, filled anew, grown, backed up, restored, destroyed.

use portico_proxmox::{
    BackupMode, CloneOptions, Compression, ConfigUpdate, ContentKind, Error, NewBackup, Reason, Removal,
    Restore, TaskState, VolumeEdit,
};
use pve_sim::{Effect, Fault};

use crate::lab::{Lab, id, majors, node, storage};

#[tokio::test]
async fn a_template_is_cloned_set_up_grown_started_and_destroyed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let free = lab.client.next_id().await.unwrap();
        let options = CloneOptions {
            name: Some("new".to_owned()),
            full: Some(true),
            storage: Some(storage("local-lvm")),
            ..CloneOptions::new(free)
        };
        lab.done(lab.vm(9000).clone_to(&options).await).await;
        let vm = lab.client.vm(free);
        let update = ConfigUpdate::new()
            .set("cores", "2")
            .and_then(|update| update.set("memory", "2048"))
            .unwrap();
        vm.update_config(&update).await.unwrap();
        let (slot, disk) = vm.config().await.unwrap().system_disk().unwrap();
        assert_eq!(disk.size(), Some(4 << 30));
        lab.done(vm.resize(slot, 10 << 30).await).await;
        let (_, disk) = vm.config().await.unwrap().system_disk().unwrap();
        assert_eq!(disk.size(), Some(10 << 30));
        let shrink = vm.resize(slot, 1 << 30).await.unwrap();
        assert!(matches!(lab.end(&shrink).await, TaskState::Failed { .. }));
        lab.done(vm.start().await).await;
        let error = vm.destroy(Removal::WHOLE).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::VmRunning), "{error}");
        lab.done(vm.stop(false).await).await;
        lab.done(vm.destroy(Removal::WHOLE).await).await;
        assert_eq!(lab.control.effect_count(Effect::Destroyed, free.get(), None), 1);
        let error = vm.status().await.unwrap_err();
        assert!(error.is_vm_missing(), "{error}");
    }
}

#[tokio::test]
async fn a_vmid_that_was_taken_meanwhile_is_refused() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let free = lab.client.next_id().await.unwrap();
        lab.done(lab.vm(9000).clone_to(&CloneOptions::new(free)).await)
            .await;
        let error = lab.vm(9000).clone_to(&CloneOptions::new(free)).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { .. }) && !error.may_have_happened(),
            "{error}"
        );
        assert_eq!(lab.control.effect_count(Effect::Cloned, free.get(), None), 1);
        assert_ne!(lab.client.next_id().await.unwrap(), free);
    }
}

#[tokio::test]
async fn a_disk_is_filled_anew_in_place_and_the_old_one_freed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(102);
        let update = ConfigUpdate::new()
            .set("scsi0", "local-lvm:0,import-from=local-lvm:base-9000-disk-0")
            .unwrap();
        if let Some(upid) = vm.update_config_task(&update).await.unwrap() {
            lab.done(Ok(upid)).await;
        }
        assert_eq!(lab.control.effect_count(Effect::Imported, 102, Some("scsi0")), 1);
        let config = vm.config().await.unwrap();
        let disk = config.text("scsi0").unwrap();
        assert!(!disk.contains("import-from"), "{disk}");
        let unused: Vec<_> = config
            .drives()
            .into_iter()
            .map(|(slot, _)| slot)
            .filter(|slot| slot.to_string().starts_with("unused"))
            .collect();
        assert_eq!(unused.len(), 1);
        if let Some(upid) = vm.free_unused(&unused).await.unwrap() {
            lab.done(Ok(upid)).await;
        }
        let disks = lab
            .client
            .storage_content(
                &node("pve1"),
                &storage("local-lvm"),
                Some(ContentKind::Images),
                Some(id(102)),
            )
            .await
            .unwrap();
        assert_eq!(disks.len(), 1, "{disks:?}");
    }
}

#[tokio::test]
async fn a_vm_becomes_a_template() {
    for major in majors() {
        let lab = Lab::new(major).await;
        lab.done(lab.vm(102).make_template().await).await;
        assert!(lab.vm(102).config().await.unwrap().is_template());
        let upid = lab.vm(102).start().await.unwrap();
        assert!(matches!(
            lab.end(&upid).await,
            TaskState::Failed {
                reason: Reason::Template,
                ..
            }
        ));
    }
}

#[tokio::test]
async fn a_backup_is_made_edited_restored_and_removed() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let (vm, client, pve1, local) = (lab.vm(100), &lab.client, node("pve1"), storage("local"));
        let storages = client.storages(&pve1, Some(ContentKind::Backup)).await.unwrap();
        assert!(storages.iter().any(|entry| entry.storage == local));
        assert!(
            client
                .storage(&pve1, &storage("backups"))
                .await
                .unwrap()
                .is_some()
        );
        client.backup_retention(&pve1, &local).await.unwrap();
        let new = NewBackup::on(local.clone())
            .mode(BackupMode::Snapshot)
            .compression(Compression::Zstd);
        let upid = lab.done(vm.create_backup(&new).await).await;
        assert_eq!(upid.kind(), "vzdump");
        let backups = client.backups(&pve1, &local, id(100)).await.unwrap();
        let [backup] = &backups[..] else {
            panic!("{backups:?}")
        };
        let edit = VolumeEdit {
            protected: Some(true),
            ..VolumeEdit::default()
        };
        client.edit_volume(&pve1, &backup.volid, &edit).await.unwrap();
        assert!(client.volume(&pve1, &backup.volid).await.unwrap().protected);
        let upid = client.remove_volume(&pve1, &backup.volid).await.unwrap();
        assert!(matches!(
            lab.end(&upid).await,
            TaskState::Failed {
                reason: Reason::BackupProtected,
                ..
            }
        ));
        let update = ConfigUpdate::new().set("description", "later").unwrap();
        vm.update_config(&update).await.unwrap();
        lab.done(vm.stop(false).await).await;
        let restore = Restore::from(backup.volid.clone()).unwrap();
        lab.done(vm.restore(&restore).await).await;
        let config = vm.config().await.unwrap();
        assert_ne!(config.description().as_deref(), Some("later"));
        let unique = restore.unique(true);
        lab.done(client.restore_new(&pve1, id(777), &unique).await).await;
        assert_eq!(client.vm(id(777)).config().await.unwrap().cpus(), 2);
        let edit = VolumeEdit {
            protected: Some(false),
            ..VolumeEdit::default()
        };
        client.edit_volume(&pve1, &backup.volid, &edit).await.unwrap();
        lab.done(client.remove_volume(&pve1, &backup.volid).await).await;
        assert!(client.backups(&pve1, &local, id(100)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_restore_that_fails_midway_is_a_failure_and_the_vm_is_still_known() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let backups = lab
            .client
            .backups(&node("pve1"), &storage("backups"), id(100))
            .await
            .unwrap();
        lab.done(lab.vm(100).stop(false).await).await;
        lab.control.inject(Fault::FailTasks {
            task: "qmrestore".to_owned(),
            vmid: None,
            text: "error before or during data restore".to_owned(),
            times: 1,
        });
        let restore = Restore::from(backups[0].volid.clone()).unwrap();
        let upid = lab.vm(100).restore(&restore).await.unwrap();
        assert!(matches!(lab.end(&upid).await, TaskState::Failed { .. }));
        assert_eq!(
            lab.vm(100).config().await.unwrap().system_disk(),
            None,
            "the old disks are gone by then"
        );
    }
}
