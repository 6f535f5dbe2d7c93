//! The store: what the panel remembers.
//!
//! One ordered map from keys to records for each [`Table`], changed only by a [`Batch`] that happens as a whole
//! or not at all and is on disk before [`Store::apply`] returns. Everything else is built from these three
//! operations and therefore works on every engine:
//!
//! - [`typed`]: records as Rust types with a schema number and migrations ([`Stored`], [`StoreExt`]).
//! - [`lease`]: one owner at a time, with a fencing token that a batch can require.
//! - [`due`]: what is to be done when, at the cost of what is due.
//!
//! Engines: [`MemoryStore`] for tests, [`SledStore`] in one directory of one process. A further engine
//! implements [`Store`] and runs the conformance suite in `conformance`, which is the definition of the trait's
//! promises.
//!
//! Deliberately not here: what the records mean (each module defines its own), encryption ([`crate::secret`]
//! seals single values before they come here), queries other than by key.

mod batch;
pub mod due;
mod error;
mod key;
pub mod lease;
mod memory;
mod scan;
mod sled;
mod table;
pub mod typed;

#[cfg(test)]
mod conformance;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::batch::{Batch, Change, Expected, Precondition};
pub use self::due::{Claimed, DueQueue};
pub use self::error::{Cause, OpenProblem, StoreError};
pub use self::key::{Key, Parts};
pub use self::lease::{Lease, LeaseError, Leases};
pub use self::memory::MemoryStore;
pub use self::scan::{Entry, Page, Scan};
pub use self::sled::{SledOptions, SledStore};
pub use self::table::Table;
pub use self::typed::{StoreExt, Stored, Versioned};

/// What a store takes at most. All engines enforce the same limits.
pub mod limits {
    /// The bytes of a key.
    pub const KEY_BYTES: usize = 384;
    /// The bytes of a value.
    pub const VALUE_BYTES: usize = 1 << 20;
    /// The changes and preconditions of a batch.
    pub const BATCH_OPERATIONS: usize = 4096;
    /// The bytes of all keys and values a batch writes.
    pub const BATCH_BYTES: usize = 8 << 20;
    /// The entries of a page of a scan.
    pub const PAGE_ENTRIES: usize = 1000;
    /// The bytes of the keys and values of a page, unless its first entry alone is larger.
    pub const PAGE_BYTES: usize = 4 << 20;
}

/// A value and the number of the batch that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub value: Bytes,
    /// The number of the batch that wrote it. Numbers only rise, over all tables and for the life of the
    /// store, so a key that was removed and written again never comes back with an old version.
    pub version: u64,
}

/// An ordered, transactional, durable key-value store.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Reads one record.
    ///
    /// A read may see a batch whose [`Store::apply`] has not returned yet. That is safe for whoever acts on it
    /// by another batch, because that one becomes durable only together with everything before it; it is not
    /// enough to act on the outside world: write the intent first.
    async fn get(&self, table: Table, key: &Key) -> Result<Option<Record>, StoreError>;

    /// Reads a range in key order, one page of it. A page is a snapshot: no batch is half in it.
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError>;

    /// Applies the batch if all its preconditions hold, and returns its number, which is the version of every
    /// record it wrote. When this returns `Ok`, the batch survives a crash of the process and of the machine.
    ///
    /// Dropping the future does not take the batch back: it may still be applied.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a precondition does not hold, [`StoreError::TooLarge`] over [`limits`]:
    /// nothing was changed. [`StoreError::Unavailable`]: unknown.
    async fn apply(&self, batch: Batch) -> Result<u64, StoreError>;

    /// Whether this process is the only one that can use the store while it has it open.
    ///
    /// If so, leases and claims found at start belong to a process that is gone, and may be broken at once
    /// instead of being waited for.
    fn is_exclusive(&self) -> bool;
}

/// A store as everything takes it.
pub type SharedStore = Arc<dyn Store>;
