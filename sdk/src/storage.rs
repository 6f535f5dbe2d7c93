//! A small key-value store. Scope: `storage.use`.
//!
//! Two spaces: [`service`], of this plugin and the service of the call, and [`plugin`], of this plugin for all services.
//! Values are JSON, written and read by serde. What is written stays over restarts and upgrades of the plugin.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::portico::plugin::storage as contract;
use crate::import::storage as import;

pub use contract::Scope;

/// The space of this plugin and the service of the call.
pub fn service() -> Space {
    Space {
        scope: Scope::Service,
    }
}

/// The space of this plugin for all services. Pages of different customers write to it: keep no customer's data there.
pub fn plugin() -> Space {
    Space { scope: Scope::Plugin }
}

/// A namespace of the store.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    scope: Scope,
}

/// A value with the version it was read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its key.
    pub key: String,
    /// The value.
    pub value: T,
    /// Changes with every write; for [`Space::swap`].
    pub version: u64,
}

impl Space {
    /// Reads a value; none if there is none.
    ///
    /// # Errors
    /// `failed` when what is stored is no `T`.
    pub fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<Stored<T>>, Error> {
        let entry = import::get(self.scope, key)?;
        entry.map(read).transpose()
    }

    /// Writes a value. Returns its new version.
    ///
    /// # Errors
    /// `quota` when the space is full or the value too large, `invalid` for a bad key.
    pub fn set(self, key: &str, value: &impl Serialize) -> Result<u64, Error> {
        let bytes = write(value)?;
        import::set(self.scope, key, &bytes)
    }

    /// Removes a value. Removing one that is not there is no error.
    ///
    /// # Errors
    /// `denied` only.
    pub fn delete(self, key: &str) -> Result<(), Error> {
        import::delete(self.scope, key)
    }

    /// The values whose key starts with `prefix` and is greater than `after`, in order of their keys. At most `limit`
    /// (1…100).
    ///
    /// # Errors
    /// As [`Space::get`].
    pub fn list<T: DeserializeOwned>(
        self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Stored<T>>, Error> {
        let entries = import::list(self.scope, prefix, after, limit)?;
        entries.into_iter().map(read).collect()
    }

    /// Writes a value only if its version still is `expected`; none means that there must be no value.
    ///
    /// # Errors
    /// `conflict` if not; else as [`Space::set`].
    pub fn swap(self, key: &str, expected: Option<u64>, value: &impl Serialize) -> Result<u64, Error> {
        let bytes = write(value)?;
        import::compare_and_swap(self.scope, key, expected, &bytes)
    }
}

fn read<T: DeserializeOwned>(entry: contract::Entry) -> Result<Stored<T>, Error> {
    let contract::Entry { key, value, version } = entry;
    match serde_json::from_slice(&value) {
        Ok(value) => Ok(Stored { key, value, version }),
        Err(error) => Err(Error::failed(format!("stored value `{key}`: {error}"))),
    }
}

fn write(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::failed(format!("value to store: {error}")))
}
