//! Tasks at work: what happens between a UPID and its exit status.
//!
//! [`fork`] registers a task and lets its work run; a [`Worker`] is the work's hand: it logs, waits (scaled),
//! takes the VM's configuration lock, and meets the faults that were injected for it. The
//! other modules are the works, each named after what it does. To add one: write an async function of a worker, fork it from an endpoint.

pub(crate) mod clone;
mod copy;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod disks;
pub(crate) mod files;
pub(crate) mod ha;
pub(crate) mod migrate;
pub(crate) mod move_disk;
pub(crate) mod power;
pub(crate) mod reassign;
pub(crate) mod restore;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod volumes;
pub(crate) mod vzdump;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::simulation::Simulation;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::faults::Mishap;
use crate::world::task::{self, Upid};

/// Why a task did not end well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken(pub(crate) String);

impl From<String> for Broken {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Broken {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The refusal of who lacks a privilege, as a task ends with it.
pub(crate) fn forbidden(path: &str, privilege: &str) -> Broken {
    Broken(Failure::forbidden(&format!("{path}, {privilege}")).task_text())
}

/// What a work gives back.
pub(crate) type Outcome = Result<(), Broken>;

/// How long after it was asked to stop a task is killed, in seconds.
const KILL_AFTER: f64 = 5.0;

/// How many seconds the configuration lock is waited for where PVE says nothing else.
pub(crate) const FLOCK_SECONDS: f64 = 10.0;

/// How many seconds it is waited for by those who make, clone or restore a VM.
const SHORT_FLOCK_SECONDS: f64 = 1.0;

/// Seconds of patience as time to wait, never so short at a high time scale that a busy machine alone makes a waiter
/// give up.
pub(crate) fn flock_patience(clock: &Clock, seconds: f64) -> Duration {
    clock.real(seconds).max(Duration::from_millis(200))
}

/// PVE's text when the configuration lock was not had in time.
pub(crate) fn flock_refusal(vmid: u32) -> String {
    format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
}

/// The hand of a running task.
#[derive(Debug)]
pub(crate) struct Worker {
    /// What it belongs to.
    pub(crate) sim: Arc<Simulation>,
    /// The task.
    pub(crate) upid: Upid,
    text: String,
    cancel: CancellationToken,
    /// Ends it on the spot.
    kill: CancellationToken,
    mishap: Option<Mishap>,
    /// At which fraction of the work it strikes.
    point: f64,
    /// How often stuck tasks had been released when this one began.
    releases: u64,
    /// How many warnings it has logged.
    warnings: AtomicU32,
}

impl Worker {
    /// Adds a line to the task's log.
    pub(crate) fn log(&self, line: &str) {
        self.world().tasks.log(&self.text, line);
    }

    /// Adds a warning to the task's log; a task with warnings that ends well ends with `WARNINGS: n`.
    pub(crate) fn warn(&self, line: &str) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        self.log(&format!("WARN: {line}"));
    }

    /// The world; hold it shortly.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.sim.world()
    }

    /// The node that runs the task.
    pub(crate) fn node(&self) -> &str {
        &self.upid.node
    }

    /// Waits for some seconds of the simulated cluster.
    pub(crate) async fn pause(&self, seconds: f64) -> Outcome {
        tokio::select! {
            () = self.cancel.cancelled() => Err("interrupted by signal".into()),
            () = tokio::time::sleep(self.sim.clock.real(seconds)) => Ok(()),
        }
    }

    /// Waits until the task is asked to stop.
    pub(crate) async fn interrupted(&self) {
        self.cancel.cancelled().await;
    }

    /// Works for some seconds and meets the task's fault in the middle, or where a fault says.
    pub(crate) async fn toil(&self, seconds: f64) -> Outcome {
        self.pause(seconds * self.point).await?;
        self.meet().await?;
        self.pause(seconds * (1.0 - self.point)).await
    }

    /// Meets the task's fault.
    async fn meet(&self) -> Outcome {
        match &self.mishap {
            None => Ok(()),
            Some(Mishap::Fail(text)) => Err(text.as_str().into()),
            Some(Mishap::Stick) => self.stick().await,
            Some(Mishap::Kill) => self.die().await,
            Some(Mishap::Deaf) => {
                self.released().await;
                Ok(())
            }
            Some(Mishap::Warn(text)) => {
                self.warn(text);
                Ok(())
            }
        }
    }

    /// Works for some seconds in steps of about three, as PVE reports progress, and meets the task's fault where
    /// [`Self::toil`] does. `report` is called after each step with the fraction done and the seconds it took so far.
    pub(crate) async fn toil_in_steps(&self, seconds: f64, report: impl Fn(f64, f64) + Send) -> Outcome {
        let count = (seconds / 3.0).ceil().clamp(2.0, 100.0);
        let mut done = 0.0;
        let mut met = false;
        while done < count {
            self.pause(seconds / count).await?;
            done += 1.0;
            if !met && done >= count * self.point {
                met = true;
                self.meet().await?;
            }
            report(done / count, seconds * done / count);
        }
        Ok(())
    }

