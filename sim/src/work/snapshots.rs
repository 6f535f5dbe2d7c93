//! Taking, rolling back and removing snapshots.

use std::sync::Arc;

use super::power::{Down, bring_down, start};
use super::{Broken, Outcome, Worker, fork};
use crate::config::Section;
use crate::config::drive::Drive;
use crate::units::float;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::Volume;
use crate::world::vm::{Snapshot, Vm, drives_of};

/// Keys that belong to a section alone and are not copied between sections.
fn is_copied(key: &str) -> bool {
    ![
        "snapstate",
        "snaptime",
        "vmstate",
        "lock",
        "digest",
        "description",
        "runningmachine",
        "runningcpu",
    ]
    .contains(&key)
        && !key.starts_with("unused")
}

/// `qmsnapshot`.
pub(crate) async fn create(
    worker: Arc<Worker>,
    vmid: u32,
    name: String,
    description: Option<String>,
    with_state: bool,
) -> Outcome {
    let duration = {
        let _guard = worker.flock(vmid).await?;
        prepare(&worker, vmid, &name, description, with_state)?
    };
    let drives = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        let disks = vm.drives().filter(|(_, d)| !d.is_cdrom() || d.is_cloudinit());
        disks
            .map(|(key, drive)| format!("snapshotting 'drive-{key}' ({})", drive.file()))
            .collect::<Vec<_>>()
    };
    for line in drives {
        worker.log(&line);
    }
    let taken = match without_room(&worker, vmid, &name) {
        Some(text) => Err(Broken(text)),
        None => worker.toil(duration).await,
    };
    if let Err(Broken(reason)) = taken {
        worker.log("snapshot create failed: starting cleanup");
        let mut world = worker.world();
        let vm = world.vm_mut(worker.node(), vmid)?;
        let gone = vm.snapshots.shift_remove(&name);
        vm.config.remove("lock");
        if let Some(volid) = gone.and_then(|s| s.get("vmstate").map(str::to_owned)) {
            world.remove_volume(&volid);
        }
        return Err(Broken(reason));
    }
    let _guard = worker.flock(vmid).await?;
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    if vm.lock() != Some("snapshot") {
        return Err("missing snapshot lock".into());
    }
    let Some(snapshot) = vm.snapshots.get_mut(&name) else {
        return Err(format!("snapshot '{name}' does not exist").into());
    };
    snapshot.section.remove("snapstate");
    vm.config.remove("lock");
    vm.config.insert("parent".to_owned(), name.clone());
    world.counters.effect(Effect::SnapshotCreated, vmid, Some(&name));
    Ok(())
}

/// Checks what PVE checks, sets the lock, enters the snapshot; gives the seconds that taking it lasts.
fn prepare(
    worker: &Worker,
    vmid: u32,
    name: &str,
    description: Option<String>,
    with_state: bool,
) -> Result<f64, Broken> {
    let now = worker.sim.clock.seconds();
    let mut world = worker.world();
    let durations = world.durations;
    let vm = world.vm(worker.node(), vmid)?;
    if vm.is_template() {
        return Err("you can't take a snapshot if it's a template".into());
    }
    vm.check_lock()?;
    if vm.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used").into());
    }
    if !world.snapshot_possible(vm) {
        return Err("snapshot feature is not available".into());
    }
    let with_state = with_state && vm.run.is_some();
    let state = with_state.then(|| state_volume(vm, name)).flatten();
    let memory = vm.memory();
    let mut section = vm.config.clone();
    section.retain(|key, _| is_copied(key));
    section.insert("snapstate".to_owned(), "prepare".to_owned());
    section.insert("snaptime".to_owned(), now.to_string());
    if let Some(text) = description.filter(|text| !text.is_empty()) {
        section.insert("description".to_owned(), text);
    }
    if let Some(volid) = state {
        room_for_state(&mut world, &volid, memory * 2 + (500 << 20))?;
        section.insert("runningmachine".to_owned(), "pc-i440fx-10.1+pve0".to_owned());
        section.insert("vmstate".to_owned(), volid.clone());
        add_state_volume(
            &mut world,
            worker.node(),
            vmid,
            &volid,
            memory * 2 + (500 << 20),
            now,
        );
    }
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.insert("lock".to_owned(), "snapshot".to_owned());
    for other in vm.snapshots.values_mut() {
        if other.get("parent") == Some(name) {
            other.section.remove("parent");
        }
    }
    vm.snapshots.insert(name.to_owned(), Snapshot { section });
    vm.guest.keep(name);
    let gib = float(memory) / f64::from(1 << 30);
    Ok(durations.snapshot
        + if with_state {
            gib * durations.state_per_gib
        } else {
            0.0
        })
}

