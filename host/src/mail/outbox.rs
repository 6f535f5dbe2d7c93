//! The outbox: mails that are to be sent, in the store.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::message::Content;
use super::{EmailAddress, Mail, MailError};
use crate::clock::{Clock, later};
use crate::secret::{Entropy, SealError, Sealed, Sealer};
use crate::store::{
    Batch, Claimed, DueQueue, Key, Scan, SharedStore, StoreError, StoreExt, Stored, Table, Versioned, limits,
};

/// How long a mail that was sent or given up is remembered: so long its id is not sent again.
const REMEMBERED: Duration = Duration::from_hours(24 * 30);
/// The longest reason that is kept, in characters.
const REASON: usize = 500;

/// Why a mail was not queued.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The mail itself.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The content cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The content cannot be encoded.
    #[error("the content of the mail cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// There is no dead letter of this id.
    #[error("there is no dead letter `{0}`")]
    NotDead(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What [`Outbox::enqueue`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// The batch queues the mail.
    Queued,
    /// A mail of this id was queued before, whatever became of it; the batch is as it was.
    Before,
}

/// What has become of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// It is to be sent.
    Waiting,
    /// The other side took it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// It is not tried any more.
    Dead {
        /// Since when.
        at: Timestamp,
    },
}

/// Where a mail stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailStatus {
    /// What has become of it.
    pub state: MailState,
    /// How often it was tried in vain.
    pub failures: u32,
    /// What the last failure was.
    pub reason: Option<String>,
}

/// A mail that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id of the mail.
    pub id: String,
    /// To whom it was to go.
    pub to: EmailAddress,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was given up.
    pub at: Timestamp,
    /// How often it was tried.
    pub failures: u32,
    /// Why the last attempt failed.
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OutboxRecord {
    pub(super) to: EmailAddress,
    pub(super) queued: Timestamp,
    /// Subject and texts; gone when sent.
    content: Option<Sealed>,
    pub(super) state: MailState,
    pub(super) failures: u32,
    reason: Option<String>,
}

impl Stored for OutboxRecord {
    const TABLE: Table = Table::Outbox;
    const KIND: &'static str = "mail";
    const SCHEMA: u16 = 1;
}

/// The outbox of a store. Clones are the same outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) store: SharedStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    sealer: Arc<Sealer>,
    pub(super) due: DueQueue,
    pub(super) forget: DueQueue,
    pub(super) woken: Arc<Notify>,
}

impl Outbox {
    /// The outbox kept in `store`.
    pub fn new(
        store: SharedStore,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        sealer: Arc<Sealer>,
    ) -> Self {
        let due = DueQueue::new(store.clone(), "mail");
        let forget = DueQueue::new(store.clone(), "mail-forget");
        Self {
            store,
            clock,
            entropy,
            sealer,
            due,
            forget,
            woken: Arc::default(),
        }
    }

    /// Adds queueing `mail` to `batch`: it is sent if and only if the batch is applied.
    ///
    /// The batch conflicts if the same id is queued elsewhere meanwhile; built anew, it will find
    /// [`Enqueued::Before`]. Call [`Outbox::wake`] after `apply`, so that the mail leaves at once.
    pub async fn enqueue(&self, batch: &mut Batch, mail: &Mail) -> Result<Enqueued, OutboxError> {
        self.enqueue_for(batch, mail, None).await
    }

