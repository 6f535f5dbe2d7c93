//! Durable jobs of the plugin on the service.

use async_trait::async_trait;
use jiff::Timestamp;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::jobs::{Calendar, JobSpec, JobView, Phase, Weekday};
use portico_runtime::bindings::types::FieldError;
use portico_runtime::capability::{CallNumber, JobsPort};

use super::{Binding, Origin, store_failed};
use crate::jobs::{self, Actor, Job, NewJob, StartError, calendar};

/// Jobs that are listed.
const LISTED: usize = 50;

#[async_trait]
impl JobsPort for Binding {
    async fn start(&self, number: CallNumber, spec: JobSpec) -> Result<String, CapabilityError> {
        let new = self.new_job(spec);
        let started = match &self.origin {
            Origin::Page { .. } => self.parts.jobs.start(new).await,
            // The same step after a crash means the same job.
            Origin::Job { job, journal } => {
                let cause = format!("{}/{}/{}", job.id, journal.step(), number.0);
                self.parts
                    .jobs
                    .start_once(new, &cause, job.started.unwrap_or(job.created))
                    .await
            }
        };
        let id = started.map_err(start_failed)?;
        if let Ok(live) = self.live().await {
            live.touched();
        }
        Ok(id.to_string())
    }

    async fn at(&self, _: CallNumber, spec: JobSpec, due: i64) -> Result<String, CapabilityError> {
        let due = Timestamp::from_second(due).map_err(|_| invalid("due", "not a time"))?;
        let mut new = self.new_job(spec);
        // Nobody waits for it: what it does later, the panel does.
        new.actor = Actor::System;
        let id = self
            .parts
            .jobs
            .at(new, due.max(self.parts.clock.now()))
            .await
            .map_err(start_failed)?;
        Ok(id.to_string())
    }

    async fn every(&self, _: CallNumber, spec: JobSpec, calendar: Calendar) -> Result<(), CapabilityError> {
        let Some(key) = spec.key.clone() else {
            return Err(invalid("key", "a calendar needs a key"));
        };
        let entries = calendar
            .entries
            .iter()
            .map(|(day, minute)| (weekday(*day), *minute))
            .collect();
        let calendar = calendar::Calendar::new(calendar.time_zone, entries)
            .map_err(|error| invalid("calendar", &error.to_string()))?;
        self.parts
            .schedules
            .set(&key, self.new_job(spec), calendar)
            .await
            .map_err(store_failed)
    }

    async fn list(&self) -> Result<Vec<JobView>, CapabilityError> {
        let jobs = self
            .parts
            .jobs
            .of_plugin(self.service.id, &self.plugin)
            .await
            .map_err(store_failed)?;
        Ok(jobs.into_iter().take(LISTED).map(view).collect())
    }

    async fn cancel(&self, _: CallNumber, key: String) -> Result<(), CapabilityError> {
        self.parts
            .schedules
            .remove(self.service.id, &self.plugin, &key)
            .await
            .map_err(store_failed)?;
        self.parts
            .jobs
            .cancel(self.service.id, &self.plugin, &key)
            .await
            .map_err(start_failed)
    }
}

impl Binding {
    fn new_job(&self, spec: JobSpec) -> NewJob {
        let actor = match &self.origin {
            Origin::Page { address } => Actor::Customer {
                id: self.customer.id.clone(),
                address: *address,
            },
            Origin::Job { .. } => Actor::System,
        };
        NewJob {
            service: self.service.id,
            plugin: self.plugin.clone(),
            kind: spec.kind,
            title: spec.title,
            operation: spec.operation,
            state: spec.state,
            key: spec.key,
            exclusive: spec.exclusive,
            deadline_secs: spec.deadline,
            actor,
        }
    }
}

fn view(job: Job) -> JobView {
    let seconds = |time: Timestamp| time.as_second();
    JobView {
        id: job.id.to_string(),
        due: (job.phase == jobs::Phase::Waiting).then(|| seconds(job.due)),
        started: job.started.map(seconds),
        ended: job.ended.map(seconds),
        fraction: job.progress.fraction,
        text: if job.phase.is_over() {
            job.outcome
        } else {
            job.progress.text
        },
        phase: match job.phase {
            jobs::Phase::Waiting => Phase::Waiting,
            jobs::Phase::Running => Phase::Running,
            jobs::Phase::Done => Phase::Done,
            jobs::Phase::Failed => Phase::Failed,
        },
        kind: job.kind,
        key: job.key,
        title: job.title,
    }
}

fn start_failed(error: StartError) -> CapabilityError {
    match error {
        StartError::Busy(operation) => CapabilityError::Busy(operation),
        StartError::KeyTaken(_) => CapabilityError::Conflict,
        StartError::TooMany => CapabilityError::Quota(error.to_string()),
        StartError::Running => CapabilityError::Busy("job".to_owned()),
        StartError::Store(error) => store_failed(error),
    }
}

fn invalid(field: &str, message: &str) -> CapabilityError {
    CapabilityError::Invalid(FieldError {
        field: field.to_owned(),
        message: message.to_owned(),
    })
}

fn weekday(day: Weekday) -> u8 {
    match day {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}
