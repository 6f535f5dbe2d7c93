//! `qmrestore`: a backup takes the place of a VM.
//!
//! Until the disks' data come, nothing is changed but the lock. Then, as in PVE, the configuration shrinks to
//! almost nothing, the disks that are in the backup are freed, all snapshots go. What fails after that leaves
//! the VM like this: without its disks. Only the end writes the configuration of the backup.
//!
//! [`data`] copies, [`mod@end`] writes the configuration.

mod data;
mod end;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::data::{bring_data, header};
use self::end::finish;
use super::power::start;
use super::{Broken, Outcome, Worker, forbidden, fork};
use crate::config::Section;
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::world::backup::{Archive, SavedDisk, is_restorable};
use crate::world::counters::Effect;
use crate::world::storage::StorageKind;
use crate::world::vm::drives_of;
use crate::world::volumes::Wish;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Restore {
    /// The backup's volume.
    pub(crate) archive: String,
    /// Where all disks go; where they were if absent.
    pub(crate) storage: Option<String>,
    /// The pool which the VM joins.
    pub(crate) pool: Option<String>,
    /// Whether it gets new MAC addresses and a new UUID.
    pub(crate) unique: bool,
    /// Whether it starts before its data are there.
    pub(crate) live: bool,
    /// Whether it starts afterwards.
    pub(crate) start: bool,
    /// Keys that differ from the backup's configuration.
    pub(crate) overrides: BTreeMap<String, String>,
}

/// A disk on its way back.
struct Coming {
    disk: SavedDisk,
    volid: String,
}

const CLOUDINIT_BYTES: u64 = 4 << 20;

/// `qmrestore`.
pub(crate) async fn restore(worker: Arc<Worker>, vmid: u32, what: Restore) -> Outcome {
    let outcome = attempt(&worker, vmid, &what).await;
    if let Err(broken) = outcome {
        let mut world = worker.world();
        if let Ok(vm) = world.vm_mut(worker.node(), vmid)
            && vm.lock() == Some("create")
        {
            vm.config.remove("lock");
        }
        drop(world);
        worker.log(&format!(
            "error before or during data restore, some or all disks were not completely restored. VM {vmid} \
             state is NOT cleaned up."
        ));
        return Err(broken);
    }
    if what.start && !what.live {
        worker.log("Execute autostart");
        let mut world = worker.world();
        let (node, user) = (worker.node().to_owned(), worker.upid.user.clone());
        fork(&worker.sim, &mut world, &node, "qmstart", vmid, &user, |worker| {
            start(worker, vmid, false)
        });
    }
    Ok(())
}

async fn attempt(worker: &Worker, vmid: u32, what: &Restore) -> Outcome {
    let emsg = format!("unable to restore VM {vmid} -");
    {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        if vm.get("protection") == Some("1") {
            return Err(format!("{emsg} - protection mode enabled").into());
        }
        if vm.run.is_some() {
            return Err(format!("{emsg} vm is running").into());
        }
    }
    let _guard = worker.short_flock(vmid).await?;
    let (archive, pbs) = opened(worker, what)?;
    if let Some(firewall) = &archive.firewall {
        // It comes before all else; without one in the backup the VM keeps the one it has.
        let mut world = worker.world();
        world.firewall.put(vmid, firewall.clone());
        world.counters.effect(Effect::FirewallChanged, vmid, None);
    }
    let targets = archive.disks.iter().map(|disk| &disk.storage);
    for id in targets {
        // PVE takes the lock for each disk it makes, when the old ones are gone; the simulator for all beforehand.
        worker.storage_lock(what.storage.as_ref().unwrap_or(id)).await?;
    }
    let coming = begin(worker, vmid, what, &archive, pbs)?;
    if what.live {
        worker.log("starting VM for live-restore");
        let now = worker.sim.clock.now();
        let mut world = worker.world();
        world.vm(worker.node(), vmid)?;
        world.begin_run(vmid, now);
    }
    if let Err(broken) = bring_data(worker, what, &coming, pbs).await {
        destroy(worker, vmid, &coming);
        return Err(broken);
    }
    finish(worker, vmid, what, &archive, &coming)
}

