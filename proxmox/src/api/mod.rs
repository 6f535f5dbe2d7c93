//! The calls, one module for each area of PVE's API.
//!
//! Calls about the cluster are methods of [`Client`](crate::Client), calls about one VM of
//! [`Vm`](crate::Vm). A module holds the methods of its area and the types they take and give.
//!
//! To add a call: build its path with `Route` (fixed words and checked identifiers only), its parameters
//! with `Params`, choose its class (does it change anything?), and give its answer a type whose numbers and
//! booleans are read by `lenient`. Test it in `tests/` against a recorded answer, the failing one too.

pub(crate) mod access;
pub(crate) mod agent;
pub(crate) mod backup;
pub(crate) mod clone;
pub(crate) mod cloudinit;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod disks;
pub(crate) mod firewall;
pub(crate) mod media;
pub(crate) mod pending;
pub(crate) mod power;
pub(crate) mod restore;
pub(crate) mod rrd;
pub(crate) mod snapshots;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod task_end;
pub(crate) mod tasks;
pub(crate) mod volume;

use serde::{Deserialize, Deserializer};

use crate::{foreign, lenient};

/// The state of a VM as QEMU or, failing that, PVE has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerState {
    /// The guest runs.
    Running,
    /// There is no QEMU process.
    Stopped,
    /// The guest is paused.
    Paused,
    /// The guest sleeps (ACPI S3).
    Suspended,
    /// QEMU is there, the guest has not begun.
    Prelaunch,
    /// QEMU stopped the guest on a disk error, mostly a full storage.
    IoError,
    /// QEMU stopped the guest on an error of its own.
    InternalError,
    /// The guest has powered down, QEMU is about to end.
    Shutdown,
    /// Nothing is known: the VM's node does not report.
    #[default]
    Unknown,
    /// A state that this crate does not know.
    Other(String),
}

impl PowerState {
    /// The word PVE uses for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Prelaunch => "prelaunch",
            Self::IoError => "io-error",
            Self::InternalError => "internal-error",
            Self::Shutdown => "shutdown",
            Self::Unknown => "unknown",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for PowerState {
    fn from(word: &str) -> Self {
        match word {
            "running" => Self::Running,
            "stopped" => Self::Stopped,
            "paused" => Self::Paused,
            "suspended" => Self::Suspended,
            "prelaunch" => Self::Prelaunch,
            "io-error" => Self::IoError,
            "internal-error" => Self::InternalError,
            "shutdown" => Self::Shutdown,
            "unknown" | "" => Self::Unknown,
            other => Self::Other(foreign::word(other)),
        }
    }
}

impl<'de> Deserialize<'de> for PowerState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(
            lenient::text(deserializer)?.unwrap_or_default().as_str(),
        ))
    }
}

/// Splits the tags of a VM. PVE may answer a single blank for none.
pub(crate) fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(split_tags(&lenient::text(deserializer)?.unwrap_or_default()))
}

pub(crate) fn split_tags(text: &str) -> Vec<String> {
    let words = text.split(|c: char| matches!(c, ';' | ',') || c.is_whitespace());
    words.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}
