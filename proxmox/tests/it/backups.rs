//! Storages, backups and restores against recorded answers: where each call goes, what is read, what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use portico_proxmox::{
    BackupMode, Compression, ConfigUpdate, ContentKind, Error, NewBackup, NodeName, Notes, Reason, Restore,
    StorageId, Verification, VmId, VolumeEdit, VolumeId,
};

const BACKUP: &str = "pbs:backup/vm/100/2026-08-20T03:00:01Z";

fn node() -> NodeName {
    NodeName::new("pve1").unwrap()
}

fn storage(name: &str) -> StorageId {
    StorageId::new(name).unwrap()
}

fn volume(text: &str) -> VolumeId {
    VolumeId::new(text).unwrap()
}

// ---- storages

#[tokio::test]
async fn storages_are_listed_with_what_they_may_hold_and_their_room() {
    let body = r#"[
        {"storage":"local","type":"dir","content":"iso,vztmpl,backup","enabled":1,"active":1,"shared":0,
         "total":100861726720,"used":"2017234534","avail":9.8844492186e+10,"used_fraction":0.02},
        {"storage":"nas","type":"nfs","content":"backup","enabled":1,"active":0,"shared":1,"total":0,"used":0,"avail":0},
        {"storage":"..","type":"dir","content":"backup"}]"#;
    let (server, vm) = serving(data(body)).await;
    let list = vm
        .client()
        .storages(&node(), Some(ContentKind::Backup))
        .await
        .unwrap();
    assert_eq!(last(&server), "GET /storage?content=backup");
    let [local, nas] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(local.content, [ContentKind::Iso, ContentKind::Backup]);
    assert_eq!(
        (local.total, local.used, local.available),
        (Some(100_861_726_720), Some(2_017_234_534), Some(98_844_492_186))
    );
    assert!(local.can_take(ContentKind::Backup) && !nas.can_take(ContentKind::Backup));

    let nas = vm
        .client()
        .storage(&node(), &storage("nas"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last(&server), "GET /storage?storage=nas");
    assert!(nas.shared && !nas.active);
    let none = vm.client().storage(&node(), &storage("other")).await.unwrap();
    assert!(none.is_none(), "PVE may answer with others");
}

#[tokio::test]
async fn backups_come_newest_first_and_without_those_of_others() {
    let body = r#"[
        {"volid":"pbs:backup/vm/100/2026-08-13T03:00:01Z","content":"backup","format":"pbs-vm","subtype":"qemu",
         "size":34359738368,"ctime":1786590001,"vmid":100,"verification":{"state":"failed","upid":"UPID:x"}},
        {"volid":"pbs:backup/vm/100/2026-08-20T03:00:01Z","content":"backup","format":"pbs-vm","subtype":"qemu",
         "size":"3.4359738368e+10","ctime":"1787194801","vmid":"100","notes":"weekly","protected":1},
        {"volid":"pbs:backup/ct/100/2026-08-20T04:00:00Z","content":"backup","format":"pbs-ct","subtype":"lxc",
         "size":1,"ctime":1787198400,"vmid":100},
        {"volid":"pbs:backup/vm/1001/2026-08-20T05:00:00Z","content":"backup","format":"pbs-vm","subtype":"qemu",
         "size":1,"ctime":1787202000,"vmid":1001}]"#;
    let (server, vm) = serving(data(body)).await;
    let list = vm
        .client()
        .backups(&node(), &storage("pbs"), vmid())
        .await
        .unwrap();
    assert_eq!(last(&server), "GET /storage/pbs/content?content=backup&vmid=100");
    let [new, old] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!((new.size, new.ctime), (Some(34_359_738_368), Some(1_787_194_801)));
    assert!(new.protected && new.notes.as_deref() == Some("weekly"));
    assert_eq!(old.verification, Some(Verification::Failed));
}

