//! Types for settings: what a provider writes in its configuration, checked by schema.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The settings of a plugin that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// A span of time, written as a whole number and a unit: `30s`, `15m`, `6h`, `1d`, `2w`. At least a second, at most ten
/// years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    seconds: i64,
}

const PATTERN: &str = "^[1-9][0-9]{0,8}[smhdw]$";
const LONGEST: i64 = 3652 * 86_400;

impl Duration {
    /// A span of seconds, 1 to ten years; others are moved to the nearer bound.
    pub fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds: seconds.clamp(1, LONGEST),
        }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return None,
        };
        // `parse` would take a sign and leading zeros.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) || number.starts_with('0') {
            return None;
        }
        let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
        (1..=LONGEST).contains(&seconds).then_some(Self { seconds })
    }
}

impl fmt::Display for Duration {
    /// In the largest unit that divides it: `1d`, `36h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, length) in [('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60)] {
            if self.seconds % length == 0 {
                return write!(f, "{}{unit}", self.seconds / length);
            }
        }
        write!(f, "{}s", self.seconds)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a span of time: write a number and s, m, h, d or w, ten years at most"
            ))
        })
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "examples": ["30m", "6h", "1d"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<i64, String> {
        serde_json::from_value::<Duration>(text.into())
            .map(Duration::seconds)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn spans_are_read_in_every_unit_and_written_in_the_largest_that_fits() {
        for (text, seconds) in [
            ("1s", 1),
            ("90m", 5_400),
            ("6h", 21_600),
            ("1d", 86_400),
            ("2w", 1_209_600),
        ] {
            assert_eq!(read(text), Ok(seconds));
            assert_eq!(Duration::from_seconds(seconds).to_string(), text);
        }
        assert_eq!(Duration::from_seconds(86_400).to_string(), "1d");
    }

    #[test]
    fn what_is_no_span_is_refused_with_the_forms_that_are() {
        for text in [
            "",
            "d",
            "1",
            "0d",
            "01d",
            "+1d",
            "-1d",
            "1.5h",
            "1 d",
            "1D",
            "1é",
            "é",
            "99999999999999999999s",
            "999999999w",
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains("write a number and s, m, h, d or w"),
                "{text}: {error}"
            );
        }
    }
}
