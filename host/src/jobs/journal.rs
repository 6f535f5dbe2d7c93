//! The journal of calls that change a VM, by (job, step, call number).
//!
//! Before Proxmox is asked, the intent is stored together with the tasks that were known then; after its answer, the
//! UPID. A step that is run again after a crash finds the UPID, or an intent without one. In the second case the
//! request may or may not have arrived, and [`super::once`] looks at the node's tasks before it does anything.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{JobId, TaskRef};
use crate::clock::Clock;
use crate::store::{Batch, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table};

/// A call that starts a task on the VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Starts the VM.
    Start,
    /// Asks the guest to shut down.
    Shutdown {
        /// Seconds to wait for it.
        timeout: u32,
    },
    /// Switches the VM off.
    Stop,
    /// Asks the guest to shut down and starts it again.
    Reboot {
        /// Seconds to wait for it.
        timeout: u32,
    },
    /// Resets the VM.
    Reset,
    /// Takes a snapshot.
    SnapshotCreate {
        /// Its name.
        name: String,
        /// Its description.
        description: String,
        /// Whether the memory is part of it.
        with_memory: bool,
    },
    /// Goes back to a snapshot.
    SnapshotRollback {
        /// Its name.
        name: String,
    },
    /// Removes a snapshot.
    SnapshotRemove {
        /// Its name.
        name: String,
    },
}

impl Operation {
    /// The type of the task as it stands in the UPID (PVE::API2::Qemu). A VM managed by HA answers a start and a stop
    /// with `hastart` and `hastop` instead.
    pub const fn task_types(&self) -> &'static [&'static str] {
        match self {
            Self::Start => &["qmstart", "hastart"],
            Self::Shutdown { .. } => &["qmshutdown", "hastop"],
            Self::Stop => &["qmstop", "hastop"],
            Self::Reboot { .. } => &["qmreboot"],
            Self::Reset => &["qmreset"],
            Self::SnapshotCreate { .. } => &["qmsnapshot"],
            Self::SnapshotRollback { .. } => &["qmrollback"],
            Self::SnapshotRemove { .. } => &["qmdelsnapshot"],
        }
    }
}

/// What the journal knows of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was to be done.
    pub operation: Operation,
    /// When the intent was stored.
    pub at: Timestamp,
    /// The UPIDs of the same types that the node knew before: none of them can be this call's.
    pub seen: Vec<String>,
    /// The task, once Proxmox has answered or it was found.
    pub task: Option<TaskRef>,
}

impl Stored for Entry {
    const TABLE: Table = Table::JobJournal;
    const KIND: &'static str = "journal entry";
    const SCHEMA: u16 = 1;
}

/// The journal of one step of one job.
#[derive(Debug, Clone)]
pub struct Journal {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    job: JobId,
    step: u32,
    batch: Arc<Mutex<Batch>>,
}

impl Journal {
    /// The journal of a step.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, job: JobId, step: u32) -> Self {
        Self {
            store,
            clock,
            job,
            step,
            batch: Arc::default(),
        }
    }

    /// The job.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// The step.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// What the plugin knows the task of a call by.
    pub fn task_id(&self, call: u32) -> String {
        format!("{}-{call}", self.step)
    }

    fn key(&self, call: u32) -> Key {
        self.job
            .key()
            .number(u64::from(self.step))
            .number(u64::from(call))
    }

    /// What is known of a call.
    pub async fn entry(&self, call: u32) -> Result<Option<Entry>, StoreError> {
        Ok(self
            .store
            .load::<Entry>(&self.key(call))
            .await?
            .map(|entry| entry.value))
    }

    /// Stores that `operation` is about to be done.
    pub async fn intend(
        &self,
        call: u32,
        operation: &Operation,
        seen: Vec<String>,
    ) -> Result<Entry, StoreError> {
        let entry = Entry {
            operation: operation.clone(),
            at: self.clock.now(),
            seen,
            task: None,
        };
        self.store.save(&self.key(call), &entry).await?;
        Ok(entry)
    }

    /// Stores the task of a call.
    pub async fn started(&self, call: u32, entry: Entry, upid: String) -> Result<TaskRef, StoreError> {
        let task = TaskRef {
            id: self.task_id(call),
            upid,
        };
        self.store
            .save(
                &self.key(call),
                &Entry {
                    task: Some(task.clone()),
                    ..entry
                },
            )
            .await?;
        Ok(task)
    }

    /// Forgets an intent of which it is certain that nothing came.
    pub async fn withdraw(&self, call: u32) -> Result<(), StoreError> {
        self.store.delete(Table::JobJournal, &self.key(call)).await
    }

    /// Adds to what becomes durable together with the step.
    pub fn with_step(&self, more: Batch) {
        self.batch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(more);
    }

    /// Takes what was added by [`Journal::with_step`].
    pub fn take_batch(&self) -> Batch {
        std::mem::take(&mut *self.batch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The task that the plugin knows by `id`, if a call of this job started it.
    pub async fn task(&self, id: &str) -> Result<Option<TaskRef>, StoreError> {
        let Some((step, call)) = id.split_once('-') else {
            return Ok(None);
        };
        let (Ok(step), Ok(call)) = (step.parse::<u64>(), call.parse::<u64>()) else {
            return Ok(None);
        };
        let entry = self
            .store
            .load::<Entry>(&self.job.key().number(step).number(call))
            .await?;
        Ok(entry.and_then(|entry| entry.value.task))
    }

    /// Adds the removal of everything the journal has of `job` to `batch`.
    pub(super) async fn clear(store: &SharedStore, job: &JobId, batch: &mut Batch) -> Result<(), StoreError> {
        let page = store.scan(&Scan::prefix(Table::JobJournal, job.key())).await?;
        for entry in page.entries {
            batch.delete(Table::JobJournal, entry.key);
        }
        Ok(())
    }
}
