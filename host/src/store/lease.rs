//! Leases: one owner of a name at a time, for a while, with a fencing token.
//!
//! A lease is two records. The *fence* is written only when the lease changes hands, so its version is the
//! fencing token; the *term* is rewritten at every renewal. A batch that calls [`Lease::guard`] requires the
//! fence and therefore commits only while nobody else has taken the lease, however late it comes and whatever
//! its clock says. Expiry decides when another may take over, never whether a write is safe.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Batch, Expected, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table};
use crate::clock::later;

/// A lease this process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    name: String,
    owner: String,
    fence: u64,
    /// When others may take it, unless it is renewed.
    pub until: Timestamp,
}

/// Why a lease was not given or kept.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another owner has it.
    #[error("`{name}` is held by `{owner}` until {until}")]
    Held {
        /// The lease.
        name: String,
        /// Who has it.
        owner: String,
        /// Until when at least.
        until: Timestamp,
    },
    /// Another owner has taken it, or it was given back: what is being done under it must stop.
    #[error("the lease on `{name}` is lost")]
    Lost {
        /// The lease.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Serialize, Deserialize)]
struct Term {
    owner: String,
    until: Timestamp,
}

impl Stored for Term {
    const TABLE: Table = Table::Leases;
    const KIND: &'static str = "lease";
    const SCHEMA: u16 = 1;
}

const FENCE: &str = "fence";
const TERM: &str = "term";

fn fence_key(name: &str) -> Key {
    Key::text(FENCE).and(name)
}

fn term_key(name: &str) -> Key {
    Key::text(TERM).and(name)
}

impl Lease {
    /// What is leased.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who holds it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The fencing token: it rises each time the lease changes hands.
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Makes `batch` conflict if the lease has changed hands or was given back.
    pub fn guard<'a>(&self, batch: &'a mut Batch) -> &'a mut Batch {
        batch.require_version(Table::Leases, fence_key(&self.name), self.fence)
    }

    /// Whether `error` is the conflict that [`Lease::guard`] causes, and not another precondition's.
    pub fn is_lost(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Conflict { table: Table::Leases, key } if *key == fence_key(&self.name))
    }

    /// Adds giving the lease back to `batch`, so that the last step and the end of the lease are one.
    pub fn release_in<'a>(&self, batch: &'a mut Batch) -> &'a mut Batch {
        self.guard(batch)
            .delete(Table::Leases, fence_key(&self.name))
            .delete(Table::Leases, term_key(&self.name))
    }
}

/// The leases of a store.
#[derive(Clone, Debug)]
pub struct Leases {
    store: SharedStore,
}

impl Leases {
    /// Leases kept in `store`.
    pub fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// Takes the lease on `name` until `now + term`, if it is free or its term is over.
    ///
    /// `owner` should name the process and what it does; the same owner does not get a lease twice.
    ///
    /// # Errors
    /// [`LeaseError::Held`] when another has it.
    pub async fn acquire(
        &self,
        name: &str,
        owner: &str,
        now: Timestamp,
        term: Duration,
    ) -> Result<Lease, LeaseError> {
        let fence = self.store.get(Table::Leases, &fence_key(name)).await?;
        let term_now = self.store.load::<Term>(&term_key(name)).await?;
        if let Some(Term { owner, until }) = term_now
            .as_ref()
            .map(|held| &held.value)
            .filter(|held| held.until > now)
        {
            return Err(LeaseError::Held {
                name: name.to_owned(),
                owner: owner.clone(),
                until: *until,
            });
        }
        let until = later(now, term);
        let seen = |version: Option<u64>| version.map_or(Expected::Absent, Expected::Version);
        let mut batch = Batch::new();
        batch
            .require(
                Table::Leases,
                fence_key(name),
                seen(fence.map(|fence| fence.version)),
            )
            // A renewal meanwhile leaves the fence alone, so the term is required as well.
            .require(
                Table::Leases,
                term_key(name),
                seen(term_now.map(|term| term.version)),
            )
            .put(Table::Leases, fence_key(name), owner.to_owned())
            .save(
                term_key(name),
                &Term {
                    owner: owner.to_owned(),
                    until,
                },
            )?;
        match self.store.apply(batch).await {
            Ok(fence) => Ok(Lease {
                name: name.to_owned(),
                owner: owner.to_owned(),
                fence,
                until,
            }),
            Err(error) if error.is_conflict() => Err(self.held_by_another(name, now).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// The error for whoever came second.
    async fn held_by_another(&self, name: &str, now: Timestamp) -> Result<LeaseError, StoreError> {
        let term = self.store.load::<Term>(&term_key(name)).await?;
        // It may have been given back again meanwhile; the caller's next try will get it.
        let (owner, until) = term.map_or((String::new(), now), |term| (term.value.owner, term.value.until));
        Ok(LeaseError::Held {
            name: name.to_owned(),
            owner,
            until,
        })
    }

    /// Extends the lease to `now + term`. It works after the term is over, too, as long as nobody took it.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when another has taken it.
    pub async fn renew(&self, lease: &mut Lease, now: Timestamp, term: Duration) -> Result<(), LeaseError> {
        let until = later(now, term);
        let mut batch = Batch::new();
        lease.guard(&mut batch).save(
            term_key(&lease.name),
            &Term {
                owner: lease.owner.clone(),
                until,
            },
        )?;
        self.store
            .apply(batch)
            .await
            .map_err(|error| lost(lease, error))?;
        lease.until = until;
        Ok(())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when another has taken it; it stays with the other.
    pub async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        let mut batch = Batch::new();
        lease.release_in(&mut batch);
        self.store
            .apply(batch)
            .await
            .map(drop)
            .map_err(|error| lost(&lease, error))
    }

    /// Breaks all leases a store was left with by a process that is gone, and returns how many there were.
    ///
    /// Call it once at start, before anything takes a lease. It does nothing unless the store belongs to this
    /// process alone.
    pub async fn break_stale(&self) -> Result<usize, StoreError> {
        if !self.store.is_exclusive() {
            return Ok(0);
        }
        let mut broken = 0;
        let mut next = Some(Scan::table(Table::Leases));
        while let Some(scan) = next {
            let page = self.store.scan(&scan).await?;
            next = scan.next(&page);
            broken += page
                .entries
                .iter()
                .filter(|entry| entry.key.parts().text().as_deref() == Some(TERM))
                .count();
            let mut batch = Batch::new();
            for entry in page.entries {
                batch.delete(Table::Leases, entry.key);
            }
            if !batch.is_empty() {
                self.store.apply(batch).await?;
            }
        }
        Ok(broken)
    }
}

fn lost(lease: &Lease, error: StoreError) -> LeaseError {
    if lease.is_lost(&error) {
        LeaseError::Lost {
            name: lease.name.clone(),
        }
    } else {
        error.into()
    }
}
