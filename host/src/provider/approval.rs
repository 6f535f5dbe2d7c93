//! From an inspected component and the provider's word to an approval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use url::{Host, Url};

use super::file::{Approve, Entry, OriginEntry, PluginEntry};
use super::inspect::Inspection;
use super::problem::Problem;
use super::reader::quoted;
use crate::domain::{HTTP_SEND, HttpOrigin, Origin, PluginApproval, PluginFacts, Settings};

/// The approval of `component` with these imports and origins, made by the file and without settings.
///
/// Whether it covers everything the component imports is the caller's to check: one that is not covered does not
/// load.
pub fn approve(
    component: &Inspection,
    approve: &Approve,
    source: PathBuf,
    http_origins: Vec<HttpOrigin>,
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
    if scopes.contains(HTTP_SEND) {
        // A product can grant a single origin of those the plugin is approved for.
        scopes.extend(http_origins.iter().map(HttpOrigin::scope));
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
    let http_origins = origins(entry, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let approval = approve(component, &plugin.approve, plugin.file.clone(), http_origins);
    Ok(PluginApproval {
        settings: plugin.settings.clone(),
        ..approval
    })
}

/// The origins of an entry, each with the secrets that are bound to it: to exactly one each, so that a plugin cannot have
/// the panel send a secret to a service it is not for.
fn origins(entry: &Entry<PluginEntry>, problems: &mut Vec<Problem>) -> Vec<HttpOrigin> {
    let plugin = &entry.value;
    let secrets = plugin.settings.secret_paths();
    let mut problem = |message: String, hint: String| {
        problems.push(entry.problem("http_origins", message, hint));
    };
    let mut bound: BTreeMap<&str, &str> = BTreeMap::new();
    for wanted in &plugin.http_origins {
        for name in wanted.secrets.iter().flatten() {
            if !secrets.contains(name) {
                problem(
                    format!(
                        "binds `{name}` to `{}`, which is no secret of the settings",
                        wanted.origin
                    ),
                    format!(
                        "write the path of a secret in `settings`, with `/` between its steps; {}",
                        listed(&secrets)
                    ),
                );
            } else if let Some(other) = bound.insert(name, &wanted.origin) {
                problem(
                    format!(
                        "binds the secret `{name}` to `{other}` and to `{}`",
                        wanted.origin
                    ),
                    "a secret is for one service: keep one of the two, or make a secret of its own for each"
                        .to_owned(),
                );
            }
        }
    }
    // With a single origin there is nothing to choose.
    let only =
        plugin.http_origins.len() == 1 && plugin.http_origins.iter().all(|wanted| wanted.secrets.is_none());
    for wanted in plugin.http_origins.iter().filter(|wanted| is_clear(wanted)) {
        if wanted.secrets.as_ref().is_some_and(|names| !names.is_empty()) || (only && !secrets.is_empty()) {
            problem(
                format!("would send a secret in clear to `{}`", wanted.origin),
                "write `https`; or, if the name leads to a network of yours, `allow_private = true`"
                    .to_owned(),
            );
        }
    }
    if !only && !plugin.http_origins.is_empty() {
        for name in secrets.iter().filter(|name| !bound.contains_key(name.as_str())) {
            problem(
                format!("does not say to which origin the secret `{name}` may be sent"),
                format!(
                    "write `{{ origin = \"https://HOST\", secrets = [\"{name}\"] }}` for the one it is for"
                ),
            );
        }
    }
    let approved = |wanted: &OriginEntry| HttpOrigin {
        origin: wanted.origin.clone(),
        allow_private: wanted.allow_private,
        secrets: if only {
            secrets.clone()
        } else {
            wanted.secrets.clone().unwrap_or_default()
        },
    };
    plugin.http_origins.iter().map(approved).collect()
}

fn listed(secrets: &BTreeSet<String>) -> String {
    if secrets.is_empty() {
        return "there is none".to_owned();
    }
    let secrets: Vec<_> = secrets.iter().collect();
    format!("there are {}", quoted(&secrets))
}

/// Whether what is sent there can be read on its way through the Internet.
fn is_clear(wanted: &OriginEntry) -> bool {
    let named = |url: Url| matches!(url.host(), Some(Host::Domain(name)) if name != "localhost");
    wanted.origin.starts_with("http:") && !wanted.allow_private && wanted.origin.parse().is_ok_and(named)
}
