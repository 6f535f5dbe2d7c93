//! `[secrets]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ConfigProblem;
use crate::secret::{Entropy, KeyError, SealingKey};

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
        Self {
            key_file: PathBuf::from("/etc/portico/secret.key"),
            key_env: None,
        }
    }
}

impl SecretsConfig {
    /// Reads the key, from the variable where one is named. A key file that is not there is made.
    pub fn sealing_key(&self, entropy: &dyn Entropy) -> Result<SealingKey, KeyError> {
        match &self.key_env {
            Some(name) => SealingKey::parse(&Zeroizing::new(std::env::var(name).unwrap_or_default())),
            None => SealingKey::load_or_create(&self.key_file, entropy),
        }
    }

    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        if self
            .key_env
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            problems.push(ConfigProblem::new(
                "secrets.key_env",
                "is not the name of a variable",
                "write one such as `PORTICO_KEY`",
            ));
        }
    }
}
