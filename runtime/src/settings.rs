//! A plugin's settings: the JSON Schemas it declares and the values they are checked against.

use std::collections::BTreeSet;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::json;

/// Most bytes of a schema and of settings.
const MAX_BYTES: usize = 64 << 10;
/// Most errors that are listed.
const MAX_ERRORS: usize = 20;

/// A compiled JSON Schema (draft 2020-12) of an object.
#[derive(Debug)]
pub struct SettingsSchema {
    schema: Value,
    validator: Validator,
    secrets: BTreeSet<String>,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(pub String);

/// A setting that does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {message}")]
pub struct SettingsError {
    /// JSON pointer of the setting; empty for the settings as a whole.
    pub path: String,
    /// What is wrong. Holds no value of a secret.
    pub message: String,
}

impl SettingsSchema {
    /// Compiles a schema. References to other documents are not followed, patterns run in linear time.
    ///
    /// # Errors
    /// When the text is no valid schema of an object.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        json::check_object(text, MAX_BYTES).map_err(|fault| SchemaError(fault.to_string()))?;
        let schema: Value = serde_json::from_str(text).map_err(|error| SchemaError(error.to_string()))?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(SchemaError(
                "is not a schema with `\"type\": \"object\"`".to_owned(),
            ));
        }
        if let Some(draft) = schema.get("$schema")
            && draft.as_str().map(|uri| uri.trim_end_matches('#'))
                != Some("https://json-schema.org/draft/2020-12/schema")
        {
            return Err(SchemaError(
                "names another draft than 2020-12 in `$schema`".to_owned(),
            ));
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(&schema)
            .map_err(|error| SchemaError(error.masked().to_string()))?;
        let secrets = secrets(&schema);
        Ok(Self {
            schema,
            validator,
            secrets,
        })
    }

    /// The schema itself, for a form.
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// Names of the properties that are secrets (`"writeOnly": true` at the top level).
    pub const fn secrets(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// Checks settings.
    ///
    /// # Errors
    /// Each setting that does not fit, up to twenty.
    pub fn validate(&self, settings: &Value) -> Result<(), Vec<SettingsError>> {
        let errors: Vec<_> = self
            .validator
            .iter_errors(settings)
            .take(MAX_ERRORS)
            .map(|error| SettingsError {
                path: error.instance_path().to_string(),
                message: error.masked().to_string(),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn secrets(schema: &Value) -> BTreeSet<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("writeOnly") == Some(&Value::Bool(true)))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(schema: &Value) -> Result<SettingsSchema, SchemaError> {
        SettingsSchema::compile(&schema.to_string())
    }

    #[test]
    fn settings_are_checked_and_errors_name_the_place_but_no_value() {
        let schema = compile(&json!({
            "type": "object",
            "properties": { "token": { "type": "string", "minLength": 30, "writeOnly": true } },
            "additionalProperties": false,
        }))
        .unwrap();
        assert_eq!(schema.secrets(), &BTreeSet::from(["token".to_owned()]));
        let errors = schema.validate(&json!({ "token": "hunter2" })).unwrap_err();
        assert_eq!(errors[0].path, "/token");
        assert!(!errors[0].message.contains("hunter2"), "{}", errors[0].message);
        assert!(schema.validate(&json!({ "other": 1 })).is_err());
    }

    #[test]
    fn what_is_no_schema_of_an_object_is_refused() {
        for bad in [
            json!([]),
            json!({}),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": 3 }),
            json!({ "type": "object", "$schema": "http://json-schema.org/draft-07/schema#" }),
        ] {
            assert!(compile(&bad).is_err(), "{bad}");
        }
        assert!(SettingsSchema::compile("{").is_err());
    }

    #[test]
    fn a_schema_cannot_make_the_host_read_another_document() {
        for uri in ["https://example.net/schema.json", "file:///etc/passwd"] {
            assert!(compile(&json!({ "type": "object", "properties": { "a": { "$ref": uri } } })).is_err());
        }
    }

    #[test]
    fn a_pattern_that_backtracks_is_refused_or_runs_in_linear_time() {
        let schema =
            json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "^(a+)+$" } } });
        let schema = compile(&schema).unwrap();
        assert!(
            schema
                .validate(&json!({ "a": format!("{}!", "a".repeat(50_000)) }))
                .is_err()
        );
    }
}
