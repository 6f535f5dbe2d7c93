//! Checks settings against the schema of the plugin they are for.

use jsonschema::Validator;
use serde_json::Value;

use crate::domain::Settings;
use crate::domain::settings::as_secret;

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The path of the key inside of the settings, with dots; empty for the settings as a whole.
    pub key: String,
    /// What is wrong, to follow the key.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Checks `settings`.
///
/// A secret passes as a text. A text where the schema says `"writeOnly": true` is a secret written into the
/// file, and refused; a secret where it does not say so would reach the plugin in no way, and is refused too.
pub fn check(settings: &Settings, schema: Option<&Value>) -> Vec<SettingsProblem> {
    let Some(schema) = schema else {
        if settings.is_empty() {
            return Vec::new();
        }
        return vec![SettingsProblem {
            key: String::new(),
            message: "are not taken: the plugin has no such settings".to_owned(),
            hint: "remove the table".to_owned(),
        }];
    };
    let mut problems = Vec::new();
    let object = Value::Object(settings.as_object().clone());
    secrets(&object, schema, schema, "", 0, &mut problems);

    let placed = settings.with_placeholders();
    match jsonschema::validator_for(schema) {
        Ok(validator) => problems.extend(violations(&validator, &placed, &object)),
        Err(_) => problems.push(SettingsProblem {
            key: String::new(),
            message: "cannot be checked: the plugin's schema is not valid".to_owned(),
            hint: "report it to the plugin's author".to_owned(),
        }),
    }
    problems
}

fn violations(validator: &Validator, placed: &Value, object: &Value) -> Vec<SettingsProblem> {
    let mut problems = Vec::new();
    for error in validator.iter_errors(placed) {
        let pointer = error.instance_path().to_string();
        // What a secret holds is not known here.
        if object
            .pointer(&pointer)
            .is_some_and(|value| as_secret(value).is_some())
        {
            continue;
        }
        problems.push(SettingsProblem {
            key: dotted(&pointer),
            message: format!("is wrong: {}", error.masked_with("the value")),
            hint: String::new(),
        });
    }
    problems
}

/// A JSON pointer as a key path.
fn dotted(pointer: &str) -> String {
    pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect::<Vec<_>>()
        .join(".")
}

/// Walks value and schema side by side as far as plain `properties`, `items` and local `$ref` lead.
fn secrets(
    value: &Value,
    schema: &Value,
    root: &Value,
    path: &str,
    depth: usize,
    problems: &mut Vec<SettingsProblem>,
) {
    if depth > 32 {
        return;
    }
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| target.strip_prefix('#'));
    if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
        secrets(value, target, root, path, depth + 1, problems);
        return;
    }
    let is_secret = schema.get("writeOnly").and_then(Value::as_bool).unwrap_or(false);
    match (is_secret, as_secret(value)) {
        (true, None) => problems.push(SettingsProblem {
            key: path.to_owned(),
            message: "holds the secret itself".to_owned(),
            hint: "keep secrets out of this file: write `{ env = \"NAME\" }` or `{ file = \"path\" }`, and replace this one, for it has been written down".to_owned(),
        }),
        (false, Some(_)) => problems.push(SettingsProblem {
            key: path.to_owned(),
            message: "is a reference to a secret where the plugin takes none".to_owned(),
            hint: "a table with the one key `env` or `file` is read as a reference".to_owned(),
        }),
        (true, Some(_)) | (false, None) => {}
    }
    if is_secret || as_secret(value).is_some() {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let below = schema
                    .get("properties")
                    .and_then(|properties| properties.get(key))
                    .or_else(|| {
                        schema
                            .get("additionalProperties")
                            .filter(|schema| schema.is_object())
                    });
                if let Some(below) = below {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    secrets(value, below, root, &path, depth + 1, problems);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = schema.get("items") {
                for (index, value) in items.iter().enumerate() {
                    secrets(
                        value,
                        below,
                        root,
                        &format!("{path}.{index}"),
                        depth + 1,
                        problems,
                    );
                }
            }
        }
        _ => {}
    }
}
