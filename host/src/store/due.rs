//! Due queues: what is to be looked at when.
//!
//! A queue holds ids, each at most once and each with a due time. The index is ordered by that time, so asking
//! what is due reads what is due and nothing else. Claiming an id moves it in the index to the end of the
//! claim: a worker that dies gives its claims back by doing nothing, and no second structure has to be watched.
//!
//! Entering, moving and leaving the queue are added to the caller's batch, so that a job and its place in the
//! queue cannot disagree.

use std::collections::HashSet;
use std::ops::Bound;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Batch, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table, Versioned};
use crate::clock::later;

/// One queue of a store.
#[derive(Clone, Debug)]
pub struct DueQueue {
    store: SharedStore,
    name: &'static str,
}

/// An id that is this worker's until the claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The id.
    pub id: String,
    /// When it was due.
    pub due: Timestamp,
    /// When another worker may claim it.
    pub until: Timestamp,
    /// How often it has been claimed since it was last scheduled, this time included. A number that rises
    /// tells of workers that die over it.
    pub attempt: u32,
    version: u64,
}

/// Where an id stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When it is due, or was when it was claimed.
    pub due: Timestamp,
    /// Who has claimed it and until when.
    pub claim: Option<(String, Timestamp)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    due: Timestamp,
    /// The time under which the id stands in the index: `due`, or the end of the claim.
    at: Timestamp,
    owner: Option<String>,
    attempt: u32,
}

impl Stored for Place {
    const TABLE: Table = Table::DueEntries;
    const KIND: &'static str = "due entry";
    const SCHEMA: u16 = 1;
}

/// How many ids one call of [`DueQueue::claim`] hands out at most.
pub const CLAIM_LIMIT: usize = 256;

impl DueQueue {
    /// The queue called `name`. Two queues of one name in one store are the same queue.
    pub fn new(store: SharedStore, name: &'static str) -> Self {
        Self { store, name }
    }

    fn entry_key(&self, id: &str) -> Key {
        Key::text(self.name).and(id)
    }

    fn index_key(&self, at: Timestamp, id: &str) -> Key {
        Key::text(self.name).time(at).and(id)
    }

