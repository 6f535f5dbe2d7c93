//! One job from claim to sleep or end.
//!
//! Each turn of the loop is one of: wait for the task, deliver the event, commit. Whatever is committed is guarded by
//! the version of the job's record: a run whose claim was lost cannot write any more, and stops.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::{CLAIM, Engine, NodeSlot};
use super::journal::Journal;
use super::record::{Event, Job, Phase, Wait, plugin_key};
use super::start::{Hold, hold_key};
use super::{Advanced, Step};
use crate::activity::Activity;
use crate::clock::later;
use crate::store::{Batch, Claimed, StoreError, StoreExt, Table, Versioned};

/// How long a job that ended well is kept for lists.
const KEEP: Duration = Duration::from_hours(24);
/// How long a job that failed waits for the provider to retry or dismiss it.
const KEEP_FAILED: Duration = Duration::from_hours(30 * 24);
/// A claim is renewed this often while a job waits for Proxmox.
const RENEW: Duration = Duration::from_secs(40);
/// How long a job waits before it tries again to get its service or node.
const QUEUE_AGAIN: Duration = Duration::from_secs(3);

/// Whether the run goes on.
enum Flow {
    On,
    Over,
}

pub(super) struct Run<'a> {
    engine: &'a Engine,
    claimed: Claimed,
    slot: Option<NodeSlot>,
}

impl<'a> Run<'a> {
    pub(super) fn new(engine: &'a Engine, claimed: Claimed) -> Self {
        Self {
            engine,
            claimed,
            slot: None,
        }
    }

    pub(super) async fn go(mut self) {
        let id = self.claimed.id.clone();
        match self.work().await {
            Ok(()) => {}
            // Somebody else has the job now, or its record changed: what is in the store is right.
            Err(error) if error.is_conflict() => {
                tracing::debug!(job = %id, "a run lost its job");
                let _ = self.engine.due().abandon(&self.claimed).await;
            }
            Err(error) => tracing::error!(job = %id, %error, "a job could not be moved; it is tried again"),
        }
    }

    async fn work(&mut self) -> Result<(), StoreError> {
        let key = crate::store::Key::text(&self.claimed.id);
        let Some(mut job) = self.engine.jobs.store.load::<Job>(&key).await? else {
            let mut batch = Batch::new();
            self.engine.due().ack(&mut batch, &self.claimed);
            return self.engine.jobs.store.apply(batch).await.map(drop);
        };
        if let Flow::Over = self.begin(&mut job).await? {
            return Ok(());
        }
        loop {
            if self.engine.stop.is_cancelled() {
                return self.engine.due().abandon(&self.claimed).await;
            }
            if job
                .value
                .deadline()
                .is_some_and(|deadline| self.now() >= deadline)
            {
                return self
                    .end(
                        job,
                        Err("It took too long and was given up.".to_owned()),
                        Batch::new(),
                    )
                    .await;
            }
            let flow = match job.value.wait.clone() {
                Wait::Nothing => self.deliver(&mut job).await?,
                Wait::Until(until) if until > self.now() => {
                    let mut batch = Batch::new();
                    self.engine.due().again(&mut batch, &self.claimed, until)?;
                    self.engine.jobs.store.apply(batch).await?;
                    Flow::Over
                }
                Wait::Until(_) => self.commit_event(&mut job, Event::Woke).await?,
                Wait::Task(task) => {
                    let Some(outcome) = self.wait_for(&job.value, &task).await? else {
                        continue;
                    };
                    self.commit_event(
                        &mut job,
                        Event::TaskEnded {
                            task: task.id,
                            outcome,
                        },
                    )
                    .await?
                }
            };
            if let Flow::Over = flow {
                return Ok(());
            }
        }
    }

