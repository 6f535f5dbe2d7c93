//! Starting, stopping, resetting, pausing.

use std::sync::Arc;

use super::{Outcome, Worker, fork};
use crate::world::counters::Effect;
use crate::world::vm::{GuestAgent, Vm};

/// Whether the guest is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manner {
    /// It is stopped hard.
    #[default]
    Hard,
    /// It is asked, and the task fails when it does not comply in time.
    Asked,
    /// It is asked, and stopped hard when it does not comply in time.
    AskedThenHard,
}

/// How a VM is brought down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Down {
    /// Whether the guest is asked.
    pub(crate) manner: Manner,
    /// How long the guest may take, in seconds.
    pub(crate) timeout: Option<f64>,
    /// Do not mind the lock.
    pub(crate) skiplock: bool,
    /// Abort shutdowns of the same VM that are under way.
    pub(crate) overrule: bool,
    /// It is a step of something else, which meets the task's fault by itself.
    pub(crate) step: bool,
}

/// `qmstart`.
pub(crate) async fn start(worker: Arc<Worker>, vmid: u32, skiplock: bool) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let (duration, in_backup) = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".into());
        }
        if !skiplock && vm.lock() != Some("suspended") && !(vm.lock() == Some("backup") && vm.run.is_some()) {
            vm.check_lock()?;
        }
        let in_backup = vm.lock() == Some("backup") && vm.run.is_some();
        if vm.run.is_some() && !in_backup {
            return Err(format!("VM {vmid} already running").into());
        }
        world.startable(vm)?;
        (world.durations.start, in_backup)
    };
    worker.toil(duration).await?;
    if in_backup {
        // The backup began QEMU for its own purpose: the guest starts in it.
        let now = worker.sim.clock.now();
        let mut world = worker.world();
        let vm = world.vm_mut(worker.node(), vmid)?;
        let starts = vm.qmp_status() == "prelaunch";
        vm.set_paused(false, now);
        if starts {
            world.counters.effect(Effect::Started, vmid, None);
        }
        return Ok(());
    }
    bring_up(&worker, vmid)
}

fn bring_up(worker: &Worker, vmid: u32) -> Outcome {
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    let state = vm.config.remove("vmstate");
    if vm.lock() == Some("suspended") {
        vm.config.remove("lock");
    }
    world.begin_run(vmid, now);
    if let Some(volid) = state {
        world.remove_volume(&volid);
    }
    world.counters.effect(Effect::Started, vmid, None);
    Ok(())
}

/// `qmstop` and `qmshutdown`.
pub(crate) async fn stop(worker: Arc<Worker>, vmid: u32, how: Down) -> Outcome {
    if how.overrule {
        let user = worker.upid.user.clone();
        let id = vmid.to_string();
        let overruled = {
            let world = worker.world();
            let under_way = world.tasks.iter().filter(|task| {
                task.end.is_none()
                    && task.upid.kind == "qmshutdown"
                    && task.upid.id == id
                    && task.upid.user == user
            });
            under_way
                .map(|task| (task.upid.text(), task.cancel.clone()))
                .collect::<Vec<_>>()
        };
        for (upid, cancel) in overruled {
            cancel.cancel();
            worker.log(&format!("overruled task {upid}"));
        }
    }
    let _guard = worker.flock(vmid).await?;
    bring_down(&worker, vmid, how).await
}

/// Takes the VM down; the caller holds the configuration lock.
pub(crate) async fn bring_down(worker: &Worker, vmid: u32, how: Down) -> Outcome {
    let (mut gently, mut takes, timeout, stopping) = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        if vm.run.is_none() {
            return Ok(());
        }
        if !how.skiplock {
            vm.check_lock()?;
        }
        (
            how.manner != Manner::Hard,
            guest_takes(vm),
            how.timeout.or_else(|| startup_down(vm)).unwrap_or(60.0),
            world.durations.stop,
        )
    };
    if gently {
        let patience = takes.unwrap_or(f64::INFINITY).min(timeout);
        worker.toil(patience).await?;
        // The guest may have been swapped for a compliant one meanwhile.
        takes = takes.filter(|seconds| *seconds <= timeout);
        if takes.is_none() {
            if how.manner == Manner::Asked {
                return Err("VM quit/powerdown failed - got timeout".into());
            }
            worker.log("VM still running - terminating now with SIGTERM");
            gently = false;
            worker.pause(stopping).await?;
        }
    } else if how.step {
        worker.pause(stopping).await?;
    } else {
        worker.toil(stopping).await?;
    }
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    world.vm(worker.node(), vmid)?;
    world.end_run(vmid, now);
    world.counters.effect(
        if gently { Effect::ShutDown } else { Effect::Stopped },
        vmid,
        None,
    );
    Ok(())
}

