//! Values that are read as they are: references to secrets, settings, and where keys stand.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{SECRET_FORM, Source};
use crate::domain::SecretRef;
use crate::domain::settings::{SECRET_KEY, secret_value};

/// How deep settings may nest.
const MAX_DEPTH: usize = 32;

/// Reads `{ env = "NAME" }` or `{ file = "path" }`.
pub(super) fn secret_in(source: &Source<'_>, table: &DeTable<'_>) -> Option<SecretRef> {
    if table.len() != 1 {
        return None;
    }
    let text = |key: &str| {
        table
            .get(key)
            .and_then(|value| value.get_ref().as_str())
            .filter(|text| !text.is_empty())
    };
    if let Some(name) = text("env") {
        let good = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return good.then(|| SecretRef::Env(name.to_owned()));
    }
    text("file").map(|path| SecretRef::File(source.path(path)))
}

/// Reads a table as settings.
pub(super) fn json_table(
    source: &Source<'_>,
    table: &DeTable<'_>,
    path: &str,
    depth: usize,
) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let path = format!("{path}.{name}");
        if name == SECRET_KEY {
            source.report(
                key.span().start,
                &path,
                "is a key the panel keeps for itself",
                SECRET_FORM,
            );
            continue;
        }
        if let Some(value) = json_value(source, value.get_ref(), &path, value.span(), depth) {
            object.insert(name, value);
        }
    }
    object
}

fn json_value(
    source: &Source<'_>,
    value: &DeValue<'_>,
    path: &str,
    span: Range<usize>,
    depth: usize,
) -> Option<Value> {
    if depth > MAX_DEPTH {
        source.report(
            span.start,
            path,
            "nests too deep",
            format!("settings may nest {MAX_DEPTH} levels"),
        );
        return None;
    }
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            let Ok(parsed) = parsed else {
                source.report(span.start, path, "is too large a number", "");
                return None;
            };
            Value::from(parsed)
        }
        DeValue::Float(number) => {
            let parsed = number
                .as_str()
                .replace('_', "")
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64);
            let Some(parsed) = parsed else {
                source.report(
                    span.start,
                    path,
                    "is not a number that settings can hold",
                    "write a finite number",
                );
                return None;
            };
            Value::Number(parsed)
        }
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    json_value(
                        source,
                        item.get_ref(),
                        &format!("{path}[{index}]"),
                        item.span(),
                        depth + 1,
                    )
                })
                .collect(),
        ),
        DeValue::Table(table) => match secret_in(source, table) {
            Some(secret) => secret_value(&secret),
            None => Value::Object(json_table(source, table, path, depth + 1)),
        },
    })
}

/// The lines of all keys of a table, by their path in it.
pub(super) fn collect_lines(
    source: &Source<'_>,
    table: &DeTable<'_>,
    prefix: &str,
    depth: usize,
    lines: &mut BTreeMap<String, usize>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        if let Some(table) = value.get_ref().as_table() {
            collect_lines(source, table, &path, depth + 1, lines);
        }
        lines.insert(path, source.line(key.span().start));
    }
}
