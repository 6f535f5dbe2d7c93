//! Jobs: started, waiting, and what `jobs::list` shows of them.

use super::Host;
use crate::bindings::portico::plugin::jobs::{Calendar, JobSpec, JobView, Phase};
use crate::{Error, Event, Job, Task};

/// All jobs and calendars.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) jobs: Vec<Entry>,
    pub(super) calendars: Vec<(JobSpec, Calendar)>,
    /// The job whose step is running.
    current: Option<usize>,
}

/// A job.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) spec: JobSpec,
    pub(super) due: i64,
    pub(super) started: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) step: u32,
    pub(super) attempt: u32,
    pub(super) next: Next,
    pub(super) phase: Phase,
    pub(super) text: String,
    pub(super) fraction: Option<f64>,
}

/// What a job waits for.
#[derive(Clone, Debug)]
pub(super) enum Next {
    Event(Event),
    Task(Task),
}

impl Entry {
    fn under_way(&self) -> bool {
        self.ended.is_none() && self.started.is_some()
    }

    pub(super) fn job(&self) -> Job {
        Job {
            id: self.id.clone(),
            kind: self.spec.kind.clone(),
            state: self.spec.state.clone(),
            step: self.step,
            started: self.started.unwrap_or(self.due),
            attempt: self.attempt,
        }
    }

    fn view(&self) -> JobView {
        JobView {
            id: self.id.clone(),
            kind: self.spec.kind.clone(),
            key: self.spec.key.clone(),
            title: self.spec.title.clone(),
            phase: self.phase,
            due: (self.phase == Phase::Waiting).then_some(self.due),
            started: self.started,
            ended: self.ended,
            text: self.text.clone(),
            fraction: self.fraction,
        }
    }
}

impl Queue {
    /// What the exclusive job that is under way calls itself.
    pub(super) fn operation(&self) -> Option<String> {
        self.jobs
            .iter()
            .find(|job| job.spec.exclusive && job.under_way())
            .map(|job| job.spec.operation.clone())
    }

    pub(super) fn current_step(&self) -> (String, u32) {
        self.current
            .and_then(|index| self.jobs.get(index))
            .map_or_else(Default::default, |job| (job.id.clone(), job.step))
    }

    pub(super) fn set_current(&mut self, index: Option<usize>) {
        self.current = index;
    }

    /// The job whose step is next: one under way before one that waits, the earliest due first.
    pub(super) fn next(&self, now: i64) -> Option<usize> {
        let held = self.operation().is_some();
        let ready = self.jobs.iter().enumerate().filter(|(_, job)| {
            job.ended.is_none() && job.due <= now && (job.under_way() || !job.spec.exclusive || !held)
        });
        ready
            .min_by_key(|(_, job)| (!job.under_way(), job.due))
            .map(|(index, _)| index)
    }

    fn add(&mut self, spec: JobSpec, due: i64, started: Option<i64>) -> String {
        let id = format!("job-{}", self.jobs.len() + 1);
        self.jobs.push(Entry {
            id: id.clone(),
            spec,
            due,
            started,
            ended: None,
            step: 0,
            attempt: 0,
            next: Next::Event(Event::Started),
            phase: if started.is_some() {
                Phase::Running
            } else {
                Phase::Waiting
            },
            text: String::new(),
            fraction: None,
        });
        id
    }
}

fn checked(spec: JobSpec) -> Result<JobSpec, Error> {
    super::check(
        "title",
        (1..=120).contains(&spec.title.chars().count()),
        "1 to 120 characters",
    )?;
    super::check(
        "operation",
        (1..=40).contains(&spec.operation.chars().count()),
        "1 to 40 characters",
    )?;
    super::check(
        "deadline",
        (10..=86_400).contains(&spec.deadline),
        "10 to 86,400 seconds",
    )?;
    super::check(
        "key",
        spec.key.as_ref().is_none_or(|key| key.chars().count() <= 128),
        "at most 128 characters",
    )?;
    Ok(spec)
}

impl Host {
    pub(crate) fn start_job(&mut self, spec: JobSpec) -> Result<String, Error> {
        let spec = checked(spec)?;
        if spec.key.is_some()
            && self
                .jobs
                .jobs
                .iter()
                .any(|job| job.ended.is_none() && job.spec.key == spec.key)
        {
            return Err(Error::Conflict);
        }
        if let (true, Some(operation)) = (spec.exclusive, self.status().busy) {
            return Err(Error::Busy(operation));
        }
        Ok(self.jobs.add(spec, self.now, Some(self.now)))
    }

    pub(crate) fn start_job_at(&mut self, spec: JobSpec, due: i64) -> Result<String, Error> {
        let spec = checked(spec)?;
        if spec.key.is_some() {
            self.jobs
                .jobs
                .retain(|job| job.ended.is_some() || job.started.is_some() || job.spec.key != spec.key);
        }
        Ok(self.jobs.add(spec, due, None))
    }

    pub(crate) fn start_calendar(&mut self, spec: JobSpec, calendar: &Calendar) -> Result<(), Error> {
        let spec = checked(spec)?;
        super::check("key", spec.key.is_some(), "a key")?;
        super::check(
            "entries",
            (1..=7).contains(&calendar.entries.len()),
            "1 to 7 entries",
        )?;
        super::check(
            "entries",
            calendar.entries.iter().all(|(_, minute)| *minute < 1_440),
            "minutes below 1440",
        )?;
        self.jobs.calendars.retain(|(old, _)| old.key != spec.key);
        self.jobs.calendars.push((spec, calendar.clone()));
        Ok(())
    }

    pub(crate) fn job_views(&self) -> Vec<JobView> {
        self.jobs.jobs.iter().rev().take(50).map(Entry::view).collect()
    }

    pub(crate) fn cancel_job(&mut self, key: &str) -> Result<(), Error> {
        let has = |spec: &JobSpec| spec.key.as_deref() == Some(key);
        if self.jobs.jobs.iter().any(|job| has(&job.spec) && job.under_way()) {
            return Err(Error::Busy("it runs".into()));
        }
        self.jobs
            .jobs
            .retain(|job| job.ended.is_some() || !has(&job.spec));
        self.jobs.calendars.retain(|(spec, _)| !has(spec));
        Ok(())
    }

    /// The calendar of a key, if there is one.
    pub fn calendar(&self, key: &str) -> Option<&Calendar> {
        self.jobs
            .calendars
            .iter()
            .find(|(spec, _)| spec.key.as_deref() == Some(key))
            .map(|(_, calendar)| calendar)
    }

    /// Starts a run of a calendar, as the host does when its time has come.
    pub fn fire(&mut self, key: &str) {
        let Some((spec, _)) = self
            .jobs
            .calendars
            .iter()
            .find(|(spec, _)| spec.key.as_deref() == Some(key))
        else {
            panic!("there is no calendar `{key}`");
        };
        let spec = JobSpec {
            key: None,
            ..spec.clone()
        };
        let now = self.now;
        self.jobs.add(spec, now, None);
    }
}
