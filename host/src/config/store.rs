//! `[store]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};

/// Where the panel keeps what it remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The directory of the store, on a local disk, for the panel's user alone. It also holds the components of
    /// plugins and the socket by which commands reach a running panel.
    pub path: PathBuf,
    /// How long the activity log goes back, days.
    pub activity_days: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/portico"),
            activity_days: 400,
        }
    }
}

impl StoreConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        within(problems, "store.activity_days", self.activity_days, 1..=36_500);
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Copies of the plugins' components, by digest.
    pub fn components(&self) -> PathBuf {
        self.path.join("components")
    }

    /// The socket for commands while the panel runs.
    pub fn admin_socket(&self) -> PathBuf {
        self.path.join("admin.sock")
    }
}
