//! `[secrets]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigProblem;

/// The key that seals secrets in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// The file with the key, 64 hexadecimal digits, mode 0600. It is made when it is not there. Back it up, and
    /// apart from the store: each is of no use without the other.
    pub key_file: PathBuf,
    /// The environment variable with the key, in place of the file.
    #[schemars(extend("examples" = ["PORTICO_KEY"]))]
    pub key_env: Option<String>,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self { key_file: PathBuf::from("/etc/portico/secret.key"), key_env: None }
    }
}

impl SecretsConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        if self.key_env.as_ref().is_some_and(|name| name.is_empty() || name.contains(['=', '\0'])) {
            problems.push(ConfigProblem::new("secrets.key_env", "is not the name of a variable", "write one such as `PORTICO_KEY`"));
        }
    }
}
