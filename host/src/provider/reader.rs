//! Reads TOML tables key by key and collects every problem instead of stopping at the first.
//!
//! Serde would stop at the first wrong value and know neither its line in an array of tables nor a remedy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use crate::domain::settings::{SECRET_KEY, secret_value};
use crate::domain::{SecretRef, Settings};

/// How deep settings may nest.
const MAX_DEPTH: usize = 32;

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
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
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

    fn required<T>(&mut self, key: &'static str, value: Option<Option<T>>) -> Option<T> {
        if value.is_none() {
            self.report(key, "is missing", format!("add `{key}`"));
        }
        value.flatten()
    }

    // The inner option is none when the value was there and wrong, which is already noted.

    fn text_if_there(&mut self, key: &'static str) -> Option<Option<String>> {
        let value = self.find(key)?.get_ref();
        let Some(text) = value.as_str() else {
            self.wrong_type(key, "a text", value);
            return Some(None);
        };
        // Names end up in pages, mails and terminals.
        if text.chars().any(char::is_control) {
            self.report(
                key,
                "has control characters in it",
                "remove line ends, tabs and the like",
            );
            return Some(None);
        }
        if text.is_empty() || text.len() > 500 {
            self.report(key, "must have 1 to 500 characters", "");
            return Some(None);
        }
        Some(Some(text.to_owned()))
    }

    /// A text that may be left out.
    pub(super) fn opt_text(&mut self, key: &'static str) -> Option<String> {
        self.text_if_there(key).flatten()
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.text_if_there(key);
        self.required(key, value)
    }

    fn parsed_if_there<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<Option<T>> {
        let Some(text) = self.text_if_there(key)? else {
            return Some(None);
        };
        match text.parse() {
            Ok(value) => Some(Some(value)),
            Err(error) => {
                self.report_form(key, &error);
                Some(None)
            }
        }
    }

    /// Error texts of checked types read `what is wrong: what to write`.
    fn report_form(&self, key: &str, error: &impl Display) {
        let text = error.to_string();
        let (message, hint) = text.rsplit_once(": ").unwrap_or((&text, example(key)));
        self.report(key, format!("is wrong: {message}"), hint);
    }

    /// A value of a checked type that may be left out.
    pub(super) fn opt_parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        self.parsed_if_there(key).flatten()
    }

    /// A value of a checked type that must be there.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.parsed_if_there(key);
        self.required(key, value)
    }

    fn integer_if_there(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<Option<u32>> {
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
        Some(number)
    }

    /// A whole number that must be there.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.integer_if_there(key, range);
        self.required(key, value)
    }

    /// A whole number that may be left out.
    pub(super) fn opt_integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.integer_if_there(key, range).flatten()
    }

    /// A number with or without a fraction, over 0, that may be left out.
    pub(super) fn opt_rate(&mut self, key: &'static str) -> Option<f64> {
        let value = self.find(key)?.get_ref();
        let text = value
            .as_integer()
            .filter(|number| number.radix() == 10)
            .map(|number| number.as_str());
        let text = text.or_else(|| value.as_float().map(|number| number.as_str()));
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
        for item in items.iter() {
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
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match closest(name, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known keys are {}", quoted(&self.known)),
            };
            let _ = value;
            self.source
                .report(key.span().start, &self.key_path(name), "is not a known key", hint);
        }
    }
}

/// What to write, for keys whose type comes from elsewhere and whose errors have no remedy.
fn example(key: &str) -> &'static str {
    match key {
        "email" => "write one such as `anna@example.com`",
        "endpoints" => "write one URL a node, `https://HOST:8006`",
        "ipv4" => "write addresses with their prefix, such as `192.0.2.10/24`",
        "ipv6" => "write addresses with their prefix, such as `2001:db8::10/64`",
        "gateway4" => "write one such as `192.0.2.1`",
        "gateway6" => "write one such as `fe80::1`",
        "dns" => "write addresses, such as `192.0.2.53`",
        _ => "",
    }
}

/// Lists words in backticks.
pub(super) fn quoted<T: Display>(words: &[T]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a value is, for messages. Texts are not repeated: they may be what should not be shown.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Reads `{ env = "NAME" }` or `{ file = "path" }`.
fn secret_in(source: &Source<'_>, table: &DeTable<'_>) -> Option<SecretRef> {
    if table.len() != 1 {
        return None;
    }
    let text = |key: &str| {
        table
            .get(key)
            .and_then(|value| value.get_ref().as_str())
            .filter(|text| !text.is_empty())
    };
    if let Some(name) = text("env") {
        let good = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return good.then(|| SecretRef::Env(name.to_owned()));
    }
    text("file").map(|path| SecretRef::File(source.path(path)))
}

fn json_table(source: &Source<'_>, table: &DeTable<'_>, path: &str, depth: usize) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let path = format!("{path}.{name}");
        if name == SECRET_KEY {
            source.report(
                key.span().start,
                &path,
                "is a key the panel keeps for itself",
                SECRET_FORM,
            );
            continue;
        }
        if let Some(value) = json_value(source, value.get_ref(), &path, value.span(), depth) {
            object.insert(name, value);
        }
    }
    object
}

fn json_value(
    source: &Source<'_>,
    value: &DeValue<'_>,
    path: &str,
    span: Range<usize>,
    depth: usize,
) -> Option<Value> {
    if depth > MAX_DEPTH {
        source.report(
            span.start,
            path,
            "nests too deep",
            format!("settings may nest {MAX_DEPTH} levels"),
        );
        return None;
    }
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            let Ok(parsed) = parsed else {
                source.report(span.start, path, "is too large a number", "");
                return None;
            };
            Value::from(parsed)
        }
        DeValue::Float(number) => {
            let parsed = number
                .as_str()
                .replace('_', "")
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64);
            let Some(parsed) = parsed else {
                source.report(
                    span.start,
                    path,
                    "is not a number that settings can hold",
                    "write a finite number",
                );
                return None;
            };
            Value::Number(parsed)
        }
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    json_value(
                        source,
                        item.get_ref(),
                        &format!("{path}[{index}]"),
                        item.span(),
                        depth + 1,
                    )
                })
                .collect(),
        ),
        DeValue::Table(table) => match secret_in(source, table) {
            Some(secret) => secret_value(&secret),
            None => Value::Object(json_table(source, table, path, depth + 1)),
        },
    })
}

fn collect_lines(
    source: &Source<'_>,
    table: &DeTable<'_>,
    prefix: &str,
    depth: usize,
    lines: &mut BTreeMap<String, usize>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        if let Some(table) = value.get_ref().as_table() {
            collect_lines(source, table, &path, depth + 1, lines);
        }
        lines.insert(path, source.line(key.span().start));
    }
}

/// The known word nearest to `word`, if it is near enough to be a slip of the pen.
pub(super) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known
        .iter()
        .map(|&candidate| (distance(word, candidate), candidate))
        .min()?;
    (near.0 <= 2.max(word.len() / 3)).then_some(near.1)
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, character) in left.chars().take(100).enumerate() {
        let mut next = vec![index + 1];
        for (column, (&other, window)) in right.iter().zip(row.windows(2)).enumerate() {
            let &[diagonal, above] = window else { continue };
            let before = next.get(column).copied().unwrap_or(usize::MAX - 1);
            next.push(
                (diagonal + usize::from(other != character))
                    .min(above + 1)
                    .min(before + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_key() {
        assert_eq!(
            closest("tokn_id", &["id", "token_id", "token_secret"]),
            Some("token_id")
        );
        assert_eq!(closest("zzzzzz", &["id", "token_id"]), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
