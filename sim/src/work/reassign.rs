//! Giving a disk of one VM to another VM.

use std::sync::Arc;

use super::move_disk::is_used_elsewhere;
use super::{Broken, Outcome, Worker};
use crate::config::change::{Change, unmodified};
use crate::config::drive::Drive;
use crate::config::update::apply;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::StorageKind;
use crate::world::volumes::Wish;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Reassign {
    /// The disk's key.
    pub(crate) key: String,
    /// The VM that gets it.
    pub(crate) target: u32,
    /// The key it has there.
    pub(crate) target_key: String,
    /// The digest that the configuration must have.
    pub(crate) digest: Option<String>,
    /// The digest that the other VM's configuration must have.
    pub(crate) target_digest: Option<String>,
}

/// What PVE checks both before it forks and again in the task; gives the drive as the other VM will have it.
pub(crate) fn check(world: &World, node: &str, vmid: u32, wish: &Reassign) -> Result<Drive, String> {
    let (key, target, target_key) = (&wish.key, wish.target, &wish.target_key);
    let place = |vmid: u32| world.vms.get(&vmid).map(|vm| vm.node.as_str());
    let source_node = place(vmid).ok_or_else(|| format!("could not find VM {vmid}"))?;
    let target_node = place(target).ok_or_else(|| format!("could not find target VM {target}"))?;
    if source_node != target_node {
        return Err(format!(
            "Both VMs need to be on the same node ({source_node} != {target_node})"
        ));
    }
    let source = world.vm(node, vmid)?;
    source.check_lock()?;
    let other = world.vm(node, target)?;
    other.check_lock()?;
    if source.is_template() || other.is_template() {
        return Err("Can't move disks from or to template VMs".to_owned());
    }
    unmodified(source, wish.digest.as_deref()).map_err(|reason| format!("VM {vmid}: {reason}"))?;
    unmodified(other, wish.target_digest.as_deref()).map_err(|reason| format!("VM {target}: {reason}"))?;
    let Some(text) = source.get(key) else {
        return Err(format!("Disk '{key}' for VM '{vmid}' does not exist"));
    };
    if other.get(target_key).is_some() {
        return Err(format!(
            "Target disk key '{target_key}' is already in use for VM '{target}'"
        ));
    }
    let unparsable = |slot: &str| format!("failed to parse source disk{slot} - ");
    let drive = Drive::parse(key, text).ok_or_else(|| unparsable(""))?;
    if drive.is_cdrom() && !drive.is_cloudinit() {
        return Err("CD drive contents can't be moved to another VM".to_owned());
    }
    let file = drive.file();
    let Some(storage) = drive.storage().and_then(|id| world.storages.get(id)) else {
        return Err(format!("Volume '{file}' not managed by PVE"));
    };
    if is_used_elsewhere(source, key, file) {
        return Err("Can't move disk used by a snapshot to another VM".to_owned());
    }
    if storage.kind == StorageKind::Pbs {
        return Err("Storage does not support moving of this disk to another VM".to_owned());
    }
    if source.run.is_some() && !key.starts_with("unused") {
        return Err(
            "Cannot move disk to another VM while the source VM is running - detach first".to_owned(),
        );
    }
    let text = if target_key.starts_with("unused") {
        file
    } else {
        text
    };
    Drive::parse(target_key, text).ok_or_else(|| unparsable(" for target disk format"))
}

/// `qmmove` between two VMs: the volume gets a name of the other VM.
pub(crate) async fn run(worker: Arc<Worker>, vmid: u32, wish: Reassign) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let _other = worker.flock(wish.target).await?;
    let (key, target, target_key) = (&wish.key, wish.target, &wish.target_key);
    let (duration, storage) = {
        let world = worker.world();
        let drive = check(&world, worker.node(), vmid, &wish)?;
        (
            world.durations.config,
            drive.storage().unwrap_or_default().to_owned(),
        )
    };
    worker.log(&format!(
        "reassign disk '{key}' from VM '{vmid}' as '{target_key}' to VM '{target}'"
    ));
    worker.storage_lock(&storage).await?;
    worker.toil(duration).await?;
    let lines = hand_over(&worker, vmid, &wish)?;
    for line in lines {
        worker.log(&line);
    }
    worker.effect(Effect::DiskMoved, vmid, Some(key));
    Ok(())
}

/// Renames the volume and writes both configurations; gives lines for the log.
fn hand_over(worker: &Worker, vmid: u32, wish: &Reassign) -> Result<Vec<String>, Broken> {
    let (node, now) = (worker.node(), worker.sim.clock.seconds());
    let key = &wish.key;
    let mut world = worker.world();
    let mut drive = check(&world, node, vmid, wish)?;
    let old = drive.file().to_owned();
    let volid = renamed(&mut world, node, &old, wish.target, now)?;
    drive.set_file(volid);
    let mut lines = Vec::new();
    let source = world.vm_mut(node, vmid)?;
    if let Some(boot) = source.config.get_mut("boot")
        && let Some(order) = boot.strip_prefix("order=")
        && order.split(';').any(|device| device == key)
    {
        lines.push(format!("removing disk '{key}' from boot order config"));
        let rest = order.split(';').filter(|device| device != key);
        *boot = format!("order={}", rest.collect::<Vec<_>>().join(";"));
    }
    source.config.remove(key);
    lines.push(format!("removing disk '{key}' from VM '{vmid}' config"));
    if wish.target_key.starts_with("unused") {
        let target = world.vm_mut(node, wish.target)?;
        target.config.insert(wish.target_key.clone(), drive.print());
    } else {
        let mut change = Change::default();
        change.set(&wish.target_key, drive.print());
        let warnings = apply(&mut world, node, wish.target, &change, now)
            .map_err(|failure| Broken(failure.task_text()))?;
        lines.extend(warnings);
    }
    Ok(lines)
}

/// Gives a volume the first free name of another VM.
fn renamed(world: &mut World, node: &str, old: &str, vmid: u32, now: i64) -> Result<String, String> {
    let Some(volume) = world.volume(node, old).cloned() else {
        return Err(format!("volume '{old}' does not exist"));
    };
    let id = old.split_once(':').map_or("", |(id, _)| id);
    let wish = Wish {
        format: Some(volume.format.as_str()),
        ..Wish::new(id, vmid, volume.size)
    };
    let new = world.allocate(node, &wish, now)?;
    world.remove_volume_on(node, old);
    Ok(new)
}
