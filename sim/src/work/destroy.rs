//! Removing a VM, and making it a template.

use std::sync::Arc;

use super::{Outcome, Worker};
use crate::config::drive::Drive;
use crate::config::keys;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::vm::{Vm, drives_of};

/// What is removed beside the configuration and its disks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thoroughly {
    /// Disks of that number which no configuration names, on all storages.
    pub(crate) unreferenced: bool,
    /// Do not mind the lock.
    pub(crate) skiplock: bool,
}

fn checked<'a>(world: &'a World, worker: &Worker, vmid: u32, how: Thoroughly) -> Result<&'a Vm, String> {
    let vm = world.vm(worker.node(), vmid)?;
    if vm.get("protection") == Some("1") {
        return Err(format!("can't remove VM {vmid} - protection mode enabled"));
    }
    if vm.run.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed"));
    }
    // A VM that is suspended to disk may go, with what was in its memory.
    if !how.skiplock && vm.lock() != Some("suspended") {
        vm.check_lock()?;
    }
    Ok(vm)
}

/// The volumes that the configuration and its snapshots name.
fn owned(vm: &Vm) -> Vec<String> {
    let sections = vm.snapshots.values().map(|snapshot| &snapshot.section);
    let mut volumes = Vec::new();
    for section in sections.chain([&vm.config, &vm.pending]) {
        for (key, text) in section.iter().filter(|(key, _)| keys::holds_volume(key)) {
            if let Some(drive) = Drive::parse(key, text)
                && (!drive.is_cdrom() || drive.is_cloudinit())
                && drive.storage().is_some()
            {
                volumes.push(drive.file().to_owned());
            }
        }
        volumes.extend(section.get("vmstate").cloned());
    }
    volumes.sort();
    volumes.dedup();
    volumes
}

/// `qmdestroy`.
pub(crate) async fn destroy(worker: Arc<Worker>, vmid: u32, how: Thoroughly) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let (volumes, duration) = {
        let world = worker.world();
        let vm = checked(&world, &worker, vmid, how)?;
        let volumes = owned(vm);
        if let Some(base) = volumes.iter().find(|volid| world.has_children(volid)) {
            return Err(format!("base volume '{base}' is still in use by linked cloned").into());
        }
        (volumes, world.durations.allocate)
    };
    worker.toil(duration).await?;
    let mut world = worker.world();
    checked(&world, &worker, vmid, how)?;
    if let Some(vm) = world.vms.get_mut(&vmid) {
        vm.config.insert("lock".to_owned(), "destroyed".to_owned());
    }
    for volid in volumes {
        world.remove_volume(&volid);
    }
    if how.unreferenced {
        for storage in world.storages.values_mut().filter(|storage| storage.enabled) {
            storage
                .volumes
                .retain(|volume| volume.vmid != Some(vmid) || volume.content != "images");
        }
    }
    world.forget_vm(vmid);
    world.counters.effect(Effect::Destroyed, vmid, None);
    Ok(())
}

/// Whether a VM (or one disk of it) can become a template.
pub(crate) fn convertible(world: &World, node: &str, vmid: u32, disk: Option<&str>) -> Result<(), String> {
    let vm = world.vm(node, vmid)?;
    vm.check_lock()?;
    if !vm.snapshots.is_empty() {
        return Err("unable to create template, because VM contains snapshots".to_owned());
    }
    if vm.is_template() && disk.is_none() {
        return Err("you can't convert a template to a template".to_owned());
    }
    if vm.run.is_some() {
        return Err("you can't convert a VM to template if VM is running".to_owned());
    }
    match disk {
        Some(key) if vm.get(key).is_none() => Err(format!("disk '{key}' does not exist")),
        _ => Ok(()),
    }
}

/// `qmtemplate`: disks become base volumes that linked clones grow from.
pub(crate) async fn template(worker: Arc<Worker>, vmid: u32, disk: Option<String>) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let duration = {
        let world = worker.world();
        convertible(&world, worker.node(), vmid, disk.as_deref())?;
        world.durations.allocate
    };
    worker.toil(duration).await?;
    let mut world = worker.world();
    convertible(&world, worker.node(), vmid, disk.as_deref())?;
    let vm = world.vm_mut(worker.node(), vmid)?;
    let mut renamed = Vec::new();
    let drives = drives_of(&vm.config)
        .filter(|(key, drive)| !drive.is_cdrom() && disk.as_deref().is_none_or(|wanted| wanted == *key))
        .map(|(key, drive)| (key.to_owned(), drive))
        .collect::<Vec<_>>();
    for (key, mut drive) in drives {
        let old = drive.file().to_owned();
        let new = old.replace(&format!("vm-{vmid}-disk-"), &format!("base-{vmid}-disk-"));
        drive.set_file(new.clone());
        vm.config.insert(key, drive.print());
        renamed.push((old, new));
    }
    vm.config.insert("template".to_owned(), "1".to_owned());
    for volume in world
        .storages
        .values_mut()
        .flat_map(|storage| &mut storage.volumes)
    {
        if let Some((_, new)) = renamed.iter().find(|(old, _)| *old == volume.volid) {
            volume.volid.clone_from(new);
        }
    }
    world.counters.effect(Effect::Templated, vmid, None);
    Ok(())
}
