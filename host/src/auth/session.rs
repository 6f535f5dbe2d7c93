//! Sessions: who is signed in where.
//!
//! A session is a record under the hash of its cookie, and a row under its account to list it by. Each account
//! has an *epoch*, a record that is rewritten when all its sessions are to end: a session of an older epoch is
//! no session any more, whatever else is still stored. So ending all sessions is one write, which goes into
//! the same batch as the new password, and a sign-in that verified the old password cannot slip in behind it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AccountId;
use crate::clock::{Clock, later, span};
use crate::secret::{Entropy, IdHash, RandomId};
use crate::store::{Batch, Expected, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table, Versioned};

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// A session ends when it was not used for this long.
    pub idle: Duration,
    /// A session ends this long after the sign-in, used or not.
    pub absolute: Duration,
    /// The last use is written down at most this often; keep it well under `idle`.
    pub touch: Duration,
    /// An account has at most this many; the one unused for longest makes room.
    pub per_account: usize,
}

impl Default for SessionPolicy {
    /// 8 hours idle, 14 days absolute, touched every 5 minutes, 20 an account.
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(8),
            absolute: Duration::from_hours(24 * 14),
            touch: Duration::from_mins(5),
            per_account: 20,
        }
    }
}

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address, as the trusted proxies tell it.
    pub address: IpAddr,
    /// The `User-Agent`; what is too long or not printable is left out.
    pub user_agent: &'a str,
}

/// A session as it is shown: to the program for a request, to its owner in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What names the session in the list and in the log. It is of no use as a cookie.
    pub id: IdHash,
    /// Whose it is.
    pub account: AccountId,
    /// The sign-in.
    pub created: Timestamp,
    /// The last use, as coarse as [`SessionPolicy::touch`].
    pub seen: Timestamp,
    /// The address of the last use that was written down.
    pub address: IpAddr,
    /// The browser of the sign-in.
    pub user_agent: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SessionRecord {
    account: AccountId,
    epoch: u64,
    created: Timestamp,
    seen: Timestamp,
    address: IpAddr,
    user_agent: String,
}

impl Stored for SessionRecord {
    const TABLE: Table = Table::Sessions;
    const KIND: &'static str = "session";
    const SCHEMA: u16 = 1;
}

impl SessionRecord {
    fn shown(self, id: IdHash) -> Session {
        let Self {
            account,
            epoch: _,
            created,
            seen,
            address,
            user_agent,
        } = self;
        Session {
            id,
            account,
            created,
            seen,
            address,
            user_agent,
        }
    }
}

/// The state of an account's sessions at one moment. Read it before looking at the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    account: AccountId,
    /// The version of the epoch's record; none when the sessions of the account were never ended.
    version: Option<u64>,
    number: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct EpochRecord {
    number: u64,
}

impl Stored for EpochRecord {
    const TABLE: Table = Table::SessionOwners;
    const KIND: &'static str = "session epoch";
    const SCHEMA: u16 = 1;
}

/// Why a session was not started.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The password or the rights were changed since the [`Epoch`] was read: sign in again.
    #[error("the account was changed meanwhile")]
    Changed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The longest `User-Agent` that is kept, in characters.
const USER_AGENT: usize = 256;

/// The sessions of a store.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policy: SessionPolicy,
}

impl Sessions {
    /// Sessions kept in `store`.
    pub fn new(
        store: SharedStore,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        policy: SessionPolicy,
    ) -> Self {
        Self {
            store,
            clock,
            entropy,
            policy,
        }
    }

    /// Reads the account's epoch.
    pub async fn epoch(&self, account: &AccountId) -> Result<Epoch, StoreError> {
        let record = self.store.load::<EpochRecord>(&epoch_key(account)).await?;
        let version = record.as_ref().map(|record| record.version);
        let number = record.map_or(0, |record| record.value.number);
        Ok(Epoch {
            account: account.clone(),
            version,
            number,
        })
    }

