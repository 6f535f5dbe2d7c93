//! What high availability wants of the VMs it manages. `work::ha` acts on it.

use serde::{Deserialize, Serialize};

/// The state a managed VM shall be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// It shall run, and is started wherever and whenever it does not.
    Started,
    /// It shall be off.
    Stopped,
}

/// A managed VM.
#[derive(Debug, Clone)]
pub(crate) struct Managed {
    /// The state it shall be in.
    pub(crate) wanted: Wanted,
    /// For a VM that shall be off: how long the guest may take, in seconds; 0 stops it hard.
    pub(crate) patience: Option<f64>,
    /// Since when its node is away, in seconds since the epoch.
    pub(crate) lost: Option<f64>,
    /// The node it was asked to go to, until it sets out.
    pub(crate) target: Option<String>,
}

impl Managed {
    /// A VM that has just been put under management.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            patience: None,
            lost: None,
            target: None,
        }
    }

    /// The state as PVE shows it.
    pub(crate) fn state(&self, runs: bool) -> &'static str {
        match (self.wanted, self.lost, runs) {
            (_, Some(_), _) => "fence",
            _ if self.target.is_some() => "migrate",
            (Wanted::Started, None, _) => "started",
            (Wanted::Stopped, None, true) => "request_stop",
            (Wanted::Stopped, None, false) => "stopped",
        }
    }
}
