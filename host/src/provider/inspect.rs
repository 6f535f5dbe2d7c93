//! What the provider's file needs to know about a component, as a port: the runtime answers it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::{PermissionDecl, PluginId};

/// Looks into components and keeps copies of them.
#[async_trait]
pub trait ComponentInspector: Send + Sync {
    /// Reads and validates the component in `file`, and asks it to describe itself.
    async fn inspect(&self, file: &Path) -> Result<Inspection, InspectError>;

    /// Copies the component in `file` to where the panel loads components from, under `digest`.
    ///
    /// Called after the plan is agreed on and before its records are written, so that no approval names a
    /// component the panel does not have. Keeping one that is there already does nothing.
    ///
    /// # Errors
    /// Also when the file no longer has that digest.
    async fn keep(&self, file: &Path, digest: &str) -> Result<(), InspectError>;
}

/// What a component is and says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The id it describes itself with.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// Its name for people.
    pub title: String,
    /// The digest of its bytes, as the runtime prints it.
    pub digest: String,
    /// What it imports, and the scopes each import brings.
    pub imports: BTreeMap<String, BTreeSet<String>>,
    /// The permissions it declares.
    pub permissions: Vec<PermissionDecl>,
    /// The JSON Schema of its settings for the panel; none takes no settings.
    pub settings_schema: Option<Value>,
    /// The JSON Schema of its settings for a product; none takes no settings.
    pub product_settings_schema: Option<Value>,
}

/// Why a component is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InspectError {
    /// What is wrong with it, to follow the file's name.
    pub message: String,
    /// What to do.
    pub hint: String,
}