#[tokio::test]
async fn media_come_by_name() {
    let body = r#"[{"volid":"local:iso/Windows-11.iso","content":"iso","format":"iso","size":6000000000,"ctime":1},
        {"volid":"local:iso/debian-13.iso","content":"iso","format":"iso","size":"821035008","ctime":"1"},
        {"volid":"local:backup/vzdump-qemu-100-x.vma","content":"backup"}]"#;
    let (server, vm) = serving(data(body)).await;
    let list = vm.client().isos(&node(), &storage("local")).await.unwrap();
    assert_eq!(last(&server), "GET /storage/local/content?content=iso");
    let names = list.iter().map(|v| (v.file_name(), v.size)).collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            ("debian-13.iso", Some(821_035_008)),
            ("Windows-11.iso", Some(6_000_000_000))
        ]
    );
}

#[tokio::test]
async fn a_storage_that_is_not_reachable_says_so() {
    for text in [
        "storage 'nas' is not online",
        "pbs: error fetching datastores - 500 Can't connect to 192.0.2.9:8007 (Connection refused)",
    ] {
        let (_server, vm) = serving(fail(500, text)).await;
        let error = vm
            .client()
            .storage_content(&node(), &storage("nas"), None, None)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::StorageUnavailable), "{text}");
        assert!(error.to_string().contains("storage `nas`"), "{error}");
    }
}

// ---- volumes

#[tokio::test]
async fn a_volume_is_one_segment_of_the_path() {
    let body = r#"{"path":"pbs://x@pbs@192.0.2.9:store/vm/100/2026-08-20T03:00:01Z","size":34359738368,
        "used":34359738368,"format":"pbs-vm","notes":"first\nsecond","protected":0}"#;
    let (server, vm) = serving(data(body)).await;
    let details = vm.client().volume(&node(), &volume(BACKUP)).await.unwrap();
    assert_eq!(
        last(&server),
        "GET /storage/pbs/content/pbs%3Abackup%2Fvm%2F100%2F2026-08-20T03%3A00%3A01Z"
    );
    assert_eq!(details.notes.as_deref(), Some("first\nsecond"));
    assert!(!details.protected && details.size == Some(34_359_738_368));
    let odd = volume("local:iso/a b#c?d%2e.iso");
    vm.client().volume(&node(), &odd).await.unwrap();
    assert_eq!(
        last(&server),
        "GET /storage/local/content/local%3Aiso%2Fa%20b%23c%3Fd%252e.iso"
    );
}

#[tokio::test]
async fn notes_and_protection_are_sent_only_where_they_change() {
    let (server, vm) = serving(data("null")).await;
    let client = vm.client();
    let path = "PUT /storage/pbs/content/pbs%3Abackup%2Fvm%2F100%2F2026-08-20T03%3A00%3A01Z";
    let edit = async |edit: VolumeEdit| client.edit_volume(&node(), &volume(BACKUP), &edit).await.unwrap();
    let notes = Notes::new("two\nlines & more").unwrap();
    edit(VolumeEdit {
        notes: Some(notes),
        protected: None,
    })
    .await;
    assert_eq!(last(&server), format!("{path} notes=two%0Alines+%26+more"));
    edit(VolumeEdit {
        notes: Some(Notes::default()),
        protected: Some(false),
    })
    .await;
    assert_eq!(last(&server), format!("{path} notes=&protected=0"));
    edit(VolumeEdit {
        notes: None,
        protected: Some(true),
    })
    .await;
    assert_eq!(last(&server), format!("{path} protected=1"));
}

#[tokio::test]
async fn removing_a_backup_is_a_task_and_is_sent_once_whatever_happens() {
    let upid = "UPID:pve1:000F4A3C:01234567:68A5B0C1:imgdel:100@pbs:panel@pve!portico:";
    let (server, vm) = serving(data(&format!("{upid:?}"))).await;
    let task = vm.client().remove_volume(&node(), &volume(BACKUP)).await.unwrap();
    assert_eq!((task.kind(), task.as_str()), ("imgdel", upid));
    assert!(last(&server).starts_with("DELETE /storage/pbs/content/pbs%3Abackup"));
    assert!(server.requests().pop().unwrap().body.is_empty());

    let (server, vm) = serving(bare(596, "Connection timed out")).await;
    let error = vm
        .client()
        .remove_volume(&node(), &volume(BACKUP))
        .await
        .unwrap_err();
    assert!(error.may_have_happened());
    assert_eq!(server.lines().len(), 1, "a write is not repeated");
}

