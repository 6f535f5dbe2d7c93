//! Records as Rust types.
//!
//! A type that implements [`Stored`] knows its table and carries a schema number. On disk a record is that
//! number in two bytes, then JSON. Reading an older number runs [`Stored::migrate`] one step at a time until
//! the present schema is reached; the record is rewritten when its owner next writes it. Reading a newer one
//! is an error that names both, so that an old binary never guesses at a new binary's data.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Batch, Key, Record, Scan, Store, StoreError, Table};

/// A type with a table of its own.
///
/// ```
/// use portico_host::store::{Stored, Table};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Colour { red: u8, green: u8 }
///
/// impl Stored for Colour {
///     const TABLE: Table = Table::Meta;
///     const KIND: &'static str = "colour";
///     const SCHEMA: u16 = 2;
///     fn migrate(from: u16, mut record: serde_json::Value) -> Result<serde_json::Value, String> {
///         match from {
///             // Schema 1 had no green.
///             1 => { record["green"] = 0.into(); Ok(record) }
///             _ => Err(format!("no step from schema {from}")),
///         }
///     }
/// }
/// ```
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    /// Where the records are.
    const TABLE: Table;
    /// What a message calls one of them.
    const KIND: &'static str;
    /// The schema that is written, from 1. Raise it with every change that an old reader would misread, and
    /// add the step to [`Stored::migrate`].
    const SCHEMA: u16;

    /// Brings a record from schema `from` to `from + 1`.
    ///
    /// # Errors
    /// A sentence for the operator, without the record's content.
    fn migrate(from: u16, record: Value) -> Result<Value, String> {
        drop(record);
        Err(format!("there is no step from schema {from}"))
    }
}

/// A record and the version it had when it was read, to write it back only over that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Its version.
    pub version: u64,
}

/// A page of typed records.
#[derive(Clone, Debug)]
pub struct TypedPage<T> {
    /// Keys and records, in the order of the scan.
    pub entries: Vec<(Key, Versioned<T>)>,
    /// The scan of the next page, if there is one.
    pub next: Option<Scan>,
}

/// Turns a record into bytes.
pub fn encode<T: Stored>(value: &T) -> Result<Bytes, StoreError> {
    let mut bytes = T::SCHEMA.to_be_bytes().to_vec();
    serde_json::to_writer(&mut bytes, value).map_err(|error| StoreError::Encode {
        kind: T::KIND,
        source: error.into(),
    })?;
    Ok(bytes.into())
}

/// Reads a record back, migrating it if it is of an older schema.
pub fn decode<T: Stored>(bytes: &[u8]) -> Result<T, StoreError> {
    let (schema, json) = bytes
        .split_first_chunk::<2>()
        .ok_or_else(|| StoreError::Damaged {
            kind: T::KIND,
            reason: "it has no schema number".into(),
        })?;
    let found = u16::from_be_bytes(*schema);
    if found > T::SCHEMA {
        return Err(StoreError::Newer {
            kind: T::KIND,
            found,
            known: T::SCHEMA,
        });
    }
    if found == T::SCHEMA {
        return serde_json::from_slice(json).map_err(|error| damaged::<T>(&error));
    }
    let mut value: Value = serde_json::from_slice(json).map_err(|error| damaged::<T>(&error))?;
    for from in found..T::SCHEMA {
        value = T::migrate(from, value).map_err(|reason| StoreError::Migration {
            kind: T::KIND,
            from: found,
            reason,
        })?;
    }
    serde_json::from_value(value).map_err(|error| damaged::<T>(&error))
}

