//! The activity log: appended to, and read by pages from the newest.
//!
//! Keys in [`Table::Activity`]: whom the entry is filed under (a service, or a customer's account), its time,
//! and eight bytes of its hash. The hash tells entries of one moment apart, and makes an entry that a job
//! writes again after a crash fall on itself. [`Table::Indexes`] has all entries by time, for the provider.

use super::{RecordError, Records};
use crate::domain::{ActivityEntry, Actor, CustomerId, ServiceId};
use crate::store::{Batch, Key, Scan, StoreError, Stored, Table};

impl Stored for ActivityEntry {
    const TABLE: Table = Table::Activity;
    const KIND: &'static str = "activity entry";
    const SCHEMA: u16 = 1;
}

/// A page of the activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityPage {
    /// The entries, newest first.
    pub entries: Vec<ActivityEntry>,
    /// What to ask for the page of older ones with, if there are any.
    pub next: Option<String>,
}

const INDEX: &str = "activity";
/// Entries removed in one transaction.
const FORGOTTEN_AT_ONCE: usize = 200;

fn service_prefix(service: ServiceId) -> Key {
    Key::text("service").bytes(service.as_bytes())
}

fn account_prefix(customer: &CustomerId) -> Key {
    Key::text("account").and(customer.as_str())
}

impl Records {
    /// Writes an entry by itself.
    pub async fn log(&self, entry: &ActivityEntry) -> Result<(), RecordError> {
        let mut batch = Batch::new();
        Self::stage_activity(&mut batch, entry)?;
        self.store.apply(batch).await?;
        Ok(())
    }

    /// Stages an entry in the batch of what it tells about.
    pub fn stage_activity(batch: &mut Batch, entry: &ActivityEntry) -> Result<(), StoreError> {
        let mut entry = entry.clone();
        let cut = entry.text.floor_char_boundary(ActivityEntry::MAX_TEXT);
        entry.text.truncate(cut);
        let prefix = match (&entry.service, &entry.actor) {
            (Some(service), _) => service_prefix(*service),
            (None, Actor::Customer(customer)) => account_prefix(customer),
            (None, Actor::Provider(_) | Actor::System) => Key::text("panel"),
        };
        let bytes = crate::store::typed::encode(&entry)?;
        let hash = blake3::hash(&bytes);
        let (head, _) = hash.as_bytes().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let nonce = u64::from_be_bytes(*head);
        let key = prefix.time(entry.at).number(nonce);
        batch.put(
            Table::Indexes,
            Key::text(INDEX).time(entry.at).number(nonce),
            key.as_bytes().to_vec(),
        );
        batch.put(Table::Activity, key, bytes);
        Ok(())
    }

    /// A page of what happened to a service of `customer`.
    ///
    /// `cursor` is the `next` of an earlier page; one that was made up finds nothing that is not his.
    ///
    /// # Errors
    /// [`RecordError::NotFound`] when the service is not his.
    pub async fn activity_of(
        &self,
        customer: &CustomerId,
        service: ServiceId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ActivityPage, RecordError> {
        self.service_of(customer, service).await?;
        self.activity_page(service_prefix(service), cursor, limit).await
    }

    /// A page of what happened to the account of `customer`.
    pub async fn account_activity(
        &self,
        customer: &CustomerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ActivityPage, RecordError> {
        self.activity_page(account_prefix(customer), cursor, limit).await
    }

    async fn activity_page(
        &self,
        prefix: Key,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ActivityPage, RecordError> {
        let scan = before_cursor(Scan::prefix(Table::Activity, prefix), cursor)
            .limit(limit)
            .reverse();
        let page = self.store.scan(&scan).await?;
        let next = page
            .entries
            .last()
            .filter(|_| page.more)
            .map(|entry| hex::encode(entry.key.as_bytes()));
        let entries = page.entries.iter().map(|entry| Ok(entry.record.decode()?.value));
        Ok(ActivityPage {
            entries: entries.collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    /// A page of everything that happened, for the provider.
    pub async fn all_activity(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ActivityPage, RecordError> {
        let scan = before_cursor(Scan::prefix(Table::Indexes, Key::text(INDEX)), cursor)
            .limit(limit)
            .reverse();
        let page = self.store.scan(&scan).await?;
        let next = page
            .entries
            .last()
            .filter(|_| page.more)
            .map(|entry| hex::encode(entry.key.as_bytes()));
        let mut entries = Vec::new();
        for index in &page.entries {
            let key = Key::raw(index.record.value.to_vec());
            if let Some(record) = self.store.get(Table::Activity, &key).await? {
                entries.push(record.decode()?.value);
            }
        }
        Ok(ActivityPage { entries, next })
    }

    /// Removes the oldest entries that were written before `cutoff`, at most a page; returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_activity_before(&self, cutoff: jiff::Timestamp) -> Result<usize, StoreError> {
        let scan = Scan::prefix(Table::Indexes, Key::text(INDEX))
            .before(Key::text(INDEX).time(cutoff))
            .limit(FORGOTTEN_AT_ONCE);
        let page = self.store.scan(&scan).await?;
        let mut batch = Batch::new();
        for index in &page.entries {
            batch
                .delete(Table::Activity, Key::raw(index.record.value.to_vec()))
                .delete(Table::Indexes, index.key.clone());
        }
        if !batch.is_empty() {
            self.store.apply(batch).await?;
        }
        Ok(page.entries.len())
    }
}

/// Narrows a scan to what is older than `cursor`; a scan's range can only shrink, whatever the cursor says.
fn before_cursor(scan: Scan, cursor: Option<&str>) -> Scan {
    match cursor.and_then(|cursor| hex::decode(cursor).ok()) {
        Some(key) => scan.before(Key::raw(key)),
        None => scan,
    }
}