// ---- backups

fn vzdump_answer() -> String {
    "\"UPID:pve1:000F4A3C:01234567:68A5B0C1:vzdump:100:panel@pve!portico:\"".to_owned()
}

#[tokio::test]
async fn a_backup_names_everything_that_pve_would_choose_otherwise() {
    let (server, vm) = serving(data(&vzdump_answer())).await;
    let upid = vm.create_backup(&NewBackup::on(storage("pbs"))).await.unwrap();
    assert_eq!(upid.kind(), "vzdump");
    assert_eq!(
        last(&server),
        "POST /vzdump storage=pbs&mode=snapshot&compress=zstd&remove=0&vmid=100"
    );
    let notes = Notes::new("C:\\ of {{guestname}}\nsecond").unwrap();
    let new = NewBackup::on(storage("local"))
        .mode(BackupMode::Stop)
        .compression(Compression::None)
        .protected(true)
        .prune(true)
        .notes(&notes)
        .unwrap();
    vm.create_backup(&new).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /vzdump storage=local&mode=stop&compress=0&notes-template=C%3A%5C%5C+of+%7B+%7Bguestname%7D%7D%5Cnsecond\
         &protected=1&remove=1&vmid=100"
    );
}

#[tokio::test]
async fn ok_instead_of_a_task_lets_the_vm_be_looked_up_and_backed_up_where_it_is() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let asked = Arc::clone(&asked);
        move |request| match request.line.as_str() {
            line if line.contains("/cluster/resources") => {
                let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
                ok(if first { ON_PVE1 } else { ON_PVE2 })
            }
            line if line.contains("/pve2/vzdump") => data(&vzdump_answer()),
            _ => data("\"OK\""),
        }
    })
    .await;
    let vm = server.client().vm(vmid());
    vm.create_backup(&NewBackup::on(storage("pbs"))).await.unwrap();
    let lines = server.lines();
    let posts = lines
        .iter()
        .filter(|line| line.starts_with("POST"))
        .collect::<Vec<_>>();
    assert_eq!(
        posts,
        [
            "POST /api2/json/nodes/pve1/vzdump",
            "POST /api2/json/nodes/pve2/vzdump"
        ]
    );
}