/// Says where a record is damaged. Serde's own text quotes the value, which may be a secret.
fn damaged<T: Stored>(error: &serde_json::Error) -> StoreError {
    let class = match error.classify() {
        serde_json::error::Category::Data => "a field is missing or of another type",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    let reason = match error.column() {
        0 => class.to_owned(),
        column => format!("{class}, at byte {column}"),
    };
    StoreError::Damaged {
        kind: T::KIND,
        reason,
    }
}

impl Record {
    /// Reads the record as a type.
    pub fn decode<T: Stored>(&self) -> Result<Versioned<T>, StoreError> {
        Ok(Versioned {
            value: decode(&self.value)?,
            version: self.version,
        })
    }
}

impl Batch {
    /// Writes a record, whatever is there.
    pub fn save<T: Stored>(&mut self, key: impl Into<Key>, value: &T) -> Result<&mut Self, StoreError> {
        Ok(self.put(T::TABLE, key, encode(value)?))
    }

    /// Writes a record where none is yet, else the batch conflicts.
    pub fn create<T: Stored>(&mut self, key: impl Into<Key>, value: &T) -> Result<&mut Self, StoreError> {
        Ok(self.insert(T::TABLE, key, encode(value)?))
    }

    /// Writes a record over exactly `version`, the one that was read, else the batch conflicts.
    pub fn update<T: Stored>(
        &mut self,
        key: impl Into<Key>,
        version: u64,
        value: &T,
    ) -> Result<&mut Self, StoreError> {
        Ok(self.replace(T::TABLE, key, version, encode(value)?))
    }
}

/// How often [`StoreExt::change`] starts again when others write the same record.
const CHANGE_ATTEMPTS: usize = 32;

/// Single operations and typed reads, for every store.
#[async_trait]
pub trait StoreExt: Store {
    /// Reads a record.
    async fn load<T: Stored>(&self, key: &Key) -> Result<Option<Versioned<T>>, StoreError> {
        self.get(T::TABLE, key)
            .await?
            .map(|record| record.decode())
            .transpose()
    }

    /// Reads a page of records. `scan` must be of the type's table; that of another one reads as damaged.
    async fn list<T: Stored>(&self, scan: &Scan) -> Result<TypedPage<T>, StoreError> {
        let page = self.scan(scan).await?;
        let next = scan.next(&page);
        let entries = page
            .entries
            .into_iter()
            .map(|entry| Ok((entry.key, entry.record.decode()?)));
        Ok(TypedPage {
            entries: entries.collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    /// Reads all records of a scan, page by page, up to `at_most`. For tables the provider fills by hand.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if there are more.
    async fn list_all<T: Stored>(
        &self,
        scan: Scan,
        at_most: usize,
    ) -> Result<Vec<(Key, Versioned<T>)>, StoreError> {
        let mut all = Vec::new();
        let mut next = Some(scan);
        while let Some(scan) = next {
            let page = self.list::<T>(&scan).await?;
            all.extend(page.entries);
            if all.len() > at_most {
                return Err(StoreError::TooLarge {
                    what: "list",
                    size: all.len(),
                    limit: at_most,
                });
            }
            next = page.next;
        }
        Ok(all)
    }

    /// Writes a record, whatever is there, and returns its version.
    async fn save<T: Stored>(&self, key: &Key, value: &T) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        batch.save(key, value)?;
        self.apply(batch).await
    }

    /// Writes a record where none is yet, else conflicts; returns its version.
    async fn create<T: Stored>(&self, key: &Key, value: &T) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        batch.create(key, value)?;
        self.apply(batch).await
    }

    /// Writes a record back over the version that was read, else conflicts; returns its new version.
    async fn update<T: Stored>(&self, key: &Key, record: &Versioned<T>) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        batch.update(key, record.version, &record.value)?;
        self.apply(batch).await
    }

    /// Changes a record by `change` until nobody else wrote it in between; `None` if it is not there.
    ///
    /// `change` runs again on the newer record after each conflict, so it must depend on nothing else.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when others were faster every time.
    async fn change<T, F>(&self, key: &Key, change: F) -> Result<Option<Versioned<T>>, StoreError>
    where
        T: Stored,
        F: Fn(&mut T) + Send + Sync,
    {
        let mut attempts = 0;
        loop {
            let Some(mut record) = self.load::<T>(key).await? else {
                return Ok(None);
            };
            change(&mut record.value);
            match self.update(key, &record).await {
                Ok(version) => return Ok(Some(Versioned { version, ..record })),
                Err(error) if error.is_conflict() && attempts < CHANGE_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes bytes, whatever is there, and returns their version.
    async fn put(&self, table: Table, key: &Key, value: Bytes) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        batch.put(table, key, value);
        self.apply(batch).await
    }

    /// Removes what is there; nothing being there is fine.
    async fn delete(&self, table: Table, key: &Key) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(table, key);
        self.apply(batch).await.map(drop)
    }

    /// Writes bytes over exactly `expected` (`None`: over nothing), else conflicts; returns their version.
    async fn compare_and_swap(
        &self,
        table: Table,
        key: &Key,
        expected: Option<u64>,
        value: Bytes,
    ) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        match expected {
            Some(version) => batch.replace(table, key, version, value),
            None => batch.insert(table, key, value),
        };
        self.apply(batch).await
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        name: String,
    }

    impl Stored for Old {
        const TABLE: Table = Table::Meta;
        const KIND: &'static str = "thing";
        const SCHEMA: u16 = 1;
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        name: String,
        size: u32,
        tags: Vec<String>,
    }

    impl Stored for New {
        const TABLE: Table = Table::Meta;
        const KIND: &'static str = "thing";
        const SCHEMA: u16 = 3;
        fn migrate(from: u16, mut record: Value) -> Result<Value, String> {
            let fields = record.as_object_mut().ok_or("not an object")?;
            match from {
                1 => fields.insert("size".into(), 1.into()),
                2 => fields.insert("tags".into(), Value::Array(Vec::new())),
                _ => return Err(format!("no step from {from}")),
            };
            Ok(record)
        }
    }

    #[tokio::test]
    async fn a_record_of_an_old_schema_is_migrated_step_by_step() {
        let store = MemoryStore::new();
        let key = Key::text("a");
        store.save(&key, &Old { name: "x".into() }).await.unwrap();
        let read = store.load::<New>(&key).await.unwrap().unwrap();
        assert_eq!(
            read.value,
            New {
                name: "x".into(),
                size: 1,
                tags: vec![]
            }
        );
    }

    #[tokio::test]
    async fn a_record_of_a_newer_schema_is_refused_with_both_numbers() {
        let store = MemoryStore::new();
        let key = Key::text("a");
        store
            .save(
                &key,
                &New {
                    name: "x".into(),
                    size: 1,
                    tags: vec![],
                },
            )
            .await
            .unwrap();
        let error = store.load::<Old>(&key).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 3,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_damaged_record_is_an_error_that_does_not_quote_it() {
        let store = MemoryStore::new();
        let key = Key::text("a");
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\x01",
            b"\0\x01{\"name\":\"hunter2",
            b"\0\x01{\"name\":[\"hunter2\"]}",
        ] {
            store
                .put(Table::Meta, &key, Bytes::copy_from_slice(bytes))
                .await
                .unwrap();
            let error = store.load::<Old>(&key).await.unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }));
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_schema_without_a_migration_step_is_an_error() {
        let store = MemoryStore::new();
        let key = Key::text("a");
        store
            .put(Table::Meta, &key, Bytes::from_static(b"\0\0{}"))
            .await
            .unwrap();
        let error = store.load::<New>(&key).await.unwrap_err();
        assert!(matches!(error, StoreError::Migration { from: 0, .. }), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn concurrent_changes_of_one_record_all_count() {
        let store = MemoryStore::new();
        let key = Key::text("a");
        store
            .save(
                &key,
                &New {
                    name: "x".into(),
                    size: 0,
                    tags: vec![],
                },
            )
            .await
            .unwrap();
        let changes = (0..8).map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    while store
                        .change(&key, |thing: &mut New| thing.size += 1)
                        .await
                        .is_err()
                    {}
                }
            })
        });
        for change in changes.collect::<Vec<_>>() {
            change.await.unwrap();
        }
        assert_eq!(store.load::<New>(&key).await.unwrap().unwrap().value.size, 160);
        let nobody = store
            .change(&Key::text("b"), |thing: &mut New| thing.size += 1)
            .await;
        assert_eq!(nobody.unwrap(), None);
    }
}
