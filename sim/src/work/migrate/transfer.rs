//! Copying what a VM has to the other node: disks before, disks and memory while it runs.

use super::scan::{self, Local};
use super::{Plan, Ready, say};
use crate::units::{float, whole};
use crate::work::copy::{self, Copying};
use crate::work::{Broken, Outcome, Worker};
use crate::world::volumes::Wish;

/// Copies what can be copied without the VM; gives what its QEMU has to copy.
pub(super) async fn offline(
    worker: &Worker,
    vmid: u32,
    plan: &Plan,
    alone: bool,
    ready: &mut Vec<Ready>,
    met: &mut bool,
) -> Result<Vec<Local>, Broken> {
    let mut locals = Vec::new();
    if let Some(rules) = &plan.rules {
        let (lines, found) = {
            let world = worker.world();
            let vm = world.vm(worker.node(), vmid)?;
            scan::local_volumes(&world, vm, rules, &plan.target)
        };
        for line in lines {
            say(worker, &line);
        }
        locals =
            found.map_err(|reason| Broken(format!("Problem found while scanning volumes - {reason}")))?;
    }
    let (online, offline) = locals
        .into_iter()
        .partition::<Vec<_>, _>(|one| one.online.is_some());
    if !offline.is_empty() {
        say(worker, "copying local disk images");
    }
    let limit = plan.rules.as_ref().and_then(|rules| rules.limit);
    for one in offline {
        let (volid, storage) = (&one.volid, &one.storage);
        let failed = |Broken(reason): Broken| {
            Broken(format!(
                "storage migration for '{volid}' to storage '{storage}' failed - {reason}"
            ))
        };
        let copying = reserve(worker, vmid, plan, &one, limit, ready).map_err(failed)?;
        copy::copy(worker, &copying, met).await.map_err(failed)?;
        tell_new_name(worker, ready);
    }
    if alone && !*met {
        *met = true;
        let duration = worker.world().durations.migrate;
        worker.toil(duration).await?;
    }
    Ok(online)
}

/// Copies disks and memory of a VM that runs.
pub(super) async fn online(
    worker: &Worker,
    vmid: u32,
    plan: &Plan,
    disks: Vec<Local>,
    memory: u64,
    ready: &mut Vec<Ready>,
    met: &mut bool,
) -> Outcome {
    let target = &plan.target;
    say(worker, &format!("starting VM {vmid} on remote node '{target}'"));
    let limit = plan.rules.as_ref().and_then(|rules| rules.limit);
    let mut mirrors = Vec::new();
    for one in &disks {
        let drive = one.online.as_deref().unwrap_or_default();
        let copying = reserve(worker, vmid, plan, one, limit, ready)?.mirrored(drive);
        tell_new_name(worker, ready);
        mirrors.push((drive, copying));
    }
    say(worker, "start remote tunnel");
    say(worker, "ssh tunnel ver 1");
    if !mirrors.is_empty() {
        say(worker, "starting storage migration");
    }
    for (drive, copying) in &mirrors {
        let place = format!("nbd:unix:/run/qemu-server/{vmid}_nbd.migrate:exportname=drive-{drive}");
        say(worker, &format!("{drive}: start migration to {place}"));
        worker.log(&format!("drive mirror is starting for drive-{drive}"));
        copy::copy(worker, copying, met).await?;
        worker.log("all 'mirror' jobs are ready");
    }
    if !mirrors.is_empty() {
        say(worker, "switching mirror jobs to actively synced mode");
    }
    let socket = format!("unix:/run/qemu-server/{vmid}.migrate");
    for line in [
        &format!("starting online/live migration on {socket}"),
        "set migration capabilities",
        "migration downtime limit: 100 ms",
        "set migration parameters",
        &format!("start migrate command to {socket}"),
    ] {
        say(worker, line);
    }
    memory_part(worker, memory, *met).await?;
    say(worker, "migration status: completed");
    if !mirrors.is_empty() {
        say(worker, "stopping NBD storage migration server on target.");
    }
    Ok(())
}

async fn memory_part(worker: &Worker, memory: u64, met: bool) -> Outcome {
    let duration = worker.world().durations.migrate;
    let speed = copy::human(whole(float(memory) / duration.max(1.0)));
    let report = |share: f64| {
        let done = copy::human(whole(float(memory) * share));
        let total = copy::human(memory);
        let line = format!("migration active, transferred {done} of {total} VM-state, {speed}/s");
        say(worker, &line);
    };
    if met {
        report(0.5);
        worker.pause(duration).await?;
    } else {
        worker
            .toil_in_steps(duration, |share, _| {
                if share < 1.0 {
                    report(share);
                }
            })
            .await?;
    }
    say(
        worker,
        &format!("average migration speed: {speed}/s - downtime 38 ms"),
    );
    let done = copy::human(memory);
    say(
        worker,
        &format!("migration completed, transferred {done} VM-state"),
    );
    Ok(())
}

/// Makes the place for a volume on the other node.
fn reserve(
    worker: &Worker,
    vmid: u32,
    plan: &Plan,
    one: &Local,
    limit: Option<u64>,
    ready: &mut Vec<Ready>,
) -> Result<Copying, Broken> {
    let now = worker.sim.clock.seconds();
    let mut world = worker.world();
    let target = plan.target.as_str();
    // Disks that QEMU copies get new names, all others keep theirs unless somebody has it there.
    let own = one.volid.rsplit([':', '/']).next().unwrap_or_default();
    let own = own.rsplit_once('.').map_or(own, |(name, _)| name);
    let storage = world.usable_storage(&one.storage, target)?;
    let keeps = one.online.is_none() && !storage.has_image(target, own);
    let wish = Wish {
        name: keeps.then_some(own),
        format: Some(one.format.as_str()),
        ..Wish::new(&one.storage, vmid, one.size)
    };
    let made = world.allocate(target, &wish, now)?;
    ready.push((one.volid.clone(), made));
    let from = one.volid.split_once(':').map_or("", |(id, _)| id);
    let copying = Copying::of(&world, one.size).between(&world, from, &one.storage, target);
    Ok(copying.limited(limit))
}

/// Tells what the last volume is called there.
fn tell_new_name(worker: &Worker, ready: &[Ready]) {
    if let Some((old, new)) = ready.last() {
        say(worker, &format!("volume '{old}' is '{new}' on the target"));
    }
}
