//! The persistent lock of a VM.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::foreign;

/// The persistent lock in a VM's config: an operation is under way (or was broken off).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// A backup runs.
    Backup,
    /// The VM is being cloned.
    Clone,
    /// The VM is being created or restored.
    Create,
    /// The VM is being destroyed.
    Destroyed,
    /// Disks are being imported.
    Import,
    /// The VM moves to another node.
    Migrate,
    /// A snapshot is being rolled back.
    Rollback,
    /// A snapshot is being taken.
    Snapshot,
    /// A snapshot is being removed.
    SnapshotDelete,
    /// The VM is being suspended to disk.
    Suspending,
    /// The VM is suspended to disk; starting resumes it.
    Suspended,
    /// A lock that this crate does not know.
    Other(String),
}

impl Lock {
    /// The word PVE uses for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Backup => "backup",
            Self::Clone => "clone",
            Self::Create => "create",
            Self::Destroyed => "destroyed",
            Self::Import => "import",
            Self::Migrate => "migrate",
            Self::Rollback => "rollback",
            Self::Snapshot => "snapshot",
            Self::SnapshotDelete => "snapshot-delete",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Lock {
    fn from(word: &str) -> Self {
        match word {
            "backup" => Self::Backup,
            "clone" => Self::Clone,
            "create" => Self::Create,
            "destroyed" => Self::Destroyed,
            "import" => Self::Import,
            "migrate" => Self::Migrate,
            "rollback" => Self::Rollback,
            "snapshot" => Self::Snapshot,
            "snapshot-delete" => Self::SnapshotDelete,
            "suspending" => Self::Suspending,
            "suspended" => Self::Suspended,
            other => Self::Other(foreign::word(other)),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_locks_round_trip() {
        for word in [
            "backup",
            "clone",
            "create",
            "destroyed",
            "import",
            "migrate",
            "rollback",
            "snapshot",
            "snapshot-delete",
            "suspending",
            "suspended",
            "whatever",
        ] {
            assert_eq!(Lock::from(word).as_str(), word);
        }
    }
}
