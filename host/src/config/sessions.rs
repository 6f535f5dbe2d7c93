//! `[sessions]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};

/// How long sign-ins last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// A sign-in ends when it was not used for this long, minutes.
    pub idle_minutes: u32,
    /// A sign-in ends after this long, used or not, hours.
    pub absolute_hours: u32,
    /// The most sign-ins of a customer at once; the one unused for longest makes room.
    pub per_customer: u32,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            idle_minutes: 8 * 60,
            absolute_hours: 14 * 24,
            per_customer: 20,
        }
    }
}

impl SessionsConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        within(
            problems,
            "sessions.idle_minutes",
            self.idle_minutes,
            5..=14 * 24 * 60,
        );
        within(
            problems,
            "sessions.absolute_hours",
            self.absolute_hours,
            1..=90 * 24,
        );
        within(problems, "sessions.per_customer", self.per_customer, 1..=1_000);
        if self.idle_minutes > self.absolute_hours.saturating_mul(60) {
            problems.push(ConfigProblem::new(
                "sessions.idle_minutes",
                "is longer than `absolute_hours`",
                "make it shorter, or `absolute_hours` longer",
            ));
        }
    }
}
