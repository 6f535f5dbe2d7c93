//! Moving a VM to another node.
//!
//! [`migrate`] is the task: it looks at what the VM has on storages of its node alone ([`scan`]), copies it and the memory
//! of a running VM ([`transfer`]), and gives the configuration to the other node at the end. [`map`] reads which
//! storages take the places of others.
//!
//! The configuration's file lock is free while it copies, so that others are told of the lock `migrate` and not of a
//! timeout.

pub(crate) mod map;
mod scan;
mod transfer;

use std::sync::Arc;

use self::map::StorageMap;
pub(crate) use self::scan::takes;
use super::{Broken, Outcome, Worker};
use crate::calendar::Moment;
use crate::console;
use crate::options::Major;
use crate::units::whole;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::devices::Devices;
use crate::world::references;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The node it goes to.
    pub(crate) target: String,
    /// PVE's rules for it; without them it goes whatever it has, as when fate decides.
    pub(crate) rules: Option<Rules>,
}

/// How a migration goes by PVE's rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// While it runs, and how.
    pub(crate) online: Option<Online>,
    /// Devices of the node are no obstacle.
    pub(crate) force: bool,
    /// Which storages take the places of others.
    pub(crate) map: StorageMap,
    /// How fast disks are copied at most, in KiB a second; 0 for no limit.
    pub(crate) limit: Option<u64>,
}

/// What goes along with a VM that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Online {
    /// Disks that only its node has.
    pub(crate) with_local_disks: bool,
    /// Connections that are tracked.
    pub(crate) conntrack: bool,
}

/// How a migration did not work out.
enum Halt {
    /// Nothing has changed but what was cleaned up.
    Aborted(String),
    /// The VM was already coming up elsewhere.
    Problems,
}

impl From<String> for Halt {
    fn from(reason: String) -> Self {
        Self::Aborted(reason)
    }
}

impl From<Broken> for Halt {
    fn from(Broken(reason): Broken) -> Self {
        Self::Aborted(reason)
    }
}

