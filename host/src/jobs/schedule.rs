//! Calendars that start jobs.
//!
//! A schedule is a record and its next run in a due queue of its own, so that schedules cost nothing while none is due.
//! A run that was missed is made up if it is still the same day in the calendar's zone, else it is left out and noted.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::record::{Actor, plugin_key};
use super::start::{Jobs, NewJob, StartError};
use crate::domain::{PluginId, ServiceId};
use crate::store::{Batch, Claimed, DueQueue, Key, StoreError, StoreExt, Stored, Table};

/// The due queue of schedules.
const QUEUE: &str = "schedules";

/// A calendar and the job it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What is started at each run.
    pub job: NewJob,
    /// When.
    pub calendar: Calendar,
    /// The next run.
    pub next: Timestamp,
    /// The last run that was left out, because nobody was there on its day.
    pub missed: Option<Timestamp>,
}

impl Stored for Schedule {
    const TABLE: Table = Table::Schedules;
    const KIND: &'static str = "schedule";
    const SCHEMA: u16 = 1;
}

/// The schedules of all services.
#[derive(Debug, Clone)]
pub struct Schedules {
    jobs: Jobs,
    due: DueQueue,
}

impl Schedules {
    /// Schedules that start their jobs in `jobs`.
    pub fn new(jobs: Jobs) -> Self {
        let due = DueQueue::new(Arc::clone(&jobs.store), QUEUE);
        Self { jobs, due }
    }

    /// The queue, for the engine.
    pub(super) fn queue(&self) -> &DueQueue {
        &self.due
    }

    /// Sets the schedule that plugin and service have under `key`, replacing what was there.
    pub async fn set(&self, key: &str, job: NewJob, calendar: Calendar) -> Result<(), StoreError> {
        let Some(next) = calendar.next(self.jobs.clock.now()) else {
            return Ok(());
        };
        let place = plugin_key(job.service, &job.plugin, key);
        let mut batch = Batch::new();
        self.due.schedule(&mut batch, &id_of(&place), next).await?;
        let job = NewJob {
            key: None,
            actor: Actor::System,
            ..job
        };
        batch.save(
            place,
            &Schedule {
                job,
                calendar,
                next,
                missed: None,
            },
        )?;
        self.jobs.store.apply(batch).await?;
        self.jobs.wake.notify_one();
        Ok(())
    }

    /// The schedule under `key`.
    pub async fn get(
        &self,
        service: ServiceId,
        plugin: &PluginId,
        key: &str,
    ) -> Result<Option<Schedule>, StoreError> {
        let place = plugin_key(service, plugin, key);
        Ok(self
            .jobs
            .store
            .load::<Schedule>(&place)
            .await?
            .map(|schedule| schedule.value))
    }

    /// Removes the schedule under `key`; one that is not there is no error.
    pub async fn remove(&self, service: ServiceId, plugin: &PluginId, key: &str) -> Result<(), StoreError> {
        self.remove_at(plugin_key(service, plugin, key)).await
    }

    /// The jobs that schedules start.
    pub(super) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    pub(super) async fn remove_at(&self, place: Key) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.due.cancel(&mut batch, &id_of(&place)).await?;
        batch.delete(Table::Schedules, place);
        self.jobs.store.apply(batch).await.map(drop)
    }

    /// Starts the job of a schedule that is due, and sets its next run.
    pub(super) async fn fire(&self, claimed: &Claimed) -> Result<(), StoreError> {
        let place = place_of(&claimed.id);
        let mut batch = Batch::new();
        let Some(schedule) = self.jobs.store.load::<Schedule>(&place).await? else {
            self.due.ack(&mut batch, claimed);
            return self.jobs.store.apply(batch).await.map(drop);
        };
        let (version, mut schedule) = (schedule.version, schedule.value);
        let now = self.jobs.clock.now();
        if schedule.calendar.same_day(schedule.next, now) {
            // The id of the job comes from the schedule and its time: a crash between here and the next line of the
            // schedule starts the same job again, which changes nothing.
            let cause = format!("{}@{}", claimed.id, schedule.next);
            match self
                .jobs
                .start_once(schedule.job.clone(), &cause, schedule.next)
                .await
            {
                Ok(_) => {}
                Err(StartError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(schedule = %claimed.id, %error, "a scheduled job was left out");
                    schedule.missed = Some(schedule.next);
                }
            }
        } else {
            tracing::warn!(schedule = %claimed.id, due = %schedule.next, "a scheduled run was missed");
            schedule.missed = Some(schedule.next);
        }
        match schedule.calendar.next(now.max(schedule.next)) {
            Some(next) => {
                schedule.next = next;
                batch.update(place, version, &schedule)?;
                self.due.again(&mut batch, claimed, next)?;
            }
            None => {
                self.due.ack(&mut batch, claimed);
            }
        }
        self.jobs.store.apply(batch).await.map(drop)
    }
}

/// The id in the due queue: the key in hexadecimal digits, because an id is text.
fn id_of(place: &Key) -> String {
    hex::encode(place.as_bytes())
}

fn place_of(id: &str) -> Key {
    Key::raw(hex::decode(id).unwrap_or_default())
}
