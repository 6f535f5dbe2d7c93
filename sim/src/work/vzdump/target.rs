//! Where a backup goes: whether the storage takes another one, its name there, and what is kept at the end.

use super::data::{needed, used_bytes};
use super::{Job, progress};
use crate::work::volumes::prune;
use crate::work::{Broken, Outcome, Worker};
use crate::world::World;
use crate::world::backup::{Archive, backups_on, new_name};
use crate::world::counters::Effect;
use crate::world::storage::{StorageKind, Volume};

/// Where the data go.
pub(super) struct Target {
    pub(super) pbs: bool,
    /// The volume's name after `STORAGE:backup/`.
    pub(super) name: String,
    pub(super) volid: String,
    pub(super) path: String,
    pub(super) time: i64,
}

/// PVE's limits on how many backups a VM may have.
pub(super) fn within_limits(world: &World, worker: &Worker, job: &Job, vmid: u32) -> Outcome {
    let limit = job.keep.as_ref().map_or(0, crate::world::retention::Keep::limit);
    if !job.protected && (limit == 0 || job.remove) {
        return Ok(());
    }
    let storage = world.usable_storage(&job.storage, worker.node())?;
    let backups = backups_on(storage, worker.node(), Some(vmid));
    let protected = backups.iter().filter(|volume| volume.protected).count() as u64;
    let count = backups.len() as u64 - protected;
    if job.protected {
        let unlimited = world.access.may(
            &worker.upid.user,
            &format!("/storage/{}", job.storage),
            "Datastore.Allocate",
        );
        protectable(storage, unlimited, protected)?;
    } else if count >= limit {
        return Err(format!(
            "There is a max backup limit of {limit} enforced by the target storage or the vzdump parameters. \
             Either increase the limit or delete old backups."
        )
        .into());
    }
    Ok(())
}

/// Whether a VM with that many protected backups may have another one.
pub(crate) fn protectable(
    storage: &crate::world::storage::Storage,
    unlimited: bool,
    protected: u64,
) -> Result<(), String> {
    let max = storage.max_protected.unwrap_or(if unlimited { -1 } else { 5 });
    match u64::try_from(max) {
        Ok(max) if protected >= max => Err(format!(
            "The number of protected backups per guest is limited to {max} on storage '{}'",
            storage.id
        )),
        _ => Ok(()),
    }
}

pub(super) fn choose(world: &World, worker: &Worker, job: &Job, vmid: u32) -> Result<Target, Broken> {
    let storage = world.usable_storage(&job.storage, worker.node())?;
    let mut time = worker.sim.clock.seconds();
    // A real backup takes longer than a second; at a high time scale two may begin within one.
    loop {
        let name = new_name(storage, vmid, time, job.compression.ending());
        let volid = format!("{}:backup/{name}", storage.id);
        if !storage.volumes_on(worker.node()).any(|v| v.volid == volid) {
            return Ok(Target {
                pbs: storage.kind == StorageKind::Pbs,
                path: storage.path_of(&format!("backup/{name}")),
                name,
                volid,
                time,
            });
        }
        time += 1;
    }
}

/// Puts the finished backup on its storage, with notes and protection, then prunes.
pub(super) fn keep(worker: &Worker, job: &Job, vmid: u32, to: &Target, archive: Archive) -> Outcome {
    let mut lines = Vec::new();
    let mut world = worker.world();
    let (cluster, seed) = (world.cluster.clone(), world.seed);
    let vm = world.vm(worker.node(), vmid)?;
    let guest = vm.get("name").map_or_else(|| format!("VM {vmid}"), str::to_owned);
    let used = used_bytes(seed, &archive);
    let size = if to.pbs {
        archive.size()
    } else {
        needed(job, false, used).max(4096)
    };
    if !to.pbs {
        lines.push(format!("INFO: archive file size: {}", progress::file_size(size)));
    }
    let notes = job
        .notes
        .as_ref()
        .filter(|text| !text.is_empty())
        .map(|template| {
            let values = [
                ("cluster", cluster.as_str()),
                ("guestname", guest.as_str()),
                ("node", worker.node()),
                ("vmid", &vmid.to_string()),
            ];
            crate::schema::format::fill_notes(template, &values)
        });
    if notes.is_some() {
        lines.push("INFO: adding notes to backup".to_owned());
    }
    if job.protected {
        lines.push("INFO: marking backup as protected".to_owned());
    }
    let Some(storage) = world.storages.get_mut(&job.storage) else {
        return Err(format!("storage '{}' does not exist", job.storage).into());
    };
    let node = (!storage.shared).then(|| worker.node().to_owned());
    let format = if to.pbs {
        "pbs-vm".to_owned()
    } else {
        format!("vma{}", job.compression.ending())
    };
    storage.volumes.push(Volume {
        volid: to.volid.clone(),
        content: "backup".to_owned(),
        format,
        size,
        ctime: to.time,
        vmid: Some(vmid),
        notes,
        protected: job.protected,
        encrypted: None,
        verification: None,
        node: node.clone(),
    });
    world.archives.insert(node.as_deref(), &to.volid, archive);
    world
        .counters
        .effect(Effect::BackupCreated, vmid, Some(&to.volid));
    if let (true, Some(keep)) = (job.remove, &job.keep) {
        lines.push(format!(
            "INFO: prune older backups with retention: {}",
            keep.in_log()
        ));
        let (pruned, count) = prune(&mut world, worker.node(), &job.storage, Some(vmid), keep)?;
        lines.extend(pruned.into_iter().map(|line| format!("INFO: {line}")));
        let extra = if count > 0 {
            " not covered by keep-retention policy"
        } else {
            ""
        };
        lines.push(format!("INFO: pruned {count} backup(s){extra}"));
    }
    drop(world);
    worker.log(&lines.join("\n"));
    Ok(())
}
