//! Starting, listing and cancelling jobs.

use std::sync::Arc;

use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Progress;
use super::record::{Actor, Event, Job, JobId, Phase, Wait, owner_key, owner_prefix, plugin_key};
use crate::activity::Activity;
use crate::clock::Clock;
use crate::domain::{PluginId, ServiceId};
use crate::store::{Batch, DueQueue, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table, Versioned};

/// The due queue of jobs.
pub(super) const QUEUE: &str = "jobs";
/// The due queue of ended jobs, for their removal.
pub(super) const PURGE: &str = "jobs-purge";
/// Unfinished jobs and schedules a plugin may have on a service.
const MOST_JOBS: usize = 250;
/// Jobs a list returns.
const LISTED: usize = 50;
/// How often a start is tried again when others change the same records.
const ATTEMPTS: usize = 8;

/// A job to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
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
    /// The state to begin with.
    pub state: String,
    /// The key, unique among the unfinished jobs of plugin and service.
    pub key: Option<String>,
    /// Whether it changes the VM.
    pub exclusive: bool,
    /// Seconds after its start at which the host gives up.
    pub deadline_secs: u32,
    /// Who caused it.
    pub actor: Actor,
}

/// Which job holds a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The job.
    pub job: JobId,
    /// What other pages call it.
    pub operation: String,
}

impl Stored for Hold {
    const TABLE: Table = Table::JobHolds;
    const KIND: &'static str = "hold";
    const SCHEMA: u16 = 1;
}

/// Why a job was not started or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An exclusive job holds the service. The text is its operation.
    #[error("the service is busy: {0}")]
    Busy(String),
    /// An unfinished job with the key exists.
    #[error("a job with the key `{0}` is under way")]
    KeyTaken(String),
    /// The plugin has too many jobs on the service.
    #[error("a plugin may have {MOST_JOBS} unfinished jobs on a service")]
    TooMany,
    /// The job runs already.
    #[error("the job is running")]
    Running,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a job comes to be.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// Begins now and takes the hold on its service, if it is exclusive.
    Now,
    /// Begins at a time, in the place of the waiting job with its key.
    At(Timestamp),
    /// Begins now, standing for what was due at a time.
    Caused(Timestamp),
    /// Begins now, in the place of a job that has failed.
    InsteadOf(&'a Versioned<Job>),
}

/// The jobs of all services.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(super) store: SharedStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) due: DueQueue,
    pub(super) purge: DueQueue,
    /// Woken when something may be due earlier than the engine thinks.
    pub(super) wake: Arc<Notify>,
}

