//! The backup of one VM: lock, disks, data, notes, protection, retention, and what is undone when it fails.

use super::progress;
use super::{Compression, Job, Mode};
use crate::calendar::Moment;
use crate::units::{float, fraction, whole};
use crate::work::power::{Down, Manner, bring_down};
use crate::work::volumes::prune;
use crate::work::{Broken, Outcome, Worker};
use crate::world::World;
use crate::world::backup::{Archive, backups_on, candidates, new_name};
use crate::world::counters::Effect;
use crate::world::storage::{StorageKind, Volume};
use crate::world::vm::GuestAgent;

/// What has to be undone or done again when the backup ends, however it ends.
#[derive(Debug, Default)]
struct Cleanup {
    locked: bool,
    power: Owed,
}

/// What the VM's power state is owed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owed {
    #[default]
    Nothing,
    /// QEMU was begun for the backup alone.
    Stop,
    /// The guest was paused for the backup.
    Resume,
    /// The guest was shut down for the backup and is not up again.
    Restart,
}

/// Where the data go.
struct Destination {
    pbs: bool,
    /// The volume's name after `STORAGE:backup/`.
    name: String,
    volid: String,
    path: String,
    time: i64,
}

/// Backs up one VM and logs what came of it; an error has been logged already.
pub(super) async fn back_up(worker: &Worker, job: &Job, vmid: u32) -> Outcome {
    let began = worker.sim.clock.now();
    let mut cleanup = Cleanup::default();
    let outcome = attempt(worker, job, vmid, &mut cleanup).await;
    undo(worker, vmid, &cleanup);
    let now = worker.sim.clock.now();
    let stamp = Moment::of(worker.sim.clock.seconds()).in_log();
    match &outcome {
        Ok(()) => {
            let took = progress::clock(worker.sim.clock.simulated(now - began));
            worker.log(&format!("INFO: Finished Backup of VM {vmid} ({took})"));
            worker.log(&format!("INFO: Backup finished at {stamp}"));
        }
        Err(Broken(reason)) => {
            worker.log(&format!("ERROR: Backup of VM {vmid} failed - {reason}"));
            worker.log(&format!("INFO: Failed at {stamp}"));
        }
    }
    outcome
}

fn undo(worker: &Worker, vmid: u32, cleanup: &Cleanup) {
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let pid = world.pid();
    let Ok(vm) = world.vm_mut(worker.node(), vmid) else {
        return;
    };
    if cleanup.locked && vm.lock() == Some("backup") {
        vm.config.remove("lock");
    }
    let line = match cleanup.power {
        Owed::Stop if vm.qmp_status() == "prelaunch" => {
            vm.end_run(now);
            None
        }
        Owed::Resume => {
            vm.set_paused(false, now);
            Some("INFO: resume vm")
        }
        Owed::Restart if vm.run.is_none() => {
            vm.begin_run(now, pid);
            world.counters.effect(Effect::Started, vmid, None);
            Some("INFO: restarting vm")
        }
        _ => None,
    };
    drop(world);
    if let Some(line) = line {
        worker.log(line);
    }
}

