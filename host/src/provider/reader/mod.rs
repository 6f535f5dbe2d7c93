//! Reads TOML tables key by key and collects every problem instead of stopping at the first.
//!
//! `values` reads what is taken as it is (settings, references to secrets), `words` has what messages say.
//!
//! Serde would stop at the first wrong value and know neither its line in an array of tables nor a remedy.

mod values;
mod words;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use self::values::{collect_lines, json_table, secret_in};
pub(super) use self::words::{closest, quoted};
use self::words::{describe, example};
use super::problem::Problem;
use crate::domain::{SecretRef, Settings};

/// How to write a secret, for hints.
const SECRET_FORM: &str = "write `{ env = \"NAME\" }` or `{ file = \"path\" }`";

/// What all readers of one file share.
pub(super) struct Source<'a> {
    text: &'a str,
    folder: &'a Path,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Source<'a> {
    /// A file's text; `folder` is what its relative paths start from.
    pub(super) fn new(text: &'a str, folder: &'a Path) -> Self {
        Self {
            text,
            folder,
            problems: RefCell::default(),
        }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.split(|&byte| byte == b'\n').count()
    }

    /// Notes a problem.
    pub(super) fn report(
        &self,
        offset: usize,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem {
            line: Some(self.line(offset)),
            key: key.to_owned(),
            message: message.into(),
            hint: hint.into(),
        };
        self.problems.borrow_mut().push(problem);
    }

    /// All problems noted.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// A path of the file, absolute.
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }
}

/// An entry of a list that may be written short, as a text, or in full, as a table.
pub(super) enum Item<'s, 'i> {
    /// Short.
    Text(String),
    /// In full.
    Table(TableReader<'s, 'i>),
}

/// Reads one table. Every key asked for is known; [`TableReader::finish`] reports the others.
pub(super) struct TableReader<'s, 'i> {
    source: &'s Source<'s>,
    table: &'s DeTable<'i>,
    path: String,
    at: usize,
    known: Vec<&'static str>,
}

impl<'s, 'i> TableReader<'s, 'i> {
    /// Reads `table`, which is found under `path`.
    pub(super) fn new(source: &'s Source<'s>, table: &'s DeTable<'i>, path: String, at: usize) -> Self {
        Self {
            source,
            table,
            path,
            at,
            known: Vec::new(),
        }
    }

    /// Names the table by its id in messages from here on.
    pub(super) fn rename(&mut self, path: String) {
        self.path = path;
    }

    /// Where the table is, in messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The line of the table's head.
    pub(super) fn line(&self) -> usize {
        self.source.line(self.at)
    }

    /// The lines of all keys below the table, by their path in it.
    pub(super) fn lines(&self) -> BTreeMap<String, usize> {
        let mut lines = BTreeMap::new();
        collect_lines(self.source, self.table, "", 0, &mut lines);
        lines
    }

    fn key_path(&self, key: &str) -> String {
        if key.is_empty() {
            return self.path.clone();
        }
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Notes a problem with `key`, or with the whole table when it does not have the key.
    pub(super) fn report(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let at = self.table.get(key).map_or(self.at, |value| value.span().start);
        self.source.report(at, &self.key_path(key), message, hint);
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &DeValue<'_>) {
        self.report(key, format!("must be {wanted}, not {}", describe(value)), "");
    }

    /// Passes a value on, and notes when its key is not there. A value that is there and wrong is noted already.
    fn required<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if !self.has(key) {
            self.report(key, "is missing", format!("add `{key}`"));
        }
        value
    }