    /// Takes the hold and a place on the node, and marks the job as running.
    async fn begin(&mut self, job: &mut Versioned<Job>) -> Result<Flow, StoreError> {
        if job.value.phase.is_over() {
            let mut batch = Batch::new();
            self.engine.due().ack(&mut batch, &self.claimed);
            self.engine.jobs.store.apply(batch).await?;
            return Ok(Flow::Over);
        }
        let mut batch = Batch::new();
        if job.value.exclusive {
            if let Some(node) = self.engine.tasks.node(&job.value).await {
                // A job that has begun goes on whatever the cap says: it may hold a lock in Proxmox.
                self.slot = self.engine.nodes.take(node);
                if self.slot.is_none() && job.value.phase == Phase::Waiting {
                    return self.later().await;
                }
            }
            if !job.value.holds {
                let place = hold_key(job.value.service);
                if self.engine.jobs.store.load::<Hold>(&place).await?.is_some() {
                    return self.later().await;
                }
                let hold = Hold {
                    job: job.value.id.clone(),
                    operation: job.value.operation.clone(),
                };
                batch.create(place, &hold)?;
                job.value.holds = true;
            }
        }
        if job.value.phase == Phase::Waiting {
            job.value.phase = Phase::Running;
            job.value.started = Some(self.now());
            job.value.progress.text.clear();
        } else if batch.is_empty() {
            return Ok(Flow::On);
        }
        self.commit(job, batch).await?;
        Ok(Flow::On)
    }

    /// Due again after a while, a different one for each job.
    async fn later(&mut self) -> Result<Flow, StoreError> {
        let spread = self.claimed.id.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let due = later(self.now(), QUEUE_AGAIN + Duration::from_millis(spread % 2000));
        let mut batch = Batch::new();
        self.engine.due().again(&mut batch, &self.claimed, due)?;
        self.engine.jobs.store.apply(batch).await?;
        Ok(Flow::Over)
    }

    /// Waits for a task; none when the claim was renewed or the engine stops, and the caller looks again.
    async fn wait_for(
        &mut self,
        job: &Job,
        task: &super::TaskRef,
    ) -> Result<Option<super::TaskOutcome>, StoreError> {
        let clock = &self.engine.jobs.clock;
        let renew = later(clock.now(), RENEW);
        let until = job.deadline().map_or(renew, |deadline| deadline.min(renew));
        tokio::select! {
            outcome = self.engine.tasks.ended(job, task) => return Ok(Some(outcome)),
            () = self.engine.stop.cancelled() => return Ok(None),
            () = clock.sleep_until(until) => {}
        }
        let until = later(clock.now(), CLAIM);
        self.engine
            .due()
            .extend(&mut self.claimed, &self.engine.owner, until)
            .await?;
        Ok(None)
    }

    /// Stores what has happened before the plugin is told, so that it is told the same after a crash.
    async fn commit_event(&mut self, job: &mut Versioned<Job>, event: Event) -> Result<Flow, StoreError> {
        job.value.event = event;
        job.value.wait = Wait::Nothing;
        self.commit(job, Batch::new()).await?;
        Ok(Flow::On)
    }

    /// Lets the plugin make a step, and keeps the claim meanwhile. A claim that is lost ends the step: two runs of one
    /// step could both start a task.
    async fn advance(
        &mut self,
        job: &Job,
        journal: Journal,
    ) -> Result<Result<Advanced, super::AdvanceError>, StoreError> {
        let clock = &self.engine.jobs.clock;
        let mut step = self.engine.advance.advance(job, journal);
        loop {
            tokio::select! {
                result = &mut step => return Ok(result),
                () = clock.sleep(RENEW) => {}
            }
            let until = later(clock.now(), CLAIM);
            self.engine
                .due()
                .extend(&mut self.claimed, &self.engine.owner, until)
                .await?;
        }
    }

