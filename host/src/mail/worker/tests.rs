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
    // Within the limits, but twice as long when it is stored.
    let quotes = Mail {
        text: "\"".repeat(256 << 10),
        html: Some("\"".repeat(256 << 10)),
        ..mail("a")
    };
    assert!(matches!(
        fixture.outbox.send(&quotes).await,
        Err(OutboxError::Mail(_))
    ));
    assert_eq!(fixture.outbox.status("a").await.unwrap(), None);
    let large = Mail {
        text: "x".repeat(256 << 10),
        html: Some("x".repeat(256 << 10)),
        ..mail("a")
    };
    fixture.outbox.send(&large).await.unwrap();
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