impl Jobs {
    /// Jobs kept in `store`.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>) -> Self {
        Self {
            due: DueQueue::new(Arc::clone(&store), QUEUE),
            purge: DueQueue::new(Arc::clone(&store), PURGE),
            store,
            clock,
            wake: Arc::new(Notify::new()),
        }
    }

    /// Starts a job now. When this returns, the job runs, also after a crash.
    ///
    /// An exclusive job takes the hold on its service in the same transaction, or is refused with
    /// [`StartError::Busy`].
    pub async fn start(&self, new: NewJob) -> Result<JobId, StartError> {
        let id = self.new_id();
        self.add(id, new, Way::Now).await
    }

    /// Starts a job at a time, replacing the waiting one with the same key. An exclusive one waits for the hold when it
    /// is due.
    pub async fn at(&self, new: NewJob, due: Timestamp) -> Result<JobId, StartError> {
        let id = self.new_id();
        self.add(id, new, Way::At(due)).await
    }

    /// Starts, now, the one job that stands for `cause`. Saying it again changes nothing.
    pub async fn start_once(&self, new: NewJob, cause: &str, caused: Timestamp) -> Result<JobId, StartError> {
        let id = JobId::derived(cause, caused);
        if self.job(&id).await?.is_some() {
            return Ok(id);
        }
        self.add(id, new, Way::Caused(caused)).await
    }

    pub(super) fn new_id(&self) -> JobId {
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        JobId::new(self.clock.now(), random)
    }

    pub(super) async fn add(&self, id: JobId, new: NewJob, way: Way<'_>) -> Result<JobId, StartError> {
        let mut attempts = 0;
        loop {
            match self.try_add(id.clone(), new.clone(), way).await {
                Err(StartError::Store(error)) if error.is_conflict() && attempts < ATTEMPTS => attempts += 1,
                Ok(id) => {
                    self.wake.notify_one();
                    return Ok(id);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_add(&self, id: JobId, new: NewJob, way: Way<'_>) -> Result<JobId, StartError> {
        let now = self.clock.now();
        let mut batch = Batch::new();
        let due = match way {
            Way::Now => None,
            Way::At(due) | Way::Caused(due) => Some(due),
            Way::InsteadOf(failed) => {
                self.drop_ended(&mut batch, failed).await?;
                None
            }
        };
        if let Some(key) = &new.key {
            let replace = matches!(way, Way::At(_));
            self.claim_key(&mut batch, &new, key, &id, replace).await?;
        }
        let unfinished = self
            .of_plugin(new.service, &new.plugin)
            .await?
            .iter()
            .filter(|j| !j.phase.is_over())
            .count();
        if unfinished >= MOST_JOBS {
            return Err(StartError::TooMany);
        }
        let holds = new.exclusive && due.is_none();
        if holds {
            let key = hold_key(new.service);
            if let Some(hold) = self.store.load::<Hold>(&key).await? {
                return Err(StartError::Busy(hold.value.operation));
            }
            batch.create(
                key,
                &Hold {
                    job: id.clone(),
                    operation: new.operation.clone(),
                },
            )?;
        }
        let due = due.unwrap_or(now);
        let job = Job {
            id: id.clone(),
            service: new.service,
            plugin: new.plugin,
            kind: new.kind,
            title: new.title,
            operation: new.operation,
            key: new.key,
            exclusive: new.exclusive,
            deadline_secs: new.deadline_secs,
            actor: new.actor,
            initial: Some(new.state.clone()),
            state: new.state,
            step: 0,
            attempt: 0,
            phase: Phase::Waiting,
            event: Event::Started,
            wait: Wait::Nothing,
            progress: Progress::default(),
            holds,
            created: now,
            due,
            started: None,
            ended: None,
            outcome: String::new(),
            detail: None,
        };
        batch.create(id.key(), &job)?;
        batch.put(Table::JobOwners, owner_key(job.service, &id), "");
        Activity.job_requested(&mut batch, &job)?;
        self.due.insert(&mut batch, id.as_str(), due)?;
        self.store.apply(batch).await?;
        Ok(id)
    }

    /// Puts `key` on job `id`, taking the place of a waiting job if `replace`.
    async fn claim_key(
        &self,
        batch: &mut Batch,
        new: &NewJob,
        key: &str,
        id: &JobId,
        replace: bool,
    ) -> Result<(), StartError> {
        let place = plugin_key(new.service, &new.plugin, key);
        match self.store.get(Table::JobKeys, &place).await? {
            None => batch.insert(Table::JobKeys, place, id.as_str().to_owned()),
            Some(record) => {
                let old = self.keyed(&record.value).await?;
                match old {
                    Some(old) if !replace || old.value.phase == Phase::Running => {
                        return Err(StartError::KeyTaken(key.to_owned()));
                    }
                    Some(old) => self.forget(batch, &old).await?,
                    None => {}
                }
                batch.replace(Table::JobKeys, place, record.version, id.as_str().to_owned())
            }
        };
        Ok(())
    }

    /// The unfinished job a key stands for.
    async fn keyed(&self, id: &[u8]) -> Result<Option<Versioned<Job>>, StoreError> {
        let Ok(id) = std::str::from_utf8(id) else {
            return Ok(None);
        };
        let job = self.store.load::<Job>(&Key::text(id)).await?;
        Ok(job.filter(|job| !job.value.phase.is_over()))
    }

    /// Adds the removal of a waiting job to `batch`, without its key.
    async fn forget(&self, batch: &mut Batch, job: &Versioned<Job>) -> Result<(), StoreError> {
        self.due.cancel(batch, job.value.id.as_str()).await?;
        batch
            .remove(Table::Jobs, job.value.id.key(), job.version)
            .delete(Table::JobOwners, owner_key(job.value.service, &job.value.id));
        Ok(())
    }

    /// Removes the waiting job with a key; one that is not there is no error.
    pub async fn cancel(&self, service: ServiceId, plugin: &PluginId, key: &str) -> Result<(), StartError> {
        let place = plugin_key(service, plugin, key);
        let Some(record) = self.store.get(Table::JobKeys, &place).await? else {
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.remove(Table::JobKeys, place, record.version);
        match self.keyed(&record.value).await? {
            Some(job) if job.value.phase == Phase::Running => return Err(StartError::Running),
            Some(job) => self.forget(&mut batch, &job).await?,
            None => {}
        }
        self.store.apply(batch).await?;
        Ok(())
    }

    /// A job.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.store.load::<Job>(&id.key()).await?.map(|job| job.value))
    }

    /// The job that holds a service.
    pub async fn hold(&self, service: ServiceId) -> Result<Option<Hold>, StoreError> {
        Ok(self
            .store
            .load::<Hold>(&hold_key(service))
            .await?
            .map(|hold| hold.value))
    }

    /// The jobs of a service, the newest first, at most 50 and as many as are kept (a day after their end).
    pub async fn of_service(&self, service: ServiceId) -> Result<Vec<Job>, StoreError> {
        let scan = Scan::prefix(Table::JobOwners, owner_prefix(service))
            .reverse()
            .limit(LISTED);
        self.jobs(&scan).await
    }

    /// The jobs of a plugin on a service, the newest first.
    pub async fn of_plugin(&self, service: ServiceId, plugin: &PluginId) -> Result<Vec<Job>, StoreError> {
        let scan = Scan::prefix(Table::JobOwners, owner_prefix(service)).reverse();
        Ok(self
            .jobs(&scan)
            .await?
            .into_iter()
            .filter(|job| job.plugin == *plugin)
            .collect())
    }

    async fn jobs(&self, scan: &Scan) -> Result<Vec<Job>, StoreError> {
        let page = self.store.scan(scan).await?;
        let mut jobs = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let mut parts = entry.key.parts();
            let (Some(_), Some(id)) = (parts.text(), parts.text()) else {
                continue;
            };
            jobs.extend(
                self.store
                    .load::<Job>(&Key::text(&id))
                    .await?
                    .map(|job| job.value),
            );
        }
        Ok(jobs)
    }
}

/// The key of the hold on a service.
pub(super) fn hold_key(service: ServiceId) -> Key {
    Key::text(&service.to_string())
}