/// Where the memory goes: `vmstatestorage`, or the storage of the boot disk.
fn state_volume(vm: &Vm, name: &str) -> Option<String> {
    let disk = vm.boot_disk();
    let storage = vm
        .get("vmstatestorage")
        .or_else(|| disk.as_ref().and_then(Drive::storage))?;
    Some(format!("{storage}:vm-{}-state-{name}", vm.vmid))
}

/// Whether the volume for the memory can be made.
fn room_for_state(world: &mut World, volid: &str, size: u64) -> Result<(), String> {
    let (id, name) = volid.split_once(':').unwrap_or(("", ""));
    world.storage_lock(id)?;
    match world.storages.get(id) {
        Some(storage) if world.faults.storage_is_full(id) => Err(storage.full_text(name, size)),
        _ => Ok(()),
    }
}

/// PVE's text for the first disk whose storage has no room for a snapshot of it.
fn without_room(worker: &Worker, vmid: u32, snapshot: &str) -> Option<String> {
    let world = worker.world();
    let vm = world.vm(worker.node(), vmid).ok()?;
    vm.drives()
        .filter(|(_, drive)| !drive.is_cdrom() || drive.is_cloudinit())
        .find_map(|(_, drive)| {
            let (id, disk) = drive.file().split_once(':')?;
            let storage = world.storages.get(id)?;
            let full = world.faults.storage_is_full(id);
            full.then(|| storage.full_snapshot_text(disk, snapshot))
        })
}

fn add_state_volume(world: &mut World, node: &str, vmid: u32, volid: &str, size: u64, now: i64) {
    let Some(storage) = volid
        .split_once(':')
        .and_then(|(id, _)| world.storages.get_mut(id))
    else {
        return;
    };
    storage.volumes.push(Volume {
        volid: volid.to_owned(),
        content: "images".to_owned(),
        format: "raw".to_owned(),
        size,
        ctime: now,
        vmid: Some(vmid),
        notes: None,
        protected: false,
        encrypted: None,
        verification: None,
        node: (!storage.shared).then(|| node.to_owned()),
    });
}

/// `qmrollback`.
pub(crate) async fn rollback(worker: Arc<Worker>, vmid: u32, name: String, then_start: bool) -> Outcome {
    let guard = worker.flock(vmid).await?;
    let duration = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        rollback_possible(&world, vm, &name)?;
        vm.check_lock()?;
        world.durations.rollback
    };
    bring_down(
        &worker,
        vmid,
        Down {
            step: true,
            ..Down::default()
        },
    )
    .await?;
    worker
        .world()
        .vm_mut(worker.node(), vmid)?
        .config
        .insert("lock".to_owned(), "rollback".to_owned());
    drop(guard);
    // As in PVE, a rollback that breaks here leaves its lock behind.
    worker.toil(duration).await?;
    let _guard = worker.flock(vmid).await?;
    let with_state = restore(&worker, vmid, &name)?;
    if with_state {
        let now = worker.sim.clock.now();
        let mut world = worker.world();
        world.begin_run(vmid, now);
        world.counters.effect(Effect::Started, vmid, None);
    } else if then_start {
        let mut world = worker.world();
        let (node, user) = (worker.node().to_owned(), worker.upid.user.clone());
        fork(&worker.sim, &mut world, &node, "qmstart", vmid, &user, |worker| {
            start(worker, vmid, false)
        });
    }
    Ok(())
}

