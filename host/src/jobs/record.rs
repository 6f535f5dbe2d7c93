//! The job as it is stored.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Progress;
use crate::domain::{CustomerId, PluginId, ServiceId};
use crate::store::{Key, Stored, Table};

/// The id of a job. Ids made later sort later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// A new id from the time and 10 random bytes.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(
            uuid::Builder::from_unix_timestamp_millis(millis, &random)
                .into_uuid()
                .to_string(),
        )
    }

    /// The id of the job that stands for `cause`, always the same for the same cause: starting it twice is found out.
    pub fn derived(cause: &str, now: Timestamp) -> Self {
        let hash = blake3::derive_key("portico 2026-11 job id of a cause", cause.as_bytes());
        let mut random = [0; 10];
        random.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self::new(now, random)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the job's record.
    pub fn key(&self) -> Key {
        Key::text(&self.0)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Ok(Self(uuid::Uuid::try_parse(text)?.to_string()))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who caused a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The customer, from a page.
    Customer {
        /// Who.
        id: CustomerId,
        /// From which address.
        address: Option<std::net::IpAddr>,
    },
    /// A schedule, a due time or another job.
    System,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not begun: its time has not come, or another job holds the service.
    Waiting,
    /// Begun.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
}

impl Phase {
    /// Whether the job has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A Proxmox task that a job has started or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// What the plugin knows it by: step and number of the call.
    pub id: String,
    /// The UPID.
    pub upid: String,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// Whether its exit status was `OK` or `WARNINGS`.
    pub ok: bool,
    /// Whether it ended with warnings.
    pub warnings: bool,
    /// For the customer, if it failed: a sentence without the provider's names.
    pub message: String,
    /// The kind of failure, as the contract names it.
    pub reason: String,
    /// The UPID and what Proxmox said, if it failed; for the provider, never for a plugin.
    #[serde(default)]
    pub detail: Option<String>,
}

/// What has happened since the last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It is the first step.
    Started,
    /// The awaited task has ended.
    TaskEnded {
        /// Which one, as the plugin knows it.
        task: String,
        /// How.
        outcome: TaskOutcome,
    },
    /// The time has come.
    Woke,
    /// The last step asked to go on.
    Continued,
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// Nothing: the event can be delivered.
    Nothing,
    /// A time.
    Until(Timestamp),
    /// A task of Proxmox.
    Task(TaskRef),
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The service it works on.
    pub service: ServiceId,
    /// The plugin that moves it.
    pub plugin: PluginId,
    /// The plugin's name for the work.
    pub kind: String,
    /// What the customer reads.
    pub title: String,
    /// What other pages call it while it holds the service.
    pub operation: String,
    /// The key, unique among the unfinished jobs of plugin and service.
    pub key: Option<String>,
    /// Whether it changes the VM and therefore holds the service while it runs.
    pub exclusive: bool,
    /// Seconds after its start at which the host gives up.
    pub deadline_secs: u32,
    /// Who caused it.
    pub actor: Actor,
    /// The plugin's state, a JSON document.
    pub state: String,
    /// The state it began with, for a retry; none in records of before it was kept.
    pub initial: Option<String>,
    /// The number of the present step, from 0.
    pub step: u32,
    /// How often the present step was retried in a row.
    pub attempt: u32,
    /// How far it is.
    pub phase: Phase,
    /// What the present step is told.
    pub event: Event,
    /// What it waits for before that.
    pub wait: Wait,
    /// What the customer reads meanwhile.
    pub progress: Progress,
    /// Whether it holds its service.
    pub holds: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it is or was due.
    pub due: Timestamp,
    /// When its first step began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The result, or why it failed.
    pub outcome: String,
    /// What Proxmox said when a task of it failed; for the provider.
    #[serde(default)]
    pub detail: Option<String>,
}

impl Stored for Job {
    const TABLE: Table = Table::Jobs;
    const KIND: &'static str = "job";
    const SCHEMA: u16 = 2;

    fn migrate(from: u16, mut record: serde_json::Value) -> Result<serde_json::Value, String> {
        match (from, record.as_object_mut()) {
            (1, Some(fields)) => {
                fields.insert("initial".to_owned(), serde_json::Value::Null);
                Ok(record)
            }
            _ => Err(format!("there is no step from schema {from}")),
        }
    }
}

impl Job {
    /// When the host gives up, once it has begun.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.started.map(|started| {
            crate::clock::later(
                started,
                std::time::Duration::from_secs(u64::from(self.deadline_secs)),
            )
        })
    }
}

/// The key under which a service finds its jobs, in the order of their making.
pub(super) fn owner_key(service: ServiceId, id: &JobId) -> Key {
    owner_prefix(service).and(id.as_str())
}

/// What the keys of all jobs of a service begin with.
pub(super) fn owner_prefix(service: ServiceId) -> Key {
    Key::text(&service.to_string())
}

/// The key under which the unfinished job with a plugin's key is found.
pub(super) fn plugin_key(service: ServiceId, plugin: &PluginId, key: &str) -> Key {
    Key::text(&service.to_string()).and(plugin.as_str()).and(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_jobs_have_greater_ids() {
        let early = JobId::new(Timestamp::from_second(1_000_000).unwrap(), [255; 10]);
        let late = JobId::new(Timestamp::from_second(1_000_001).unwrap(), [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn the_same_cause_at_the_same_time_is_the_same_job() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(JobId::derived("a", now), JobId::derived("a", now));
        assert_ne!(JobId::derived("a", now), JobId::derived("b", now));
    }
}
