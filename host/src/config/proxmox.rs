//! `[proxmox]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};

/// How often Proxmox is asked. However many customers look, one answer serves them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxmoxConfig {
    /// How old the status of a VM may be on a page, milliseconds.
    pub status_ms: u32,
    /// The same shortly after an action, milliseconds.
    pub status_after_action_ms: u32,
    /// How long "shortly after an action" is, milliseconds.
    pub after_action_ms: u32,
    /// How old a VM's hardware and the abilities of its storage may be, milliseconds.
    pub hardware_ms: u32,
    /// How old the list of all VMs may be, milliseconds.
    pub list_ms: u32,
    /// How long a page waits for a newer answer before it shows the last one with its age, milliseconds.
    pub page_budget_ms: u32,
    /// How often a node with running tasks is asked for them, milliseconds.
    pub task_poll_ms: u32,
}

impl Default for ProxmoxConfig {
    fn default() -> Self {
        Self {
            status_ms: 5_000,
            status_after_action_ms: 900,
            after_action_ms: 30_000,
            hardware_ms: 30_000,
            list_ms: 5_000,
            page_budget_ms: 1_500,
            task_poll_ms: 1_000,
        }
    }
}

impl ProxmoxConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        within(problems, "proxmox.status_ms", self.status_ms, 500..=60_000);
        within(
            problems,
            "proxmox.status_after_action_ms",
            self.status_after_action_ms,
            250..=60_000,
        );
        within(
            problems,
            "proxmox.after_action_ms",
            self.after_action_ms,
            1_000..=600_000,
        );
        within(problems, "proxmox.hardware_ms", self.hardware_ms, 1_000..=600_000);
        within(problems, "proxmox.list_ms", self.list_ms, 1_000..=600_000);
        within(
            problems,
            "proxmox.page_budget_ms",
            self.page_budget_ms,
            100..=10_000,
        );
        within(problems, "proxmox.task_poll_ms", self.task_poll_ms, 250..=60_000);
    }
}
