//! Differences between records, in words: each line readable, secrets never in it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::StoredSecret;
use crate::domain::settings::as_secret;

/// One record that is made, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens to it.
    pub action: Action,
    /// The kind of record: `cluster`, `plugin`, `product`, `customer`, `service`.
    pub kind: Cow<'static, str>,
    /// Its name.
    pub id: String,
    /// A few words on a record that is made or removed.
    pub summary: String,
    /// What of a record changes.
    pub fields: Vec<FieldChange>,
}

/// What happens to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is removed.
    Remove,
}

/// One field of a record that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's path.
    pub field: String,
    /// Its value now; none when it is not set.
    pub before: Option<String>,
    /// Its value then; none when it is no longer set.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            Action::Create => '+',
            Action::Change => '~',
            Action::Remove => '-',
        };
        write!(out, "{sign} {} `{}`", self.kind, self.id)?;
        if !self.summary.is_empty() {
            write!(out, " ({})", self.summary)?;
        }
        for FieldChange { field, before, after } in &self.fields {
            match (before, after) {
                (Some(before), Some(after)) => write!(out, "\n    {field}: {before} → {after}")?,
                (None, Some(after)) => write!(out, "\n    {field}: + {after}")?,
                (Some(before), None) => write!(out, "\n    {field}: - {before}")?,
                (None, None) => write!(out, "\n    {field}: renewed")?,
            }
        }
        Ok(())
    }
}

/// Collects the differences of all sections.
#[derive(Debug, Default)]
pub(super) struct Diff {
    changes: Vec<Change>,
    unchanged: usize,
}

impl Diff {
    /// Compares a section whose records are called by their ids.
    pub(super) fn section<K: Ord + ToString, T: Serialize + PartialEq>(
        &mut self,
        kind: &'static str,
        old: &BTreeMap<K, T>,
        new: &BTreeMap<K, T>,
        summary: impl Fn(&T) -> String,
    ) {
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            self.record(kind, &key.to_string(), old.get(key), new.get(key), &summary);
        }
    }

    /// Compares a section whose records have names for people.
    pub(super) fn named_section<K: Ord, T: Serialize + PartialEq>(
        &mut self,
        kind: &'static str,
        old: &BTreeMap<K, T>,
        new: &BTreeMap<K, T>,
        name: impl Fn(&T) -> String,
        summary: impl Fn(&T) -> String,
    ) {
        let keys = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
        let mut named: Vec<_> = keys
            .into_iter()
            .filter_map(|key| Some((old.get(key).or(new.get(key)).map(&name)?, key)))
            .collect();
        named.sort();
        for (name, key) in named {
            self.record(kind, &name, old.get(key), new.get(key), &summary);
        }
    }

    fn record<T: Serialize + PartialEq>(
        &mut self,
        kind: &'static str,
        id: &str,
        old: Option<&T>,
        new: Option<&T>,
        summary: impl Fn(&T) -> String,
    ) {
        let (action, summary, fields) = match (old, new) {
            (Some(old), Some(new)) if old == new => {
                self.unchanged += 1;
                return;
            }
            (Some(old), Some(new)) => (Action::Change, String::new(), fields(old, new)),
            (None, Some(new)) => (Action::Create, summary(new), Vec::new()),
            (Some(old), None) => (Action::Remove, summary(old), Vec::new()),
            (None, None) => return,
        };
        self.changes.push(Change {
            action,
            kind: Cow::Borrowed(kind),
            id: id.to_owned(),
            summary,
            fields,
        });
    }

    pub(super) fn into_parts(self) -> (Vec<Change>, usize) {
        (self.changes, self.unchanged)
    }
}

/// Fields that say nothing to people, or must not be seen.
const HIDDEN: &[&str] = &[
    "password_hash",
    "description.permissions",
    "description.scopes",
    "description.settings_schema",
    "description.product_settings_schema",
];

fn fields<T: Serialize>(old: &T, new: &T) -> Vec<FieldChange> {
    let (old, new) = (leaves(old), leaves(new));
    let mut changes = Vec::new();
    for field in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        match (old.get(field), new.get(field)) {
            (before, after) if before == after => {}
            (Some(Leaf::List(before)), Some(Leaf::List(after))) => {
                let gone = before.iter().filter(|item| !after.contains(item));
                changes.extend(gone.map(|item| change(field, Some(item.clone()), None)));
                let added: Vec<_> = after.iter().filter(|item| !before.contains(item)).collect();
                changes.extend(
                    added
                        .iter()
                        .map(|item| change(field, None, Some((*item).clone()))),
                );
                let same_items = before.iter().all(|item| after.contains(item)) && added.is_empty();
                if same_items {
                    changes.push(change(field, Some(before.join(", ")), Some(after.join(", "))));
                }
            }
            (before, after) => changes.push(change(field, before.map(Leaf::text), after.map(Leaf::text))),
        }
    }
    if changes.is_empty() {
        changes.push(change("details", None, None));
    }
    changes
}

fn change(field: &str, before: Option<String>, after: Option<String>) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before,
        after,
    }
}

#[derive(Debug, PartialEq)]
enum Leaf {
    One(String),
    List(Vec<String>),
}

impl Leaf {
    fn text(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::List(items) => items.join(", "),
        }
    }
}

fn leaves<T: Serialize>(record: &T) -> BTreeMap<String, Leaf> {
    let mut leaves = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(record) {
        walk("", &value, &mut leaves);
    }
    leaves
}

fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, Leaf>) {
    if HIDDEN.contains(&path) {
        return;
    }
    if let Some(text) = reference(value) {
        leaves.insert(path.to_owned(), Leaf::One(text));
        return;
    }
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(&path, value, leaves);
            }
        }
        Value::Array(items) => {
            leaves.insert(path.to_owned(), Leaf::List(items.iter().map(plain).collect()));
        }
        plain_value => {
            leaves.insert(path.to_owned(), Leaf::One(plain(plain_value)));
        }
    }
}

/// The place of a secret as one word.
fn reference(value: &Value) -> Option<String> {
    if let Some(secret) = as_secret(value) {
        return Some(secret.to_string());
    }
    serde_json::from_value::<StoredSecret>(value.clone())
        .ok()
        .map(|secret| secret.to_string())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', ',', '"']) => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
