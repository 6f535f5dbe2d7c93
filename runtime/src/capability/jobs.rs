//! Work that goes on when the page is closed (`wit/jobs.wit`).

use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;

use super::{CallNumber, Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::jobs::{Calendar, Host, JobSpec, JobView};
use crate::scope::Scope;
use crate::state::CallState;

const USE: &[Scope] = &[Scope::JobsUse];
const START: Function = Function::new("jobs", "jobs.start", USE, Effect::Write);
const AT: Function = Function::new("jobs", "jobs.at", USE, Effect::Write);
const EVERY: Function = Function::new("jobs", "jobs.every", USE, Effect::Write);
const LIST: Function = Function::new("jobs", "jobs.list", USE, Effect::Read);
const CANCEL: Function = Function::new("jobs", "jobs.cancel", USE, Effect::Write);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[START, AT, EVERY, LIST, CANCEL];

/// Most jobs a list holds.
const MAX_LIST: usize = 50;
/// Length of a key, characters.
const KEY: std::ops::RangeInclusive<usize> = 1..=128;
/// Seconds after which the host may give a job up.
const DEADLINE: std::ops::RangeInclusive<u32> = 10..=86_400;
/// Last second of the year 9999, past which no calendar goes.
const LAST: i64 = 253_402_300_799;

/// Keeps and moves the jobs of the plugin and service.
///
/// The arguments are within the bounds of the contract when they arrive here. A function that is called in a job step is
/// called again with the same `number` when the step is run again, and then answers what it answered before.
#[async_trait]
pub trait JobsPort: Send + Sync {
    /// Starts a job now and returns its id once it is durable.
    ///
    /// # Errors
    /// `conflict` when an unfinished job has the key, `busy` when another exclusive job is under way, `quota`,
    /// `unavailable`.
    async fn start(&self, number: CallNumber, spec: JobSpec) -> Result<String, CapabilityError>;

    /// Starts a job at a time (seconds since the epoch; a past one is now) in place of an earlier one of the key.
    ///
    /// # Errors
    /// `quota`, `unavailable`.
    async fn at(&self, number: CallNumber, spec: JobSpec, due: i64) -> Result<String, CapabilityError>;

    /// Starts a job at each time of a calendar in place of an earlier one of the key. The spec has a key and the zone
    /// exists.
    ///
    /// # Errors
    /// `quota`, `unavailable`.
    async fn every(
        &self,
        number: CallNumber,
        spec: JobSpec,
        calendar: Calendar,
    ) -> Result<(), CapabilityError>;

    /// Unfinished jobs and those of the last day, the newest first. What is over 50 is left out.
    ///
    /// # Errors
    /// `unavailable`.
    async fn list(&self) -> Result<Vec<JobView>, CapabilityError>;

    /// Removes a waiting job or a calendar by its key; one that is not there is no error.
    ///
    /// # Errors
    /// `busy` when it runs, `unavailable`.
    async fn cancel(&self, number: CallNumber, key: String) -> Result<(), CapabilityError>;
}

impl Host for CallState {
    async fn start(&mut self, spec: JobSpec) -> wasmtime::Result<Result<String, CapabilityError>> {
        let port = Arc::clone(&self.ports.jobs);
        let checked = check_spec(&spec, self.limits.state_bytes);
        self.gate(&START, Scope::JobsUse, checked, move |n| async move {
            port.start(n, spec).await
        })
        .await
    }

    async fn at(&mut self, spec: JobSpec, due: i64) -> wasmtime::Result<Result<String, CapabilityError>> {
        let port = Arc::clone(&self.ports.jobs);
        let checked = check_spec(&spec, self.limits.state_bytes)
            .and_then(|()| bounds::number("due", due, i64::MIN..=LAST));
        self.gate(&AT, Scope::JobsUse, checked, move |n| async move {
            port.at(n, spec, due).await
        })
        .await
    }

    async fn every(
        &mut self,
        spec: JobSpec,
        calendar: Calendar,
    ) -> wasmtime::Result<Result<(), CapabilityError>> {
        let port = Arc::clone(&self.ports.jobs);
        let checked =
            check_spec(&spec, self.limits.state_bytes).and_then(|()| check_calendar(&spec, &calendar));
        self.gate(&EVERY, Scope::JobsUse, checked, move |n| async move {
            port.every(n, spec, calendar).await
        })
        .await
    }

    async fn list(&mut self) -> wasmtime::Result<Result<Vec<JobView>, CapabilityError>> {
        let port = Arc::clone(&self.ports.jobs);
        let answer = self
            .gate(&LIST, Scope::JobsUse, Ok(()), move |_| async move {
                port.list().await
            })
            .await?;
        Ok(answer.map(|mut jobs| {
            jobs.truncate(MAX_LIST);
            jobs
        }))
    }

    async fn cancel(&mut self, key: String) -> wasmtime::Result<Result<(), CapabilityError>> {
        let port = Arc::clone(&self.ports.jobs);
        let checked = bounds::text("key", &key, KEY);
        self.gate(&CANCEL, Scope::JobsUse, checked, move |n| async move {
            port.cancel(n, key).await
        })
        .await
    }
}

fn check_spec(spec: &JobSpec, state_bytes: usize) -> Result<(), CapabilityError> {
    bounds::name("kind", &spec.kind)?;
    bounds::text("title", &spec.title, 1..=120)?;
    bounds::json("state", &spec.state, state_bytes)?;
    if let Some(key) = &spec.key {
        bounds::text("key", key, KEY)?;
    }
    bounds::text("operation", &spec.operation, 0..=40)?;
    bounds::number("deadline", spec.deadline, DEADLINE)
}

fn check_calendar(spec: &JobSpec, calendar: &Calendar) -> Result<(), CapabilityError> {
    if spec.key.is_none() {
        return Err(bounds::invalid("key", "is missing; a calendar is kept under one"));
    }
    if calendar.time_zone.len() > 64 || TimeZone::get(&calendar.time_zone).is_err() {
        return Err(bounds::invalid(
            "time-zone",
            "is not the IANA name of a time zone",
        ));
    }
    if calendar.entries.is_empty() || calendar.entries.len() > 7 {
        return Err(bounds::invalid("entries", "are not 1 to 7"));
    }
    for (position, (day, minute)) in calendar.entries.iter().enumerate() {
        if *minute > 1439 {
            return Err(bounds::invalid(
                "entries",
                "hold a minute of the day that is not 0 to 1439",
            ));
        }
        if calendar
            .entries
            .iter()
            .take(position)
            .any(|(other, _)| other == day)
        {
            return Err(bounds::invalid("entries", "hold a day twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::jobs::Weekday;

    fn spec() -> JobSpec {
        JobSpec {
            kind: "take".into(),
            title: "Taking a snapshot".into(),
            state: "{}".into(),
            key: Some("weekly".into()),
            exclusive: true,
            operation: "snapshot".into(),
            deadline: 600,
        }
    }

    fn calendar(entries: Vec<(Weekday, u16)>) -> Calendar {
        Calendar {
            time_zone: "Europe/Berlin".into(),
            entries,
        }
    }

    #[test]
    fn a_job_within_the_bounds_is_let_through() {
        assert_eq!(check_spec(&spec(), 64 << 10), Ok(()));
        assert_eq!(
            check_calendar(&spec(), &calendar(vec![(Weekday::Monday, 90)])),
            Ok(())
        );
    }

    #[test]
    fn each_field_out_of_bounds_is_named() {
        let field = |spec: JobSpec| match check_spec(&spec, 64 << 10) {
            Err(CapabilityError::Invalid(error)) => error.field,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            field(JobSpec {
                kind: "Take".into(),
                ..spec()
            }),
            "kind"
        );
        assert_eq!(
            field(JobSpec {
                title: String::new(),
                ..spec()
            }),
            "title"
        );
        assert_eq!(
            field(JobSpec {
                state: "{".into(),
                ..spec()
            }),
            "state"
        );
        assert_eq!(
            field(JobSpec {
                state: format!("\"{}\"", "x".repeat(64 << 10)),
                ..spec()
            }),
            "state"
        );
        assert_eq!(
            field(JobSpec {
                key: Some(String::new()),
                ..spec()
            }),
            "key"
        );
        assert_eq!(
            field(JobSpec {
                operation: "x".repeat(41),
                ..spec()
            }),
            "operation"
        );
        assert_eq!(
            field(JobSpec {
                deadline: 9,
                ..spec()
            }),
            "deadline"
        );
    }

    #[test]
    fn a_calendar_needs_a_key_a_zone_and_days_that_differ() {
        let monday = (Weekday::Monday, 0);
        assert!(check_calendar(&JobSpec { key: None, ..spec() }, &calendar(vec![monday])).is_err());
        assert!(check_calendar(&spec(), &calendar(vec![])).is_err());
        assert!(check_calendar(&spec(), &calendar(vec![monday, monday])).is_err());
        assert!(check_calendar(&spec(), &calendar(vec![(Weekday::Monday, 1440)])).is_err());
        let nowhere = Calendar {
            time_zone: "Mars/Olympus".into(),
            entries: vec![monday],
        };
        assert!(check_calendar(&spec(), &nowhere).is_err());
    }
}
