//! The provider's file as checked values: one file a section, read key by key.
//!
//! What needs only the file itself is checked here; what needs the plugins' components or the store is checked
//! in [`super::check`] and [`super::plan`].

mod cluster;
mod customer;
mod plugin;
mod product;
mod service;

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

pub use self::customer::CustomerEntry;
pub use self::plugin::{Approve, OriginEntry, PluginEntry};
pub use self::service::ServiceEntry;
use super::problem::{Problem, Problems};
use super::reader::{Source, TableReader};
use crate::domain::{Cluster, Product};

/// A parsed provider file.
#[derive(Debug)]
pub struct ProviderFile {
    /// The file's name in messages.
    pub name: String,
    /// `[[cluster]]`.
    pub clusters: Vec<Entry<Cluster>>,
    /// `[[plugin]]`.
    pub plugins: Vec<Entry<PluginEntry>>,
    /// `[[product]]`.
    pub products: Vec<Entry<Product>>,
    /// `[[customer]]`.
    pub customers: Vec<Entry<CustomerEntry>>,
    /// `[[service]]`.
    pub services: Vec<Entry<ServiceEntry>>,
}

/// One entry with its place in the file.
#[derive(Debug)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// Its path in messages, such as `product[pro]`.
    pub path: String,
    line: usize,
    lines: BTreeMap<String, usize>,
}

impl<T> Entry<T> {
    /// A problem with `key` of this entry, or with the entry when `key` is empty.
    pub fn problem(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        // A value inside a list or an inline value has the line of the nearest key that has one.
        let mut nearest = key;
        let line = loop {
            if let Some(&line) = self.lines.get(nearest) {
                break line;
            }
            match nearest.rsplit_once('.') {
                Some((parent, _)) => nearest = parent,
                None => break self.line,
            }
        };
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            format!("{}.{key}", self.path)
        };
        Problem {
            line: Some(line),
            key: path,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Parses `text`, the content of the file `name` (as people know it) in `folder`.
///
/// # Errors
/// All problems that the file shows by itself.
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<ProviderFile, Problems> {
    let source = Source::new(text, folder);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        source.report(at, "", error.message().lines().collect::<Vec<_>>().join(", "), "");
    }
    if let Some(problems) = (!errors.is_empty())
        .then(|| Problems::of(name, source.into_problems()))
        .flatten()
    {
        // What stands beside a syntax error cannot be trusted: no further checks.
        return Err(problems);
    }

    let source = Source::new(text, folder);
    let mut root = TableReader::new(&source, document.get_ref(), String::new(), 0);
    let file = ProviderFile {
        name: name.to_owned(),
        clusters: section(&mut root, "cluster", cluster::read),
        plugins: section(&mut root, "plugin", plugin::read),
        products: section(&mut root, "product", product::read),
        customers: section(&mut root, "customer", customer::read),
        services: section(&mut root, "service", service::read),
    };
    root.finish();
    match Problems::of(name, source.into_problems()) {
        Some(problems) => Err(problems),
        None => Ok(file),
    }
}

/// Reads the tables `[[key]]`. An entry with a problem, which is noted, is left out.
fn section<T>(
    root: &mut TableReader<'_, '_>,
    key: &'static str,
    read: fn(&mut TableReader<'_, '_>) -> Option<T>,
) -> Vec<Entry<T>> {
    let mut entries = Vec::new();
    for mut table in root.tables(key) {
        let (line, lines) = (table.line(), table.lines());
        let value = read(&mut table);
        let path = table.path().to_owned();
        table.finish();
        entries.extend(value.map(|value| Entry {
            value,
            path,
            line,
            lines,
        }));
    }
    entries
}
