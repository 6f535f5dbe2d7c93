//! The backup of one VM, from its lock to its last log line.

use super::data::copy;
use super::qemu::{Cleanup, Owed, begin_qemu, end_qemu, shut_down, undo};
use super::target::{choose, keep, within_limits};
use super::{Job, Mode, progress};
use crate::calendar::Moment;
use crate::work::{Broken, Outcome, Worker};
use crate::world::backup::{Archive, candidates};
use crate::world::ha::{Managed, Wanted};

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

async fn attempt(worker: &Worker, job: &Job, vmid: u32, cleanup: &mut Cleanup) -> Outcome {
    if !worker.world().vms.contains_key(&vmid) {
        return Err(format!("unable to find VM '{vmid}'").into());
    }
    // Whatever the VM does just now: high availability would start it again in the middle.
    let enabled = |managed: &Managed| managed.wanted == Wanted::Started;
    if job.mode == Mode::Stop && worker.world().ha.get(&vmid).is_some_and(enabled) {
        return Err(
            "Cannot execute a backup with stop mode on a HA managed and enabled Service. \
            Use snapshot mode or disable the Service."
                .into(),
        );
    }
    let to = {
        let world = worker.world();
        within_limits(&world, worker, job, vmid)?;
        choose(&world, worker, job, vmid)?
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
        world.vm(worker.node(), vmid)?.check_lock()?;
        world.config_writable(worker.node(), vmid)?;
        let vm = world.vm_mut(worker.node(), vmid)?;
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