async fn attempt(worker: &Worker, job: &Job, vmid: u32, cleanup: &mut Cleanup) -> Outcome {
    if !worker.world().vms.contains_key(&vmid) {
        return Err(format!("unable to find VM '{vmid}'").into());
    }
    let to = {
        let world = worker.world();
        within_limits(&world, worker, job, vmid)?;
        destination(&world, worker, job, vmid)?
    };
    let started = Moment::of(to.time).in_log();
    worker.log(&format!("INFO: Starting Backup of VM {vmid} (qemu)"));
    worker.log(&format!("INFO: Backup started at {started}"));
    let (running, paused) = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        (vm.run.is_some(), vm.run.as_ref().is_some_and(|run| run.paused))
    };
    let status = if running { "running" } else { "stopped" };
    worker.log(&format!("INFO: status = {status}"));
    {
        let _guard = worker.flock(vmid).await?;
        let mut world = worker.world();
        let vm = world.vm_mut(worker.node(), vmid)?;
        vm.check_lock()?;
        vm.config.insert("lock".to_owned(), "backup".to_owned());
        cleanup.locked = true;
    }
    let mode = if running { job.mode } else { Mode::Stop };
    let name = mode.name();
    let about_mode = format!("INFO: backup mode: {name}\nINFO: ionice priority: 7");
    if mode != Mode::Snapshot {
        worker.log(&about_mode);
    }
    list_disks(worker, vmid)?;
    if mode == Mode::Snapshot {
        worker.log(&about_mode);
    }
    if mode == Mode::Suspend && !paused {
        worker.log("INFO: suspending guest");
        let now = worker.sim.clock.now();
        worker.world().vm_mut(worker.node(), vmid)?.set_paused(true, now);
        cleanup.power = Owed::Resume;
    }
    if mode == Mode::Stop && running {
        shut_down(worker, job, vmid, paused, cleanup).await?;
    }
    list_rest(worker, vmid)?;
    let target = if to.pbs {
        format!("Proxmox Backup Server archive '{}'", to.name)
    } else {
        format!("vzdump archive '{}'", to.path)
    };
    worker.log(&format!("INFO: creating {target}"));
    let archive = {
        let world = worker.world();
        Archive::of(&world, Some(vmid), &world.vm(worker.node(), vmid)?.config)
    };
    if archive.disks.is_empty() {
        worker.log("INFO: backup contains no disks");
        worker.log("INFO: starting diskless backup");
        let wait = worker.world().durations.signal;
        worker.toil(wait).await?;
    } else {
        begin_qemu(worker, vmid, running, paused, mode, cleanup)?;
        let copied = copy(worker, job, &to, &archive).await;
        if let Err(Broken(reason)) = &copied {
            worker.log(&format!("ERROR: {reason}"));
            worker.log("INFO: aborting backup job");
        }
        end_qemu(worker, vmid, cleanup);
        copied?;
    }
    keep(worker, job, vmid, &to, archive)?;
    Ok(())
}

