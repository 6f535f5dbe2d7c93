//! `[jobs]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};

/// How much background work is done at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// Jobs that run or wait for Proxmox at once, over all clusters.
    pub concurrency: u32,
    /// Jobs that change VMs at once on one node.
    pub per_node: u32,
    /// How often a step that failed for a passing reason is tried again, with growing pauses.
    pub retries: u32,
    /// The first of these pauses, seconds.
    pub backoff_secs: u32,
    /// How long after a request to Proxmox was lost its effect may still come, seconds. Proxmox gives a request for
    /// another node 30 s. Until then a task is looked for and nothing is done again.
    pub grace_secs: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            per_node: 4,
            retries: 5,
            backoff_secs: 5,
            grace_secs: 35,
        }
    }
}

impl JobsConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        within(problems, "jobs.concurrency", self.concurrency, 1..=10_000);
        within(problems, "jobs.per_node", self.per_node, 1..=64);
        within(problems, "jobs.retries", self.retries, 0..=50);
        within(problems, "jobs.backoff_secs", self.backoff_secs, 1..=600);
        within(problems, "jobs.grace_secs", self.grace_secs, 1..=600);
    }
}
