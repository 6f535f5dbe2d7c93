//! The store in memory, for tests and throw-away runs.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::scan::PageBuilder;
use super::{Batch, Key, Page, Record, Scan, Store, StoreError, Table};

/// Keeps everything in memory and forgets it when the last clone is dropped. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<Table, BTreeMap<Key, Record>>,
    version: u64,
}

impl State {
    fn record(&self, table: Table, key: &Key) -> Option<&Record> {
        self.tables.get(&table)?.get(key)
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, table: Table, key: &Key) -> Result<Option<Record>, StoreError> {
        // No code under this lock can leave the state half changed, so a poisoned lock is still good.
        Ok(self
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .record(table, key)
            .cloned())
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let mut page = PageBuilder::new(scan);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = state.tables.get(&scan.table).filter(|_| !scan.is_void()) else {
            return Ok(page.finish());
        };
        let mut range =
            table.range::<Key, (Bound<&Key>, Bound<&Key>)>((scan.start.as_ref(), scan.end.as_ref()));
        while let Some((key, record)) = if scan.reverse {
            range.next_back()
        } else {
            range.next()
        } {
            if !page.push(key.clone(), record.clone()) {
                break;
            }
        }
        Ok(page.finish())
    }

    async fn apply(&self, batch: Batch) -> Result<u64, StoreError> {
        batch.check()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for precondition in batch.preconditions() {
            let version = state
                .record(precondition.table, &precondition.key)
                .map(|record| record.version);
            if !precondition.expected.accepts(version) {
                return Err(StoreError::Conflict {
                    table: precondition.table,
                    key: precondition.key.clone(),
                });
            }
        }
        state.version += 1;
        let version = state.version;
        for change in batch.changes() {
            let table = state.tables.entry(change.table).or_default();
            match &change.value {
                Some(value) => table.insert(
                    change.key.clone(),
                    Record {
                        value: value.clone(),
                        version,
                    },
                ),
                None => table.remove(&change.key),
            };
        }
        Ok(version)
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}
