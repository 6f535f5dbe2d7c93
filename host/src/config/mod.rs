//! The server's config, `portico.toml`: one file a section, each a struct with defaults, a doc line a field, and
//! a `validate` that names key and remedy.
//!
//! [`Config::load`] reads and validates it; unknown keys fail. [`mod@reference`] writes the commented sample and the
//! reference page from the very same doc lines.
//!
//! To add a key: the field with its doc line and default in its section, and what may be wrong with it in the
//! section's `validate`. To add a section: a file here, a field in [`Config`] and a line in
//! [`Config::validate`].
//!
//! Deliberately not here: what is sold to whom ([`crate::provider`]), and secrets, of which the config only
//! says where they are.

mod jobs;
mod log;
mod mail;
mod metrics;
mod plugins;
mod proxmox;
pub mod reference;
mod requests;
mod secrets;
mod server;
mod sessions;
mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use portico_runtime::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::jobs::JobsConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::mail::{MailConfig, MailTransportKind, SmtpConfig, SmtpSecurityConfig};
pub use self::metrics::MetricsConfig;
pub use self::plugins::PluginsConfig;
pub use self::proxmox::ProxmoxConfig;
pub use self::requests::RequestsConfig;
pub use self::secrets::SecretsConfig;
pub use self::server::ServerConfig;
pub use self::sessions::SessionsConfig;
pub use self::store::StoreConfig;

/// The whole config.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the panel listens.
    pub server: ServerConfig,
    /// Where the panel keeps what it remembers.
    pub store: StoreConfig,
    /// The key that seals secrets in the store.
    pub secrets: SecretsConfig,
    /// How mails are sent.
    pub mail: MailConfig,
    /// How long sign-ins last.
    pub sessions: SessionsConfig,
    /// How often somebody may ask.
    pub requests: RequestsConfig,
    /// How often Proxmox is asked.
    pub proxmox: ProxmoxConfig,
    /// How much background work is done at once.
    pub jobs: JobsConfig,
    /// How plugins are run.
    pub plugins: PluginsConfig,
    /// What plugins may use up. The defaults suit Rust plugins.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Figures for Prometheus.
    pub metrics: MetricsConfig,
}

/// One thing that is wrong with the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key's path, such as `server.public_url`.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ConfigProblem {
    fn new(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` {}", self.key, self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(out, "\n    hint: {}", self.hint)
        }
    }
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the config `{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key that is not known or a value of the wrong type.
    #[error("the config `{}` is wrong{}: {message}", path.display(), line.map(|line| format!(" in line {line}")).unwrap_or_default())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// Values that do not do.
    #[error("the config `{}` is wrong:\n{}", path.display(), list(problems))]
    Values {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<ConfigProblem>,
    },
}

fn list(problems: &[ConfigProblem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

impl Config {
    /// Reads and validates the config in `path`. Its relative paths start from the folder it is in.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads and validates `text`, the content of `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Form {
            path: path.to_owned(),
            line: error
                .span()
                .map(|span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1),
            message: error.message().lines().collect::<Vec<_>>().join(" "),
        })?;
        if let Some(folder) = path.parent() {
            config.resolve(folder);
        }
        let problems = config.validate();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Values {
                path: path.to_owned(),
                problems,
            })
        }
    }

    /// Makes all paths start from `folder`.
    fn resolve(&mut self, folder: &Path) {
        let paths = [
            Some(&mut self.store.path),
            Some(&mut self.secrets.key_file),
            Some(&mut self.mail.directory),
        ]
        .into_iter()
        .chain([
            self.server.tls_cert.as_mut(),
            self.server.tls_key.as_mut(),
            self.mail.smtp.ca_file.as_mut(),
        ]);
        for path in paths.flatten() {
            *path = folder.join(&path);
        }
        if let Some(crate::domain::SecretRef::File(path)) = &mut self.mail.smtp.password {
            *path = folder.join(&path);
        }
    }

    /// Everything that is wrong with the values.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        self.server.validate(&mut problems);
        self.store.validate(&mut problems);
        self.secrets.validate(&mut problems);
        self.mail.validate(&mut problems);
        self.sessions.validate(&mut problems);
        self.requests.validate(&mut problems);
        self.proxmox.validate(&mut problems);
        self.jobs.validate(&mut problems);
        self.log.validate(&mut problems);
        if let Err(error) = self.limits.validate() {
            problems.push(ConfigProblem::new(
                &format!("limits.{}", error.key),
                format!("is out of range: {error}"),
                "",
            ));
        }
        problems
    }
}

/// Notes a number that is out of its range.
fn within<N: PartialOrd + fmt::Display + Copy>(
    problems: &mut Vec<ConfigProblem>,
    key: &str,
    value: N,
    range: std::ops::RangeInclusive<N>,
) {
    if !range.contains(&value) {
        let message = format!("must be {} to {}, not {value}", range.start(), range.end());
        problems.push(ConfigProblem::new(key, message, ""));
    }
}