    /// Runs a step and stores its result.
    async fn deliver(&mut self, job: &mut Versioned<Job>) -> Result<Flow, StoreError> {
        let jobs = &self.engine.jobs;
        let journal = Journal::new(
            jobs.store.clone(),
            jobs.clock.clone(),
            job.value.id.clone(),
            job.value.step,
        );
        let Advanced { step, batch } = match self.advance(&job.value, journal.clone()).await? {
            Ok(advanced) => advanced,
            Err(error) => Advanced {
                step: Step::Failed {
                    reason: error.reason,
                    retryable: error.retryable,
                },
                batch: Batch::new(),
            },
        };
        match step {
            Step::Done(text) => {
                self.end(job.clone(), Ok(text), batch).await?;
                Ok(Flow::Over)
            }
            Step::Failed { reason, retryable } => self.failed(job, reason, retryable, batch).await,
            Step::Continue { state, progress } => self.next(job, state, progress, Wait::Nothing, batch).await,
            Step::SleepUntil {
                until,
                state,
                progress,
            } => self.next(job, state, progress, Wait::Until(until), batch).await,
            Step::AwaitTask {
                task,
                state,
                progress,
            } => {
                if let Some(task) = journal.task(&task).await? {
                    return self.next(job, state, progress, Wait::Task(task), batch).await;
                }
                tracing::error!(job = %job.value.id, %task, "a plugin waits for a task that it has not started");
                let reason = "The plugin made a mistake; the provider has been told.".to_owned();
                self.failed(job, reason, false, Batch::new()).await
            }
        }
    }

    async fn next(
        &mut self,
        job: &mut Versioned<Job>,
        state: String,
        progress: super::Progress,
        wait: Wait,
        batch: Batch,
    ) -> Result<Flow, StoreError> {
        job.value.state = state;
        job.value.progress = progress;
        job.value.event = Event::Continued;
        job.value.wait = wait;
        job.value.step = job.value.step.saturating_add(1);
        job.value.attempt = 0;
        self.commit(job, batch).await?;
        self.engine.advance.committed();
        Ok(Flow::On)
    }

    async fn failed(
        &mut self,
        job: &mut Versioned<Job>,
        reason: String,
        retryable: bool,
        batch: Batch,
    ) -> Result<Flow, StoreError> {
        if !retryable || job.value.attempt >= self.engine.config.retries {
            self.end(job.clone(), Err(reason), batch).await?;
            return Ok(Flow::Over);
        }
        let pause = self
            .engine
            .config
            .backoff
            .saturating_mul(1 << job.value.attempt.min(10));
        job.value.attempt += 1;
        job.value.progress.text = reason;
        let until = later(self.now(), pause);
        let mut batch = Batch::new();
        batch.update(job.value.id.key(), job.version, &job.value)?;
        self.engine.due().again(&mut batch, &self.claimed, until)?;
        self.engine.jobs.store.apply(batch).await?;
        Ok(Flow::Over)
    }

    /// Stores the end of a job together with all that it gives back.
    async fn end(
        &mut self,
        job: Versioned<Job>,
        outcome: Result<String, String>,
        mut batch: Batch,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let Versioned {
            value: mut job,
            version,
        } = job;
        job.phase = if outcome.is_ok() {
            Phase::Done
        } else {
            Phase::Failed
        };
        let keep = if outcome.is_ok() { KEEP } else { KEEP_FAILED };
        job.ended = Some(now);
        job.wait = Wait::Nothing;
        let (Ok(text) | Err(text)) = outcome;
        job.outcome = text;
        if let Event::TaskEnded { outcome, .. } = &job.event {
            job.detail.clone_from(&outcome.detail);
        }
        if job.holds {
            batch.delete(Table::JobHolds, hold_key(job.service));
            job.holds = false;
        }
        if let Some(key) = &job.key {
            batch.delete(Table::JobKeys, plugin_key(job.service, &job.plugin, key));
        }
        Journal::clear(&self.engine.jobs.store, &job.id, &mut batch).await?;
        Activity.job_ended(&mut batch, &job, now)?;
        self.engine
            .jobs
            .purge
            .insert(&mut batch, job.id.as_str(), later(now, keep))?;
        batch.update(job.id.key(), version, &job)?;
        self.engine.due().ack(&mut batch, &self.claimed);
        self.engine.jobs.store.apply(batch).await?;
        self.engine.advance.committed();
        self.engine.tasks.job_ended(&job).await;
        Ok(())
    }

    async fn commit(&mut self, job: &mut Versioned<Job>, mut batch: Batch) -> Result<(), StoreError> {
        batch.update(job.value.id.key(), job.version, &job.value)?;
        job.version = self.engine.jobs.store.apply(batch).await?;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.engine.jobs.clock.now()
    }
}
