//! The worker that empties the outbox.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::message::compose;
use super::{MailSender, MailState, MailTransport, Outbox, SendError};
use crate::clock::later;
use crate::store::{Batch, Claimed, Key, StoreError, Table};

/// When a mail that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// The failure after which the mail is given up.
    pub attempts: u32,
    /// How long one attempt may take in all.
    pub timeout: Duration,
    /// How many mails are sent at once.
    pub concurrency: usize,
}

impl Default for RetryPolicy {
    /// 30 s, doubling up to 1 h, 24 attempts (most of a day); 2 min an attempt, 2 at once.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(30),
            longest: Duration::from_hours(1),
            attempts: 24,
            timeout: Duration::from_mins(2),
            concurrency: 2,
        }
    }
}

impl RetryPolicy {
    /// The wait after `failures` failures, before jitter.
    fn wait(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// What one round of the worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Mails the transport took.
    pub sent: usize,
    /// Mails that will be tried again.
    pub postponed: usize,
    /// Mails that were given up.
    pub dead: usize,
}

/// Sends what is due. Several workers of one store do not send a mail twice.
#[derive(Clone, Debug)]
pub struct MailWorker {
    outbox: Outbox,
    transport: Arc<dyn MailTransport>,
    sender: MailSender,
    policy: RetryPolicy,
    owner: String,
}

enum Outcome {
    Sent,
    Postponed,
    Dead,
    /// Somebody else has the mail now, or it is gone.
    Nothing,
}

/// The worker looks again after this time, even if nobody woke it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How many mails are claimed in one round.
const ROUND: usize = 16;

impl MailWorker {
    /// A worker for `outbox`. `owner` names the process in the claims.
    pub fn new(
        outbox: Outbox,
        transport: Arc<dyn MailTransport>,
        sender: MailSender,
        policy: RetryPolicy,
        owner: impl Into<String>,
    ) -> Self {
        Self {
            outbox,
            transport,
            sender,
            policy,
            owner: owner.into(),
        }
    }

