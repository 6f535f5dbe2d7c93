//! `[[plugin]]`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use url::Url;

use super::super::reader::TableReader;
use crate::domain::{PluginId, Settings};

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
    pub http_origins: Vec<String>,
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

/// An origin in the one spelling the HTTP capability compares by; none when `text` is more or less than one.
pub fn http_origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then(|| url.origin().ascii_serialization())
}

fn origins(table: &mut TableReader<'_, '_>) -> Vec<String> {
    let mut origins = Vec::new();
    for text in table.list::<String>("http_origins") {
        match http_origin(&text) {
            Some(origin) => origins.push(origin),
            None => table.report(
                "http_origins",
                "has an entry that is not an origin",
                "write `https://HOST` or `https://HOST:PORT`, without a path, user or password",
            ),
        }
    }
    origins.sort();
    origins.dedup();
    origins
}
