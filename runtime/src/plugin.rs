//! An installed plugin, ready to be called.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use crate::bindings::FeaturePre;
use crate::bindings::guest::Description;
use crate::breaker::{Breaker, BreakerState};
use crate::digest::Digest;
use crate::inspect::ImportedInterface;
use crate::scope::ScopeSet;
use crate::settings::SettingsSchema;
use crate::state::CallState;
use crate::template::TemplateSet;

/// A plugin that passed every check of an installation. Immutable; an upgrade is another one.
pub struct Plugin {
    pub(crate) description: Description,
    pub(crate) version: semver::Version,
    pub(crate) digest: Digest,
    pub(crate) size: usize,
    pub(crate) imports: Vec<ImportedInterface>,
    pub(crate) scopes: ScopeSet,
    pub(crate) pre: FeaturePre<CallState>,
    pub(crate) templates: TemplateSet,
    pub(crate) template_names: Arc<BTreeSet<String>>,
    pub(crate) provider_settings: SettingsSchema,
    pub(crate) product_settings: SettingsSchema,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) breaker: Breaker,
}

impl Plugin {
    /// Its id, part of addresses and permission names.
    pub fn id(&self) -> &str {
        &self.description.id
    }

    /// Its version.
    pub const fn version(&self) -> &semver::Version {
        &self.version
    }

    /// The digest of its component.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of its component.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// What it says of itself. Checked: names, paths, icons, scopes and schemas are sound.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The capability interfaces it imports, with the functions it uses.
    pub fn imports(&self) -> &[ImportedInterface] {
        &self.imports
    }

    /// The scopes that the functions it imports need: what `*` stands for.
    pub const fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// Its templates, compiled.
    pub const fn templates(&self) -> &TemplateSet {
        &self.templates
    }

    /// The names of its templates.
    pub fn template_names(&self) -> &BTreeSet<String> {
        &self.template_names
    }

    /// The schema of the provider's settings.
    pub const fn provider_settings(&self) -> &SettingsSchema {
        &self.provider_settings
    }

    /// The schema of a product's settings.
    pub const fn product_settings(&self) -> &SettingsSchema {
        &self.product_settings
    }

    /// The scopes that one of its permissions stands for; none for an unknown name.
    pub fn permission_scopes(&self, permission: &str) -> Option<ScopeSet> {
        let found = self
            .description
            .permissions
            .iter()
            .find(|known| known.name == permission)?;
        Some(
            found
                .scopes
                .iter()
                .filter_map(|scope| scope.parse().ok())
                .collect(),
        )
    }

    /// Whether it is left alone after failures.
    pub fn breaker_state(&self, now: Instant) -> BreakerState {
        self.breaker.state(now)
    }

    /// Calls it again although it failed: the provider says so.
    pub fn reset_breaker(&self) {
        self.breaker.reset();
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.description.id)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
