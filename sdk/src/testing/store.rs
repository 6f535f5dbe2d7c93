//! A key-value store of one namespace.

use std::collections::BTreeMap;

use crate::Error;
use crate::bindings::portico::plugin::storage::Entry;

/// A namespace, with the quotas of the contract.
#[derive(Clone, Debug, Default)]
pub struct Store {
    entries: BTreeMap<String, (u64, Vec<u8>)>,
    writes: u64,
}

const KEYS: usize = 1_000;
const VALUE: usize = 64 << 10;
const ALL: usize = 1 << 20;

impl Store {
    /// The value of a key as JSON text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.entries
            .get(key)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.entries
            .get(key)
            .map(|(version, value)| entry(key, *version, value))
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>) -> Result<u64, Error> {
        super::check("key", (1..=256).contains(&key.len()), "1 to 256 bytes")?;
        let others = self.entries.iter().filter(|(other, _)| other.as_str() != key);
        let (keys, bytes) = others.fold((1, value.len()), |(keys, bytes), (_, (_, value))| {
            (keys + 1, bytes + value.len())
        });
        if keys > KEYS || value.len() > VALUE || bytes > ALL {
            return Err(Error::Quota("storage of the plugin".into()));
        }
        self.writes += 1;
        self.entries.insert(key.into(), (self.writes, value));
        Ok(self.writes)
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.entries.remove(key);
    }

    pub(crate) fn list(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<Entry> {
        let limit = usize::try_from(limit.clamp(1, 100)).unwrap_or(100);
        self.entries
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .take(limit)
            .map(|(key, (version, value))| entry(key, *version, value))
            .collect()
    }

    pub(crate) fn swap(&mut self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, Error> {
        if self.entries.get(key).map(|(version, _)| *version) != expected {
            return Err(Error::Conflict);
        }
        self.set(key, value)
    }
}

fn entry(key: &str, version: u64, value: &[u8]) -> Entry {
    Entry {
        key: key.into(),
        value: value.to_vec(),
        version,
    }
}
