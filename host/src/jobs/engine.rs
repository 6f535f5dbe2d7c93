//! The loop that claims what is due and runs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::run::Run;
use super::schedule::Schedules;
use super::start::Jobs;
use super::{Advance, Tasks};
use crate::clock::later;
use crate::store::{Batch, Claimed, DueQueue, StoreError, StoreExt, Table};

/// What bounds the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Jobs that run or wait for Proxmox at once, over all clusters.
    pub concurrency: usize,
    /// Exclusive jobs at once on one node.
    pub per_node: usize,
    /// How often a step is retried, with pauses that double from [`EngineConfig::backoff`].
    pub retries: u32,
    /// The first pause.
    pub backoff: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            per_node: 4,
            retries: 5,
            backoff: Duration::from_secs(5),
        }
    }
}

/// How long a claim lasts; a running job renews it.
pub(super) const CLAIM: Duration = Duration::from_mins(2);
/// How long the loop sleeps at most, should a wake-up be lost.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Pause after the store failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Runs the jobs of a store. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) jobs: Jobs,
    pub(super) schedules: Schedules,
    pub(super) advance: Arc<dyn Advance>,
    pub(super) tasks: Arc<dyn Tasks>,
    pub(super) config: EngineConfig,
    pub(super) owner: String,
    pub(super) nodes: Arc<NodeSlots>,
    slots: Arc<Semaphore>,
    tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Engine {
    /// An engine that is not running yet.
    pub fn new(
        jobs: Jobs,
        schedules: Schedules,
        advance: Arc<dyn Advance>,
        tasks: Arc<dyn Tasks>,
        config: EngineConfig,
        owner: String,
        stop: CancellationToken,
    ) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.concurrency)),
            nodes: Arc::new(NodeSlots::new(config.per_node)),
            tracker: TaskTracker::new(),
            jobs,
            schedules,
            advance,
            tasks,
            config,
            owner,
            stop,
        }
    }

    /// Runs until it is told to stop, then waits for the steps under way. Jobs that wait for Proxmox are left as they
    /// are in the store: the next start goes on with them.
    pub async fn run(self) {
        for queue in [&self.jobs.due, &self.jobs.purge, self.schedules.queue()] {
            if let Err(error) = queue.break_stale().await {
                tracing::error!(%error, "the claims of the last run could not be given back");
            }
        }
        while !self.stop.is_cancelled() {
            let next = match self.turn().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "the job queue could not be read");
                    later(self.jobs.clock.now(), AFTER_ERROR)
                }
            };
            let until = next.min(later(self.jobs.clock.now(), LONGEST_SLEEP));
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.jobs.wake.notified() => {}
                () = self.jobs.clock.sleep_until(until) => {}
            }
        }
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Claims and starts what is due; returns when something is due next.
    async fn turn(&self) -> Result<jiff::Timestamp, StoreError> {
        let now = self.jobs.clock.now();
        for claimed in self.schedules.queue().claim(now, 64, &self.owner, CLAIM).await? {
            if let Err(error) = self.schedules.fire(&claimed).await {
                tracing::error!(schedule = %claimed.id, %error, "a schedule could not be run; it is tried again");
            }
        }
        for claimed in self.jobs.purge.claim(now, 64, &self.owner, CLAIM).await? {
            self.purge(&claimed).await?;
        }
        let free = self.slots.available_permits().min(64);
        for claimed in self.jobs.due.claim(now, free, &self.owner, CLAIM).await? {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                break;
            };
            let engine = self.clone();
            self.tracker.spawn(async move {
                Run::new(&engine, claimed).go().await;
                drop(slot);
                engine.jobs.wake.notify_one();
            });
        }
        let mut next = jiff::Timestamp::MAX;
        // With no slot free there is nothing to do for a due job; the end of a run wakes the loop.
        let full = self.slots.available_permits() == 0;
        for queue in [&self.jobs.due, &self.jobs.purge, self.schedules.queue()] {
            if full && std::ptr::eq(queue, &raw const self.jobs.due) {
                continue;
            }
            next = queue.next_due().await?.map_or(next, |due| next.min(due));
        }
        Ok(next)
    }

    /// Removes a job whose time to be kept is over.
    async fn purge(&self, claimed: &Claimed) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.jobs.purge.ack(&mut batch, claimed);
        let key = crate::store::Key::text(&claimed.id);
        if let Some(job) = self.jobs.store.load::<super::Job>(&key).await? {
            batch.delete(Table::Jobs, key);
            batch.delete(
                Table::JobOwners,
                super::record::owner_key(job.value.service, &job.value.id),
            );
        }
        match self.jobs.store.apply(batch).await {
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    /// The queue of jobs, for a run.
    pub(super) fn due(&self) -> &DueQueue {
        &self.jobs.due
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// How many exclusive jobs are under way on each node.
#[derive(Debug)]
pub(super) struct NodeSlots {
    most: usize,
    busy: Mutex<HashMap<String, usize>>,
}

impl NodeSlots {
    fn new(most: usize) -> Self {
        Self {
            most,
            busy: Mutex::default(),
        }
    }

    /// A slot on `node`, or none while it is full.
    pub(super) fn take(self: &Arc<Self>, node: String) -> Option<NodeSlot> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = busy.entry(node.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(NodeSlot {
            slots: Arc::clone(self),
            node,
        })
    }
}

/// A place on a node, given back when dropped.
#[derive(Debug)]
pub(super) struct NodeSlot {
    slots: Arc<NodeSlots>,
    node: String,
}

impl Drop for NodeSlot {
    fn drop(&mut self) {
        let mut busy = self.slots.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.node);
            }
        }
    }
}
