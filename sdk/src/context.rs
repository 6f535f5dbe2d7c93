//! Reading a call's [`Context`].

use serde::de::DeserializeOwned;

use crate::{Context, Error};

impl Context {
    /// The plugin's settings: the provider's with the product's over them, as one struct with the fields of both.
    ///
    /// The host checks settings against the plugin's schemas when they are made, so a field with a default needs
    /// `#[serde(default)]` and nothing else needs checking here.
    ///
    /// # Errors
    /// `failed` when `T` does not fit the plugin's own schemas.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.settings).map_err(|error| Error::failed(format!("settings: {error}")))
    }

    /// Whether the product grants a permission of this plugin.
    pub fn permits(&self, permission: &str) -> bool {
        self.permissions.iter().any(|granted| granted == permission)
    }

    /// Goes on only if the product grants a permission of this plugin.
    ///
    /// # Errors
    /// `denied` if not: the host then shows Access Denied.
    pub fn require(&self, permission: &str) -> Result<(), Error> {
        if self.permits(permission) {
            Ok(())
        } else {
            Err(Error::denied(format!("permission `{permission}` is not granted")))
        }
    }

    /// Whether the product grants a scope, such as `power.start`. For dimming buttons.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}
