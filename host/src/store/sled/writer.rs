//! The one thread that writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};

use super::layout::{Entry, VERSION_KEY, tree_key, write};
use super::unavailable;
use crate::store::{Batch, StoreError};

/// As many batches share one flush at most, which bounds how long the first of them waits.
const GROUP: usize = 256;

/// A batch that waits for the writer.
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
}

/// What the writing thread works with.
pub(super) struct Writer {
    pub(super) tree: ::sled::Db,
    /// sled's log file, opened once more to sync it.
    pub(super) log: File,
    pub(super) view: Arc<RwLock<()>>,
    /// The number of the last batch.
    pub(super) version: u64,
    /// Why nothing more is written: after a failed flush nobody knows what is on disk.
    pub(super) failed: Option<StoreError>,
}

impl Writer {
    /// Works until there is no sender any more.
    pub(super) fn run(&mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut answers = Vec::new();
            let mut next = Some(first);
            while let Some(Waiting { batch, answer }) = next {
                answers.push((answer, self.commit(&batch)));
                next = if answers.len() < GROUP {
                    waiting.try_recv().ok()
                } else {
                    None
                };
            }
            // Conflicts wait for the flush, too: they tell of a batch that must not vanish afterwards.
            if let (None, Err(error)) = (&self.failed, self.flush()) {
                tracing::error!(%error, "the store cannot be flushed and stops writing");
                self.failed = Some(error);
            }
            for (answer, result) in answers {
                let result = self.failed.clone().map_or(result, Err);
                // Whoever gave up waiting does not want to know.
                let _ = answer.send(result);
            }
        }
    }

    /// Brings everything applied so far to the disk.
    ///
    /// sled's own flush ends in `sync_file_range`, which neither writes the length of a file that has grown
    /// nor empties the disk's cache (see its manual page, "Warning"); it survives a crash of the process and
    /// not one of the machine. `fdatasync` does both.
    fn flush(&self) -> Result<(), StoreError> {
        self.tree.flush().map_err(unavailable)?;
        self.log.sync_data().map_err(|error| StoreError::Unavailable {
            reason: "the disk failed",
            source: Some(Arc::new(error)),
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        for precondition in batch.preconditions() {
            let (table, key) = (precondition.table, &precondition.key);
            let stored = self.entry(&tree_key(table, key))?;
            if !precondition.expected.accepts(stored.map(|entry| entry.version())) {
                return Err(StoreError::Conflict {
                    table,
                    key: key.clone(),
                });
            }
        }
        if batch.changes().is_empty() {
            return Ok(self.version);
        }
        let version = self.version + 1;
        // The last write of a key counts.
        let changes: BTreeMap<_, _> = batch
            .changes()
            .iter()
            .map(|change| (tree_key(change.table, &change.key), change.value.as_ref()))
            .collect();
        let mut writes = ::sled::Batch::default();
        for ((key, value), ordinal) in changes.iter().zip(0..) {
            if let Some(Entry::Large(pieces)) = self.entry(key)? {
                pieces.keys().for_each(|key| writes.remove(key));
            }
            match value {
                Some(value) => write(&mut writes, key, value, version, ordinal)?,
                None => writes.remove(key.as_slice()),
            }
        }
        writes.insert(VERSION_KEY, &version.to_be_bytes());
        let _alone = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.tree.apply_batch(writes) {
            let error = unavailable(error);
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.version = version;
        Ok(version)
    }

    fn entry(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.tree
            .get(key)
            .map_err(unavailable)?
            .map(|stored| Entry::read(&stored))
            .transpose()
    }
}
