//! `[plugins]`: how plugins are run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How plugins are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginsConfig {
    /// Reset the memory of plugins the fast way, which looks only at pages that were written. It is used only on a
    /// machine without swap, because a page that was swapped out would not be seen.
    pub fast_reset: bool,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self { fast_reset: true }
    }
}