    /// The same, with answers going to `reply_to` and not to where the panel's usually go.
    pub async fn enqueue_for(
        &self,
        batch: &mut Batch,
        mail: &Mail,
        reply_to: Option<&EmailAddress>,
    ) -> Result<Enqueued, OutboxError> {
        mail.check()?;
        let key = Key::text(&mail.id);
        if self.store.get(Table::Outbox, &key).await?.is_some() {
            return Ok(Enqueued::Before);
        }
        let content = Content {
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            reply_to: reply_to.cloned(),
        };
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&content).map_err(OutboxError::Encode)?);
        // Escapes can make the content much longer than its parts; base64 makes it longer by a third.
        if plain.len() > limits::VALUE_BYTES / 2 + limits::VALUE_BYTES / 8 {
            return Err(MailError {
                field: "text",
                reason: "is too large in its stored form",
            }
            .into());
        }
        let sealed = self.sealer.seal(Table::Outbox, &key, &plain, &*self.entropy)?;
        let now = self.clock.now();
        let record = OutboxRecord {
            to: mail.to.clone(),
            queued: now,
            content: Some(sealed),
            state: MailState::Waiting,
            failures: 0,
            reason: None,
        };
        batch.create(&key, &record)?;
        self.due.insert(batch, &mail.id, now)?;
        Ok(Enqueued::Queued)
    }

    /// Queues `mail` by itself.
    pub async fn send(&self, mail: &Mail) -> Result<Enqueued, OutboxError> {
        self.send_for(mail, None).await
    }

    /// The same, with answers going to `reply_to`.
    pub async fn send_for(
        &self,
        mail: &Mail,
        reply_to: Option<&EmailAddress>,
    ) -> Result<Enqueued, OutboxError> {
        let mut batch = Batch::new();
        let mut enqueued = self.enqueue_for(&mut batch, mail, reply_to).await?;
        if enqueued == Enqueued::Queued {
            match self.store.apply(batch).await {
                Ok(_) => self.wake(),
                // Of two who queue the same mail at once, one is second.
                Err(error) if error.is_conflict() => enqueued = Enqueued::Before,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(enqueued)
    }

    /// Tells the worker that a mail was queued.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Where the mail of this id stands; `None` if there is none, or if it was a month ago.
    pub async fn status(&self, id: &str) -> Result<Option<MailStatus>, StoreError> {
        let record = self.load(id).await?;
        Ok(record.map(
            |Versioned {
                 value:
                     OutboxRecord {
                         state,
                         failures,
                         reason,
                         ..
                     },
                 ..
             }| MailStatus {
                state,
                failures,
                reason,
            },
        ))
    }

    /// The mails that were given up, by id, at most `limit` behind the id `after`.
    pub async fn dead_letters(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut scan = Scan::table(Table::OutboxDead).limit(limit);
        if let Some(after) = after {
            scan = scan.after(Key::text(after));
        }
        let mut letters = Vec::new();
        for entry in self.store.scan(&scan).await?.entries {
            let Some(id) = entry.key.parts().text() else {
                continue;
            };
            let Some(Versioned { value: record, .. }) = self.load(&id).await? else {
                continue;
            };
            if let MailState::Dead { at } = record.state {
                let OutboxRecord {
                    to,
                    queued,
                    failures,
                    reason,
                    ..
                } = record;
                letters.push(DeadLetter {
                    id,
                    to,
                    queued,
                    at,
                    failures,
                    reason: reason.unwrap_or_default(),
                });
            }
        }
        Ok(letters)
    }

    /// Queues a dead letter anew, with all its attempts before it.
    ///
    /// # Errors
    /// [`OutboxError::NotDead`] if it is not one.
    pub async fn retry(&self, id: &str) -> Result<(), OutboxError> {
        let not_dead = || OutboxError::NotDead(id.to_owned());
        let Versioned {
            value: mut record,
            version,
        } = self.load(id).await?.ok_or_else(not_dead)?;
        if !matches!(record.state, MailState::Dead { .. }) || record.content.is_none() {
            return Err(not_dead());
        }
        record.state = MailState::Waiting;
        record.failures = 0;
        let mut batch = Batch::new();
        batch
            .update(Key::text(id), version, &record)?
            .delete(Table::OutboxDead, Key::text(id));
        self.forget.cancel(&mut batch, id).await?;
        self.due.insert(&mut batch, id, self.clock.now())?;
        match self.store.apply(batch).await {
            Err(error) if error.is_conflict() => Err(not_dead()),
            other => {
                other?;
                self.wake();
                Ok(())
            }
        }
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Versioned<OutboxRecord>>, StoreError> {
        self.store.load(&Key::text(id)).await
    }

    /// Opens what is to be sent. The error is the reason to give the mail up.
    pub(super) fn open(&self, id: &str, record: &OutboxRecord) -> Result<Content, String> {
        let sealed = record.content.as_ref().ok_or("its content is gone")?;
        let plain = self
            .sealer
            .open(Table::Outbox, &Key::text(id), sealed)
            .map_err(|error| error.to_string())?;
        serde_json::from_slice(&plain).map_err(|_| "its content is damaged".to_owned())
    }

    /// Adds to `batch` that the claimed mail was sent.
    pub(super) fn mark_sent(
        &self,
        batch: &mut Batch,
        claimed: &Claimed,
        record: Versioned<OutboxRecord>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let value = OutboxRecord {
            state: MailState::Sent { at: now },
            content: None,
            ..record.value
        };
        batch.update(Key::text(&claimed.id), record.version, &value)?;
        self.due.ack(batch, claimed);
        self.forget.insert(batch, &claimed.id, later(now, REMEMBERED))?;
        Ok(())
    }

    /// Adds to `batch` that the claimed mail failed: it is tried again at `again`, or never.
    pub(super) fn mark_failed(
        &self,
        batch: &mut Batch,
        claimed: &Claimed,
        record: Versioned<OutboxRecord>,
        reason: &str,
        again: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Versioned { mut value, version } = record;
        value.failures = value.failures.saturating_add(1);
        value.reason = Some(reason.chars().filter(|c| !c.is_control()).take(REASON).collect());
        if let Some(again) = again {
            self.due.again(batch, claimed, again)?;
        } else {
            value.state = MailState::Dead { at: now };
            self.due.ack(batch, claimed);
            batch.put(Table::OutboxDead, Key::text(&claimed.id), "");
            self.forget.insert(batch, &claimed.id, later(now, REMEMBERED))?;
        }
        batch.update(Key::text(&claimed.id), version, &value)?;
        Ok(())
    }
}
