//! A plugin's settings as JSON, with references in place of secrets.
//!
//! A secret in settings is the object `{"$secret": {"env": "NAME"}}` or `{"$secret": {"file": "/path"}}`. The host
//! fills it in only where a capability sends it (a header of an HTTP request, say); a plugin never sees it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::secret_ref::SecretRef;

/// The key that marks a secret reference inside settings.
pub const SECRET_KEY: &str = "$secret";

/// The text that stands for a secret where the settings' schema is checked: schemas call secrets strings.
const PLACEHOLDER: &str = "secret-placeholder";

/// Settings of one plugin, for the whole panel or for one product: a JSON object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Wraps a JSON object.
    pub fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// The object with its secret references.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The settings as a plugin may see them: members that are secrets are left out.
    pub fn without_secrets(&self) -> Value {
        strip(&Value::Object(self.0.clone())).unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// The settings with a text in place of each secret, for checking them against the plugin's schema.
    pub fn with_placeholders(&self) -> Value {
        replace(&Value::Object(self.0.clone()))
    }

    /// The paths of all secret references, `/` between their steps, as [`Settings::secret`] finds them behind a `/`.
    pub fn secret_paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for (key, value) in &self.0 {
            collect(key, value, &mut paths);
        }
        paths
    }

    /// The secret reference at a JSON pointer such as `/cloudflare/token`.
    pub fn secret(&self, pointer: &str) -> Option<SecretRef> {
        let mut steps = pointer.strip_prefix('/')?.split('/');
        let first = self.0.get(steps.next()?)?;
        let value = steps.try_fold(first, |value, step| match value {
            Value::Object(object) => object.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })?;
        as_secret(value)
    }
}

/// Writes a reference in the form that settings keep.
pub fn secret_value(reference: &SecretRef) -> Value {
    let (kind, place) = match reference {
        SecretRef::Env(name) => ("env", name.clone()),
        SecretRef::File(path) => ("file", path.display().to_string()),
    };
    serde_json::json!({ SECRET_KEY: { kind: place } })
}

/// Reads a reference, when `value` is one.
pub fn as_secret(value: &Value) -> Option<SecretRef> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let inner = object.get(SECRET_KEY)?.as_object()?;
    if let Some(name) = inner.get("env").and_then(Value::as_str) {
        return Some(SecretRef::Env(name.to_owned()));
    }
    inner
        .get("file")
        .and_then(Value::as_str)
        .map(|path| SecretRef::File(PathBuf::from(path)))
}

fn collect(path: &str, value: &Value, paths: &mut BTreeSet<String>) {
    match value {
        secret if as_secret(secret).is_some() => {
            paths.insert(path.to_owned());
        }
        Value::Object(object) => {
            for (key, value) in object {
                collect(&format!("{path}/{key}"), value, paths);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(&format!("{path}/{index}"), value, paths);
            }
        }
        _ => {}
    }
}

fn is_marked(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.contains_key(SECRET_KEY))
}

fn strip(value: &Value) -> Option<Value> {
    match value {
        // Anything under the mark is left out, a damaged reference too.
        marked if is_marked(marked) => None,
        Value::Object(object) => Some(Value::Object(
            object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), strip(value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(strip).collect())),
        plain => Some(plain.clone()),
    }
}

fn replace(value: &Value) -> Value {
    match value {
        marked if is_marked(marked) => Value::String(PLACEHOLDER.to_owned()),
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| (key.clone(), replace(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(replace).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: &Value) -> Settings {
        Settings::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_plugin_sees_its_settings_without_the_secrets() {
        let token = secret_value(&SecretRef::Env("CF_TOKEN".into()));
        let settings =
            settings(&json!({"zones": [{"name": "a", "token": token}], "ttl": 300, "odd": {"$secret": 7}}));
        assert_eq!(
            settings.without_secrets(),
            json!({"zones": [{"name": "a"}], "ttl": 300})
        );
        assert_eq!(
            settings.with_placeholders(),
            json!({"zones": [{"name": "a", "token": PLACEHOLDER}], "ttl": 300, "odd": PLACEHOLDER})
        );
    }

    #[test]
    fn a_secret_is_found_by_its_pointer_and_nothing_else_is() {
        let token = secret_value(&SecretRef::File("/run/token".into()));
        let settings = settings(&json!({"zones": [{"token": token}], "ttl": 300}));
        assert_eq!(
            settings.secret("/zones/0/token"),
            Some(SecretRef::File("/run/token".into()))
        );
        assert_eq!(settings.secret_paths(), ["zones/0/token".to_owned()].into());
        for pointer in [
            "",
            "/",
            "/ttl",
            "/zones",
            "/zones/1/token",
            "/zones/-1/token",
            "zones/0/token",
        ] {
            assert_eq!(settings.secret(pointer), None, "{pointer}");
        }
    }
}