fn rollback_possible(world: &World, vm: &Vm, name: &str) -> Outcome {
    if vm.is_template() {
        return Err("you can't rollback if vm is a template".into());
    }
    let snapshot = vm
        .snapshots
        .get(name)
        .ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    for (_, drive) in drives_of(&snapshot.section).filter(|(_, d)| !d.is_cdrom()) {
        let storage = drive.storage().and_then(|id| world.storages.get(id));
        if storage.is_some_and(crate::world::storage::Storage::only_newest_rollback) {
            let newest = vm
                .snapshots
                .iter()
                .filter(|(_, other)| drives_of(&other.section).any(|(_, d)| d.file() == drive.file()))
                .enumerate()
                .max_by_key(|(at, (_, other))| (other.time(), *at))
                .map(|(_, (name, _))| name.as_str());
            if newest != Some(name) {
                let volid = drive.file();
                return Err(
                    format!("can't rollback, '{name}' is not most recent snapshot on '{volid}'").into(),
                );
            }
        }
    }
    match snapshot.get("snapstate") {
        Some(state) => Err(format!("unable to rollback to incomplete snapshot (snapstate = {state})").into()),
        None => Ok(()),
    }
}

/// Puts the snapshot's configuration in force; tells whether it has the memory too.
fn restore(worker: &Worker, vmid: u32, name: &str) -> Result<bool, Broken> {
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    if vm.lock() != Some("rollback") {
        return Err("got wrong lock".into());
    }
    let Some(snapshot) = vm.snapshots.get(name).cloned() else {
        return Err(format!("snapshot '{name}' does not exist").into());
    };
    let mut config = Section::new();
    for (key, value) in vm
        .config
        .iter()
        .filter(|(key, _)| key.starts_with("unused") || *key == "description")
    {
        config.insert(key.clone(), value.clone());
    }
    for (key, value) in snapshot.section.iter().filter(|(key, _)| is_copied(key)) {
        config.insert(key.clone(), value.clone());
    }
    let kept = drives_of(&config)
        .map(|(_, drive)| drive.file().to_owned())
        .collect::<Vec<_>>();
    let lost = vm
        .drives()
        .filter(|(_, drive)| !drive.is_cdrom() && !kept.iter().any(|volid| volid == drive.file()))
        .map(|(_, drive)| drive.file().to_owned())
        .collect::<Vec<_>>();
    for volid in lost {
        crate::config::settle::add_unused(&mut config, &volid);
    }
    config.insert("parent".to_owned(), name.to_owned());
    vm.config = config;
    vm.guest.go_back(name);
    vm.pending.clear();
    vm.pending_delete.clear();
    world
        .counters
        .effect(Effect::SnapshotRolledBack, vmid, Some(name));
    Ok(snapshot.get("vmstate").is_some())
}

/// `qmdelsnapshot`.
pub(crate) async fn remove(worker: Arc<Worker>, vmid: u32, name: String) -> Outcome {
    let missing = || Broken(format!("snapshot '{name}' does not exist"));
    let duration = {
        let _guard = worker.flock(vmid).await?;
        let mut world = worker.world();
        let duration = world.durations.remove_snapshot;
        let vm = world.vm_mut(worker.node(), vmid)?;
        if !vm.snapshots.contains_key(&name) {
            return Err(missing());
        }
        vm.check_lock()?;
        if vm.is_template() {
            return Err("you can't delete a snapshot if vm is a template".into());
        }
        vm.config.insert("lock".to_owned(), "snapshot-delete".to_owned());
        if let Some(snapshot) = vm.snapshots.get_mut(&name) {
            snapshot
                .section
                .insert("snapstate".to_owned(), "delete".to_owned());
        }
        duration
    };
    // As in PVE, a removal that breaks here leaves its lock behind.
    worker.toil(duration).await?;
    let _guard = worker.flock(vmid).await?;
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    if vm.lock() != Some("snapshot-delete") {
        return Err("encountered invalid lock, expected 'snapshot-delete'".into());
    }
    let gone = vm.snapshots.shift_remove(&name).ok_or_else(missing)?;
    let parent = gone.get("parent").map(str::to_owned);
    let sections = vm
        .snapshots
        .values_mut()
        .map(|s| &mut s.section)
        .chain(std::iter::once(&mut vm.config));
    for section in sections {
        if section.get("parent").map(String::as_str) == Some(name.as_str()) {
            match &parent {
                Some(parent) => section.insert("parent".to_owned(), parent.clone()),
                None => section.remove("parent"),
            };
        }
    }
    vm.config.remove("lock");
    vm.guest.let_go(&name);
    if let Some(volid) = gone.get("vmstate") {
        world.remove_volume(volid);
    }
    world.counters.effect(Effect::SnapshotRemoved, vmid, Some(&name));
    Ok(())
}
