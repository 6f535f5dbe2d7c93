//! Bounds of arguments, as the contract states them. Each check answers `invalid` with the name of the parameter.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::bindings::CapabilityError;
use crate::bindings::types::FieldError;
use crate::json;

type Check = Result<(), CapabilityError>;

pub(super) fn invalid(field: &str, message: impl Into<String>) -> CapabilityError {
    CapabilityError::Invalid(FieldError {
        field: field.to_owned(),
        message: message.into(),
    })
}

pub(super) fn number<T: Copy + PartialOrd + Display>(
    field: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Check {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(invalid(
            field,
            format!("is not {} to {}", range.start(), range.end()),
        ))
    }
}

/// Length in characters.
pub(super) fn text(field: &str, value: &str, range: RangeInclusive<usize>) -> Check {
    length(field, value.chars().count(), range, "characters")
}

/// Length in bytes.
pub(super) fn bytes(field: &str, value: &str, range: RangeInclusive<usize>) -> Check {
    length(field, value.len(), range, "bytes")
}

fn length(field: &str, length: usize, range: RangeInclusive<usize>, unit: &str) -> Check {
    if range.contains(&length) {
        Ok(())
    } else {
        Err(invalid(
            field,
            format!("is not {} to {} {unit} long", range.start(), range.end()),
        ))
    }
}

/// A name of the plugin's own: `[a-z][a-z0-9-]{0,39}`.
pub(super) fn name(field: &str, value: &str) -> Check {
    if is_name(value) {
        Ok(())
    } else {
        Err(invalid(
            field,
            "is not a lower-case letter and up to 39 lower-case letters, digits or `-`",
        ))
    }
}

/// Whether a text has the form `[a-z][a-z0-9-]{0,39}` of ids and permission names.
pub(crate) fn is_name(value: &str) -> bool {
    value.len() <= 40
        && value.starts_with(|first: char| first.is_ascii_lowercase())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Form of a snapshot's name in Proxmox VE (`pve-configid`, at most 40 characters). `current` is what its lists call the
/// present state.
pub(super) fn snapshot_name(field: &str, value: &str) -> Check {
    let form = (2..=40).contains(&value.len())
        && value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !form {
        return Err(invalid(
            field,
            "is not 2 to 40 letters, digits, `_` or `-`, a letter first",
        ));
    }
    if value.eq_ignore_ascii_case("current") {
        return Err(invalid(field, "is `current`, which means the present state"));
    }
    Ok(())
}

pub(super) fn json(field: &str, value: &str, max_bytes: usize) -> Check {
    json::check(value, max_bytes).map_err(|fault| invalid(field, fault.to_string()))
}

pub(super) fn json_object(field: &str, value: &str, max_bytes: usize) -> Check {
    json::check_object(value, max_bytes).map_err(|fault| invalid(field, fault.to_string()))
}

/// Shortens a text to at most `max` bytes, at a character boundary.
pub(crate) fn cut(value: &mut String, max: usize) {
    value.truncate(value.floor_char_boundary(max));
}

/// Replaces the control characters that steer a terminal.
pub(crate) fn neutralise(value: &mut String) {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if value.contains(steers) {
        *value = value.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_of_the_contract() {
        assert!(is_name("a") && is_name("reset-password") && is_name(&"x".repeat(40)));
        for bad in ["", "-a", "1a", "A", "a_b", "a/b", "ä", &"x".repeat(41)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn snapshot_names_have_the_form_that_proxmox_wants() {
        assert_eq!(snapshot_name("name", "before_update-2"), Ok(()));
        for bad in ["", "a", "1a", "a b", "a/../b", "current", "ab\n", &"x".repeat(41)] {
            assert!(snapshot_name("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aää".to_owned();
        cut(&mut text, 4);
        assert_eq!(text, "aä");
    }

    #[test]
    fn escape_sequences_do_not_reach_a_terminal() {
        let mut text = "\u{1b}[31mred\r\n\u{9b}x".to_owned();
        neutralise(&mut text);
        assert_eq!(text, " [31mred \n x");
    }
}