    /// A text that may be left out.
    pub(super) fn opt_text(&mut self, key: &'static str) -> Option<String> {
        let value = self.find(key)?.get_ref();
        let Some(text) = value.as_str() else {
            self.wrong_type(key, "a text", value);
            return None;
        };
        // Names end up in pages, mails and terminals.
        if text.chars().any(char::is_control) {
            self.report(
                key,
                "has control characters in it",
                "remove line ends, tabs and the like",
            );
            return None;
        }
        if text.is_empty() || text.len() > 500 {
            self.report(key, "must have 1 to 500 characters", "");
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.opt_text(key);
        self.required(key, value)
    }

    /// A value of a checked type that may be left out.
    pub(super) fn opt_parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        match self.opt_text(key)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report_form(key, &error);
                None
            }
        }
    }

    /// A value of a checked type that must be there.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.opt_parsed(key);
        self.required(key, value)
    }

    /// Error texts of checked types read `what is wrong: what to write`.
    fn report_form(&self, key: &str, error: &impl Display) {
        let text = error.to_string();
        let (message, hint) = text.rsplit_once(": ").unwrap_or((&text, example(key)));
        self.report(key, format!("is wrong: {message}"), hint);
    }

    /// A whole number that may be left out.
    pub(super) fn opt_integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.find(key)?.get_ref();
        let number = value
            .as_integer()
            .and_then(|number| i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok())
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong_type(
                key,
                &format!("a whole number from {} to {}", range.start(), range.end()),
                value,
            );
        }
        number
    }

    /// A whole number that must be there.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.opt_integer(key, range);
        self.required(key, value)
    }

    /// A number with or without a fraction, over 0, that may be left out.
    pub(super) fn opt_rate(&mut self, key: &'static str) -> Option<f64> {
        let value = self.find(key)?.get_ref();
        let integer = value.as_integer().filter(|number| number.radix() == 10);
        let text = integer
            .map(DeInteger::as_str)
            .or_else(|| value.as_float().map(DeFloat::as_str));
        let number = text.and_then(|text| text.replace('_', "").parse::<f64>().ok());
        let number = number.filter(|&number| number > 0.0 && number <= 1_000_000.0);
        if number.is_none() {
            self.wrong_type(key, "a number over 0 and up to 1000000", value);
            self.hint_last("leave it out for no limit");
        }
        number
    }

    fn hint_last(&self, hint: &str) {
        if let Some(problem) = self.source.problems.borrow_mut().last_mut() {
            hint.clone_into(&mut problem.hint);
        }
    }

    /// `true` or `false`, may be left out.
    pub(super) fn opt_flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.find(key)?.get_ref();
        if value.as_bool().is_none() {
            self.wrong_type(key, "`true` or `false`", value);
        }
        value.as_bool()
    }

    /// A list of values of a checked type; empty when left out.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<T> {
        let Some(value) = self.find(key).map(Spanned::get_ref) else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.wrong_type(key, "a list of texts", value);
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items {
            let at = item.span().start;
            let path = self.key_path(key);
            match item.get_ref().as_str().map(str::parse::<T>) {
                Some(Ok(value)) => list.push(value),
                Some(Err(error)) => {
                    let text = error.to_string();
                    let (message, hint) = text.rsplit_once(": ").unwrap_or((&text, example(key)));
                    self.source
                        .report(at, &path, format!("has a wrong entry: {message}"), hint);
                }
                None => {
                    let message = format!(
                        "must be a list of texts, one entry is {}",
                        describe(item.get_ref())
                    );
                    self.source.report(at, &path, message, "");
                }
            }
        }
        list
    }

    /// A list whose entries are texts or tables; empty when left out.
    pub(super) fn items(&mut self, key: &'static str) -> Vec<Item<'s, 'i>> {
        let Some(value) = self.find(key).map(Spanned::get_ref) else {
            return Vec::new();
        };
        let Some(entries) = value.as_array() else {
            self.wrong_type(key, "a list", value);
            return Vec::new();
        };
        let mut items = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{}[{index}]", self.key_path(key));
            let at = entry.span().start;
            match entry.get_ref() {
                DeValue::String(text) => items.push(Item::Text(text.to_string())),
                DeValue::Table(table) => {
                    items.push(Item::Table(TableReader::new(self.source, table, path, at)));
                }
                other => {
                    let message = format!("must be a text or a table, not {}", describe(other));
                    self.source.report(at, &path, message, "");
                }
            }
        }
        items
    }

    /// Whether `key` is there as a text, which is then returned. For keys that take a word or a list.
    pub(super) fn word(&mut self, key: &'static str) -> Option<&'s str> {
        self.find(key)?.get_ref().as_str()
    }

    /// Whether `key` is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A table below this one that may be left out.
    pub(super) fn opt_table(&mut self, key: &'static str) -> Option<TableReader<'s, 'i>> {
        let value = self.find(key)?;
        if let Some(table) = value.get_ref().as_table() {
            return Some(TableReader::new(
                self.source,
                table,
                self.key_path(key),
                value.span().start,
            ));
        }
        self.wrong_type(key, "a table", value.get_ref());
        None
    }

    /// A table below this one that must be there.
    pub(super) fn table(&mut self, key: &'static str) -> Option<TableReader<'s, 'i>> {
        let there = self.has(key);
        let table = self.opt_table(key);
        if !there {
            self.report(
                key,
                "is missing",
                format!("add the table `[{}]`", self.key_path(key)),
            );
        }
        table
    }

    /// The tables `[[key]]`; none when left out.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<TableReader<'s, 'i>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(
                key,
                &format!("a list of tables, each under its `[[{key}]]`"),
                value.get_ref(),
            );
            return Vec::new();
        };
        let mut readers = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[#{}]", self.key_path(key), index + 1);
            match item.get_ref().as_table() {
                Some(table) => readers.push(TableReader::new(self.source, table, path, item.span().start)),
                None => self.source.report(
                    item.span().start,
                    &path,
                    format!("must be a table, not {}", describe(item.get_ref())),
                    format!("write it under `[[{key}]]`"),
                ),
            }
        }
        readers
    }

    /// The keys of this table, each marked as known. For tables whose keys are names.
    pub(super) fn entries(self) -> Vec<(String, TableReader<'s, 'i>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table {
            let path = self.key_path(key.get_ref());
            match value.get_ref().as_table() {
                Some(table) => entries.push((
                    key.get_ref().to_string(),
                    TableReader::new(self.source, table, path, key.span().start),
                )),
                None => self.source.report(
                    value.span().start,
                    &path,
                    format!("must be a table, not {}", describe(value.get_ref())),
                    "",
                ),
            }
        }
        entries
    }

    /// A reference to a secret that may be left out.
    pub(super) fn opt_secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let value = self.find(key)?.get_ref();
        match value {
            DeValue::Table(table) => {
                let found = secret_in(self.source, table);
                if found.is_none() {
                    self.report(key, "is not a reference to a secret", SECRET_FORM);
                }
                found
            }
            DeValue::String(_) => {
                // The secret itself must not be repeated here.
                self.report(
                    key,
                    "holds the secret itself",
                    format!("keep secrets out of this file: {SECRET_FORM}, and replace this one, for it has been written down"),
                );
                None
            }
            other => {
                self.wrong_type(key, "a reference to a secret", other);
                self.hint_last(SECRET_FORM);
                None
            }
        }
    }

    /// A reference to a secret that must be there.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let there = self.has(key);
        let secret = self.opt_secret(key);
        if !there {
            self.report(key, "is missing", SECRET_FORM);
        }
        secret
    }

    /// A path, absolute, that may be left out.
    pub(super) fn opt_path(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.opt_text(key)?;
        Some(self.source.path(&text))
    }

    /// A path, absolute, that must be there.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(self.source.path(&text))
    }

    /// The whole table as settings, secrets as references.
    pub(super) fn into_settings(self) -> Settings {
        Settings::new(json_table(self.source, self.table, &self.path, 0))
    }

    /// Settings under `key`; empty when left out.
    pub(super) fn settings(&mut self, key: &'static str) -> Settings {
        self.opt_table(key)
            .map_or_else(Settings::default, TableReader::into_settings)
    }

    /// Ends the reading: keys that nobody asked for are problems.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match closest(name, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known keys are {}", quoted(&self.known)),
            };
            self.source
                .report(key.span().start, &self.key_path(name), "is not a known key", hint);
        }
    }
}
