//! What the product allows.

use portico_sdk::prelude::*;
use portico_sdk::settings::Duration;
use portico_sdk::snapshots::Snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;

/// The settings of a product.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Product {
    /// How many snapshots a VM may have; 0 is off. All count, also those made outside the panel.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub(crate) quota: u32,
    /// How long a snapshot is kept before the panel removes it: `1d`, `12h`. Without it, until the customer removes it.
    /// Scheduled snapshots are kept until rotation removes them.
    #[serde(default)]
    pub(crate) lifetime: Option<Duration>,
    /// Whether the memory of a running VM may be part of a snapshot. Needs as much storage again as the VM has memory.
    #[serde(default)]
    pub(crate) include_ram: bool,
    /// Whether products that grant `snapshots:schedule` really have the weekly schedule.
    #[serde(default = "yes")]
    pub(crate) schedule: bool,
}

fn yes() -> bool {
    true
}

impl Product {
    pub(crate) fn of(cx: &Context) -> Result<Self, Error> {
        cx.settings()
    }

    /// The quota as a length of a list.
    pub(crate) fn quota(&self) -> usize {
        usize::try_from(self.quota).unwrap_or(usize::MAX)
    }

    /// Whether the weekly schedule is part of the plan.
    pub(crate) fn schedules(&self, cx: &Context) -> bool {
        self.schedule && self.quota > 0 && cx.permits("schedule")
    }

    /// When a snapshot is removed, in seconds since the epoch. None for one that stays: the product has no lifetime, or
    /// the snapshot is a scheduled one, or not the panel's.
    pub(crate) fn expiry(&self, snapshot: &Snapshot) -> Option<i64> {
        let lifetime = self.lifetime?;
        names::is_manual(&snapshot.name).then(|| snapshot.time.saturating_add(lifetime.seconds()))
    }
}