#[tokio::test]
async fn ok_from_where_the_vm_is_said_to_be_is_a_missing_vm() {
    let (server, vm) = serving(data("\"OK\"")).await;
    let error = vm
        .create_backup(&NewBackup::on(storage("pbs")))
        .await
        .unwrap_err();
    assert!(error.is_vm_missing() && !error.may_have_happened(), "{error}");
    let posts = server
        .lines()
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!(posts, 1);
    let (_server, vm) = serving(data("\"FINE\"")).await;
    let error = vm
        .create_backup(&NewBackup::on(storage("pbs")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn the_retention_of_a_storage_is_read_from_the_defaults() {
    let body =
        r#"{"storage":"nas","mode":"snapshot","prune-backups":"keep-last=3,keep-weekly=2","remove":1}"#;
    let (server, vm) = serving(data(body)).await;
    let retention = vm
        .client()
        .backup_retention(&node(), &storage("nas"))
        .await
        .unwrap();
    assert_eq!(last(&server), "GET /vzdump/defaults?storage=nas");
    assert_eq!(retention.limit(), Some(5));
    let (_server, vm) = serving(data(r#"{"prune-backups":"keep-last=-1"}"#)).await;
    let odd = vm.client().backup_retention(&node(), &storage("nas")).await;
    assert!(
        matches!(odd, Err(Error::Malformed { .. })),
        "never taken for `all`"
    );
    let (_server, vm) = serving(data("{}")).await;
    let all = vm
        .client()
        .backup_retention(&node(), &storage("nas"))
        .await
        .unwrap();
    assert_eq!(all.limit(), None);
}

// ---- restore

fn restore_answer() -> Reply {
    data("\"UPID:pve1:000F4A3C:01234567:68A5B0C1:qmrestore:100:panel@pve!portico:\"")
}

#[tokio::test]
async fn a_restore_looks_for_the_vm_anew_and_overwrites_it() {
    let (server, vm) = serving(restore_answer()).await;
    vm.node().await.unwrap();
    let restore = Restore::from(volume(BACKUP)).unwrap();
    let upid = vm.restore(&restore).await.unwrap();
    assert_eq!(upid.kind(), "qmrestore");
    let lines = server.lines();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("/cluster/resources"))
            .count(),
        2
    );
    assert_eq!(
        last(&server),
        "POST /qemu vmid=100&archive=pbs%3Abackup%2Fvm%2F100%2F2026-08-20T03%3A00%3A01Z&force=1"
    );
    let config = ConfigUpdate::new().set("cores", &2).unwrap();
    let restore = restore
        .storage(storage("local-lvm"))
        .unique(true)
        .start(true)
        .config(config)
        .unwrap();
    vm.restore(&restore).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu cores=2&vmid=100&archive=pbs%3Abackup%2Fvm%2F100%2F2026-08-20T03%3A00%3A01Z&storage=local-lvm&\
         unique=1&start=1&force=1"
    );
}

#[tokio::test]
async fn a_new_vm_is_restored_without_force() {
    let (server, vm) = serving(restore_answer()).await;
    let restore = Restore::from(volume(BACKUP)).unwrap();
    let new = VmId::new(777).unwrap();
    vm.client().restore_new(&node(), new, &restore).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu vmid=777&archive=pbs%3Abackup%2Fvm%2F100%2F2026-08-20T03%3A00%3A01Z"
    );
}

#[tokio::test]
async fn a_restore_refused_at_once_says_why() {
    for (text, reason) in [
        (
            "unable to restore VM 100 - VM is locked (backup)",
            Reason::Locked(portico_proxmox::Lock::Backup),
        ),
        (
            "unable to restore VM 100 - VM 100 already exists on node 'pve2'",
            Reason::VmExists,
        ),
        (
            "unable to use volume local:iso/x.iso - content type needs to be 'backup'",
            Reason::WrongContent,
        ),
    ] {
        let (_server, vm) = serving(fail(500, text)).await;
        let restore = Restore::from(volume(BACKUP)).unwrap();
        let error = vm.restore(&restore).await.unwrap_err();
        assert_eq!(error.reason(), Some(&reason));
        assert!(!error.may_have_happened());
    }
    let (_server, vm) = serving(fail(403, "Permission check failed")).await;
    let restore = Restore::from(volume(BACKUP)).unwrap();
    let error = vm.restore(&restore).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
}

#[tokio::test]
async fn an_error_of_a_backup_or_restore_names_vm_storage_and_archive() {
    let (_server, vm) = serving(fail(500, "VM is locked (snapshot)")).await;
    let new = NewBackup::on(storage("pbs"));
    let error = vm.create_backup(&new).await.unwrap_err();
    let target = error.target();
    assert_eq!(
        (target.vmid, &target.storage),
        (Some(vmid()), &Some(storage("pbs")))
    );
    assert_eq!(target.call, "POST /nodes/{node}/vzdump");
    let restore = Restore::from(volume(BACKUP)).unwrap();
    let over = vm.restore(&restore).await.unwrap_err();
    let fresh = vm
        .client()
        .restore_new(&node(), vmid(), &restore)
        .await
        .unwrap_err();
    for error in [over, fresh] {
        let target = error.target();
        assert_eq!(
            (target.vmid, &target.volume),
            (Some(vmid()), &Some(volume(BACKUP)))
        );
        assert_eq!(target.call, "POST /nodes/{node}/qemu");
        assert!(error.to_string().contains(BACKUP), "{error}");
    }
}

#[tokio::test]
async fn a_broken_connection_of_a_backup_or_restore_leaves_open_whether_it_began() {
    let (server, vm) = serving(Reply::Cut).await;
    let error = vm
        .create_backup(&NewBackup::on(storage("pbs")))
        .await
        .unwrap_err();
    assert!(error.may_have_happened());
    let restore = Restore::from(volume(BACKUP)).unwrap();
    assert!(vm.restore(&restore).await.unwrap_err().may_have_happened());
    let posts = server
        .lines()
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!(posts, 2, "each was sent once");
}
