//! Batches: the only way to change the store.

use bytes::Bytes;

use super::{Key, StoreError, Table, limits};

/// Changes that happen together or not at all, and what must be true for them to happen.
///
/// Parts of the program add to one batch what belongs to one step: the job's new state, the mail it sends, the
/// entry in the due queue. Preconditions are judged against the store as it was before the batch; when the
/// same key is written twice, the last write counts.
///
/// ```
/// # use portico_host::store::{Batch, Table, Key};
/// let mut batch = Batch::new();
/// batch
///     .insert(Table::Accounts, &Key::text("a1"), "…")
///     .require_version(Table::Products, &Key::text("pro"), 7);
/// assert_eq!(batch.changes().len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
    preconditions: Vec<Precondition>,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where.
    pub table: Table,
    /// Under which key.
    pub key: Key,
    /// The new value, or `None` to delete it.
    pub value: Option<Bytes>,
}

/// One condition of a batch.
#[derive(Clone, Debug)]
pub struct Precondition {
    /// Where.
    pub table: Table,
    /// Under which key.
    pub key: Key,
    /// What has to be there.
    pub expected: Expected,
}

/// What a precondition expects under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// Something.
    Present,
    /// Exactly this version, that is: nobody has written since.
    Version(u64),
}

impl Expected {
    /// Whether a record of `version` (`None`: no record) fulfils the expectation.
    pub fn accepts(self, version: Option<u64>) -> bool {
        match self {
            Self::Absent => version.is_none(),
            Self::Present => version.is_some(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value`, whatever is there.
    pub fn put(&mut self, table: Table, key: impl Into<Key>, value: impl Into<Bytes>) -> &mut Self {
        self.changes.push(Change {
            table,
            key: key.into(),
            value: Some(value.into()),
        });
        self
    }

    /// Removes what is there; nothing being there is fine.
    pub fn delete(&mut self, table: Table, key: impl Into<Key>) -> &mut Self {
        self.changes.push(Change {
            table,
            key: key.into(),
            value: None,
        });
        self
    }

    /// Writes `value` where nothing is yet, else the batch conflicts.
    pub fn insert(&mut self, table: Table, key: impl Into<Key>, value: impl Into<Bytes>) -> &mut Self {
        let key = key.into();
        self.require_absent(table, key.clone()).put(table, key, value)
    }

    /// Writes `value` over exactly `version`, else the batch conflicts.
    pub fn replace(
        &mut self,
        table: Table,
        key: impl Into<Key>,
        version: u64,
        value: impl Into<Bytes>,
    ) -> &mut Self {
        let key = key.into();
        self.require_version(table, key.clone(), version)
            .put(table, key, value)
    }

    /// Removes exactly `version`, else the batch conflicts.
    pub fn remove(&mut self, table: Table, key: impl Into<Key>, version: u64) -> &mut Self {
        let key = key.into();
        self.require_version(table, key.clone(), version)
            .delete(table, key)
    }

    /// The batch conflicts if anything is under `key`.
    pub fn require_absent(&mut self, table: Table, key: impl Into<Key>) -> &mut Self {
        self.require(table, key, Expected::Absent)
    }

    /// The batch conflicts if nothing is under `key`.
    pub fn require_present(&mut self, table: Table, key: impl Into<Key>) -> &mut Self {
        self.require(table, key, Expected::Present)
    }

    /// The batch conflicts if what is under `key` is not of `version`.
    pub fn require_version(&mut self, table: Table, key: impl Into<Key>, version: u64) -> &mut Self {
        self.require(table, key, Expected::Version(version))
    }

    /// The batch conflicts if what is under `key` is not as expected.
    pub fn require(&mut self, table: Table, key: impl Into<Key>, expected: Expected) -> &mut Self {
        self.preconditions.push(Precondition {
            table,
            key: key.into(),
            expected,
        });
        self
    }

    /// Adds everything of `other` to this batch.
    pub fn append(&mut self, other: Batch) -> &mut Self {
        self.changes.extend(other.changes);
        self.preconditions.extend(other.preconditions);
        self
    }

    /// The changes, in the order they were added.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The preconditions, in the order they were added.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.preconditions
    }

    /// Whether the batch neither changes nor requires anything.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.preconditions.is_empty()
    }

    /// Checks the batch against [`limits`]. Every implementation calls it first.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn check(&self) -> Result<(), StoreError> {
        let at_most = |what, size, limit| {
            if size > limit {
                Err(StoreError::TooLarge { what, size, limit })
            } else {
                Ok(())
            }
        };
        at_most(
            "batch",
            self.changes.len() + self.preconditions.len(),
            limits::BATCH_OPERATIONS,
        )?;
        let mut total = 0_usize;
        for precondition in &self.preconditions {
            at_most("key", precondition.key.as_bytes().len(), limits::KEY_BYTES)?;
        }
        for change in &self.changes {
            let value = change.value.as_ref().map_or(0, Bytes::len);
            at_most("key", change.key.as_bytes().len(), limits::KEY_BYTES)?;
            at_most("value", value, limits::VALUE_BYTES)?;
            total = total
                .saturating_add(value)
                .saturating_add(change.key.as_bytes().len());
        }
        at_most("content of the batch", total, limits::BATCH_BYTES)
    }
}
