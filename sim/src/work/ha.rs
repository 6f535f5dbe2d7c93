//! High availability: requests that end at once, and the rounds in which it acts on them later.

use std::sync::Arc;
use std::time::Duration;

use super::migrate::{Online, Plan, Rules, migrate};
use super::power::{self, Down, Manner};
use super::{Outcome, Worker, fork};
use crate::simulation::Simulation;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::ha::{Managed, Wanted};

/// `hastart` and `hastop`: they only say what is wanted.
pub(crate) async fn request(
    worker: Arc<Worker>,
    vmid: u32,
    wanted: Wanted,
    patience: Option<f64>,
) -> Outcome {
    let verb = match wanted {
        Wanted::Started => "start",
        Wanted::Stopped => "stop",
    };
    let line = format!("Requesting HA {verb} for VM {vmid}");
    let command = match wanted {
        Wanted::Started => format!("set vm:{vmid} --state started"),
        Wanted::Stopped => format!("set vm:{vmid} --state stopped"),
    };
    told(&worker, vmid, &line, &command, |managed| {
        managed.wanted = wanted;
        managed.patience = patience;
    })
    .await
}

/// `hamigrate`: it only says where to.
pub(crate) async fn request_move(worker: Arc<Worker>, vmid: u32, target: String) -> Outcome {
    let line = format!("Requesting HA migration for VM {vmid} to node {target}");
    let command = format!("migrate vm:{vmid} {target}");
    told(&worker, vmid, &line, &command, |managed| {
        managed.target = Some(target);
    })
    .await
}

/// Tells high availability something about a VM.
async fn told(
    worker: &Worker,
    vmid: u32,
    line: &str,
    command: &str,
    tell: impl FnOnce(&mut Managed),
) -> Outcome {
    worker.log(line);
    let duration = worker.world().durations.signal;
    worker.toil(duration).await?;
    // What it runs prints the reason; PVE tells of the program's failure only.
    let refusal = worker.world().cfs_refusal("domain-ha");
    if let Some(reason) = refusal {
        worker.log(&reason);
        return Err(format!("command 'ha-manager {command}' failed: exit code 255").into());
    }
    let mut world = worker.world();
    let managed = world
        .ha
        .get_mut(&vmid)
        .ok_or_else(|| format!("service 'vm:{vmid}' not managed by HA"))?;
    tell(managed);
    Ok(())
}

/// Acts every few seconds until shutdown, while there is a quorum.
pub(crate) async fn rounds(sim: Arc<Simulation>) {
    loop {
        let pause = sim.clock.real(sim.world().durations.ha_round);
        tokio::select! {
            () = sim.stop.cancelled() => return,
            // At a high time scale a round must still leave the world to others.
            () = tokio::time::sleep(pause.max(Duration::from_millis(20))) => {}
        }
        let mut world = sim.world();
        if !world.quorate {
            continue;
        }
        let all = world.ha.keys().copied().collect::<Vec<_>>();
        for vmid in all {
            look_after(&sim, &mut world, vmid);
        }
    }
}

fn look_after(sim: &Arc<Simulation>, world: &mut World, vmid: u32) {
    let now = sim.clock.now();
    let fence = sim.clock.real(world.durations.ha_fence).as_secs_f64();
    let Some(vm) = world.vms.get(&vmid) else {
        world.ha.remove(&vmid);
        return;
    };
    let node = vm.node.clone();
    let (runs, locked) = (vm.run.is_some(), vm.lock().is_some());
    let online = world.nodes.get(&node).is_some_and(|node| node.online);
    let Some(managed) = world.ha.get_mut(&vmid) else {
        return;
    };
    if !online {
        let lost = *managed.lost.get_or_insert(now);
        if now - lost >= fence {
            managed.lost = None;
            take_over(world, vmid, &node, now);
        }
        return;
    }
    managed.lost = None;
    let (wanted, patience) = (managed.wanted, managed.patience);
    let id = vmid.to_string();
    let busy = world.tasks.iter().rev().take(500).any(|task| {
        task.end.is_none() && task.upid.id == id && task.upid.node == node && task.upid.kind.starts_with("qm")
    });
    if busy || locked {
        return;
    }
    if let Some(target) = managed.target.take().filter(|target| *target != node) {
        let rules = Rules {
            online: runs.then_some(Online {
                with_local_disks: true,
                conntrack: true,
            }),
            force: true,
            ..Rules::default()
        };
        let plan = Plan {
            target,
            rules: Some(rules),
        };
        fork(sim, world, &node, "qmigrate", vmid, "root@pam", |worker| {
            migrate(worker, vmid, plan)
        });
        return;
    }
    match (wanted, runs) {
        (Wanted::Started, false) => {
            fork(sim, world, &node, "qmstart", vmid, "root@pam", |worker| {
                power::start(worker, vmid, false)
            });
        }
        (Wanted::Stopped, true) => {
            let hard = patience == Some(0.0);
            let how = Down {
                manner: if hard { Manner::Hard } else { Manner::AskedThenHard },
                timeout: patience,
                ..Down::default()
            };
            let kind = if hard { "qmstop" } else { "qmshutdown" };
            fork(sim, world, &node, kind, vmid, "root@pam", |worker| {
                power::stop(worker, vmid, how)
            });
        }
        _ => {}
    }
}

/// Gives the configuration of a lost node's VM to another node; the next round starts it there.
fn take_over(world: &mut World, vmid: u32, lost: &str, now: f64) {
    let Some(node) = world
        .nodes
        .values()
        .find(|node| node.online && node.name != lost)
        .map(|node| node.name.clone())
    else {
        return;
    };
    // The lost node was fenced: nothing runs there any more. Locks of what ran there are dropped.
    world.lose_run(vmid, now);
    if let Some(vm) = world.vms.get_mut(&vmid) {
        vm.config.remove("lock");
        vm.set_seen(true, now);
    }
    world.move_vm(vmid, &node);
    world.counters.effect(Effect::Migrated, vmid, Some(&node));
}
