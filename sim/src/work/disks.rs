//! Growing a disk.

use std::sync::Arc;

use super::{Broken, Outcome, Worker, forbidden};
use crate::config::change::unmodified;
use crate::config::drive::Drive;
use crate::config::size_text;
use crate::schema::format::size_in_bytes;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::StorageKind;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Resize {
    /// The disk's key.
    pub(crate) key: String,
    /// The new size, or `+` and by how much it grows.
    pub(crate) size: String,
    /// The digest that the configuration must have.
    pub(crate) digest: Option<String>,
    /// Do not mind the lock.
    pub(crate) skiplock: bool,
}

/// `resize`.
pub(crate) async fn resize(worker: Arc<Worker>, vmid: u32, wish: Resize) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let (file, duration) = {
        let world = worker.world();
        let Some((drive, _)) = planned(&world, &worker, vmid, &wish)? else {
            return Ok(());
        };
        (drive.file().to_owned(), world.durations.resize)
    };
    may_grow(&worker, &file).await?;
    worker.toil(duration).await?;
    let mut world = worker.world();
    let Some((mut drive, size)) = planned(&world, &worker, vmid, &wish)? else {
        return Ok(());
    };
    world.set_volume_size(worker.node(), drive.file(), size);
    drive.set("size", size_text(size));
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.insert(wish.key.clone(), drive.print());
    world.counters.effect(Effect::Resized, vmid, Some(&wish.key));
    Ok(())
}

/// Whether the storage lets a volume grow: LVM does so under the storage's lock, and some kinds need room.
async fn may_grow(worker: &Worker, volid: &str) -> Outcome {
    let (id, name) = volid.split_once(':').unwrap_or(("", ""));
    let kind = worker.world().storages.get(id).map(|storage| storage.kind);
    if matches!(kind, Some(StorageKind::Lvm | StorageKind::LvmThin)) {
        worker.storage_lock(id).await?;
    }
    let world = worker.world();
    let storage = world.usable_storage(id, worker.node())?;
    match storage.full_resize_text(name) {
        Some(text) if world.faults.storage_is_full(id) => Err(text.into()),
        _ => Ok(()),
    }
}

/// The drive and its new size in bytes, or `None` when it has that size.
fn planned(world: &World, worker: &Worker, vmid: u32, wish: &Resize) -> Result<Option<(Drive, u64)>, Broken> {
    let vm = world.vm(worker.node(), vmid)?;
    unmodified(vm, wish.digest.as_deref())?;
    if !wish.skiplock {
        vm.check_lock()?;
    }
    let key = &wish.key;
    let Some(text) = vm.get(key) else {
        return Err(format!("disk '{key}' does not exist").into());
    };
    let Some(drive) = Drive::parse(key, text) else {
        return Err(format!("unable to parse drive options for '{key}'").into());
    };
    if drive.is_cdrom() {
        return Err("you can't resize a cdrom".into());
    }
    if let Some(storage) = drive.storage() {
        let path = format!("/storage/{storage}");
        let who = &worker.upid.user;
        if !world.access.may(who, &path, "Datastore.AllocateSpace") {
            return Err(forbidden(&path, "Datastore.AllocateSpace"));
        }
    }
    let now = world
        .volume(worker.node(), drive.file())
        .map_or(drive.size(), |volume| volume.size);
    let (by, text) = match wish.size.strip_prefix('+') {
        Some(text) => (now, text),
        None => (0, wish.size.as_str()),
    };
    // Disks have whole kibibytes.
    let size = by.saturating_add(size_in_bytes(text).unwrap_or(0)).div_ceil(1024) * 1024;
    if size < now {
        return Err("shrinking disks is not supported".into());
    }
    Ok((size > now).then_some((drive, size)))
}