    /// Adds entering the queue to `batch`. The batch conflicts if the id is in the queue already.
    pub fn insert<'a>(
        &self,
        batch: &'a mut Batch,
        id: &str,
        due: Timestamp,
    ) -> Result<&'a mut Batch, StoreError> {
        let place = Place {
            due,
            at: due,
            owner: None,
            attempt: 0,
        };
        Ok(batch
            .create(self.entry_key(id), &place)?
            .put(Table::DueIndex, self.index_key(due, id), ""))
    }

    /// Adds entering the queue, or moving in it, to `batch`.
    ///
    /// A claim on the id is taken away by it: the claimer's [`DueQueue::ack`] will conflict, and the id is
    /// handed out again at `due`. The batch itself conflicts if the id moves between this call and `apply`.
    pub async fn schedule(&self, batch: &mut Batch, id: &str, due: Timestamp) -> Result<(), StoreError> {
        let Some(old) = self.store.load::<Place>(&self.entry_key(id)).await? else {
            self.insert(batch, id, due)?;
            return Ok(());
        };
        batch.delete(Table::DueIndex, self.index_key(old.value.at, id));
        self.rewrite(
            batch,
            id,
            old.version,
            &Place {
                due,
                at: due,
                owner: None,
                attempt: 0,
            },
        )
    }

    /// Adds leaving the queue to `batch`; an id that is not in it is fine. A claim ends as with
    /// [`DueQueue::schedule`].
    pub async fn cancel(&self, batch: &mut Batch, id: &str) -> Result<(), StoreError> {
        match self.store.load::<Place>(&self.entry_key(id)).await? {
            None => batch.require_absent(Table::DueEntries, self.entry_key(id)),
            Some(old) => batch
                .remove(Table::DueEntries, self.entry_key(id), old.version)
                .delete(Table::DueIndex, self.index_key(old.value.at, id)),
        };
        Ok(())
    }

    /// Hands out what is due at `now`, earliest first, at most `limit` (and [`CLAIM_LIMIT`]) ids.
    ///
    /// No other call gets the same ids until `now + term`. The cost depends on what is handed out, not on
    /// what is in the queue.
    pub async fn claim(
        &self,
        now: Timestamp,
        limit: usize,
        owner: &str,
        term: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let limit = limit.min(CLAIM_LIMIT);
        let until = later(now, term);
        let mut claimed = Vec::new();
        let mut next = Some(self.due_scan(now).limit(limit));
        while let Some(scan) = next.filter(|_| claimed.len() < limit) {
            let page = self.store.scan(&scan).await?;
            next = scan.next(&page);
            // One batch an id: an id another worker was faster with costs that id only. They are applied
            // together, so that they share one flush.
            let room = limit - claimed.len();
            let mut claims: FuturesUnordered<_> = page
                .entries
                .iter()
                .take(room)
                .map(|entry| self.claim_one(&entry.key, owner, until))
                .collect();
            while let Some(claim) = claims.next().await {
                claimed.extend(claim?);
            }
        }
        claimed.sort_by(|a: &Claimed, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        Ok(claimed)
    }

    /// Claims what stands under one key of the index; `None` if it is gone or another worker has it.
    async fn claim_one(
        &self,
        index: &Key,
        owner: &str,
        until: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        let mut parts = index.parts();
        let (_queue, at, id) = (parts.bytes(), parts.time(), parts.text());
        let (Some(at), Some(id)) = (at, id) else {
            return Ok(None);
        };
        let Some(place) = self.store.load::<Place>(&self.entry_key(&id)).await? else {
            return Ok(None);
        };
        if self.index_key(place.value.at, &id) != *index {
            return Ok(None);
        }
        let Versioned {
            value: Place { due, attempt, .. },
            version,
        } = place;
        let attempt = attempt.saturating_add(1);
        let mut batch = Batch::new();
        batch.delete(Table::DueIndex, self.index_key(at, &id));
        self.rewrite(
            &mut batch,
            &id,
            version,
            &Place {
                due,
                at: until,
                owner: Some(owner.to_owned()),
                attempt,
            },
        )?;
        match self.store.apply(batch).await {
            Ok(version) => Ok(Some(Claimed {
                id,
                due,
                until,
                attempt,
                version,
            })),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds the end of the work to `batch`: the id leaves the queue. Conflicts if the claim was lost.
    pub fn ack<'a>(&self, batch: &'a mut Batch, claimed: &Claimed) -> &'a mut Batch {
        batch
            .remove(Table::DueEntries, self.entry_key(&claimed.id), claimed.version)
            .delete(Table::DueIndex, self.index_key(claimed.until, &claimed.id))
    }

    /// Adds to `batch` that the id is due again at `due`, which ends the claim. Conflicts if it was lost.
    pub fn again(&self, batch: &mut Batch, claimed: &Claimed, due: Timestamp) -> Result<(), StoreError> {
        batch.delete(Table::DueIndex, self.index_key(claimed.until, &claimed.id));
        self.rewrite(
            batch,
            &claimed.id,
            claimed.version,
            &Place {
                due,
                at: due,
                owner: None,
                attempt: 0,
            },
        )
    }

    /// Gives a claim back unfinished: the id is due for anybody again, at its old time and with its count of
    /// attempts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the claim was lost, which changes nothing.
    pub async fn abandon(&self, claimed: &Claimed) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(Table::DueIndex, self.index_key(claimed.until, &claimed.id));
        let place = Place {
            due: claimed.due,
            at: claimed.due,
            owner: None,
            attempt: claimed.attempt,
        };
        self.rewrite(&mut batch, &claimed.id, claimed.version, &place)?;
        self.store.apply(batch).await.map(drop)
    }

    /// Extends a claim to `until`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was lost: the work must stop.
    pub async fn extend(
        &self,
        claimed: &mut Claimed,
        owner: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(Table::DueIndex, self.index_key(claimed.until, &claimed.id));
        let Claimed { due, attempt, .. } = *claimed;
        let place = Place {
            due,
            at: until,
            owner: Some(owner.to_owned()),
            attempt,
        };
        self.rewrite(&mut batch, &claimed.id, claimed.version, &place)?;
        claimed.version = self.store.apply(batch).await?;
        claimed.until = until;
        Ok(())
    }

    /// Where an id stands, or `None` if it is not in the queue.
    pub async fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        let place = self.store.load::<Place>(&self.entry_key(id)).await?;
        Ok(place.map(
            |Versioned {
                 value: Place { due, at, owner, .. },
                 ..
             }| Standing {
                due,
                claim: owner.map(|owner| (owner, at)),
            },
        ))
    }

    /// When the first id of the queue is due (or the first claim ends); `None` if the queue is empty.
    ///
    /// A worker sleeps until then, or until it is told that something earlier was scheduled.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let scan = Scan::prefix(Table::DueIndex, Key::text(self.name)).limit(1);
        let page = self.store.scan(&scan).await?;
        Ok(page.entries.first().and_then(|entry| {
            let mut parts = entry.key.parts();
            parts.bytes()?;
            parts.time()
        }))
    }

    /// Ends all claims a store was left with by a process that is gone, and returns how many there were.
    ///
    /// Call it once at start, before any worker runs. It does nothing unless the store belongs to this
    /// process alone.
    pub async fn break_stale(&self) -> Result<usize, StoreError> {
        if !self.store.is_exclusive() {
            return Ok(0);
        }
        let mut broken = HashSet::new();
        let mut next = Some(Scan::prefix(Table::DueEntries, Key::text(self.name)));
        while let Some(scan) = next {
            let page = self.store.list::<Place>(&scan).await?;
            next = page.next;
            let mut batch = Batch::new();
            for (
                key,
                Versioned {
                    value: place,
                    version,
                },
            ) in page.entries
            {
                let mut parts = key.parts();
                let (Some(_), Some(id), Some(_)) = (parts.bytes(), parts.text(), &place.owner) else {
                    continue;
                };
                batch.delete(Table::DueIndex, self.index_key(place.at, &id));
                let Place { due, attempt, .. } = place;
                self.rewrite(
                    &mut batch,
                    &id,
                    version,
                    &Place {
                        due,
                        at: due,
                        owner: None,
                        attempt,
                    },
                )?;
                broken.insert(id);
            }
            if !batch.is_empty() {
                self.store.apply(batch).await?;
            }
        }
        Ok(broken.len())
    }

    /// Writes a place over `version` and its row of the index. The old row must have been deleted before, for
    /// it may be the same key.
    fn rewrite(&self, batch: &mut Batch, id: &str, version: u64, place: &Place) -> Result<(), StoreError> {
        let at = place.at;
        batch
            .update(self.entry_key(id), version, place)?
            .put(Table::DueIndex, self.index_key(at, id), "");
        Ok(())
    }

    /// The rows that are due at `now`.
    fn due_scan(&self, now: Timestamp) -> Scan {
        let mut scan = Scan::prefix(Table::DueIndex, Key::text(self.name));
        // A time part sorts by its bytes, so everything up to `now` lies below the first key of the next
        // microsecond.
        let end =
            Key::text(self.name).number((now.as_microsecond().cast_unsigned() ^ (1 << 63)).saturating_add(1));
        scan.end = Bound::Excluded(end);
        scan
    }
}
