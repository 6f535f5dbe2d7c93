//! What can go wrong in the store.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Key, Table};

/// The cause below a store error. Shared, because one failed flush fails every batch that waited for it.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why the store did not do what it was asked to do. Unless it says otherwise, nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A precondition of the batch does not hold: somebody else was faster. Read again and decide anew.
    #[error("`{key}` in table `{table}` is not as the batch requires")]
    Conflict {
        /// The table of the first precondition that failed.
        table: Table,
        /// Its key.
        key: Key,
    },
    /// A key, a value or a batch is over its limit. A retry does not help.
    #[error("the {what} has {size}, the limit is {limit}")]
    TooLarge {
        /// Which one.
        what: &'static str,
        /// How large it is, in bytes, or operations for a batch's operations.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A record cannot be turned into bytes, which is a mistake in its type.
    #[error("a `{kind}` cannot be encoded")]
    Encode {
        /// The kind of record.
        kind: &'static str,
        /// What serde says.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// A stored record cannot be read as the type it should be.
    #[error("the stored `{kind}` is damaged: {reason}")]
    Damaged {
        /// The kind of record.
        kind: &'static str,
        /// What is wrong with it; never contains the record.
        reason: String,
    },
    /// A record was written by a newer version of the program.
    #[error("the stored `{kind}` has schema {found}, this version of the program knows up to {known}")]
    Newer {
        /// The kind of record.
        kind: &'static str,
        /// The schema number on disk.
        found: u16,
        /// The highest one known.
        known: u16,
    },
    /// A record of an old schema could not be brought to the present one.
    #[error("the stored `{kind}` of schema {from} cannot be migrated: {reason}")]
    Migration {
        /// The kind of record.
        kind: &'static str,
        /// The schema number on disk.
        from: u16,
        /// What the migration says.
        reason: String,
    },
    /// The store could not be opened.
    #[error("the store in `{}` cannot be opened: {problem}", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: OpenProblem,
        /// What the engine says.
        #[source]
        source: Option<Cause>,
    },
    /// The disk or the connection failed. **The batch may or may not be there**: the caller does not know and
    /// has to look once the store is back.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: &'static str,
        /// What the engine says.
        #[source]
        source: Option<Cause>,
    },
}

impl StoreError {
    /// Whether this is a failed precondition.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// Why a store directory does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenProblem {
    /// Another process has the directory open.
    InUse,
    /// The user of the process may not read or write there.
    Permission,
    /// The path is there but is not a directory, or cannot be made one.
    NotADirectory,
    /// The directory holds something else, or a store of another format.
    Foreign,
    /// The files are damaged.
    Damaged,
    /// The disk failed or is full.
    Disk,
}

impl OpenProblem {
    /// What the operator can do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::InUse => {
                "stop the other process first: is `portico serve` still running? Commands that need the store run \
                 while it is stopped, or through it"
            }
            Self::Permission => "give the directory to the user the panel runs as, mode 0700",
            Self::NotADirectory => "name a directory on a local disk; it is made when it is not there",
            Self::Foreign => "name an empty directory or the one an earlier run of this program made",
            Self::Damaged => "restore the directory from a backup; keep the damaged one for analysis",
            Self::Disk => "check the free space and the kernel's log for disk errors",
        }
    }
}

impl std::fmt::Display for OpenProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InUse => "another process has it open",
            Self::Permission => "permission denied",
            Self::NotADirectory => "it is not a directory",
            Self::Foreign => "it is not a store this version can read",
            Self::Damaged => "its files are damaged",
            Self::Disk => "the disk failed",
        })
    }
}
