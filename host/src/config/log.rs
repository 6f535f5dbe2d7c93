//! `[log]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::ConfigProblem;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` for people, `json` for a log store. Either goes to stderr.
    pub format: LogFormat,
    /// What is logged: a level (`warn`, `info`, `debug`), or a level a module (`info,portico_proxmox=debug`).
    pub filter: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

impl LogConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        if EnvFilter::try_new(&self.filter).is_err() {
            problems.push(ConfigProblem::new(
                "log.filter",
                "is not a filter",
                "write a level such as `info`, or `info,portico_proxmox=debug`",
            ));
        }
    }
}
