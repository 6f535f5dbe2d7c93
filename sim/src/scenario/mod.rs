//! Scenario files: TOML that says what the cluster looks like at the start.
//!
//! [`mod@file`] holds the shape of the file, [`build`] makes a world of it and refuses what contradicts itself: with
//! [`vms`], [`fleet`] and [`firewall`]. The built-in demo is `sim/scenarios/demo.toml`.

mod access;
mod build;
mod file;
mod firewall;
mod fleet;
mod vms;

use std::path::Path;

pub(crate) use vms::generated_mac;

pub use crate::world::Durations;

/// What a cluster looks like at the start.
#[derive(Debug, Clone)]
pub struct Scenario {
    file: file::File,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML of the right shape.
    #[error("the scenario is not valid: {0}")]
    Parse(String),
    /// It contradicts itself, or holds a value that PVE would refuse.
    #[error("the scenario is not valid: {place}: {reason}")]
    Content {
        /// Where, such as `vm 100, scsi0`.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

impl Scenario {
    /// Reads a scenario from TOML text.
    ///
    /// # Errors
    /// [`ScenarioError::Parse`] with the line; contradictions show at the start of the simulator.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        match toml::from_str(text) {
            Ok(file) => Ok(Self { file }),
            Err(error) => Err(ScenarioError::Parse(error.to_string().trim_end().to_owned())),
        }
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError::Read`] or [`ScenarioError::Parse`].
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::from_toml(&text)
    }

    /// The built-in demo: two nodes, eight VMs in different states, `root@pam` and the token
    /// `portico@pve!panel`. Its text is [`Scenario::DEMO`].
    pub fn demo() -> Self {
        // A test proves that the text is valid; an empty scenario would be refused at the start.
        Self {
            file: toml::from_str(Self::DEMO).unwrap_or_default(),
        }
    }

    /// The text of the built-in demo.
    pub const DEMO: &'static str = include_str!("../../scenarios/demo.toml");
}
