//! Filters of text. What they return is plain text, to be escaped when it is printed, whatever they were given.
#![expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands arguments to filters by value"
)]

use std::borrow::Cow;

use minijinja::{Error, ErrorKind, State, Value, filters};

use super::charge;
use crate::template::value::List;

/// The longest text that a filter makes, in bytes.
const MAX_LENGTH: usize = 1024 * 1024;

fn bounded(state: &State<'_, '_>, text: String) -> Result<String, Error> {
    charge(state, text.len())?;
    Ok(text)
}

pub(super) fn upper(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    bounded(state, text.to_uppercase())
}

pub(super) fn lower(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    bounded(state, text.to_lowercase())
}

pub(super) fn capitalize(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase).into_iter().flatten();
    bounded(
        state,
        first.chain(characters.flat_map(char::to_lowercase)).collect(),
    )
}

/// Each word with a capital.
pub(super) fn title(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for character in text.chars() {
        if begins {
            titled.extend(character.to_uppercase());
        } else {
            titled.extend(character.to_lowercase());
        }
        begins = character.is_whitespace() || matches!(character, '-' | '(' | '/');
    }
    bounded(state, titled)
}

pub(super) fn trim(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    bounded(state, text.trim().to_owned())
}

/// A text or number as text.
pub(super) fn string(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    bounded(state, text.into_owned())
}

pub(super) fn replace(
    state: &State<'_, '_>,
    text: Cow<'_, str>,
    from: Cow<'_, str>,
    to: Cow<'_, str>,
) -> Result<String, Error> {
    if from.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`replace` needs something to replace",
        ));
    }
    let grown = text
        .matches(&*from)
        .count()
        .saturating_mul(to.len())
        .saturating_add(text.len());
    if grown > MAX_LENGTH {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "the text grows too large",
        ));
    }
    bounded(state, text.replace(&*from, &to))
}

/// The first `length` characters, with `…` where some were cut off.
pub(super) fn truncate(state: &State<'_, '_>, text: Cow<'_, str>, length: usize) -> Result<String, Error> {
    match text.char_indices().nth(length) {
        Some((end, _)) => bounded(
            state,
            format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        ),
        None => bounded(state, text.into_owned()),
    }
}

pub(super) fn split(state: &State<'_, '_>, text: Cow<'_, str>, at: Cow<'_, str>) -> Result<Value, Error> {
    if at.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`split` needs a separator",
        ));
    }
    pieces(state, text.split(&*at))
}

pub(super) fn lines(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<Value, Error> {
    pieces(state, text.lines())
}

fn pieces<'a>(state: &State<'_, '_>, pieces: impl Iterator<Item = &'a str>) -> Result<Value, Error> {
    let mut items = Vec::new();
    for piece in pieces {
        charge(state, piece.len())?;
        items.push(Value::from(piece));
    }
    List::from_values(items)
}

/// Text as markup: escaped, and not escaped again when it is printed.
pub(super) fn escape(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let Some(text) = value.as_str() else {
        return Ok(value.clone());
    };
    let mut escaped = String::with_capacity(text.len());
    write_escaped(&mut escaped, text);
    charge(state, escaped.len())?;
    Ok(Value::from_safe_string(escaped))
}

/// Writes text so that it stands for itself in HTML, also in a quoted attribute.
pub(in crate::template) fn write_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
}

/// Percent-encodes a text for a path segment or a query value.
pub(super) fn urlencode(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    if value.as_object().is_some() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`urlencode` takes a text or a number",
        ));
    }
    bounded(state, filters::urlencode(value)?.replace('/', "%2F"))
}
