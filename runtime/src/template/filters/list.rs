//! Filters of lists and maps. What they return is bounded, see `template/value.rs`.
#![expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands arguments to filters by value"
)]

use std::cmp::Ordering;
use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Error, ErrorKind, State, Value, filters};

use super::{charge, text};
use crate::template::value::{List, Map, guard};

/// The longest text that `join` and `tojson` make, in bytes.
const MAX_LENGTH: usize = 512 * 1024;

/// The most numbers that `range` gives.
const MAX_RANGE: usize = 10_000;

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// The items of a list, or of what the engine can iterate; the keys of a map.
fn collect(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let mut items = Vec::new();
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        items.push(item);
    }
    Ok(items)
}

pub(super) fn length(value: &Value) -> Result<usize, Error> {
    filters::length(value)
}

pub(super) fn first(value: &Value) -> Result<Value, Error> {
    filters::first(value)
}

pub(super) fn last(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => Ok(text.chars().next_back().map_or(Value::UNDEFINED, Value::from)),
        None => Ok(collect(state, value)?.pop().unwrap_or(Value::UNDEFINED)),
    }
}

pub(super) fn list(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    guard(state, &Value::from(collect(state, value)?))
}

pub(super) fn reverse(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        charge(state, text.len())?;
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut items = collect(state, value)?;
    items.reverse();
    guard(state, &Value::from(items))
}

/// The pairs of a map: lists of key and value, in the order of the keys.
pub(super) fn items(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let guarded = guard(state, value)?;
    let map = guarded
        .downcast_object_ref::<Map>()
        .ok_or_else(|| invalid("`items` takes a map"))?;
    let mut pairs = Vec::new();
    for (key, value) in map.entries() {
        state.consume_fuel(1)?;
        pairs.push(List::from_values(vec![Value::from(key.clone()), value.clone()])?);
    }
    List::from_values(pairs)
}

/// Lists of at most `size` items each.
pub(super) fn batch(state: &State<'_, '_>, value: &Value, size: usize) -> Result<Value, Error> {
    let items = collect(state, value)?;
    let rows = items
        .chunks(size.max(1))
        .map(|row| guard(state, &Value::from(row.to_vec())));
    List::from_values(rows.collect::<Result<_, _>>()?)
}

/// Joins texts and numbers. Where one of them is markup the result is markup, and the others are escaped in it.
pub(super) fn join(state: &State<'_, '_>, value: &Value, between: Option<Value>) -> Result<Value, Error> {
    let items = collect(state, value)?;
    let between = between.unwrap_or_else(|| Value::from(""));
    let html = matches!(state.auto_escape(), AutoEscape::Html);
    let markup = html && (between.is_safe() || items.iter().any(Value::is_safe));
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        for piece in (index > 0).then_some(&between).into_iter().chain([item]) {
            let start = joined.len();
            match piece.as_str() {
                Some(text) if markup && !piece.is_safe() => text::write_escaped(&mut joined, text),
                Some(text) => joined.push_str(text),
                None if piece.is_none() => {}
                None if piece.as_object().is_some() || piece.is_undefined() => {
                    return Err(invalid("`join` takes a list of texts and numbers"));
                }
                None => {
                    let _ = write!(joined, "{piece}");
                }
            }
            charge(state, joined.len() - start)?;
            if joined.len() > MAX_LENGTH {
                return Err(invalid("the joined text grows too large"));
            }
        }
    }
    Ok(if markup {
        Value::from_safe_string(joined)
    } else {
        Value::from(joined)
    })
}

/// By what items are put into order: numbers before texts, texts without regard to case.
enum Key {
    Number(f64),
    Text(String),
}