/// The archive, once it is clear that it can be read and that what is in it may be restored.
fn opened(worker: &Worker, what: &Restore) -> Result<(Arc<Archive>, bool), Broken> {
    let world = worker.world();
    let (id, name) = what.archive.split_once(':').unwrap_or(("", ""));
    let storage = world.usable_storage(id, worker.node())?;
    let pbs = storage.kind == StorageKind::Pbs;
    let there = storage
        .volumes_on(worker.node())
        .any(|volume| volume.volid == what.archive);
    let archive = world.archives.get(worker.node(), &what.archive);
    let Some(archive) = archive.filter(|_| there) else {
        let snapshot = name.strip_prefix("backup/").unwrap_or(name);
        return Err(if pbs {
            format!("proxmox-backup-client failed: Error: snapshot {snapshot} does not exist").into()
        } else {
            format!("can't find file '{}'", what.archive).into()
        });
    };
    if what.live && !pbs {
        return Err("live-restore is only compatible with backup images from a Proxmox Backup Server".into());
    }
    let who = worker.upid.user.as_str();
    let mut merged = archive.config.clone();
    merged.extend(what.overrides.clone());
    for (key, value) in merged.iter().filter(|(key, _)| key.starts_with("net")) {
        if let Some(path) = bridge_path(key, value)
            && !world.access.may(who, &path, "SDN.Use")
        {
            return Err(forbidden(&path, "SDN.Use"));
        }
    }
    let cloudinit = drives_of(&archive.config)
        .filter(|(_, drive)| drive.is_cloudinit())
        .filter_map(|(_, drive)| drive.storage().map(str::to_owned));
    let disks = archive.disks.iter().map(|disk| disk.storage.clone());
    for id in disks.chain(cloudinit) {
        let id = what.storage.clone().unwrap_or(id);
        let target = world.usable_storage(&id, worker.node())?;
        if !target.content.contains("images") {
            return Err(format!("Content type 'images' is not available on storage '{id}'").into());
        }
        let path = format!("/storage/{id}");
        if !world.access.may(who, &path, "Datastore.AllocateSpace") {
            return Err(forbidden(&path, "Datastore.AllocateSpace"));
        }
    }
    Ok((archive, pbs))
}

fn bridge_path(key: &str, value: &str) -> Option<String> {
    let device = Network::parse(key, value).ok()?;
    let path = format!("/sdn/zones/localnetwork/{}", device.bridge()?);
    Some(device.tag().map_or(path.clone(), |tag| format!("{path}/{tag}")))
}

/// The point of no return: the old VM goes, room for the new disks is made.
fn begin(
    worker: &Worker,
    vmid: u32,
    what: &Restore,
    archive: &Archive,
    pbs: bool,
) -> Result<Vec<Coming>, Broken> {
    let mut lines = Vec::new();
    let now = worker.sim.clock.seconds();
    let mut world = worker.world();
    let world = &mut *world;
    if !pbs {
        lines.extend(header(world, what, archive));
    }
    let vm = world.vm_mut(worker.node(), vmid)?;
    let old = std::mem::replace(
        &mut vm.config,
        Section::from([("memory".to_owned(), "128".to_owned())]),
    );
    if pbs {
        vm.config.insert("lock".to_owned(), "create".to_owned());
    }
    vm.pending.clear();
    vm.pending_delete.clear();
    let snapshots = std::mem::take(&mut vm.snapshots);
    let replaced = |key: &str, drive: &Drive| {
        archive.disks.iter().any(|disk| disk.key == key)
            || (drive.is_cloudinit() && archive.config.contains_key(key))
    };
    let mut freed = old
        .iter()
        .filter(|(key, _)| is_restorable(key))
        .filter_map(|(key, text)| Some((key, Drive::parse(key, text)?)))
        .filter(|(key, drive)| replaced(key, drive))
        .map(|(_, drive)| drive.file().to_owned())
        .collect::<Vec<_>>();
    freed.extend(
        snapshots
            .values()
            .filter_map(|s| s.get("vmstate").map(str::to_owned)),
    );
    for volid in freed {
        let own = volid
            .split_once(':')
            .and_then(|(id, _)| world.storages.get(id))
            .is_some_and(|storage| {
                storage
                    .volumes
                    .iter()
                    .any(|v| v.volid == volid && v.vmid == Some(vmid))
            });
        if own {
            world.remove_volume_on(worker.node(), &volid);
        }
    }
    world
        .counters
        .effect(Effect::RestoreBegun, vmid, Some(&what.archive));
    let mut coming = Vec::new();
    for disk in &archive.disks {
        let id = what.storage.as_deref().unwrap_or(&disk.storage);
        let wish = Wish {
            format: Some(&disk.format),
            replaces: true,
            ..Wish::new(id, vmid, disk.size)
        };
        let volid = world.allocate(worker.node(), &wish, now)?;
        lines.push(format!("new volume ID is '{volid}'"));
        coming.push(Coming {
            disk: disk.clone(),
            volid,
        });
    }
    if !pbs {
        for Coming { disk, volid } in &coming {
            let (id, name) = volid.split_once(':').unwrap_or(("", ""));
            let path = world
                .storages
                .get(id)
                .map(|s| s.path_of(name))
                .unwrap_or_default();
            let key = &disk.key;
            lines.push(format!("map 'drive-{key}' to '{path}' (write zeros = 0)"));
        }
    }
    for line in lines {
        world.tasks.log(&worker.upid.text(), &line);
    }
    Ok(coming)
}

/// After a failure: the new disks go too. PVE does not bring the old ones back.
fn destroy(worker: &Worker, vmid: u32, coming: &[Coming]) {
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    for Coming { volid, .. } in coming {
        let line = if world.remove_volume_on(worker.node(), volid) {
            format!("temporary volume '{volid}' successfully removed")
        } else {
            format!("unable to cleanup '{volid}' - no such volume")
        };
        world.tasks.log(&worker.upid.text(), &line);
    }
    let runs = world.vm(worker.node(), vmid).is_ok_and(|vm| vm.run.is_some());
    if runs {
        world.end_run(vmid, now);
    }
}
