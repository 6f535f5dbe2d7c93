//! What goes into the activity log by itself: jobs, when they are asked for and when they end.
//!
//! Other entries are written where the thing happens (sign-in, refused actions), by [`crate::domain::Records::log`].

use jiff::Timestamp;

use crate::domain::{self, ActivityEntry, Outcome, Records};
use crate::jobs::{Actor, Job, Phase};
use crate::store::{Batch, StoreError};

/// Adds entries about jobs to the batch in which the job is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Activity;

impl Activity {
    /// A customer has asked for a job.
    pub fn job_requested(self, batch: &mut Batch, job: &Job) -> Result<(), StoreError> {
        match job.actor {
            Actor::Customer { .. } => {
                Self::entry(batch, job, job.created, Outcome::Requested, job.title.clone())
            }
            Actor::System => Ok(()),
        }
    }

    /// A job has ended. What a plugin does by itself and without touching the VM (looking for lost timers) is no news.
    pub fn job_ended(self, batch: &mut Batch, job: &Job, now: Timestamp) -> Result<(), StoreError> {
        if job.actor == Actor::System && !job.exclusive && job.phase == Phase::Done {
            return Ok(());
        }
        let outcome = if job.phase == Phase::Done {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        let text = if job.outcome.is_empty() {
            job.title.clone()
        } else {
            job.outcome.clone()
        };
        Self::entry(batch, job, now, outcome, text)
    }

    fn entry(
        batch: &mut Batch,
        job: &Job,
        at: Timestamp,
        outcome: Outcome,
        mut text: String,
    ) -> Result<(), StoreError> {
        let Ok(action) = format!("{}.{}", job.plugin, job.kind).parse() else {
            return Ok(());
        };
        let (actor, ip) = match &job.actor {
            Actor::Customer { id, address } => (domain::Actor::Customer(id.clone()), *address),
            Actor::System => (domain::Actor::System, None),
        };
        if text.len() > ActivityEntry::MAX_TEXT {
            text.truncate(text.floor_char_boundary(ActivityEntry::MAX_TEXT));
        }
        let entry = ActivityEntry {
            at,
            service: Some(job.service),
            actor,
            ip,
            action,
            target: None,
            outcome,
            text,
        };
        Records::stage_activity(batch, &entry)
    }
}
