//! `[requests]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};
use crate::auth::Rate;
use crate::web::rates::RateLimits;

/// How often somebody may ask before he is answered with 429 and told when to come back. The numbers can be used at
/// once and are earned anew evenly over the time. Each process counts for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestsConfig {
    /// Pages and their live parts, a customer, in a minute. An open page that shows an operation at work asks for two
    /// parts a second, any other one for two in 7 seconds, one in the background for none.
    pub pages_per_minute: u32,
    /// Actions on services, such as starting a VM or taking a snapshot, a customer, in a minute.
    pub actions_per_minute: u32,
    /// Changes of the profile, of the password among them, a customer, in ten minutes.
    pub account_per_ten_minutes: u32,
    /// Requests of one address that is not signed in, in a minute. An IPv6 line (/64) is one address. Wrong passwords
    /// have stricter limits of their own.
    pub visitors_per_minute: u32,
    /// The customers and the addresses that are remembered, of each kind; about 50 bytes each.
    pub remembered: u32,
}

impl Default for RequestsConfig {
    fn default() -> Self {
        Self {
            pages_per_minute: 1_200,
            actions_per_minute: 60,
            account_per_ten_minutes: 20,
            visitors_per_minute: 300,
            remembered: 50_000,
        }
    }
}

impl RequestsConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        for (key, value, least) in [
            // Fewer, and a single page that is left open would be refused.
            ("requests.pages_per_minute", self.pages_per_minute, 120),
            ("requests.actions_per_minute", self.actions_per_minute, 1),
            (
                "requests.account_per_ten_minutes",
                self.account_per_ten_minutes,
                1,
            ),
            ("requests.visitors_per_minute", self.visitors_per_minute, 10),
        ] {
            within(problems, key, value, least..=1_000_000);
        }
        within(problems, "requests.remembered", self.remembered, 100..=10_000_000);
    }

    /// The same for the pages.
    pub fn limits(&self) -> RateLimits {
        const MINUTE: Duration = Duration::from_mins(1);
        RateLimits {
            pages: Rate::new(self.pages_per_minute, MINUTE),
            actions: Rate::new(self.actions_per_minute, MINUTE),
            account: Rate::new(self.account_per_ten_minutes, MINUTE * 10),
            visitors: Rate::new(self.visitors_per_minute, MINUTE),
            max_keys: usize::try_from(self.remembered).unwrap_or(usize::MAX),
        }
    }
}