/// PVE's limits on how many backups a VM may have.
fn within_limits(world: &World, worker: &Worker, job: &Job, vmid: u32) -> Outcome {
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

fn destination(world: &World, worker: &Worker, job: &Job, vmid: u32) -> Result<Destination, Broken> {
    let storage = world.usable_storage(&job.storage, worker.node())?;
    let mut time = worker.sim.clock.seconds();
    // A real backup takes longer than a second; at a high time scale two may begin within one.
    loop {
        let name = new_name(storage, vmid, time, job.compression.ending());
        let volid = format!("{}:backup/{name}", storage.id);
        if !storage.volumes_on(worker.node()).any(|v| v.volid == volid) {
            return Ok(Destination {
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

fn list_disks(worker: &Worker, vmid: u32) -> Outcome {
    let mut lines = Vec::new();
    {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        if let Some(name) = vm.get("name") {
            lines.push(format!("INFO: VM Name: {name}"));
        }
        for (key, volid, size, reason) in candidates(&vm.config) {
            lines.push(match reason {
                Some(reason) => format!("INFO: exclude disk '{key}' '{volid}' ({reason})"),
                None => format!(
                    "INFO: include disk '{key}' '{volid}' {}",
                    crate::config::size_text(size)
                ),
            });
            if reason.is_none() {
                let (id, _) = volid.split_once(':').unwrap_or(("", ""));
                world.usable_storage(id, worker.node())?;
            }
        }
    }
    worker.log(&lines.join("\n"));
    Ok(())
}

fn list_rest(worker: &Worker, vmid: u32) -> Outcome {
    let mut lines = Vec::new();
    {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        for (_, value) in vm.config.iter().filter(|(key, _)| key.starts_with("unused")) {
            lines.push(format!(
                "INFO: skip unused drive '{value}' (not included into backup)"
            ));
        }
        if !vm.snapshots.is_empty() {
            lines.push("INFO: snapshots found (not included into backup)".to_owned());
        }
        if !vm.pending.is_empty() || !vm.pending_delete.is_empty() {
            lines.push("INFO: pending configuration changes found (not included into backup)".to_owned());
        }
    }
    worker.log(&lines.join("\n"));
    Ok(())
}

/// Mode stop: the guest is shut down, and stays down until the backup has begun.
async fn shut_down(worker: &Worker, job: &Job, vmid: u32, paused: bool, cleanup: &mut Cleanup) -> Outcome {
    worker.log("INFO: stopping virtual guest");
    let seconds = u64::from(job.stop_wait) * 60;
    let how = Down {
        manner: Manner::Asked,
        timeout: Some(float(seconds)),
        skiplock: true,
        step: true,
        ..Down::default()
    };
    let _guard = worker.flock(vmid).await?;
    let down = if paused {
        Err("VM is paused - cannot shutdown".into())
    } else {
        bring_down(worker, vmid, how).await
    };
    cleanup.power = Owed::Restart;
    down.map_err(|Broken(reason)| {
        if reason == "interrupted by signal" {
            return Broken(reason);
        }
        worker.log(&format!("INFO: {reason}"));
        Broken(format!(
            "command 'qm shutdown {vmid} --skiplock --keepActive --timeout {seconds}' failed: exit code 255"
        ))
    })
}

/// Lets QEMU run for the backup, freezes the guest's file systems for a moment.
fn begin_qemu(
    worker: &Worker,
    vmid: u32,
    was_running: bool,
    was_paused: bool,
    mode: Mode,
    cleanup: &mut Cleanup,
) -> Outcome {
    let now = worker.sim.clock.now();
    let mut lines = Vec::new();
    let mut world = worker.world();
    let pid = world.pid();
    let seed = world.seed;
    let vm = world.vm_mut(worker.node(), vmid)?;
    let begun = vm.run.is_none();
    if begun {
        lines.push("INFO: starting kvm to execute backup task".to_owned());
        vm.begin_prelaunch(now, pid);
        if !was_running {
            cleanup.power = Owed::Stop;
        }
    }
    if mode != Mode::Stop && was_running && !was_paused && vm.agent_enabled() {
        if vm.agent == GuestAgent::Running {
            lines.push("INFO: issuing guest-agent 'fs-freeze' command".to_owned());
            lines.push("INFO: issuing guest-agent 'fs-thaw' command".to_owned());
        } else {
            lines
                .push("INFO: skipping guest-agent 'fs-freeze', agent configured but not running?".to_owned());
        }
    }
    lines.push("INFO: starting backup via QMP command".to_owned());
    let id = crate::units::mix(seed, crate::units::whole(now));
    lines.push(format!(
        "INFO: started backup task '{:08x}-{:04x}-4000-8000-{:012x}'",
        id >> 32,
        id & 0xffff,
        id & 0xffff_ffff_ffff
    ));
    // Once the backup has begun, a guest that ran before runs again.
    if was_running && !was_paused && mode != Mode::Snapshot {
        vm.set_paused(false, now);
        lines.push("INFO: resuming VM again".to_owned());
        cleanup.power = Owed::Nothing;
    }
    if begun && was_running {
        world.counters.effect(Effect::Started, vmid, None);
    }
    drop(world);
    worker.log(&lines.join("\n"));
    Ok(())
}

fn end_qemu(worker: &Worker, vmid: u32, cleanup: &mut Cleanup) {
    if cleanup.power != Owed::Stop {
        return;
    }
    cleanup.power = Owed::Nothing;
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let Ok(vm) = world.vm_mut(worker.node(), vmid) else {
        return;
    };
    let line = match vm.qmp_status() {
        "prelaunch" => {
            vm.end_run(now);
            "INFO: stopping kvm after backup task".to_owned()
        }
        // Somebody started the guest meanwhile.
        status => format!("INFO: kvm status changed after backup ('{status}') - keep VM running"),
    };
    drop(world);
    worker.log(&line);
}

/// How many of a VM's bytes are not zero, for which every run of the simulator gives the same answer.
fn used_bytes(seed: u64, archive: &Archive) -> u64 {
    let key = archive.disks.iter().fold(archive.size(), |sum, disk| {
        sum.wrapping_add(disk.key.len() as u64)
    });
    whole(float(archive.size()) * (0.15 + 0.35 * fraction(seed, key)))
}

/// Bytes that a backup needs on its storage.
fn needed(job: &Job, pbs: bool, used: u64) -> u64 {
    // A backup server stores each chunk of data once.
    let ratio = if pbs { 0.1 } else { job.compression.ratio() };
    whole(float(used) * ratio)
}

async fn copy(worker: &Worker, job: &Job, to: &Destination, archive: &Archive) -> Outcome {
    let total = archive.size();
    let (seconds, used, room) = {
        let world = worker.world();
        let storage = world.usable_storage(&job.storage, worker.node())?;
        let slowest = archive
            .disks
            .iter()
            .map(|disk| disk.storage.as_str())
            .chain([job.storage.as_str()])
            .map(|id| world.faults.slowness(id))
            .fold(1.0, f64::max);
        let gib = float(total) / f64::from(1 << 30);
        (
            (gib * world.durations.backup_per_gib * slowest).max(1.0),
            used_bytes(world.seed, archive),
            world.free_on(storage, worker.node()),
        )
    };
    if to.pbs {
        for disk in &archive.disks {
            worker.log(&format!("INFO: {}: dirty-bitmap status: created new", disk.key));
        }
    }
    let needs = needed(job, to.pbs, used);
    // The place where a storage that is too small becomes full.
    let reach = if needs > room {
        float(room) / float(needs.max(1))
    } else {
        1.0
    };
    let report = |share: f64, after: f64| {
        let step = seconds / (seconds / 3.0).ceil().clamp(2.0, 100.0);
        let read = whole(float(total) * step / seconds);
        let written = whole(float(used) * step / seconds);
        worker.log(&progress::line(
            share * reach,
            total,
            after,
            (step, read, written),
        ));
    };
    worker.toil_in_steps(seconds * reach.max(0.05), report).await?;
    worker.world().usable_storage(&job.storage, worker.node())?;
    if reach < 1.0 {
        return Err(full(worker, job.compression, to.pbs));
    }
    let zero = total - used;
    let percent = (zero * 100).checked_div(total).unwrap_or(0);
    worker.log(&format!(
        "INFO: backup is sparse: {} ({percent}%) total zero data",
        progress::bytes_exactly(zero)
    ));
    worker.log(&progress::transferred(total, seconds));
    Ok(())
}

fn full(worker: &Worker, compression: Compression, pbs: bool) -> Broken {
    if pbs {
        return "backup write data failed: command error: write_data upload error: pipelined request failed: \
                ENOSPC: No space left on device"
            .into();
    }
    let pipe = "vma_queue_write: write error - Broken pipe";
    match compression {
        Compression::None => "vma_queue_write: write error - No space left on device".into(),
        Compression::Zstd => {
            worker.log("INFO: zstd: error 70 : Write error : cannot write block : No space left on device");
            pipe.into()
        }
        Compression::Gzip | Compression::Lzo => {
            worker.log("INFO: stdout: No space left on device");
            pipe.into()
        }
    }
}

/// Puts the finished backup on its storage, with notes and protection, then prunes.
fn keep(worker: &Worker, job: &Job, vmid: u32, to: &Destination, archive: Archive) -> Outcome {
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