    /// Starts a session, and ends the one the browser had before: a sign-in never keeps its id, so a cookie
    /// planted in the browser beforehand is worth nothing. Returns the cookie's value.
    ///
    /// # Errors
    /// [`SessionError::Changed`] when all sessions of the account were ended since `epoch` was read.
    pub async fn start(
        &self,
        epoch: &Epoch,
        before: Option<&RandomId>,
        client: Client<'_>,
    ) -> Result<(RandomId, Session), SessionError> {
        let now = self.clock.now();
        let token = RandomId::generate(&*self.entropy);
        let id = token.hash();
        let record = SessionRecord {
            account: epoch.account.clone(),
            epoch: epoch.number,
            created: now,
            seen: now,
            address: client.address.to_canonical(),
            user_agent: printable(client.user_agent),
        };
        let mut batch = Batch::new();
        batch
            .require(
                Table::SessionOwners,
                epoch_key(&epoch.account),
                expected(epoch.version),
            )
            .create(id.key(), &record)?
            .put(Table::SessionOwners, owner_key(&epoch.account, &id), "");
        if let Some(old) = before.map(RandomId::hash)
            && let Some(old_record) = self.store.load::<SessionRecord>(&old.key()).await?
        {
            remove(&mut batch, &old_record.value.account, &old);
        }
        for surplus in self.surplus(&epoch.account).await? {
            remove(&mut batch, &epoch.account, &surplus);
        }
        match self.store.apply(batch).await {
            Ok(_) => Ok((token, record.shown(id))),
            Err(StoreError::Conflict {
                table: Table::SessionOwners,
                ..
            }) => Err(SessionError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// The session of a cookie, if it is one and lives. Notes its use, now and then.
    pub async fn find(&self, token: &RandomId, client: Client<'_>) -> Result<Option<Session>, StoreError> {
        let id = token.hash();
        let Some(found) = self.store.load::<SessionRecord>(&id.key()).await? else {
            return Ok(None);
        };
        let Versioned {
            value: mut record,
            version,
        } = found;
        let now = self.clock.now();
        let epoch = self.epoch(&record.account).await?;
        if !self.is_alive(&record, &epoch, now) {
            return Ok(None);
        }
        if span(record.seen, now) >= self.policy.touch {
            record.seen = now;
            record.address = client.address.to_canonical();
            let mut batch = Batch::new();
            batch.update(id.key(), version, &record)?;
            match self.store.apply(batch).await {
                // Another request of the same session was faster; or the session has just been ended.
                Err(error) if error.is_conflict() => {
                    if self.store.load::<SessionRecord>(&id.key()).await?.is_none() {
                        return Ok(None);
                    }
                }
                other => drop(other?),
            }
        }
        Ok(Some(record.shown(id)))
    }

    /// Whether the session `id` of `account` lives, for a connection that outlasts its request, such as a
    /// console.
    pub async fn is_live(&self, account: &AccountId, id: &IdHash) -> Result<bool, StoreError> {
        let Some(found) = self.store.load::<SessionRecord>(&id.key()).await? else {
            return Ok(false);
        };
        let epoch = self.epoch(account).await?;
        Ok(found.value.account == *account && self.is_alive(&found.value, &epoch, self.clock.now()))
    }

    /// The living sessions of an account, the last used one first.
    pub async fn list(&self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        let epoch = self.epoch(account).await?;
        let now = self.clock.now();
        let mut sessions = Vec::new();
        for id in self.owned(account).await? {
            if let Some(found) = self.store.load::<SessionRecord>(&id.key()).await?
                && self.is_alive(&found.value, &epoch, now)
            {
                sessions.push(found.value.shown(id));
            }
        }
        sessions.sort_by_key(|session| std::cmp::Reverse((session.seen, session.created)));
        Ok(sessions)
    }

    /// Ends one session of `account`; `false` if the account has no such session, whoever else may have.
    pub async fn revoke(&self, account: &AccountId, id: &IdHash) -> Result<bool, StoreError> {
        let owned = self
            .store
            .get(Table::SessionOwners, &owner_key(account, id))
            .await?;
        if owned.is_none() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        remove(&mut batch, account, id);
        self.store.apply(batch).await?;
        Ok(true)
    }

    /// Adds to `batch` the end of all sessions of `account`, but for `keep`. A change of the password, of the
    /// rights or a suspension commits this in its own batch.
    ///
    /// The sessions are dead with the batch; their records are removed by [`Sessions::purge`]. The batch
    /// conflicts if the sessions of the account are ended, or the kept one is touched, in between: build it
    /// anew then.
    pub async fn revoke_all_in(
        &self,
        batch: &mut Batch,
        account: &AccountId,
        keep: Option<&IdHash>,
    ) -> Result<(), StoreError> {
        let epoch = self.epoch(account).await?;
        let next = EpochRecord {
            number: epoch.number + 1,
        };
        batch
            .require(Table::SessionOwners, epoch_key(account), expected(epoch.version))
            .save(epoch_key(account), &next)?;
        if let Some(id) = keep
            && let Some(found) = self.store.load::<SessionRecord>(&id.key()).await?
            && found.value.account == *account
            && self.is_alive(&found.value, &epoch, self.clock.now())
        {
            batch.update(
                id.key(),
                found.version,
                &SessionRecord {
                    epoch: next.number,
                    ..found.value
                },
            )?;
        }
        Ok(())
    }

    /// Ends all sessions of `account` but for `keep`, at once.
    pub async fn revoke_all(&self, account: &AccountId, keep: Option<&IdHash>) -> Result<(), StoreError> {
        let mut attempts = 0;
        loop {
            let mut batch = Batch::new();
            self.revoke_all_in(&mut batch, account, keep).await?;
            match self.store.apply(batch).await {
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => attempts += 1,
                other => return other.map(drop),
            }
        }
    }

    /// Removes what is left of sessions that have ended, and returns how many there were. Meant to be called
    /// every hour or so; reads all sessions, a page at a time.
    pub async fn purge(&self) -> Result<usize, StoreError> {
        let mut purged = 0;
        let mut next = Some(Scan::table(Table::Sessions).limit(200));
        while let Some(scan) = next {
            let page = self.store.list::<SessionRecord>(&scan).await?;
            next = page.next;
            let now = self.clock.now();
            let mut batch = Batch::new();
            for (key, Versioned { value: record, .. }) in page.entries {
                let epoch = self.epoch(&record.account).await?;
                if let Some(id) =
                    IdHash::from_bytes(key.as_bytes()).filter(|_| !self.is_alive(&record, &epoch, now))
                {
                    remove(&mut batch, &record.account, &id);
                    purged += 1;
                }
            }
            if !batch.is_empty() {
                self.store.apply(batch).await?;
            }
        }
        Ok(purged)
    }

    fn is_alive(&self, record: &SessionRecord, epoch: &Epoch, now: Timestamp) -> bool {
        record.epoch == epoch.number
            && now < later(record.seen, self.policy.idle)
            && now < later(record.created, self.policy.absolute)
    }

    /// The ids that stand under an account, dead ones included.
    async fn owned(&self, account: &AccountId) -> Result<Vec<IdHash>, StoreError> {
        let page = self
            .store
            .scan(&Scan::prefix(Table::SessionOwners, account.key()))
            .await?;
        Ok(page
            .entries
            .iter()
            .filter_map(|entry| {
                let mut parts = entry.key.parts();
                parts.bytes()?;
                IdHash::from_bytes(&parts.bytes()?)
            })
            .collect())
    }

    /// The ids that must go so that one more session fits: dead ones, then those unused for longest.
    async fn surplus(&self, account: &AccountId) -> Result<Vec<IdHash>, StoreError> {
        let owned = self.owned(account).await?;
        if owned.len() < self.policy.per_account {
            return Ok(Vec::new());
        }
        let living: Vec<IdHash> = self
            .list(account)
            .await?
            .into_iter()
            .map(|session| session.id)
            .collect();
        let keep = self.policy.per_account.saturating_sub(1).min(living.len());
        let kept = living.get(..keep).unwrap_or_default();
        Ok(owned.into_iter().filter(|id| !kept.contains(id)).collect())
    }
}

/// How often a batch is built anew when others write the same records.
const ATTEMPTS: usize = 16;

/// The key of an account's epoch: the first of its rows.
fn epoch_key(account: &AccountId) -> Key {
    account.key()
}

fn owner_key(account: &AccountId, id: &IdHash) -> Key {
    account.key().bytes(id.as_bytes())
}

fn expected(version: Option<u64>) -> Expected {
    version.map_or(Expected::Absent, Expected::Version)
}

fn remove(batch: &mut Batch, account: &AccountId, id: &IdHash) {
    batch
        .delete(Table::Sessions, id.key())
        .delete(Table::SessionOwners, owner_key(account, id));
}

/// What of a `User-Agent` is kept.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT)
        .collect()
}

#[cfg(test)]
mod tests;
