//! Lines of a task's log.

use serde::{Deserialize, Deserializer};

use crate::lenient;

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogLine {
    /// Its number, from 1.
    #[serde(default, deserialize_with = "number")]
    pub n: u64,
    /// Its text.
    #[serde(default)]
    pub t: String,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(lenient::u64(deserializer)?.unwrap_or(0))
}