    /// Works until `stop` is cancelled; the mails claimed at that moment are finished first.
    ///
    /// An error of the store is logged and the round tried again later.
    pub async fn run(&self, stop: CancellationToken) {
        if let Err(error) = self.outbox.due.break_stale().await {
            tracing::error!(%error, "claims on mails could not be broken");
        }
        while !stop.is_cancelled() {
            let wait_until = match self.round(&stop).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "the outbox could not be worked on");
                    later(self.outbox.clock.now(), LOOK_AGAIN)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.outbox.woken.notified() => {}
                () = self.outbox.clock.sleep_until(wait_until) => {}
            }
        }
    }

    async fn round(&self, stop: &CancellationToken) -> Result<jiff::Timestamp, StoreError> {
        self.run_until(stop).await?;
        self.forget_due().await?;
        let latest = later(self.outbox.clock.now(), LOOK_AGAIN);
        Ok(self
            .outbox
            .due
            .next_due()
            .await?
            .map_or(latest, |due| due.min(latest)))
    }

    /// Sends everything that is due now, and returns when it is done.
    pub async fn run_due(&self) -> Result<WorkerReport, StoreError> {
        self.run_until(&CancellationToken::new()).await
    }

    async fn run_until(&self, stop: &CancellationToken) -> Result<WorkerReport, StoreError> {
        let mut report = WorkerReport::default();
        loop {
            if stop.is_cancelled() {
                return Ok(report);
            }
            let now = self.outbox.clock.now();
            let concurrency = self.policy.concurrency.clamp(1, ROUND);
            // The last of a round waits for all before it; its claim must still hold then.
            let turns = u32::try_from(ROUND.div_ceil(concurrency)).unwrap_or(u32::MAX);
            let term = self.policy.timeout.saturating_mul(turns.saturating_add(1));
            let claimed = self.outbox.due.claim(now, ROUND, &self.owner, term).await?;
            if claimed.is_empty() {
                return Ok(report);
            }
            let mut outcomes = futures_util::stream::iter(claimed)
                .map(|claimed| async move { self.deliver(&claimed).await })
                .buffer_unordered(concurrency);
            while let Some(outcome) = outcomes.next().await {
                match outcome? {
                    Outcome::Sent => report.sent += 1,
                    Outcome::Postponed => report.postponed += 1,
                    Outcome::Dead => report.dead += 1,
                    Outcome::Nothing => {}
                }
            }
        }
    }

    async fn deliver(&self, claimed: &Claimed) -> Result<Outcome, StoreError> {
        let Some(record) = self.outbox.load(&claimed.id).await? else {
            let mut batch = Batch::new();
            self.outbox.due.ack(&mut batch, claimed);
            return self.commit(batch, claimed, Outcome::Nothing).await;
        };
        let mut batch = Batch::new();
        if record.value.state != MailState::Waiting {
            self.outbox.due.ack(&mut batch, claimed);
            return self.commit(batch, claimed, Outcome::Nothing).await;
        }
        let sent = match self.outbox.open(&claimed.id, &record.value) {
            Ok(_) if claimed.attempt > self.policy.attempts => Err(SendError::Permanent(
                "the panel ended each time while it was sending this mail".to_owned(),
            )),
            Ok(content) => {
                let value = &record.value;
                match compose(&claimed.id, &value.to, value.queued, content, &self.sender) {
                    Ok(letter) => tokio::time::timeout(self.policy.timeout, self.transport.send(&letter))
                        .await
                        .unwrap_or_else(|_| {
                            Err(SendError::Temporary("the attempt took too long".to_owned()))
                        }),
                    Err(error) => Err(SendError::Permanent(error.to_string())),
                }
            }
            Err(reason) => Err(SendError::Permanent(reason)),
        };
        let failures = record.value.failures.saturating_add(1);
        let outcome = match sent {
            Ok(()) => {
                self.outbox.mark_sent(&mut batch, claimed, record)?;
                Outcome::Sent
            }
            Err(SendError::Temporary(reason)) if failures < self.policy.attempts => {
                tracing::info!(mail = claimed.id, failures, reason, "a mail is tried again later");
                // Between half and one and a half of the wait, so that a queue of mails does not come back at
                // one moment.
                let wait = self
                    .policy
                    .wait(failures)
                    .mul_f64(0.5 + self.outbox.entropy.fraction());
                let again = later(self.outbox.clock.now(), wait);
                self.outbox
                    .mark_failed(&mut batch, claimed, record, &reason, Some(again))?;
                Outcome::Postponed
            }
            Err(error) => {
                tracing::warn!(
                    mail = claimed.id,
                    failures,
                    reason = error.reason(),
                    "a mail is given up"
                );
                self.outbox
                    .mark_failed(&mut batch, claimed, record, error.reason(), None)?;
                Outcome::Dead
            }
        };
        self.commit(batch, claimed, outcome).await
    }

    async fn commit(&self, batch: Batch, claimed: &Claimed, outcome: Outcome) -> Result<Outcome, StoreError> {
        match self.outbox.store.apply(batch).await {
            Ok(_) => Ok(outcome),
            Err(error) if error.is_conflict() => {
                tracing::warn!(mail = claimed.id, "a mail was taken over by another worker");
                Ok(Outcome::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets mails that were sent or given up long ago, and returns how many.
    pub async fn forget_due(&self) -> Result<usize, StoreError> {
        let forget = &self.outbox.forget;
        let mut forgotten = 0;
        loop {
            let now = self.outbox.clock.now();
            let claimed = forget.claim(now, ROUND, &self.owner, self.policy.timeout).await?;
            if claimed.is_empty() {
                return Ok(forgotten);
            }
            for claimed in claimed {
                let mut batch = Batch::new();
                let key = Key::text(&claimed.id);
                batch.delete(Table::Outbox, &key).delete(Table::OutboxDead, &key);
                forget.ack(&mut batch, &claimed);
                match self.outbox.store.apply(batch).await {
                    Err(error) if error.is_conflict() => {}
                    other => {
                        other?;
                        forgotten += 1;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
