//! Reading of scalars that change their JSON type with the PVE version and the call.
//!
//! A number comes as number, as decimal string or in scientific notation (`"1e+10"`); a boolean as
//! `0`/`1`, as such a string, as a real boolean or not at all; a text that looks like a number comes as a
//! number. What PVE can have meant is taken; anything else (a list, `"abc"` for a number) is an error.
//!
//! Use the functions with `#[serde(default, deserialize_with = "lenient::u64")]`.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, de};

use crate::foreign;

/// A JSON scalar of any type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

/// A scalar that is not what the field wants. It tells of what type it is and nothing of its content, which may be a
/// secret or a guest's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {wanted}, got {got}")]
pub(crate) struct WrongScalar {
    wanted: &'static str,
    got: &'static str,
}

impl Scalar {
    fn wrong(&self, wanted: &'static str) -> WrongScalar {
        let got = match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "another number",
            Self::Text(_) => "a text",
        };
        WrongScalar { wanted, got }
    }

    /// A whole number; `None` for null and for a blank text. Fractions are cut off.
    pub(crate) fn to_u64(&self) -> Result<Option<u64>, WrongScalar> {
        const WANTED: &str = "a whole number of at least 0";
        match self {
            Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(u64::from(*value))),
            Self::Unsigned(value) => Ok(Some(*value)),
            Self::Signed(value) => u64::try_from(*value).map(Some).map_err(|_| self.wrong(WANTED)),
            Self::Float(value) => whole(*value).map(Some).ok_or_else(|| self.wrong(WANTED)),
            Self::Text(text) => match text.trim() {
                "" => Ok(None),
                text => match text.parse::<u64>() {
                    Ok(value) => Ok(Some(value)),
                    Err(_) => text
                        .parse()
                        .ok()
                        .and_then(whole)
                        .map(Some)
                        .ok_or_else(|| self.wrong(WANTED)),
                },
            },
        }
    }

    /// A finite number; `None` for null and for a blank text.
    pub(crate) fn to_f64(&self) -> Result<Option<f64>, WrongScalar> {
        let value = match self {
            Self::Null => return Ok(None),
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Unsigned(value) => float(*value),
            Self::Signed(value) => float(value.unsigned_abs()).copysign(if *value < 0 { -1.0 } else { 1.0 }),
            Self::Float(value) => *value,
            Self::Text(text) if text.trim().is_empty() => return Ok(None),
            Self::Text(text) => text.trim().parse().map_err(|_| self.wrong("a number"))?,
        };
        if value.is_finite() {
            Ok(Some(value))
        } else {
            Err(self.wrong("a finite number"))
        }
    }

    /// A boolean; `None` for null and for a blank text.
    pub(crate) fn to_bool(&self) -> Result<Option<bool>, WrongScalar> {
        match self {
            Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(*value)),
            Self::Unsigned(0) | Self::Signed(0) => Ok(Some(false)),
            Self::Unsigned(1) | Self::Signed(1) => Ok(Some(true)),
            Self::Text(text) if text.trim().is_empty() => Ok(None),
            Self::Text(text) => parse_bool(text.trim())
                .map(Some)
                .ok_or_else(|| self.wrong("0 or 1")),
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => Err(self.wrong("0 or 1")),
        }
    }

    /// A text; `None` for null.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(u8::from(*value).to_string()),
            Self::Unsigned(value) => Some(value.to_string()),
            Self::Signed(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(text) => Some(text.clone()),
        }
    }
}

/// A boolean as PVE takes it inside property strings.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before the cast"
)]
fn whole(value: f64) -> Option<u64> {
    // 2^64 is the first float that does not fit.
    (value.is_finite() && (0.0..18_446_744_073_709_551_616.0).contains(&value)).then_some(value as u64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "measured values; a rounding in the 53rd bit does not matter"
)]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, a boolean or null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_none<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// A whole number of at least 0, if there is one.
pub(crate) fn u64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Scalar::deserialize(deserializer)?
        .to_u64()
        .map_err(de::Error::custom)
}

