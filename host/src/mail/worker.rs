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
const ROUND: usize = 32;

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

    /// Works until `stop` is cancelled; the mail being sent at that moment is finished first.
    ///
    /// An error of the store is logged and the round tried again later.
    pub async fn run(&self, stop: CancellationToken) {
        if let Err(error) = self.outbox.due.break_stale().await {
            tracing::error!(%error, "claims on mails could not be broken");
        }
        while !stop.is_cancelled() {
            let wait_until = match self.round().await {
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

    async fn round(&self) -> Result<jiff::Timestamp, StoreError> {
        self.run_due().await?;
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
        let mut report = WorkerReport::default();
        loop {
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
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::mail::{EmailAddress, Enqueued, Mail, MemoryTransport, OutboxError};
    use crate::secret::{Entropy, Sealer, SealingKey, SeededEntropy};
    use crate::store::{MemoryStore, Scan, SharedStore, StoreExt};

    struct Fixture {
        store: SharedStore,
        clock: ManualClock,
        outbox: Outbox,
        transport: MemoryTransport,
        worker: MailWorker,
    }

    fn outbox(store: &SharedStore, clock: &ManualClock, key: u64) -> Outbox {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(3));
        let sealer = Arc::new(Sealer::new(SealingKey::generate(&SeededEntropy::new(key))));
        Outbox::new(store.clone(), Arc::new(clock.clone()), entropy, sealer)
    }

    fn worker(outbox: &Outbox, transport: &MemoryTransport) -> MailWorker {
        let from = EmailAddress::parse("panel@host.example").unwrap();
        let sender = MailSender {
            from,
            name: None,
            reply_to: None,
        };
        let policy = RetryPolicy {
            attempts: 4,
            ..RetryPolicy::default()
        };
        MailWorker::new(
            outbox.clone(),
            Arc::new(transport.clone()),
            sender,
            policy,
            "test",
        )
    }

    fn fixture() -> Fixture {
        let store: SharedStore = Arc::new(MemoryStore::new());
        let clock = ManualClock::default();
        let outbox = outbox(&store, &clock, 1);
        let transport = MemoryTransport::new();
        let worker = worker(&outbox, &transport);
        Fixture {
            store,
            clock,
            outbox,
            transport,
            worker,
        }
    }

    fn mail(id: &str) -> Mail {
        Mail {
            id: id.to_owned(),
            to: EmailAddress::parse("me@customer.example").unwrap(),
            subject: "Your new password".to_owned(),
            text: "It is hunter2-hunter2".to_owned(),
            html: None,
        }
    }

    const SENT: WorkerReport = WorkerReport {
        sent: 1,
        postponed: 0,
        dead: 0,
    };
    const POSTPONED: WorkerReport = WorkerReport {
        sent: 0,
        postponed: 1,
        dead: 0,
    };
    const DEAD: WorkerReport = WorkerReport {
        sent: 0,
        postponed: 0,
        dead: 1,
    };
    const NOTHING: WorkerReport = WorkerReport {
        sent: 0,
        postponed: 0,
        dead: 0,
    };

    fn temporary() -> SendError {
        SendError::Temporary("451 try again".to_owned())
    }

    #[tokio::test]
    async fn a_mail_is_sent_once_however_often_its_id_is_queued() {
        let fixture = fixture();
        assert_eq!(fixture.outbox.send(&mail("a")).await.unwrap(), Enqueued::Queued);
        assert_eq!(fixture.outbox.send(&mail("a")).await.unwrap(), Enqueued::Before);
        assert_eq!(fixture.worker.run_due().await.unwrap(), SENT);
        assert_eq!(fixture.outbox.send(&mail("a")).await.unwrap(), Enqueued::Before);
        assert_eq!(fixture.worker.run_due().await.unwrap(), NOTHING);
        let letters = fixture.transport.letters();
        assert_eq!(letters.len(), 1);
        assert!(
            String::from_utf8(letters[0].bytes.clone())
                .unwrap()
                .contains("hunter2-hunter2")
        );
        let status = fixture.outbox.status("a").await.unwrap().unwrap();
        assert_eq!(
            status.state,
            MailState::Sent {
                at: fixture.clock.now()
            }
        );
    }

    #[tokio::test]
    async fn a_mail_stands_or_falls_with_its_batch() {
        let fixture = fixture();
        let mut batch = Batch::new();
        fixture.outbox.enqueue(&mut batch, &mail("a")).await.unwrap();
        batch.require_present(Table::Jobs, Key::text("1"));
        assert!(fixture.store.apply(batch).await.is_err());
        assert_eq!(fixture.worker.run_due().await.unwrap(), NOTHING);
        let mut batch = Batch::new();
        assert_eq!(
            fixture.outbox.enqueue(&mut batch, &mail("a")).await.unwrap(),
            Enqueued::Queued
        );
        batch.put(Table::Jobs, Key::text("1"), "done");
        fixture.store.apply(batch).await.unwrap();
        assert_eq!(fixture.worker.run_due().await.unwrap(), SENT);
    }

    #[tokio::test]
    async fn the_content_is_sealed_while_it_waits_and_gone_when_it_is_sent() {
        let fixture = fixture();
        let all = async || {
            let mut all = Vec::new();
            for table in Table::ALL {
                for entry in fixture.store.scan(&Scan::table(*table)).await.unwrap().entries {
                    all.extend_from_slice(&entry.record.value);
                }
            }
            all
        };
        fixture.outbox.send(&mail("a")).await.unwrap();
        assert!(!all().await.windows(7).any(|window| window == b"hunter2"));
        let before = all().await.len();
        fixture.worker.run_due().await.unwrap();
        assert!(all().await.len() < before);
        let record = fixture
            .store
            .get(Table::Outbox, &Key::text("a"))
            .await
            .unwrap()
            .unwrap();
        assert!(String::from_utf8_lossy(&record.value).contains("\"content\":null"));
    }

    #[tokio::test]
    async fn a_temporary_failure_is_tried_again_later_and_later_with_the_same_bytes() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        for wait in [30.0, 60.0, 120.0] {
            fixture.transport.fail_next(temporary());
            assert_eq!(fixture.worker.run_due().await.unwrap(), POSTPONED);
            let due = fixture.outbox.due.next_due().await.unwrap().unwrap();
            let waits = crate::clock::span(fixture.clock.now(), due).as_secs_f64();
            assert!((wait * 0.5..wait * 1.5).contains(&waits), "{waits} after {wait}");
            assert_eq!(fixture.worker.run_due().await.unwrap(), NOTHING);
            fixture.clock.set(due);
        }
        let status = fixture.outbox.status("a").await.unwrap().unwrap();
        assert_eq!(
            (status.failures, status.reason.as_deref()),
            (3, Some("451 try again"))
        );
        assert_eq!(fixture.worker.run_due().await.unwrap(), SENT);
    }

    #[tokio::test]
    async fn a_mail_that_fails_too_often_becomes_a_dead_letter_that_can_be_retried() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        for _ in 0..3 {
            fixture.transport.fail_next(temporary());
            assert_eq!(fixture.worker.run_due().await.unwrap(), POSTPONED);
            fixture.clock.advance(Duration::from_hours(2));
        }
        assert!(matches!(
            fixture.outbox.retry("a").await,
            Err(OutboxError::NotDead(_))
        ));
        fixture.transport.fail_next(temporary());
        assert_eq!(fixture.worker.run_due().await.unwrap(), DEAD);
        let dead = fixture.outbox.dead_letters(None, 10).await.unwrap();
        assert_eq!((dead.len(), dead[0].id.as_str(), dead[0].failures), (1, "a", 4));
        assert_eq!(dead[0].reason, "451 try again");
        assert!(
            fixture
                .outbox
                .dead_letters(Some("a"), 10)
                .await
                .unwrap()
                .is_empty()
        );
        fixture.clock.advance(Duration::from_hours(24));
        assert_eq!(fixture.worker.run_due().await.unwrap(), NOTHING);
        fixture.outbox.retry("a").await.unwrap();
        assert!(fixture.outbox.dead_letters(None, 10).await.unwrap().is_empty());
        assert_eq!(fixture.worker.run_due().await.unwrap(), SENT);
        assert!(matches!(
            fixture.outbox.retry("a").await,
            Err(OutboxError::NotDead(_))
        ));
        assert!(matches!(
            fixture.outbox.retry("b").await,
            Err(OutboxError::NotDead(_))
        ));
    }

    #[tokio::test]
    async fn a_permanent_failure_is_a_dead_letter_at_once_and_does_not_stop_the_others() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        fixture.transport.fail_next(SendError::Permanent(format!(
            "550 no\r\n such user\x1b {}",
            "x".repeat(9000)
        )));
        assert_eq!(fixture.worker.run_due().await.unwrap(), DEAD);
        fixture.outbox.send(&mail("b")).await.unwrap();
        assert_eq!(fixture.worker.run_due().await.unwrap(), SENT);
        let dead = fixture.outbox.dead_letters(None, 10).await.unwrap();
        assert!(dead[0].reason.starts_with("550 no such user "));
        assert_eq!(dead[0].reason.chars().count(), 500);
    }

    #[tokio::test]
    async fn what_was_queued_is_sent_by_another_process_after_a_restart() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        // The first process claimed the mail and died.
        let claimed = fixture
            .outbox
            .due
            .claim(fixture.clock.now(), 1, "dead", Duration::from_hours(1))
            .await;
        assert_eq!(claimed.unwrap().len(), 1);
        let outbox = outbox(&fixture.store, &fixture.clock, 1);
        let worker = worker(&outbox, &fixture.transport);
        assert_eq!(worker.run_due().await.unwrap(), NOTHING);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (worker, stop) = (worker.clone(), stop.clone());
            async move { worker.run(stop).await }
        });
        tokio::time::timeout(Duration::from_secs(20), async {
            while fixture.transport.letters().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the mail is sent");
        outbox.send(&mail("b")).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), async {
            while fixture.transport.letters().len() < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a new mail wakes the worker");
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), running)
            .await
            .expect("the worker stops")
            .unwrap();
    }

    #[tokio::test]
    async fn a_content_sealed_with_a_lost_key_is_a_dead_letter_and_not_an_endless_loop() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        let other = outbox(&fixture.store, &fixture.clock, 2);
        assert_eq!(worker(&other, &fixture.transport).run_due().await.unwrap(), DEAD);
        assert!(
            other.dead_letters(None, 1).await.unwrap()[0]
                .reason
                .contains("another key")
        );
    }

    #[tokio::test]
    async fn sent_and_dead_mails_are_forgotten_after_a_month() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        fixture.worker.run_due().await.unwrap();
        fixture.outbox.send(&mail("b")).await.unwrap();
        fixture
            .transport
            .fail_next(SendError::Permanent("550".to_owned()));
        fixture.worker.run_due().await.unwrap();
        fixture.clock.advance(Duration::from_hours(24 * 29));
        assert_eq!(fixture.worker.forget_due().await.unwrap(), 0);
        fixture.clock.advance(Duration::from_hours(24));
        assert_eq!(fixture.worker.forget_due().await.unwrap(), 2);
        for table in Table::ALL {
            assert!(
                fixture
                    .store
                    .scan(&Scan::table(*table))
                    .await
                    .unwrap()
                    .entries
                    .is_empty(),
                "{table}"
            );
        }
        assert_eq!(fixture.outbox.send(&mail("a")).await.unwrap(), Enqueued::Queued);
    }

    #[tokio::test]
    async fn a_mail_that_is_not_valid_is_refused_before_it_is_queued() {
        let fixture = fixture();
        let hostile = Mail {
            subject: "x\nBcc: all@host.example".to_owned(),
            ..mail("a")
        };
        assert!(matches!(
            fixture.outbox.send(&hostile).await,
            Err(OutboxError::Mail(_))
        ));
        assert_eq!(fixture.outbox.status("a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_row_of_the_queue_without_a_mail_is_removed() {
        let fixture = fixture();
        fixture.outbox.send(&mail("a")).await.unwrap();
        fixture
            .store
            .delete(Table::Outbox, &Key::text("a"))
            .await
            .unwrap();
        assert_eq!(fixture.worker.run_due().await.unwrap(), NOTHING);
        assert_eq!(fixture.outbox.due.next_due().await.unwrap(), None);
    }
}
