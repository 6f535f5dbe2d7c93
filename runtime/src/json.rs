//! Checks of JSON that a guest made, before anything parses it into a tree.

use serde::de::IgnoredAny;

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Longer than allowed.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Not JSON.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// JSON, but not an object.
    #[error("is not a JSON object")]
    NotAnObject,
}

/// Checks length, depth and syntax without building anything.
pub fn check(text: &str, max_bytes: usize) -> Result<(), JsonFault> {
    if text.len() > max_bytes {
        return Err(JsonFault::TooLong(max_bytes));
    }
    if depth_exceeds(text.as_bytes(), MAX_DEPTH) {
        return Err(JsonFault::TooDeep);
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| JsonFault::Syntax(error.to_string()))?;
    Ok(())
}

/// As [`check`], and the document must be an object.
pub fn check_object(text: &str, max_bytes: usize) -> Result<(), JsonFault> {
    check(text, max_bytes)?;
    if text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        Ok(())
    } else {
        Err(JsonFault::NotAnObject)
    }
}

/// Counts brackets outside strings. Exact for valid JSON; for anything else it may err, and the parser says so.
fn depth_exceeds(text: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(check(&"[".repeat(65), 1000), Err(JsonFault::TooDeep));
        assert_eq!(
            check(&format!("{}{}", "[".repeat(64), "]".repeat(64)), 1000),
            Ok(())
        );
        assert_eq!(check(&format!("[\"\\\"{}\"]", "[".repeat(100)), 1000), Ok(()));
    }

    #[test]
    fn a_thousand_levels_do_not_reach_the_parser() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        assert_eq!(check_object(&deep, usize::MAX), Err(JsonFault::TooDeep));
    }

    #[test]
    fn what_is_not_an_object_is_told_from_what_is_not_json() {
        assert_eq!(check_object(" {} ", 100), Ok(()));
        assert_eq!(check_object("[]", 100), Err(JsonFault::NotAnObject));
        assert!(matches!(check_object("{", 100), Err(JsonFault::Syntax(_))));
        assert!(matches!(check_object("{} x", 100), Err(JsonFault::Syntax(_))));
        assert_eq!(check_object("{}", 1), Err(JsonFault::TooLong(1)));
    }
}