    /// Waits until stuck tasks are released.
    async fn released(&self) {
        loop {
            let changed = self.sim.changed.notified();
            if self.world().releases > self.releases {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    async fn stick(&self) -> Outcome {
        tokio::select! {
            () = self.cancel.cancelled() => Err("interrupted by signal".into()),
            () = self.released() => Ok(()),
        }
    }

    /// Ends as a process that is killed: the work is dropped here and cleans nothing up.
    async fn die(&self) -> Outcome {
        self.kill.cancel();
        std::future::pending().await
    }

    /// Takes the lock on a VM's configuration file; waits ten seconds for it.
    pub(crate) async fn flock(&self, vmid: u32) -> Result<OwnedRwLockWriteGuard<()>, Broken> {
        self.flock_within(vmid, FLOCK_SECONDS).await
    }

    /// The same for those who make, clone or restore a VM: they wait a second.
    pub(crate) async fn short_flock(&self, vmid: u32) -> Result<OwnedRwLockWriteGuard<()>, Broken> {
        self.flock_within(vmid, SHORT_FLOCK_SECONDS).await
    }

    async fn flock_within(&self, vmid: u32, seconds: f64) -> Result<OwnedRwLockWriteGuard<()>, Broken> {
        let lock = Arc::clone(&self.world().vm(self.node(), vmid)?.flock);
        let wait = flock_patience(&self.sim.clock, seconds);
        tokio::select! {
            () = self.cancel.cancelled() => Err("interrupted by signal".into()),
            had = tokio::time::timeout(wait, lock.write_owned()) => {
                had.map_err(|_| Broken(flock_refusal(vmid)))
            }
        }
    }

    /// Takes the lock on a storage for a moment.
    pub(crate) async fn storage_lock(&self, id: &str) -> Outcome {
        let had = self.world().storage_lock(id);
        let Err(text) = had else { return Ok(()) };
        self.pause(10.0).await?;
        Err(Broken(text))
    }

    /// Takes the lock on a VM's configuration file together with others who only read it; waits a second for it.
    pub(crate) async fn shared_flock(&self, vmid: u32) -> Result<OwnedRwLockReadGuard<()>, Broken> {
        let lock = Arc::clone(&self.world().vm(self.node(), vmid)?.flock);
        let wait = flock_patience(&self.sim.clock, SHORT_FLOCK_SECONDS);
        tokio::select! {
            () = self.cancel.cancelled() => Err("interrupted by signal".into()),
            had = tokio::time::timeout(wait, lock.read_owned()) => {
                had.map_err(|_| Broken(flock_refusal(vmid)))
            }
        }
    }

    /// Counts an effect.
    pub(crate) fn effect(&self, effect: Effect, vmid: u32, name: Option<&str>) {
        self.world().counters.effect(effect, vmid, name);
    }
}

/// Registers a task about a VM on a node and lets its work run; gives the UPID.
pub(crate) fn fork<F, W>(
    sim: &Arc<Simulation>,
    world: &mut World,
    node: &str,
    kind: &str,
    vmid: u32,
    user: &str,
    work: F,
) -> String
where
    F: FnOnce(Arc<Worker>) -> W,
    W: Future<Output = Outcome> + Send + 'static,
{
    fork_about(sim, world, node, kind, &vmid.to_string(), user, work)
}

/// Registers a task about anything on a node (see [`task::vmid_of`], or nothing) and lets its work run; gives the UPID.
pub(crate) fn fork_about<F, W>(
    sim: &Arc<Simulation>,
    world: &mut World,
    node: &str,
    kind: &str,
    id: &str,
    user: &str,
    work: F,
) -> String
where
    F: FnOnce(Arc<Worker>) -> W,
    W: Future<Output = Outcome> + Send + 'static,
{
    let (upid, cancel) = world.tasks.begin(node, kind, id, user, sim.clock.seconds());
    let vmid = task::vmid_of(id).unwrap_or(0);
    world.counters.effect(Effect::TaskStarted, vmid, Some(kind));
    let text = upid.text();
    let refusal = world.task_refusal(node, kind, vmid);
    let mishap = world.faults.mishap(kind, id);
    // What is deaf hears nothing of the signal, and is killed for that.
    let (heard, unheard) = match mishap {
        Some(Mishap::Deaf) => (CancellationToken::new(), cancel),
        _ => (cancel, CancellationToken::new()),
    };
    let worker = Arc::new(Worker {
        sim: Arc::clone(sim),
        text: text.clone(),
        cancel: heard,
        kill: CancellationToken::new(),
        point: world.faults.point(kind),
        mishap,
        releases: world.releases,
        warnings: AtomicU32::new(0),
        upid,
    });
    let run = work(Arc::clone(&worker));
    let (sim, ended) = (Arc::clone(sim), text.clone());
    sim.clone().tracker.spawn(async move {
        let work = async {
            match refusal {
                Some(text) => Err(Broken(text)),
                None => run.await,
            }
        };
        let patience = async {
            unheard.cancelled().await;
            tokio::time::sleep(sim.clock.real(KILL_AFTER)).await;
        };
        let outcome = tokio::select! {
            () = sim.stop.cancelled() => return,
            () = patience => Err(Broken(task::UNEXPECTED.to_owned())),
            () = worker.kill.cancelled() => Err(Broken(task::UNEXPECTED.to_owned())),
            outcome = work => outcome,
        };
        let status = match (outcome, worker.warnings.load(Ordering::Relaxed)) {
            (Err(Broken(text)), _) => text,
            (Ok(()), 0) => "OK".to_owned(),
            (Ok(()), count) => format!("WARNINGS: {count}"),
        };
        sim.world().tasks.end(&ended, &status, sim.clock.seconds());
        sim.changed.notify_waiters();
    });
    text
}
