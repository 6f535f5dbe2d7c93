//! Moving a VM to another node.

use std::sync::Arc;

use super::{Broken, Outcome, Worker, copy};
use crate::units::float;
use crate::world::counters::Effect;

/// `qmigrate`: the lock `migrate` while it lasts; at the end the configuration is on the other node.
///
/// The configuration's file lock is free meanwhile, so that others are told of the lock `migrate` and not of a
/// timeout.
pub(crate) async fn migrate(worker: Arc<Worker>, vmid: u32, target: String) -> Outcome {
    let (duration, online, memory) = {
        let _guard = worker.flock(vmid).await?;
        let mut world = worker.world();
        let duration = world.durations.migrate;
        let vm = world.vm_mut(worker.node(), vmid)?;
        vm.check_lock()?;
        vm.config.insert("lock".to_owned(), "migrate".to_owned());
        (duration, vm.run.is_some(), vm.memory())
    };
    worker.log(&format!("starting migration of VM {vmid} to node '{target}'"));
    if online {
        worker.log("starting online/live migration on unix:/run/qemu-server/migrate.sock");
    }
    if let Err(Broken(reason)) = transfer(&worker, duration, online.then_some(memory)).await {
        worker.log("aborting phase 2 - cleanup resources");
        if let Ok(vm) = worker.world().vm_mut(worker.node(), vmid) {
            vm.config.remove("lock");
        }
        worker.log(&format!("ERROR: migration aborted: {reason}"));
        return Err("migration aborted".into());
    }
    let _guard = worker.flock(vmid).await?;
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let pid = world.pid();
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.remove("lock");
    if let Some(run) = &mut vm.run {
        // Another QEMU runs it now, whose counters begin anew.
        run.since = now;
        run.pid = pid;
    }
    world.move_vm(vmid, &target);
    world.counters.effect(Effect::Migrated, vmid, Some(&target));
    Ok(())
}

async fn transfer(worker: &Worker, duration: f64, memory: Option<u64>) -> Outcome {
    if let Some(memory) = memory {
        for tenth in [2_u64, 4, 6, 8] {
            worker.log(&format!(
                "migration active, transferred {} of {} VM-state, 1.1 GiB/s",
                copy::human(memory / 10 * tenth),
                copy::human(memory)
            ));
            worker.pause(duration / 10.0).await?;
        }
        let speed = float(memory) / duration / f64::from(1 << 20);
        worker.log(&format!(
            "average migration speed: {speed:.1} MiB/s - downtime 38 ms"
        ));
        worker.toil(duration * 0.6).await
    } else {
        worker.toil(duration).await
    }
}
