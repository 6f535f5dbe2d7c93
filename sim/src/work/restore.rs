//! `qmrestore`: a backup takes the place of a VM.
//!
//! Until the disks' data come, nothing is changed but the lock. Then, as in PVE, the configuration shrinks to
//! almost nothing, the disks that are in the backup are freed, all snapshots go. What fails after that leaves
//! the VM like this: without its disks. Only the end writes the configuration of the backup.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::power::start;
use super::{Broken, Outcome, Worker, fork};
use crate::calendar::Moment;
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::config::update::add_unused;
use crate::config::{Section, keys};
use crate::units::{float, fraction, mix, whole};
use crate::world::World;
use crate::world::backup::{Archive, SavedDisk, is_restorable};
use crate::world::counters::Effect;
use crate::world::storage::{StorageKind, Volume};
use crate::world::vm::drives_of;

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
    let _guard = worker.flock(vmid).await?;
    let (archive, pbs) = opened(worker, what)?;
    let coming = begin(worker, vmid, what, &archive, pbs)?;
    if what.live {
        worker.log("starting VM for live-restore");
        let now = worker.sim.clock.now();
        let mut world = worker.world();
        let pid = world.pid();
        world.vm_mut(worker.node(), vmid)?.begin_run(now, pid);
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
    let storage = world.storage_on(id, worker.node())?;
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
            return Err(format!("Permission check failed ({path}, SDN.Use)").into());
        }
    }
    let cloudinit = drives_of(&archive.config)
        .filter(|(_, drive)| drive.is_cloudinit())
        .filter_map(|(_, drive)| drive.storage().map(str::to_owned));
    let disks = archive.disks.iter().map(|disk| disk.storage.clone());
    for id in disks.chain(cloudinit) {
        let id = what.storage.clone().unwrap_or(id);
        let target = world.storage_on(&id, worker.node())?;
        if !target.content.contains("images") {
            return Err(format!("Content type 'images' is not available on storage '{id}'").into());
        }
        let path = format!("/storage/{id}");
        if !world.access.may(who, &path, "Datastore.AllocateSpace") {
            return Err(format!("Permission check failed ({path}, Datastore.AllocateSpace)").into());
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
        let volid = allocate(world, worker.node(), id, vmid, disk.size, Some(&disk.format), now)?;
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

/// What `vma` prints about an archive before the data come.
fn header(world: &World, what: &Restore, archive: &Archive) -> Vec<String> {
    let (id, name) = what.archive.split_once(':').unwrap_or(("", ""));
    let path = world
        .storages
        .get(id)
        .map(|s| s.path_of(name))
        .unwrap_or_default();
    let reader = match name.rsplit('.').next() {
        Some("zst") => format!("zstd -q -d -c {path} | "),
        Some("gz") => format!("zcat {path} | "),
        Some("lzo") => format!("lzop -d -c {path} | "),
        _ => String::new(),
    };
    let from = if reader.is_empty() { path.as_str() } else { "-" };
    let mut lines = vec![
        format!(
            "restore vma archive: {reader}vma extract -v -r /var/tmp/vzdumptmp1.fifo {from} /var/tmp/vzdumptmp1"
        ),
        format!("CFG: size: {} name: qemu-server.conf", archive.text().len()),
    ];
    for (number, disk) in archive.disks.iter().enumerate() {
        lines.push(format!(
            "DEV: dev_id={} size: {} devname: drive-{}",
            number + 1,
            disk.size,
            disk.key
        ));
    }
    let time = world
        .storages
        .get(id)
        .and_then(|storage| storage.volumes.iter().find(|v| v.volid == what.archive))
        .map_or(0, |volume| volume.ctime);
    lines.push(format!("CTIME: {}", Moment::of(time).in_words()));
    lines
}

/// Makes a volume for a VM; its cloud-init drive if there is no format.
fn allocate(
    world: &mut World,
    node: &str,
    id: &str,
    vmid: u32,
    size: u64,
    format: Option<&str>,
    now: i64,
) -> Result<String, Broken> {
    let storage = world
        .storages
        .get_mut(id)
        .ok_or_else(|| Broken(format!("storage '{id}' does not exist")))?;
    let files = storage.kind.is_files();
    let folder = if files { format!("{vmid}/") } else { String::new() };
    let ending = match format {
        Some(format) if files => format!(".{format}"),
        None if files => ".qcow2".to_owned(),
        _ => String::new(),
    };
    let volid = if format.is_none() {
        format!("{id}:{folder}vm-{vmid}-cloudinit{ending}")
    } else {
        let taken = |volid: &String| storage.volumes_on(node).any(|v| v.volid == *volid);
        let mut names = (0..1000).map(|n| format!("{id}:{folder}vm-{vmid}-disk-{n}{ending}"));
        names.find(|volid| !taken(volid)).ok_or_else(|| {
            Broken(format!(
                "unable to allocate an image name for VM {vmid} in storage '{id}'"
            ))
        })?
    };
    let volume = Volume {
        volid: volid.clone(),
        content: "images".to_owned(),
        format: storage.format_of(&volid).to_owned(),
        size,
        ctime: now,
        vmid: Some(vmid),
        notes: None,
        protected: false,
        node: (!storage.shared).then(|| node.to_owned()),
    };
    storage.volumes.push(volume);
    Ok(volid)
}

/// Copies the data, with the lines of progress that `vma` or `pbs-restore` print.
async fn bring_data(worker: &Worker, what: &Restore, coming: &[Coming], pbs: bool) -> Outcome {
    if coming.is_empty() {
        return worker.toil(1.0).await;
    }
    let plans = {
        let world = worker.world();
        let (source, _) = what.archive.split_once(':').unwrap_or(("", ""));
        let each = coming.iter().map(|Coming { disk, volid }| {
            let (target, _) = volid.split_once(':').unwrap_or(("", ""));
            let slow = world.faults.slowness(source).max(world.faults.slowness(target));
            let gib = float(disk.size) / f64::from(1 << 30);
            let full = world.faults.storage_is_full(target)
                || world
                    .storages
                    .get(target)
                    .is_none_or(|storage| storage.used_on(worker.node()) >= storage.total);
            (gib * world.durations.restore_per_gib * slow, full)
        });
        each.collect::<Vec<_>>()
    };
    let full = plans.iter().any(|(_, full)| *full);
    let total = coming.iter().map(|c| c.disk.size).sum::<u64>();
    if !pbs {
        let seconds = plans.iter().map(|(seconds, _)| seconds).sum::<f64>().max(1.0);
        let reach = if full { 0.5 } else { 1.0 };
        let report = |share: f64, after: f64| {
            let done = share * reach;
            worker.log(&format!(
                "progress {}% (read {} bytes, duration {} sec)",
                whole(done * 100.0),
                whole(done * float(total)),
                whole(after)
            ));
        };
        worker.toil_in_steps(seconds * reach, report).await?;
        if full {
            let first = coming.first().map(|c| c.disk.key.as_str()).unwrap_or_default();
            worker.log(&format!(
                "vma: restore failed - vma blk_flush drive-{first} failed"
            ));
            return Err(
                "command 'set -o pipefail && vma extract -v -r /var/tmp/vzdumptmp1.fifo - \
                        /var/tmp/vzdumptmp1' failed: exit code 133"
                    .into(),
            );
        }
        reachable(worker, coming)?;
        let sparse = whole(float(total) * (0.5 + 0.35 * fraction(total, 1)));
        let percent = float(sparse) * 100.0 / float(total.max(1));
        worker.log(&format!(
            "total bytes read {total}, sparse bytes {sparse} ({percent:.3}%)"
        ));
        worker.log("space reduction due to 4K zero blocks 1.43%");
        return Ok(());
    }
    for (Coming { disk, volid }, (seconds, full)) in coming.iter().zip(plans) {
        one_image(worker, what, disk, volid, seconds.max(1.0), full).await?;
        reachable(worker, coming)?;
    }
    Ok(())
}

/// One image from a backup server.
async fn one_image(
    worker: &Worker,
    what: &Restore,
    disk: &SavedDisk,
    volid: &str,
    seconds: f64,
    full: bool,
) -> Outcome {
    let (id, name) = volid.split_once(':').unwrap_or(("", ""));
    let path = worker
        .world()
        .storages
        .get(id)
        .map(|storage| storage.path_of(name))
        .unwrap_or_default();
    let (source, snapshot) = what.archive.split_once(":backup/").unwrap_or(("", ""));
    let repository = format!("portico@pbs@10.0.0.50:{source}");
    let (key, size) = (&disk.key, disk.size);
    let command = format!(
        "/usr/bin/pbs-restore --repository {repository} {snapshot} drive-{key}.img.fidx {path} --verbose --format raw \
         --skip-zero"
    );
    worker.log(&format!("restore proxmox backup image: {command}"));
    worker.log(&format!("connecting to repository '{repository}'"));
    worker.log(&format!("open block backend for target '{path}'"));
    worker.log(&format!("starting to restore snapshot '{snapshot}'"));
    worker.log("download and verify backup index");
    let reach = if full { 0.5 } else { 1.0 };
    let report = |share: f64, after: f64| {
        let read = whole(share * reach * float(size));
        let zeroes = read / 2;
        worker.log(&format!(
            "progress {}% (read {read} bytes, zeroes = 50% ({zeroes} bytes), duration {} sec)",
            whole(share * reach * 100.0),
            whole(after)
        ));
    };
    worker.toil_in_steps(seconds * reach, report).await?;
    if full {
        worker.log("restore failed: blk_pwrite failed at offset 0 - No space left on device");
        return Err(format!("command '{command}' failed: exit code 255").into());
    }
    let speed = float(size) / seconds / 1_000_000.0;
    worker.log(&format!(
        "restore image complete (bytes={size}, duration={seconds:.2}s, speed={speed:.2}MB/s)"
    ));
    Ok(())
}

/// Whether the storages are still there after the work.
fn reachable(worker: &Worker, coming: &[Coming]) -> Outcome {
    let world = worker.world();
    for Coming { volid, .. } in coming {
        let (id, _) = volid.split_once(':').unwrap_or(("", ""));
        world.storage_on(id, worker.node())?;
    }
    Ok(())
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
    if let Ok(vm) = world.vm_mut(worker.node(), vmid)
        && vm.run.is_some()
    {
        vm.end_run(now);
    }
}

/// Writes the configuration of the backup, changed where the disks lie elsewhere and where the caller wants.
fn finish(worker: &Worker, vmid: u32, what: &Restore, archive: &Archive, coming: &[Coming]) -> Outcome {
    let now = worker.sim.clock.seconds();
    let mut world = worker.world();
    let world = &mut *world;
    let seed = mix(world.seed, u64::from(vmid) ^ now.unsigned_abs());
    let mut config = Section::new();
    let mut commented = Vec::new();
    for (key, text) in &archive.config {
        let Some(drive) = is_restorable(key).then(|| Drive::parse(key, text)).flatten() else {
            config.insert(key.clone(), renewed(key, text, what.unique, seed));
            continue;
        };
        if drive.get("backup") == Some("0") {
            // PVE puts a `#` before the line, which makes it a part of the description.
            commented.push(format!("{key}: {text}"));
            continue;
        }
        let volid = if drive.is_cloudinit() {
            let id = what.storage.as_deref().or(drive.storage()).unwrap_or("local");
            Some(allocate(
                world,
                worker.node(),
                id,
                vmid,
                CLOUDINIT_BYTES,
                None,
                now,
            )?)
        } else {
            let found = coming.iter().find(|c| c.disk.key == *key);
            found.map(|c| c.volid.clone())
        };
        config.insert(
            key.clone(),
            volid.map_or(text.clone(), |volid| moved(&drive, volid)),
        );
    }
    if !commented.is_empty() {
        let before = config.get("description").cloned().unwrap_or_default();
        let joint = if before.is_empty() || before.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        config.insert(
            "description".to_owned(),
            format!("{before}{joint}{}", commented.join("\n")),
        );
    }
    for (key, text) in &what.overrides {
        let text = match Network::parse(key, text) {
            Ok(mut device) if key.starts_with("net") && device.mac().is_none() => {
                device.set_mac(crate::scenario::generated_mac(seed, key));
                device.print()
            }
            _ => text.clone(),
        };
        config.insert(key.clone(), text);
    }
    // PVE looks for volumes of the VM that nothing refers to.
    world.tasks.log(&worker.upid.text(), "rescan volumes...");
    let used = config
        .iter()
        .filter(|(key, _)| keys::holds_volume(key))
        .filter_map(|(key, text)| Some(Drive::parse(key, text)?.file().to_owned()))
        .collect::<Vec<_>>();
    let orphans = world
        .storages
        .values()
        .flat_map(|storage| storage.volumes_on(worker.node()))
        .filter(|volume| volume.vmid == Some(vmid) && volume.content == "images")
        .map(|volume| volume.volid.clone())
        .filter(|volid| !used.contains(volid) && !volid.contains("-cloudinit"))
        .collect::<Vec<_>>();
    for volid in orphans {
        add_unused(&mut config, &volid);
    }
    world.vm_mut(worker.node(), vmid)?.config = config;
    if let Some(pool) = &what.pool {
        world.access.pools.entry(pool.clone()).or_default().insert(vmid);
    }
    world.counters.effect(Effect::Restored, vmid, Some(&what.archive));
    Ok(())
}

/// A drive whose volume is another one now.
fn moved(drive: &Drive, volid: String) -> String {
    let mut drive = drive.clone();
    drive.set_file(volid);
    // The format may differ on another storage.
    drive.unset("format");
    drive.print()
}

/// A value that is not the same after a restore: generation ids always, MAC addresses and UUIDs if unique.
fn renewed(key: &str, text: &str, unique: bool, seed: u64) -> String {
    let uuid = || {
        let id = mix(seed, key.len() as u64);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            id >> 32,
            id & 0xffff,
            id >> 52,
            (id >> 40) & 0xfff,
            id & 0xffff_ffff_ffff
        )
    };
    match key {
        "vmgenid" if text != "0" => uuid(),
        "smbios1" if unique => {
            let mut parts = text
                .split(',')
                .filter(|part| !part.starts_with("uuid=") && !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>();
            parts.insert(0, format!("uuid={}", uuid()));
            parts.join(",")
        }
        _ if unique && key.starts_with("net") => Network::parse(key, text).map_or_else(
            |_| text.to_owned(),
            |mut device| {
                device.set_mac(crate::scenario::generated_mac(seed, key));
                device.print()
            },
        ),
        _ => text.to_owned(),
    }
}