/// `qmigrate`: the lock `migrate` while it lasts; at the end the configuration is on the other node.
pub(crate) async fn migrate(worker: Arc<Worker>, vmid: u32, plan: Plan) -> Outcome {
    let begun = worker.sim.clock.now();
    let outcome = moved(&worker, vmid, &plan).await;
    let clock = &worker.sim.clock;
    let seconds = whole(clock.simulated(clock.now() - begun));
    let lasted = format!(
        "(duration {:02}:{:02}:{:02})",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    match outcome {
        Ok(()) => {
            say(&worker, &format!("migration finished successfully {lasted}"));
            Ok(())
        }
        Err(Halt::Aborted(reason)) => {
            cry(&worker, &format!("migration aborted {lasted}: {reason}"));
            Err("migration aborted".into())
        }
        Err(Halt::Problems) => {
            cry(&worker, &format!("migration finished with problems {lasted}"));
            Err("migration problems".into())
        }
    }
}

/// A line of the log, with the time in front.
fn say(worker: &Worker, line: &str) {
    let time = Moment::of(worker.sim.clock.seconds()).in_log();
    worker.log(&format!("{time} {line}"));
}

/// A line that tells of an error.
fn cry(worker: &Worker, line: &str) {
    let time = Moment::of(worker.sim.clock.seconds()).in_log();
    worker.log(&format!("{time} ERROR: {line}"));
}

async fn moved(worker: &Worker, vmid: u32, plan: &Plan) -> Result<(), Halt> {
    let memory = {
        let _guard = worker.flock(vmid).await?;
        prepare(worker, vmid, plan)?
    };
    let address = worker
        .world()
        .nodes
        .get(&plan.target)
        .map(|node| node.address.clone())
        .unwrap_or_default();
    let target = &plan.target;
    say(
        worker,
        &format!("starting migration of VM {vmid} to node '{target}' ({address})"),
    );
    let mut met = false;
    let mut ready = Vec::new();
    let first = transfer::offline(worker, vmid, plan, memory.is_none(), &mut ready, &mut met).await;
    let online = match first {
        Ok(online) => online,
        Err(Broken(reason)) => {
            cry(worker, &reason);
            say(worker, "aborting phase 1 - cleanup resources");
            clean_up(worker, vmid, target, &ready);
            return Err(Halt::Aborted(reason));
        }
    };
    if let Some(memory) = memory
        && let Err(Broken(reason)) =
            transfer::online(worker, vmid, plan, online, memory, &mut ready, &mut met).await
    {
        cry(worker, &format!("online migrate failure - {reason}"));
        say(worker, "aborting phase 2 - cleanup resources");
        say(worker, "migrate_cancel");
        clean_up(worker, vmid, target, &ready);
        return Err(Halt::Problems);
    }
    let handed = match worker.flock(vmid).await {
        Ok(_guard) => hand_over(worker, vmid, plan, &ready),
        Err(Broken(reason)) => Err(reason),
    };
    handed.map_err(|reason| {
        cry(worker, &reason);
        clean_up(worker, vmid, target, &ready);
        Halt::Problems
    })
}

/// The checks before anything is done, and the lock; gives the memory of a VM that runs, in bytes.
fn prepare(worker: &Worker, vmid: u32, plan: &Plan) -> Result<Option<u64>, String> {
    let (running, untracked) = {
        let world = worker.world();
        let vm = world.vm(worker.node(), vmid)?;
        vm.check_lock()?;
        let running = vm.run.is_some();
        let online = plan.rules.as_ref().map(|rules| rules.online);
        if running && matches!(online, Some(None)) {
            return Err("can't migrate running VM without --online".to_owned());
        }
        let tracked = online.is_none_or(|online| online.is_some_and(|online| online.conntrack));
        (running, running && !tracked && world.major == Major::V9)
    };
    if untracked {
        let text =
            "conntrack state migration not supported or disabled, active connections might get dropped";
        say(worker, text);
    }
    let mut world = worker.world();
    let target = &plan.target;
    if let Some(rules) = &plan.rules {
        let vm = world.vm(worker.node(), vmid)?;
        let devices = Devices::of(vm);
        let blocking = devices.blocking();
        if !blocking.is_empty() && !rules.force {
            let list = blocking.join(", ");
            return Err(format!("can't migrate VM which uses local devices: {list}"));
        }
        if !devices.mapped.is_empty() {
            // No mappings are configured in the simulator, so the other node has none of them.
            let list = devices.mapped.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(format!(
                "can't migrate to '{target}': missing mapped devices {list}"
            ));
        }
        scan::reachable(&world, vm, rules, target)?;
    }
    if world.nodes.get(target).is_none_or(|node| !node.online) {
        return Err("Can't connect to destination address using public key".to_owned());
    }
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.insert("lock".to_owned(), "migrate".to_owned());
    Ok(running.then(|| vm.memory()))
}

/// A volume that is ready on the other node: its names here and there.
type Ready = (String, String);

/// After a failure: the VM is free again and what was made on the other node goes.
fn clean_up(worker: &Worker, vmid: u32, target: &str, ready: &[Ready]) {
    let mut world = worker.world();
    if let Ok(vm) = world.vm_mut(worker.node(), vmid) {
        vm.config.remove("lock");
    }
    for (_, made) in ready {
        world.remove_volume_on(target, made);
    }
}

/// The VM is the other node's from now on.
fn hand_over(worker: &Worker, vmid: u32, plan: &Plan, ready: &[Ready]) -> Result<(), String> {
    let now = worker.sim.clock.now();
    let mut world = worker.world();
    let pid = world.pid();
    let target = plan.target.as_str();
    console::take_over(&mut world, vmid, pid, &worker.sim.clock);
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.remove("lock");
    if let Some(run) = &mut vm.run {
        // Another QEMU runs it now, whose counters begin anew.
        run.since = now;
        run.pid = pid;
    }
    if plan.rules.is_some() {
        references::rename(vm, ready);
        target.clone_into(&mut vm.node);
        remove_copied(&mut world, worker.node(), ready);
    } else {
        world.move_vm(vmid, target);
    }
    world.counters.effect(Effect::Migrated, vmid, Some(target));
    Ok(())
}

fn remove_copied(world: &mut World, node: &str, ready: &[Ready]) {
    for (old, _) in ready {
        world.remove_volume_on(node, old);
    }
}
