//! The VM's power around a backup: shut down or paused for it, begun for it, and put right again when it ends.

use super::{Job, Mode};
use crate::units::float;
use crate::work::power::{Down, Manner, bring_down};
use crate::work::{Broken, Outcome, Worker};
use crate::world::counters::Effect;
use crate::world::vm::GuestAgent;

/// What has to be undone or done again when the backup ends, however it ends.
#[derive(Debug, Default)]
pub(super) struct Cleanup {
    pub(super) locked: bool,
    pub(super) power: Owed,
}

/// What the VM's power state is owed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    #[default]
    Nothing,
    /// QEMU was begun for the backup alone.
    Stop,
    /// The guest was paused for the backup.
    Resume,
    /// The guest was shut down for the backup and is not up again.
    Restart,
}

pub(super) fn undo(worker: &Worker, vmid: u32, cleanup: &Cleanup) {
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let Ok(vm) = world.vm_mut(worker.node(), vmid) else {
        return;
    };
    if cleanup.locked && vm.lock() == Some("backup") {
        vm.config.remove("lock");
    }
    let line = match cleanup.power {
        Owed::Stop if vm.qmp_status() == "prelaunch" => {
            world.end_run(vmid, now);
            None
        }
        Owed::Resume => {
            vm.set_paused(false, now);
            Some("INFO: resume vm")
        }
        Owed::Restart if vm.run.is_none() => {
            world.begin_run(vmid, now);
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

/// Mode stop: the guest is shut down, and stays down until the backup has begun.
pub(super) async fn shut_down(
    worker: &Worker,
    job: &Job,
    vmid: u32,
    paused: bool,
    cleanup: &mut Cleanup,
) -> Outcome {
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
pub(super) fn begin_qemu(
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
    let seed = world.seed;
    let begun = world.vm(worker.node(), vmid)?.run.is_none();
    if begun {
        lines.push("INFO: starting kvm to execute backup task".to_owned());
        world.begin_prelaunch(vmid, now);
        if !was_running {
            cleanup.power = Owed::Stop;
        }
    }
    let vm = world.vm_mut(worker.node(), vmid)?;
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

pub(super) fn end_qemu(worker: &Worker, vmid: u32, cleanup: &mut Cleanup) {
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
            world.end_run(vmid, now);
            "INFO: stopping kvm after backup task".to_owned()
        }
        // Somebody started the guest meanwhile.
        status => format!("INFO: kvm status changed after backup ('{status}') - keep VM running"),
    };
    drop(world);
    worker.log(&line);
}