/// A figure that only informs: whatever is no number of at least 0 counts as not known, so that one odd figure does
/// not take a whole answer along.
pub(crate) fn measured<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = any_scalar(deserializer)?.and_then(|scalar| scalar.to_f64().ok().flatten());
    Ok(number.filter(|number| *number >= 0.0))
}

/// A count that only informs, as [`measured`].
pub(crate) fn counted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(any_scalar(deserializer)?.and_then(|scalar| scalar.to_u64().ok().flatten()))
}

fn any_scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scalar>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// A boolean; absent counts as false, as PVE means it.
pub(crate) fn bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Scalar::deserialize(deserializer)?
        .to_bool()
        .map_err(de::Error::custom)?
        .unwrap_or(false))
}

/// A text, if there is one; numbers become their decimal form.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Scalar::deserialize(deserializer)?.to_text())
}

/// What is wrong with an answer, without the values that serde quotes: they may be long, secret, or a guest's.
pub(crate) fn without_content(problem: &str) -> String {
    const QUOTING: [&str; 4] = [
        "invalid type: ",
        "invalid value: ",
        "unknown variant ",
        "unknown field ",
    ];
    let cut = QUOTING.iter().find_map(|start| {
        // What is expected comes last and from this crate; anything may be in the value before it.
        let (got, wanted) = problem.strip_prefix(start)?.rsplit_once(", expected ")?;
        let quote = got.find(['"', '`']);
        let kind = got.get(..quote?).unwrap_or_default();
        Some(format!("{start}{kind}`…`, expected {wanted}"))
    });
    let cut = cut.or_else(|| {
        let (from, to) = (problem.find('"')?, problem.rfind('"')?);
        let (before, after) = (problem.get(..from)?, problem.get(to + 1..)?);
        Some(format!("{before}`…`{after}"))
    });
    foreign::kept(cut.as_deref().unwrap_or(problem), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Row {
        #[serde(default, deserialize_with = "u64")]
        n: Option<u64>,
        #[serde(default, deserialize_with = "bool")]
        b: bool,
        #[serde(default, deserialize_with = "text")]
        t: Option<String>,
    }

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    fn number(json: &str) -> Result<Option<f64>, WrongScalar> {
        serde_json::from_str::<Scalar>(json).unwrap().to_f64()
    }

    fn fails(json: &str) -> bool {
        serde_json::from_str::<Row>(json).is_err()
    }

    #[test]
    fn whole_numbers_are_read_from_numbers_strings_and_scientific_notation() {
        assert_eq!(row(r#"{"n":2048}"#).n, Some(2048));
        assert_eq!(row(r#"{"n":"2048"}"#).n, Some(2048));
        assert_eq!(row(r#"{"n":"1.073741824e+10"}"#).n, Some(10_737_418_240));
        assert_eq!(row(r#"{"n":1.5e3}"#).n, Some(1500));
        assert_eq!(row(r#"{"n":18446744073709551615}"#).n, Some(u64::MAX));
    }

    #[test]
    fn absent_null_and_blank_numbers_are_none() {
        assert_eq!(row("{}").n, None);
        assert_eq!(row(r#"{"n":null}"#).n, None);
        assert_eq!(row(r#"{"n":" "}"#).n, None);
        assert_eq!(number(r#""""#), Ok(None));
    }

    #[test]
    fn numbers_out_of_range_and_things_that_are_no_numbers_are_errors() {
        for bad in [
            r#"{"n":-1}"#,
            r#"{"n":1e30}"#,
            r#"{"n":"abc"}"#,
            r#"{"n":[1]}"#,
            r#"{"n":"NaN"}"#,
        ] {
            assert!(fails(bad), "{bad}");
        }
        for bad in [r#""inf""#, r#""x""#] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fractions_are_read_from_numbers_and_strings() {
        for (json, value) in [("0.25", 0.25), (r#""12.5""#, 12.5), ("-3", -3.0), ("7", 7.0)] {
            assert_eq!(number(json), Ok(Some(value)), "{json}");
        }
    }

    #[test]
    fn booleans_are_read_in_every_form_and_absent_is_false() {
        for yes in [
            r#"{"b":1}"#,
            r#"{"b":"1"}"#,
            r#"{"b":true}"#,
            r#"{"b":"yes"}"#,
            r#"{"b":"on"}"#,
        ] {
            assert!(row(yes).b, "{yes}");
        }
        for no in [
            "{}",
            r#"{"b":0}"#,
            r#"{"b":"0"}"#,
            r#"{"b":false}"#,
            r#"{"b":null}"#,
            r#"{"b":""}"#,
        ] {
            assert!(!row(no).b, "{no}");
        }
        for bad in [r#"{"b":2}"#, r#"{"b":"maybe"}"#, r#"{"b":0.5}"#, r#"{"b":{}}"#] {
            assert!(fails(bad), "{bad}");
        }
    }

    #[test]
    fn a_text_that_came_as_a_number_keeps_its_digits() {
        assert_eq!(row(r#"{"t":123}"#).t.as_deref(), Some("123"));
        assert_eq!(row(r#"{"t":"0123"}"#).t.as_deref(), Some("0123"));
        assert_eq!(row(r#"{"t":null}"#).t, None);
    }

    #[test]
    fn a_problem_is_told_without_the_texts_of_the_answer_and_briefly() {
        let long = "x".repeat(5000);
        let problem = serde_json::from_value::<u8>(serde_json::json!(format!("\u{7}{long}"))).unwrap_err();
        let told = without_content(&problem.to_string());
        assert_eq!(told, "invalid type: string `…`, expected u8");
        assert_eq!(without_content(&long).len(), 200);
        assert_eq!(without_content("missing field `data`\n"), "missing field `data`");
        for (quoted, told) in [
            (
                "invalid type: integer `4711`, expected a string",
                "invalid type: integer `…`, expected a string",
            ),
            (
                "invalid type: map, expected a string",
                "invalid type: map, expected a string",
            ),
            (
                "invalid value: string \"x, expected `4711`\", expected 1 at line 1 column 9",
                "invalid value: string `…`, expected 1 at line 1 column 9",
            ),
            (
                "unknown variant `4711`, expected `a`",
                "unknown variant `…`, expected `a`",
            ),
        ] {
            assert_eq!(without_content(quoted), told);
        }
    }

    #[test]
    fn what_is_wrong_with_a_scalar_is_told_without_it() {
        for (json, told) in [
            (
                r#"{"n":"hunter2"}"#,
                "expected a whole number of at least 0, got a text",
            ),
            (r#"{"b":"hunter2"}"#, "expected 0 or 1, got a text"),
            (r#"{"b":4711}"#, "expected 0 or 1, got another number"),
        ] {
            let problem = serde_json::from_str::<Row>(json).unwrap_err().to_string();
            assert!(problem.starts_with(told), "{problem}");
        }
    }

    #[test]
    fn a_figure_that_only_informs_is_never_an_error() {
        #[derive(Debug, Deserialize)]
        struct Figures {
            #[serde(default, deserialize_with = "measured")]
            x: Option<f64>,
            #[serde(default, deserialize_with = "counted")]
            n: Option<u64>,
        }
        let read = |json: &str| {
            let figures = serde_json::from_str::<Figures>(json).unwrap();
            (figures.x, figures.n)
        };
        assert_eq!(read(r#"{"x":"0.5","n":"1e3"}"#), (Some(0.5), Some(1000)));
        for odd in [
            "{}",
            r#"{"x":-1,"n":-1}"#,
            r#"{"x":"U","n":"U"}"#,
            r#"{"x":[1],"n":{"a":1}}"#,
            r#"{"x":null,"n":1e30}"#,
        ] {
            assert_eq!(read(odd), (None, None), "{odd}");
        }
    }
}