impl Key {
    /// The key of an item, or of its attribute. Charges for `comparisons` of it.
    fn of(
        state: &State<'_, '_>,
        item: &Value,
        attribute: Option<&str>,
        comparisons: usize,
    ) -> Result<Self, Error> {
        let value = match attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item.clone(),
        };
        if let Some(text) = value.as_str() {
            charge(state, text.len().saturating_mul(comparisons))?;
            return Ok(Self::Text(text.to_lowercase()));
        }
        state.consume_fuel(u64::try_from(comparisons).unwrap_or(u64::MAX))?;
        match f64::try_from(value) {
            Ok(number) if !number.is_nan() => Ok(Self::Number(number)),
            _ => Err(invalid("only texts and numbers have an order")),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

fn keyed(
    state: &State<'_, '_>,
    value: &Value,
    attribute: Option<&str>,
    sorting: bool,
) -> Result<Vec<(Key, Value)>, Error> {
    let items = collect(state, value)?;
    let comparisons = if sorting {
        items.len().checked_ilog2().unwrap_or(0) as usize + 1
    } else {
        1
    };
    items
        .into_iter()
        .map(|item| Ok((Key::of(state, &item, attribute, comparisons)?, item)))
        .collect()
}

pub(super) fn sort(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let attribute = options.get::<Option<&str>>("attribute")?;
    let reverse = options.get::<Option<bool>>("reverse")?.unwrap_or(false);
    options.assert_all_used()?;
    let mut items = keyed(state, value, attribute, true)?;
    items.sort_by(|(a, _), (b, _)| if reverse { b.compare(a) } else { a.compare(b) });
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    guard(state, &Value::from(items))
}

pub(super) fn unique(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let attribute = options.get::<Option<&str>>("attribute")?;
    options.assert_all_used()?;
    let mut items: Vec<(usize, (Key, Value))> = keyed(state, value, attribute, true)?
        .into_iter()
        .enumerate()
        .collect();
    items.sort_by(|(_, (a, _)), (_, (b, _))| a.compare(b));
    items.dedup_by(|(_, (later, _)), (_, (earlier, _))| later.compare(earlier) == Ordering::Equal);
    items.sort_by_key(|(index, _)| *index);
    let items: Vec<Value> = items.into_iter().map(|(_, (_, item))| item).collect();
    guard(state, &Value::from(items))
}

fn extreme(state: &State<'_, '_>, value: &Value, options: &Kwargs, wanted: Ordering) -> Result<Value, Error> {
    let attribute = options.get::<Option<&str>>("attribute")?;
    options.assert_all_used()?;
    let best = keyed(state, value, attribute, false)?
        .into_iter()
        .reduce(|best, item| {
            if item.0.compare(&best.0) == wanted {
                item
            } else {
                best
            }
        });
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

pub(super) fn min(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    extreme(state, value, &options, Ordering::Less)
}

pub(super) fn max(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    extreme(state, value, &options, Ordering::Greater)
}

/// The sum of numbers.
pub(super) fn sum(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let attribute = options.get::<Option<&str>>("attribute")?;
    options.assert_all_used()?;
    let mut total = Value::from(0);
    for item in collect(state, value)? {
        let number = match attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        total = super::number::plus(&total, &number)?;
    }
    Ok(total)
}

/// The results of a filter for each item, or an attribute of each.
pub(super) fn map(
    state: &mut State<'_, '_>,
    value: &Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let mut results = Vec::new();
    let (name, attribute) = match arguments.first() {
        Some(first) => match Kwargs::try_from(first.clone()) {
            Ok(options) => {
                let attribute = options.get::<String>("attribute")?;
                options.assert_all_used()?;
                (None, Some(attribute))
            }
            Err(_) => (
                Some(
                    first
                        .as_str()
                        .ok_or_else(|| invalid("`map` takes the name of a filter"))?
                        .to_owned(),
                ),
                None,
            ),
        },
        None => {
            return Err(invalid(
                "`map` takes the name of a filter, or `attribute=` a name",
            ));
        }
    };
    for item in collect(state, value)? {
        results.push(if let Some(attribute) = &attribute {
            item.get_attr(attribute)?
        } else {
            let mut call = vec![item];
            call.extend(arguments.iter().skip(1).cloned());
            charge(state, call.first().and_then(Value::as_str).map_or(0, str::len))?;
            let result = state.apply_filter(name.as_deref().unwrap_or_default(), &call)?;
            charge(state, result.as_str().map_or(0, str::len))?;
            result
        });
    }
    guard(state, &Value::from(results))
}

/// The items that pass a test, or do not.
fn filtered(
    state: &mut State<'_, '_>,
    value: &Value,
    attribute: Option<&str>,
    arguments: &[Value],
    keep: bool,
) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for item in collect(state, value)? {
        let tested = match attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item.clone(),
        };
        let passed = match arguments.split_first() {
            Some((test, rest)) => {
                let name = test
                    .as_str()
                    .ok_or_else(|| invalid("the test is given by its name"))?
                    .to_owned();
                charge(state, tested.as_str().map_or(0, str::len))?;
                let mut call = vec![tested];
                call.extend(rest.iter().cloned());
                state.perform_test(&name, &call)?
            }
            None => tested.is_true(),
        };
        if passed == keep {
            kept.push(item);
        }
    }
    guard(state, &Value::from(kept))
}

pub(super) fn select(
    state: &mut State<'_, '_>,
    value: &Value,
    arguments: Rest<Value>,
) -> Result<Value, Error> {
    filtered(state, value, None, &arguments, true)
}

pub(super) fn reject(
    state: &mut State<'_, '_>,
    value: &Value,
    arguments: Rest<Value>,
) -> Result<Value, Error> {
    filtered(state, value, None, &arguments, false)
}

pub(super) fn selectattr(
    state: &mut State<'_, '_>,
    value: &Value,
    attribute: &str,
    arguments: Rest<Value>,
) -> Result<Value, Error> {
    filtered(state, value, Some(attribute), &arguments, true)
}

pub(super) fn rejectattr(
    state: &mut State<'_, '_>,
    value: &Value,
    attribute: &str,
    arguments: Rest<Value>,
) -> Result<Value, Error> {
    filtered(state, value, Some(attribute), &arguments, false)
}

/// JSON as text: escaped where it is printed, so that an attribute such as the chart's `data` can hold it.
pub(super) fn tojson(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let guarded = guard(state, value)?;
    let mut out = String::new();
    write_json(state, &guarded, &mut out)?;
    Ok(out)
}

fn write_json(state: &State<'_, '_>, value: &Value, out: &mut String) -> Result<(), Error> {
    if out.len() > MAX_LENGTH {
        return Err(invalid("the JSON grows too large"));
    }
    if let Some(list) = value.downcast_object_ref::<List>() {
        out.push('[');
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_json(state, item, out)?;
        }
        out.push(']');
        return state.consume_fuel(1);
    }
    if let Some(map) = value.downcast_object_ref::<Map>() {
        out.push('{');
        for (index, (key, item)) in map.entries().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_json_text(key, out);
            out.push(':');
            write_json(state, item, out)?;
        }
        out.push('}');
        return state.consume_fuel(1);
    }
    let start = out.len();
    match value.as_str() {
        Some(text) => write_json_text(text, out),
        None if value.is_none() || value.is_undefined() => out.push_str("null"),
        None if value.is_number() => match f64::try_from(value.clone()) {
            Ok(number) if !number.is_finite() => out.push_str("null"),
            _ => {
                let _ = write!(out, "{value}");
            }
        },
        None if value.as_object().is_some() || value.as_bytes().is_some() => {
            return Err(invalid("this cannot be written as JSON"));
        }
        None => {
            let _ = write!(out, "{value}");
        }
    }
    charge(state, out.len() - start)
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// The function `range`: whole numbers from `lower` (0 when only one is given) up to before `upper`, by `step`.
pub(super) fn range(
    state: &State<'_, '_>,
    lower: i64,
    upper: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Error> {
    let (lower, upper) = upper.map_or((0, lower), |upper| (lower, upper));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(invalid("`range` needs a step that is not 0"));
    }
    let mut items = Vec::new();
    let mut next = Some(lower);
    while let Some(number) = next.filter(|number| {
        if step > 0 {
            *number < upper
        } else {
            *number > upper
        }
    }) {
        if items.len() == MAX_RANGE {
            return Err(invalid("`range` has too many numbers"));
        }
        state.consume_fuel(1)?;
        items.push(Value::from(number));
        next = number.checked_add(step);
    }
    List::from_values(items)
}
