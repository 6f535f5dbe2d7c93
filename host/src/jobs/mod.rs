//! Durable jobs: everything that is long or scheduled, at least once for the plugin, effectively once for Proxmox.
//!
//! How the parts meet, in the order in which a job meets them:
//!
//! | file | what it does |
//! |---|---|
//! | [`record`] | the job as it is stored: state, step number, event to deliver, what it waits for |
//! | [`start`] | [`Jobs`]: starting, listing, cancelling; the keys and the hold on a service |
//! | [`failed`] | what failed: listed for the provider, who retries or dismisses it |
//! | `forget` | the end of everything about a service that was removed |
//! | [`calendar`] | when a weekly calendar is due next |
//! | [`schedule`] | calendars that start jobs |
//! | [`engine`] | the loop that claims what is due and runs it |
//! | [`run`] | one job from claim to sleep or end: wait, deliver the event, commit |
//! | [`journal`] | the intents and outcomes of calls that change a VM, by (job, step, call number) |
//! | [`once`] | starting a Proxmox task so that a crash does not start it twice |
//!
//! A job is moved by an [`Advance`], which the composition root implements with the plugin runtime, and waits for Proxmox
//! by [`Tasks`]. Both are traits so that the engine is tested without either.
//!
//! Not here: what a capability does (`capability`), how tasks are polled (`live`), how a job is shown (`web`).

pub mod calendar;
pub mod engine;
pub mod failed;
mod forget;
pub mod journal;
pub mod once;
pub mod record;
mod run;
pub mod schedule;
pub mod start;

use async_trait::async_trait;

pub use self::engine::Engine;
pub use self::failed::RetryError;
pub use self::journal::{Journal, Operation};
pub use self::record::{Actor, Event, Job, JobId, Phase, TaskOutcome, TaskRef, Wait};
pub use self::start::{Hold, Jobs, NewJob, StartError};
use crate::store::Batch;

/// Moves a job by one step.
#[async_trait]
pub trait Advance: Send + Sync {
    /// Called with the stored job, whose `event` is what has happened since the last step. After a crash it is called
    /// again with the same job; `journal` then answers for the calls that were made before the crash.
    ///
    /// What must become durable together with the step (mails) is put into the journal's batch, not written directly.
    async fn advance(&self, job: &Job, journal: Journal) -> Result<Advanced, AdvanceError>;

    /// Called after a step and its batch are stored, for what waits for that (a mail to be sent).
    fn committed(&self) {}
}

/// A step as the plugin decided it, and what belongs to it.
#[derive(Debug)]
pub struct Advanced {
    /// What the job does next.
    pub step: Step,
    /// What becomes durable in the same transaction.
    pub batch: Batch,
}

/// What a job does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Waits for a task that a call of this step has started.
    AwaitTask {
        /// The task's id as the plugin knows it.
        task: String,
        /// The state to go on with.
        state: String,
        /// What the customer reads meanwhile.
        progress: Progress,
    },
    /// Sleeps.
    SleepUntil {
        /// Until when.
        until: jiff::Timestamp,
        /// The state to go on with.
        state: String,
        /// What the customer reads meanwhile.
        progress: Progress,
    },
    /// Goes on at once.
    Continue {
        /// The state to go on with.
        state: String,
        /// What the customer reads meanwhile.
        progress: Progress,
    },
    /// Has ended well.
    Done(String),
    /// Has failed.
    Failed {
        /// A sentence for the customer.
        reason: String,
        /// Whether the same step may be run again.
        retryable: bool,
    },
}

/// What the customer reads while a job goes on.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// A short text.
    pub text: String,
    /// 0 to 1, where it is known.
    pub fraction: Option<f64>,
}

/// A step that could not be run: the plugin trapped, is gone, or the host is overloaded.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct AdvanceError {
    /// A sentence for the customer.
    pub reason: String,
    /// Whether to run the step again later.
    pub retryable: bool,
}

/// What the engine needs to know of Proxmox.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// The node of the job's VM, with its cluster, if it is known; for the cap on jobs per node.
    async fn node(&self, job: &Job) -> Option<String>;

    /// Called after the end of a job is stored: what was cached of the VM is out of date.
    async fn job_ended(&self, job: &Job);

    /// Returns when the task has ended, however long that takes. Dropping the future stops waiting and nothing else.
    async fn ended(&self, job: &Job, task: &TaskRef) -> TaskOutcome;
}
