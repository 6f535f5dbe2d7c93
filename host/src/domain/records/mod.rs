//! Reading and writing the domain's records, their indexes and their invariants.
//!
//! [`Records`] is the one way to them, one file a kind. Indexes are written in the same batch as the record.
//! Everything a customer reaches is resolved through its owner: [`Records::service_of`] does not find what
//! belongs to somebody else.
//!
//! Every write of what the provider's file can name also touches one guard record. Who plans over many
//! records, as `apply` does, reads the guard first and requires its version in the batch: nothing that the
//! plan was made from has changed since.

mod activity;
mod customers;
mod provider;
mod services;

use std::sync::Arc;

use crate::store::{Batch, Key, Scan, SharedStore, Store, StoreError, StoreExt, Stored, Table, Versioned};

#[cfg(test)]
mod tests;

pub use self::activity::ActivityPage;

/// The most records of a kind that a list returns; a panel is built for fewer.
const LIST_LIMIT: usize = 1_000_000;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is none, or it belongs to somebody else.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// The kind of record.
        kind: &'static str,
        /// What was looked for.
        id: String,
    },
    /// Another record has what this one wants for itself.
    #[error("{what} belongs to {kind} `{owner}` already")]
    Taken {
        /// What is wanted, such as an e-mail address.
        what: String,
        /// The kind of the record that has it.
        kind: &'static str,
        /// That record.
        owner: String,
    },
    /// Something else stands on the record.
    #[error("{kind} `{id}` is in use by {by}")]
    InUse {
        /// The kind of record.
        kind: &'static str,
        /// The record.
        id: String,
        /// What stands on it.
        by: String,
    },
    /// The store failed, or somebody else wrote at the same time.
    #[error("the records cannot be read or written")]
    Store(#[from] StoreError),
}

impl RecordError {
    fn not_found(kind: &'static str, id: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string(),
        }
    }

    /// Whether nothing was found.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The domain's records in a store. Clones share it.
#[derive(Clone, Debug)]
pub struct Records {
    store: SharedStore,
}

/// The key of the guard record in [`Table::Meta`].
fn guard_key() -> Key {
    Key::text("domain-guard")
}

impl Records {
    /// The records of `store`.
    pub fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// The store itself, for batches that hold more than domain records.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The guard's version, to be read before everything a plan is made from; none while nothing was written.
    pub async fn guard(&self) -> Result<Option<u64>, StoreError> {
        Ok(self
            .store
            .get(Table::Meta, &guard_key())
            .await?
            .map(|record| record.version))
    }

    /// Requires that nothing was written since the guard was read.
    pub fn require_guard(batch: &mut Batch, version: Option<u64>) {
        match version {
            Some(version) => batch.require_version(Table::Meta, guard_key(), version),
            None => batch.require_absent(Table::Meta, guard_key()),
        };
    }

    /// Marks that something was written. In every batch that stages a record of this module.
    pub fn touch_guard(batch: &mut Batch) {
        batch.put(Table::Meta, guard_key(), Vec::new());
    }

    async fn load<T: Stored>(&self, id: &str) -> Result<Versioned<T>, RecordError> {
        let found = self.store.load::<T>(&Key::text(id)).await?;
        found.ok_or_else(|| RecordError::not_found(T::KIND, id))
    }

    async fn all<T: Stored>(&self) -> Result<Vec<Versioned<T>>, RecordError> {
        let entries = self
            .store
            .list_all::<T>(Scan::table(T::TABLE), LIST_LIMIT)
            .await?;
        Ok(entries.into_iter().map(|(_, record)| record).collect())
    }
}
