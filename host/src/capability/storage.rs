//! The plugin's key-value store.
//!
//! A key is plugin, namespace (the service's id, or `-` for the plugin's own), key. How much of the quota a namespace uses
//! is a record of its own, changed in the same transaction as the value, so a flood cannot slip between two counts.

use async_trait::async_trait;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::storage::{Entry, Scope as Namespace};
use portico_runtime::capability::StoragePort;
use serde::{Deserialize, Serialize};

use super::{Binding, store_failed};
use crate::domain::ServiceId;
use crate::store::{Batch, Key, Record, Scan, SharedStore, StoreError, StoreExt, Stored, Table};

/// Keys of a namespace.
const KEYS: u64 = 1_000;
/// Bytes of all keys and values of a namespace.
const BYTES: u64 = 1 << 20;
/// Values removed in one transaction.
const FORGOTTEN_AT_ONCE: usize = 200;
/// How often a write is tried again when others write to the namespace.
const ATTEMPTS: usize = 16;

/// What a namespace uses.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Use {
    keys: u64,
    bytes: u64,
}

impl Stored for Use {
    const TABLE: Table = Table::PluginStorageUse;
    const KIND: &'static str = "use of plugin storage";
    const SCHEMA: u16 = 1;
}

/// On which condition a value is written.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    Version(Option<u64>),
}

/// Removes what all plugins, also those that are not installed any more, have stored for a service.
///
/// # Errors
/// When the store fails; saying it again goes on.
pub async fn forget_service(store: &SharedStore, service: ServiceId) -> Result<(), StoreError> {
    let mut uses = Scan::table(Table::PluginStorageUse).limit(1);
    loop {
        let page = store.scan(&uses).await?;
        let Some(entry) = page.entries.first() else {
            return Ok(());
        };
        let Some(plugin) = entry.key.parts().bytes() else {
            uses = uses.after(entry.key.clone());
            continue;
        };
        let space = Key::default().bytes(&plugin).and(&service.to_string());
        let values = Scan::prefix(Table::PluginStorage, &space).limit(FORGOTTEN_AT_ONCE);
        loop {
            let page = store.scan(&values).await?;
            let mut batch = Batch::new();
            for entry in page.entries {
                batch.delete(Table::PluginStorage, entry.key);
            }
            batch.delete(Table::PluginStorageUse, space.clone());
            store.apply(batch).await?;
            if !page.more {
                break;
            }
        }
        // To the next plugin: its key is above every key of this one, whose first part ends in a zero byte.
        let mut above = plugin;
        above.push(1);
        uses = uses.from(Key::raw(above));
    }
}

#[async_trait]
impl StoragePort for Binding {
    async fn get(&self, namespace: Namespace, key: String) -> Result<Option<Entry>, CapabilityError> {
        let place = self.space(namespace).and(&key);
        let record = self
            .parts
            .store
            .get(Table::PluginStorage, &place)
            .await
            .map_err(store_failed)?;
        Ok(record.map(|record| entry(key, &record)))
    }

    async fn set(&self, namespace: Namespace, key: String, value: Vec<u8>) -> Result<u64, CapabilityError> {
        self.write(namespace, &key, Some(value), Condition::Always).await
    }

    async fn delete(&self, namespace: Namespace, key: String) -> Result<(), CapabilityError> {
        self.write(namespace, &key, None, Condition::Always)
            .await
            .map(drop)
    }

    async fn list(
        &self,
        namespace: Namespace,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<Entry>, CapabilityError> {
        let space = self.space(namespace);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // The keys of a namespace are in the order of their texts; those of the prefix are next to each other.
        let from = after.filter(|after| *after >= prefix);
        let mut scan = Scan::prefix(Table::PluginStorage, &space).limit(limit);
        scan = match &from {
            Some(after) => scan.after(space.clone().and(after)),
            None => scan.from(space.clone().and(&prefix)),
        };
        let page = self.parts.store.scan(&scan).await.map_err(store_failed)?;
        let entries = page.entries.into_iter().filter_map(|found| {
            let mut parts = found.key.parts();
            let (_, _, key) = (parts.text()?, parts.text()?, parts.text()?);
            Some(entry(key, &found.record))
        });
        Ok(entries
            .take_while(|entry| entry.key.starts_with(&prefix))
            .collect())
    }

    async fn compare_and_swap(
        &self,
        namespace: Namespace,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<u64, CapabilityError> {
        self.write(namespace, &key, Some(value), Condition::Version(expected))
            .await
    }
}

impl Binding {
    fn space(&self, namespace: Namespace) -> Key {
        let space = match namespace {
            Namespace::Service => self.service.id.to_string(),
            Namespace::Plugin => "-".to_owned(),
        };
        Key::text(self.plugin.as_str()).and(&space)
    }

    async fn write(
        &self,
        namespace: Namespace,
        key: &str,
        value: Option<Vec<u8>>,
        condition: Condition,
    ) -> Result<u64, CapabilityError> {
        for _ in 0..ATTEMPTS {
            match self.try_write(namespace, key, value.clone(), condition).await? {
                Ok(version) => return Ok(version),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(store_failed(error)),
            }
        }
        Err(CapabilityError::Unavailable)
    }

    /// One attempt; the inner error is the store's, which may be a conflict with another write to the namespace.
    async fn try_write(
        &self,
        namespace: Namespace,
        key: &str,
        value: Option<Vec<u8>>,
        condition: Condition,
    ) -> Result<Result<u64, StoreError>, CapabilityError> {
        let space = self.space(namespace);
        let place = space.clone().and(key);
        let old = self
            .parts
            .store
            .get(Table::PluginStorage, &place)
            .await
            .map_err(store_failed)?;
        if let Condition::Version(expected) = condition
            && old.as_ref().map(|old| old.version) != expected
        {
            return Err(CapabilityError::Conflict);
        }
        let used = self.parts.store.load::<Use>(&space).await.map_err(store_failed)?;
        let (version, used) = used.map_or((None, Use::default()), |used| (Some(used.version), used.value));
        let size = |value: usize| u64::try_from(key.len() + value).unwrap_or(u64::MAX);
        let before = old.as_ref().map_or(0, |old| size(old.value.len()));
        let after = value.as_ref().map_or(0, |value| size(value.len()));
        let next = Use {
            keys: (used.keys + u64::from(value.is_some())).saturating_sub(u64::from(old.is_some())),
            bytes: (used.bytes + after).saturating_sub(before),
        };
        if value.is_some() && (next.keys > KEYS || next.bytes > BYTES) {
            return Err(CapabilityError::Quota(format!(
                "storage holds {KEYS} keys and {BYTES} bytes"
            )));
        }
        let mut batch = Batch::new();
        match (&old, value) {
            (Some(old), Some(value)) => batch.replace(Table::PluginStorage, &place, old.version, value),
            (None, Some(value)) => batch.insert(Table::PluginStorage, &place, value),
            (Some(old), None) => batch.remove(Table::PluginStorage, &place, old.version),
            (None, None) => return Ok(Ok(0)),
        };
        let counted = match version {
            Some(version) => batch.update(&space, version, &next),
            None => batch.create(&space, &next),
        };
        counted.map_err(store_failed)?;
        Ok(self.parts.store.apply(batch).await)
    }
}

fn entry(key: String, record: &Record) -> Entry {
    Entry {
        key,
        value: record.value.to_vec(),
        version: record.version,
    }
}
