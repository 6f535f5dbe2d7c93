//! `[[plugin]]`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::reader::{Item, TableReader};
use crate::domain::{PluginId, Settings, http_origin};

/// A plugin as the file asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginEntry {
    /// The id its component must describe.
    pub id: PluginId,
    /// The component, absolute.
    pub file: PathBuf,
    /// The digest the component must have.
    pub digest: Option<String>,
    /// What is approved.
    pub approve: Approve,
    /// Settings for the whole panel.
    pub settings: Settings,
    /// Origins it may send HTTP requests to.
    pub http_origins: Vec<OriginEntry>,
}

/// An origin as the file asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginEntry {
    /// The origin in its one spelling.
    pub origin: String,
    /// Whether its host name may lead to private addresses.
    pub allow_private: bool,
    /// The paths of the secrets that may be sent to it; none when the file does not say.
    pub secrets: Option<BTreeSet<String>>,
}

/// Which imports the provider approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approve {
    /// Whatever the component imports now. A later component with further imports is not covered.
    AsBuilt,
    /// These.
    Imports(BTreeSet<String>),
}

pub(super) fn read(table: &mut TableReader<'_, '_>) -> Option<PluginEntry> {
    let id: Option<PluginId> = table.parsed("id");
    if let Some(id) = &id {
        table.rename(format!("plugin[{id}]"));
    }
    let file = table.file("file");
    let digest = table.opt_text("digest");
    let approve = approve(table);
    let settings = table.settings("settings");
    let http_origins = origins(table);
    Some(PluginEntry {
        id: id?,
        file: file?,
        digest,
        approve: approve?,
        settings,
        http_origins,
    })
}

fn approve(table: &mut TableReader<'_, '_>) -> Option<Approve> {
    const FORM: &str =
        "write `approve = \"as-built\"`, or list the imports that `portico plugin inspect` prints";
    if !table.has("approve") {
        table.report("approve", "is missing", FORM);
        return None;
    }
    match table.word("approve") {
        Some("as-built") => Some(Approve::AsBuilt),
        Some(_) => {
            table.report("approve", "is neither `\"as-built\"` nor a list", FORM);
            None
        }
        None => Some(Approve::Imports(
            table.list::<String>("approve").into_iter().collect(),
        )),
    }
}

const ORIGIN_FORM: &str =
    "write `https://HOST` or `https://HOST:PORT`, without a path, user, password or `*`";

fn origins(table: &mut TableReader<'_, '_>) -> Vec<OriginEntry> {
    let mut origins: Vec<OriginEntry> = Vec::new();
    for item in table.items("http_origins") {
        let entry = match item {
            Item::Text(text) => {
                let Some(origin) = http_origin(&text) else {
                    table.report("http_origins", "has an entry that is not an origin", ORIGIN_FORM);
                    continue;
                };
                OriginEntry {
                    origin,
                    allow_private: false,
                    secrets: None,
                }
            }
            Item::Table(mut inner) => {
                let text = inner.text("origin");
                let origin = text.as_deref().and_then(http_origin);
                if text.is_some() && origin.is_none() {
                    inner.report("origin", "is not an origin", ORIGIN_FORM);
                }
                let allow_private = inner.opt_flag("allow_private").unwrap_or(false);
                let secrets = inner.list::<String>("secrets").into_iter().collect();
                let secrets = inner.has("secrets").then_some(secrets);
                inner.finish();
                let Some(origin) = origin else { continue };
                OriginEntry {
                    origin,
                    allow_private,
                    secrets,
                }
            }
        };
        if origins.iter().any(|other| other.origin == entry.origin) {
            table.report(
                "http_origins",
                format!("has `{}` twice", entry.origin),
                "keep one entry an origin",
            );
        } else {
            origins.push(entry);
        }
    }
    origins.sort_by(|a, b| a.origin.cmp(&b.origin));
    origins
}