/// How many seconds the guest needs to shut down; `None` if it does not react.
fn guest_takes(vm: &Vm) -> Option<f64> {
    let by_agent = vm.agent_enabled() && vm.agent == GuestAgent::Running;
    (by_agent || !vm.ignores_acpi).then_some(vm.shutdown_seconds)
}

fn startup_down(vm: &Vm) -> Option<f64> {
    vm.get("startup")?
        .split(',')
        .find_map(|part| part.strip_prefix("down="))?
        .parse()
        .ok()
}

/// `qmreboot`: ends when the VM is down; the start is another task, of root@pam.
pub(crate) async fn reboot(worker: Arc<Worker>, vmid: u32, timeout: Option<f64>) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    bring_down(
        &worker,
        vmid,
        Down {
            manner: Manner::Asked,
            timeout,
            ..Down::default()
        },
    )
    .await?;
    let sim = Arc::clone(&worker.sim);
    worker.sim.tracker.spawn(async move {
        tokio::select! {
            () = sim.stop.cancelled() => return,
            () = tokio::time::sleep(sim.clock.real(1.0)) => {}
        }
        let mut world = sim.world();
        let Some(node) = world.vms.get(&vmid).map(|vm| vm.node.clone()) else {
            return;
        };
        fork(&sim, &mut world, &node, "qmstart", vmid, "root@pam", |worker| {
            start(worker, vmid, false)
        });
    });
    Ok(())
}

/// `qmreset`: QEMU goes on, so uptime and counters do too.
pub(crate) async fn reset(worker: Arc<Worker>, vmid: u32, skiplock: bool) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    if !skiplock {
        // A backup's lock forbids it too, unlike pausing.
        worker.world().vm(worker.node(), vmid)?.check_lock()?;
    }
    signal(&worker, vmid, skiplock).await?;
    let now = worker.sim.clock.now();
    worker.world().consoles.reset(vmid, now);
    worker.effect(Effect::Reset, vmid, None);
    Ok(())
}

/// `qmpause`.
pub(crate) async fn pause(worker: Arc<Worker>, vmid: u32, skiplock: bool) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    signal(&worker, vmid, skiplock).await?;
    let now = worker.sim.clock.now();
    worker.world().vm_mut(worker.node(), vmid)?.set_paused(true, now);
    worker.effect(Effect::Paused, vmid, None);
    Ok(())
}

/// `qmresume`, of a paused VM or of one that was suspended to disk.
pub(crate) async fn resume(worker: Arc<Worker>, vmid: u32, skiplock: bool) -> Outcome {
    let suspended = worker.world().vm(worker.node(), vmid)?.lock() == Some("suspended");
    if suspended {
        return start(worker, vmid, skiplock).await;
    }
    let _guard = worker.flock(vmid).await?;
    signal(&worker, vmid, skiplock).await?;
    let now = worker.sim.clock.now();
    worker.world().vm_mut(worker.node(), vmid)?.set_paused(false, now);
    worker.effect(Effect::Resumed, vmid, None);
    Ok(())
}

/// `qmsuspend`: memory goes to a volume, then QEMU ends.
pub(crate) async fn suspend(worker: Arc<Worker>, vmid: u32, storage: String) -> Outcome {
    let (duration, volid) = {
        let _guard = worker.flock(vmid).await?;
        let mut world = worker.world();
        let per_gib = world.durations.state_per_gib;
        let vm = world.vm_mut(worker.node(), vmid)?;
        vm.check_lock()?;
        vm.config.insert("lock".to_owned(), "suspending".to_owned());
        let gib = crate::units::float(vm.memory()) / f64::from(1 << 30);
        (1.0 + gib * per_gib, format!("{storage}:vm-{vmid}-state-suspend"))
    };
    let saved = worker.toil(duration).await;
    let _guard = worker.flock(vmid).await?;
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    if let Err(broken) = saved {
        vm.config.remove("lock");
        return Err(broken);
    }
    vm.config.insert("lock".to_owned(), "suspended".to_owned());
    vm.config.insert("vmstate".to_owned(), volid);
    world.end_run(vmid, now);
    world.counters.effect(Effect::Suspended, vmid, None);
    Ok(())
}

/// A short command to a running QEMU; a backup's lock does not forbid it.
async fn signal(worker: &Worker, vmid: u32, skiplock: bool) -> Outcome {
    let duration = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        if !skiplock && vm.lock() != Some("backup") {
            vm.check_lock()?;
        }
        world.durations.signal
    };
    worker.toil(duration).await?;
    if worker.world().vm(worker.node(), vmid)?.run.is_none() {
        return Err(format!("VM {vmid} not running").into());
    }
    Ok(())
}
