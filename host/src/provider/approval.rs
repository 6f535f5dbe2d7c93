//! From an inspected component and the provider's word to an approval.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::file::{Approve, Entry, PluginEntry};
use super::inspect::Inspection;
use super::problem::Problem;
use crate::domain::{Origin, PluginApproval, PluginFacts, Settings};

/// The approval of `component` with these imports and origins, made by the file and without settings.
///
/// Whether it covers everything the component imports is the caller's to check: one that is not covered does not
/// load.
pub fn approve(
    component: &Inspection,
    approve: &Approve,
    source: PathBuf,
    http_origins: Vec<String>,
) -> PluginApproval {
    let imports: BTreeSet<String> = match approve {
        Approve::AsBuilt => component.imports.keys().cloned().collect(),
        Approve::Imports(imports) => imports.clone(),
    };
    let approved = component
        .imports
        .iter()
        .filter(|(import, _)| imports.contains(*import));
    let mut scopes: BTreeSet<String> = approved.flat_map(|(_, scopes)| scopes.iter().cloned()).collect();
    if scopes.contains("http.send") {
        // A product can grant a single origin of those the plugin is approved for.
        scopes.extend(http_origins.iter().map(|origin| format!("http.send:{origin}")));
    }
    PluginApproval {
        id: component.id.clone(),
        digest: component.digest.clone(),
        source,
        imports,
        settings: Settings::default(),
        http_origins,
        description: PluginFacts {
            version: component.version.clone(),
            title: component.title.clone(),
            permissions: component.permissions.clone(),
            scopes,
            settings_schema: component.settings_schema.clone(),
            product_settings_schema: component.product_settings_schema.clone(),
        },
        origin: Origin::File,
    }
}

/// The approval that an entry of the file asks for, or what stands against it.
pub(super) fn of_entry(
    entry: &Entry<PluginEntry>,
    component: &Inspection,
) -> Result<PluginApproval, Vec<Problem>> {
    let mut problems = Vec::new();
    let plugin = &entry.value;
    if component.id != plugin.id {
        let message = format!(
            "is `{}`, but the component says it is `{}`",
            plugin.id, component.id
        );
        let hint = format!("write `id = \"{}\"`, or name another file", component.id);
        problems.push(entry.problem("id", message, hint));
    }
    if let Some(pin) = plugin.digest.as_ref().filter(|pin| **pin != component.digest) {
        let message = format!("is `{pin}`, but the component has `{}`", component.digest);
        let hint = "look at what changed (`portico plugin inspect`), then write its digest, or put the old component back";
        problems.push(entry.problem("digest", message, hint));
    }
    if let Approve::Imports(imports) = &plugin.approve {
        for import in component
            .imports
            .keys()
            .filter(|import| !imports.contains(*import))
        {
            let message = format!("does not have `{import}`, which the component imports");
            let hint = "add it if the plugin may have it; without it the plugin does not load";
            problems.push(entry.problem("approve", message, hint));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let approval = approve(
        component,
        &plugin.approve,
        plugin.file.clone(),
        plugin.http_origins.clone(),
    );
    Ok(PluginApproval {
        settings: plugin.settings.clone(),
        ..approval
    })
}
