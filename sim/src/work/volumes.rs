//! Removing volumes and pruning backups.

use std::sync::Arc;

use super::{Outcome, Worker};
use crate::world::World;

use crate::world::counters::Effect;
use crate::world::retention::{Keep, Mark, marks};
use crate::world::storage::StorageKind;

/// `imgdel`: removes one volume.
pub(crate) async fn remove(worker: Arc<Worker>, volid: String) -> Outcome {
    let duration = {
        let world = worker.world();
        let (id, _) = volid.split_once(':').unwrap_or(("", ""));
        world.usable_storage(id, worker.node())?;
        world.durations.remove_volume * world.faults.slowness(id)
    };
    let (id, _) = volid.split_once(':').unwrap_or(("", ""));
    worker.storage_lock(id).await?;
    worker.toil(duration).await?;
    let warning = free(&mut worker.world(), worker.node(), &volid)?;
    if let Some(text) = warning {
        worker.log(&text);
    }
    worker.log(&format!("Removed volume '{volid}'"));
    Ok(())
}

/// Frees a volume as PVE does; a file that is not there is only worth a line.
fn free(world: &mut World, node: &str, volid: &str) -> Result<Option<String>, String> {
    let (id, name) = volid.split_once(':').unwrap_or(("", ""));
    let storage = world.usable_storage(id, node)?;
    let pbs = storage.kind == StorageKind::Pbs;
    let path = storage.path_of(name);
    let Some(volume) = storage.volumes_on(node).find(|volume| volume.volid == volid) else {
        return if pbs {
            let snapshot = name.strip_prefix("backup/").unwrap_or(name);
            Err(format!(
                "proxmox-backup-client failed: Error: snapshot {snapshot} does not exist"
            ))
        } else {
            Ok(Some(format!("disk image '{path}' does not exist")))
        };
    };
    if volume.protected {
        return Err(if pbs {
            "proxmox-backup-client failed: Error: cannot remove protected snapshot".to_owned()
        } else {
            format!("cannot remove protected volume '{name}' on '{id}'")
        });
    }
    let effect = if volume.content == "backup" {
        Effect::BackupRemoved
    } else {
        Effect::VolumeRemoved
    };
    let owner = volume.vmid.unwrap_or(0);
    world.remove_volume_on(node, volid);
    world.counters.effect(effect, owner, Some(volid));
    Ok(None)
}

/// Removes what retention does not keep, after it is clear that the storage can be reached; gives the lines for
/// the log and how many backups went.
pub(crate) fn prune(
    world: &mut World,
    node: &str,
    id: &str,
    vmid: Option<u32>,
    keep: &Keep,
) -> Result<(Vec<String>, usize), String> {
    let storage = world.usable_storage(id, node)?;
    let mut lines = Vec::new();
    let all = marks(storage, node, vmid, keep);
    if storage.kind == StorageKind::Pbs {
        let mut groups = all.iter().filter_map(|marked| marked.vmid).collect::<Vec<_>>();
        groups.dedup();
        for vmid in groups {
            lines.push(format!("running 'proxmox-backup-client prune' for 'vm/{vmid}'"));
        }
    }
    let pbs = storage.kind == StorageKind::Pbs;
    let going = all
        .into_iter()
        .filter(|marked| marked.mark == Mark::Remove)
        .collect::<Vec<_>>();
    for marked in &going {
        if !pbs {
            lines.push(format!("removing backup '{}'", marked.volid));
        }
        if world.remove_volume_on(node, &marked.volid) {
            let owner = marked.vmid.unwrap_or(0);
            world
                .counters
                .effect(Effect::BackupRemoved, owner, Some(&marked.volid));
        }
    }
    Ok((lines, going.len()))
}

/// `prunebackups`.
pub(crate) async fn prune_task(worker: Arc<Worker>, id: String, vmid: Option<u32>, keep: Keep) -> Outcome {
    let duration = {
        let world = worker.world();
        world.usable_storage(&id, worker.node())?;
        world.durations.remove_volume * world.faults.slowness(&id)
    };
    worker.toil(duration).await?;
    let (lines, _) = prune(&mut worker.world(), worker.node(), &id, vmid, &keep)?;
    for line in lines {
        worker.log(&line);
    }
    Ok(())
}
