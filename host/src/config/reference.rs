//! The commented sample config and the reference page, from the doc lines of the sections.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Config;

/// One key of the config.
#[derive(Debug)]
struct Item {
    key: String,
    description: String,
    /// The default in TOML; none when the key is not set.
    default: Option<String>,
    example: Option<String>,
    kind: &'static str,
}

/// One table of the config.
#[derive(Debug)]
struct Section {
    path: String,
    description: String,
    items: Vec<Item>,
}

/// A `portico.toml` with every key, its meaning, and its default commented out.
pub fn sample() -> String {
    let mut text = String::from(
        "# Portico's config. Every key is here with its default; remove the `#` to change it.\n\
         # Relative paths start from the folder of this file.\n",
    );
    for section in sections() {
        let _ = write!(text, "\n{}[{}]\n", comment(&section.description), section.path);
        for item in &section.items {
            let value = item
                .default
                .as_ref()
                .or(item.example.as_ref())
                .map_or("", String::as_str);
            let note = if item.default.is_some() {
                ""
            } else {
                "# Not set by default.\n"
            };
            let _ = write!(
                text,
                "\n{}{note}#{} = {value}\n",
                comment(&item.description),
                item.key
            );
        }
    }
    text
}

/// The reference page in Markdown.
pub fn page() -> String {
    let mut text = String::from(
        "# `portico.toml`\n\nThe server's config. Unknown keys are errors. Relative paths start from the folder of the file. \
         What is sold to whom is in the provider's file, not here.\n",
    );
    for section in sections() {
        let _ = write!(
            text,
            "\n## `[{}]`\n\n{}\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
            section.path,
            one_line(&section.description)
        );
        for item in &section.items {
            let default = item
                .default
                .as_ref()
                .map_or_else(|| "not set".to_owned(), |default| format!("`{default}`"));
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {} |",
                item.key,
                item.kind,
                one_line(&item.description).replace('|', "\\|")
            );
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text as TOML comments, wrapped.
fn comment(text: &str) -> String {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() > 96 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
        .iter()
        .fold(String::new(), |text, line| format!("{text}# {line}\n"))
}

fn sections() -> Vec<Section> {
    let schema = schemars::schema_for!(Config).to_value();
    let default = toml::Value::try_from(Config::default()).unwrap_or(toml::Value::Boolean(false));
    let mut sections = Vec::new();
    for name in ORDER {
        let Some(property) = schema
            .get("properties")
            .and_then(|properties| properties.get(*name))
        else {
            continue;
        };
        section(name, property, &schema, default.get(*name), &mut sections);
    }
    sections
}

/// The sections in the order people meet them.
const ORDER: &[&str] = &[
    "server", "store", "secrets", "mail", "sessions", "requests", "proxmox", "jobs", "limits", "log",
    "metrics",
];

fn section(
    path: &str,
    property: &Value,
    schema: &Value,
    default: Option<&toml::Value>,
    sections: &mut Vec<Section>,
) {
    let target = target(property, schema);
    let empty = Map::new();
    let properties = target
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut items = Vec::new();
    let mut below = Vec::new();
    for (key, property) in properties {
        let value = default.and_then(|default| default.get(key));
        if self::target(property, schema).get("properties").is_some() {
            below.push((format!("{path}.{key}"), property, value));
            continue;
        }
        let example = property.get("examples").and_then(|examples| examples.get(0));
        items.push(Item {
            key: key.clone(),
            description: description(property),
            default: value.map(inline),
            example: example
                .and_then(|example| toml::Value::try_from(example).ok())
                .map(|example| inline(&example)),
            kind: kind(property, schema),
        });
    }
    // What must be set or has a default comes first, what is off comes last.
    items.sort_by_key(|item| item.default.is_none());
    let own = description(property);
    let description = if own.is_empty() {
        self::description(target)
    } else {
        own
    };
    sections.push(Section {
        path: path.to_owned(),
        description,
        items,
    });
    for (path, property, value) in below {
        section(&path, property, schema, value, sections);
    }
}

fn description(property: &Value) -> String {
    property
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

/// Follows a reference into `$defs`.
fn target<'s>(property: &'s Value, schema: &'s Value) -> &'s Value {
    let pointer = property
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| target.strip_prefix('#'));
    pointer
        .and_then(|pointer| schema.pointer(pointer))
        .unwrap_or(property)
}

fn kind(property: &Value, schema: &Value) -> &'static str {
    let target = target(property, schema);
    let name = match target.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        _ => None,
    };
    match name {
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => "`true` or `false`",
        Some("array") => "list",
        Some("string") => "text",
        None if target.get("oneOf").is_some() || target.get("enum").is_some() => "word",
        _ => "table",
    }
}

/// A value as TOML on one line.
fn inline(value: &toml::Value) -> String {
    value.to_string().trim().to_owned()
}
