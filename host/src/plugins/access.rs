//! What the customers of a product may do with a plugin.
//!
//! A plugin is enabled by any entry of the product's permission list that names it; the overview always is. The scopes
//! of the permissions that are granted are granted, and those that no permission of the plugin stands for (reading the
//! VM, say) come with the plugin being enabled.

use std::collections::BTreeSet;

use portico_runtime::{Scope, ScopeSet};

use super::Installed;
use crate::domain::{Grants, HTTP_SEND, HttpOrigin, PermissionDecl, PluginApproval, Product, permission};

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

/// The origins that the customers of a product may have a plugin call: of those it is approved for, the ones that the
/// product's list leaves ([`permission::http_origins`]).
pub fn http_origins<'a>(product: &Product, approval: &'a PluginApproval) -> Vec<&'a HttpOrigin> {
    let left = permission::http_origins(&product.permissions, &approval.id);
    approval
        .http_origins
        .iter()
        .filter(|origin| left.as_ref().is_none_or(|left| left.contains(&origin.origin)))
        .collect()
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
        // A scope with an origin opens the function; which origins are left is for `http_origins`. What does not parse was
        // refused when the file was applied.
        let mut scopes: ScopeSet = grants
            .scopes()
            .iter()
            .filter_map(|scope| match scope.split_once(':') {
                Some((HTTP_SEND, _)) => Some(Scope::HttpSend),
                _ => scope.parse().ok(),
            })
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
