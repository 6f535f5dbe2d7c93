//! Plugins as the provider approved them: which component, which imports, which settings.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Origin;
use super::http_origin::HttpOrigin;
use super::id::PluginId;
use super::permission::PermissionDecl;
use super::settings::Settings;

/// The provider's approval of one component, by its digest.
///
/// A component with another digest, or that asks for other imports, needs a new approval. When a plugin is
/// removed its approval goes and its data stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginApproval {
    /// The plugin's id, equal to the one its component describes.
    pub id: PluginId,
    /// The digest of the component's bytes, as the runtime computes and prints it.
    pub digest: String,
    /// The file it came from, for people; the panel runs its own copy, found by digest.
    pub source: PathBuf,
    /// The imports the provider approved, such as `snapshots`.
    pub imports: BTreeSet<String>,
    /// Settings for the whole panel.
    pub settings: Settings,
    /// The origins it may send HTTP requests to.
    pub http_origins: Vec<HttpOrigin>,
    /// What the component said of itself when it was approved.
    pub description: PluginFacts,
    /// Who made the record.
    pub origin: Origin,
}

/// What a component says of itself, kept so that lists need not run it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginFacts {
    /// Its version.
    pub version: String,
    /// Its name for people.
    pub title: String,
    /// The permissions it declares.
    pub permissions: Vec<PermissionDecl>,
    /// The scopes of its approved imports.
    pub scopes: BTreeSet<String>,
    /// The JSON Schema of its settings for the panel; none takes no settings.
    pub settings_schema: Option<Value>,
    /// The JSON Schema of its settings for a product; none takes no settings.
    pub product_settings_schema: Option<Value>,
}
