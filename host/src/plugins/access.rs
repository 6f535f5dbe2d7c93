//! What the customers of a product may do with a plugin.
//!
//! A plugin is enabled by any entry of the product's permission list that names it; the overview always is. The scopes
//! of the permissions that are granted are granted, and those that no permission of the plugin stands for (reading the
//! VM, say) come with the plugin being enabled.

use std::collections::BTreeSet;

use portico_runtime::{Scope, ScopeSet};

use super::Installed;
use crate::domain::{Grants, PermissionDecl, Product};

/// The plugin that cannot be switched off.
pub const OVERVIEW: &str = "overview";

/// What a product grants a plugin.
#[derive(Debug, Clone)]
pub struct Access {
    /// Whether the plugin is part of the product at all.
    pub enabled: bool,
    /// The names of its permissions that are granted.
    pub permissions: BTreeSet<String>,
    /// The scopes that its calls may use.
    pub scopes: ScopeSet,
}

impl Access {
    /// Computes it.
    pub fn of(product: &Product, installed: &Installed) -> Self {
        let plugin = &installed.plugin;
        let declared: Vec<PermissionDecl> = plugin
            .description()
            .permissions
            .iter()
            .map(|permission| PermissionDecl {
                name: permission.name.clone(),
                title: permission.title.clone(),
                scopes: permission.scopes.clone(),
            })
            .collect();
        let approved: BTreeSet<String> = plugin
            .scopes()
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        let grants = Grants::compute(&product.permissions, &installed.approval.id, &declared, &approved);
        let named = product
            .permissions
            .iter()
            .any(|permission| permission.plugin == installed.approval.id);
        let enabled = plugin.id() == OVERVIEW || named;
        let mut scopes: ScopeSet = grants
            .scopes()
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect();
        if enabled {
            for scope in plugin
                .scopes()
                .iter()
                .filter(|scope| !is_declared(&declared, *scope))
            {
                scopes.insert(scope);
            }
        }
        Self {
            enabled,
            permissions: grants.permissions().clone(),
            scopes,
        }
    }
}

fn is_declared(declared: &[PermissionDecl], scope: Scope) -> bool {
    declared
        .iter()
        .flat_map(|permission| &permission.scopes)
        .any(|name| name == scope.as_str())
}
