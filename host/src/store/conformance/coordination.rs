//! Leases and due queues over every engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::Engine;
use crate::store::{
    Batch, DueQueue, Key, Lease, LeaseError, Leases, Page, Record, Scan, SharedStore, Store, StoreError,
    StoreExt, Table,
};

const TERM: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) async fn a_lease_has_one_owner_until_its_term_is_over(engine: &impl Engine) {
    let leases = Leases::new(engine.open().await);
    let mut first = leases.acquire("vm/1", "a", at(0), TERM).await.unwrap();
    assert_eq!(first.until, at(30));
    leases.acquire("vm/2", "b", at(0), TERM).await.unwrap();
    for (owner, now) in [("b", 0), ("b", 29), ("a", 5)] {
        let error = leases.acquire("vm/1", owner, at(now), TERM).await.unwrap_err();
        assert!(matches!(&error, LeaseError::Held { owner, until, .. } if owner == "a" && *until == at(30)));
    }
    leases.renew(&mut first, at(20), TERM).await.unwrap();
    assert!(matches!(
        leases.acquire("vm/1", "b", at(49), TERM).await,
        Err(LeaseError::Held { .. })
    ));
    let mut second = leases.acquire("vm/1", "b", at(50), TERM).await.unwrap();
    assert!(matches!(
        leases.renew(&mut first, at(50), TERM).await,
        Err(LeaseError::Lost { .. })
    ));
    assert!(matches!(
        leases.release(first).await,
        Err(LeaseError::Lost { .. })
    ));
    leases.renew(&mut second, at(51), TERM).await.unwrap();
    leases.release(second).await.unwrap();
    leases.acquire("vm/1", "c", at(51), TERM).await.unwrap();
}

/// Writes under the lease, as a job step does.
async fn step(store: &SharedStore, lease: &Lease, text: &str) -> Result<u64, StoreError> {
    let mut batch = Batch::new();
    batch.put(Table::Jobs, Key::text("state"), text.to_owned());
    lease.guard(&mut batch);
    store.apply(batch).await
}

pub(super) async fn a_batch_under_a_lost_lease_changes_nothing(engine: &impl Engine) {
    let store = engine.open().await;
    let leases = Leases::new(store.clone());
    let mut first = leases.acquire("vm", "a", at(0), TERM).await.unwrap();
    step(&store, &first, "1").await.unwrap();
    leases.renew(&mut first, at(1), TERM).await.unwrap();
    step(&store, &first, "2").await.unwrap();
    // The term is over but nobody took the lease: writing is still safe, and allowed.
    let second = leases.acquire("vm", "b", at(100), TERM).await.unwrap();
    let error = step(&store, &first, "late").await.unwrap_err();
    assert!(
        first.is_lost(&error)
            && !second.is_lost(&StoreError::Conflict {
                table: Table::Jobs,
                key: Key::text("state"),
            })
    );
    let mut last = Batch::new();
    last.put(Table::Jobs, Key::text("state"), "3");
    second.release_in(&mut last);
    store.apply(last).await.unwrap();
    assert!(second.is_lost(&step(&store, &second, "after release").await.unwrap_err()));
    assert_eq!(
        store
            .get(Table::Jobs, &Key::text("state"))
            .await
            .unwrap()
            .unwrap()
            .value,
        "3"
    );
}

pub(super) async fn fences_rise_over_release_steal_and_reopening(engine: &impl Engine) {
    let mut last = 0;
    for round in 0..3 {
        let leases = Leases::new(engine.open().await);
        let lease = leases.acquire("vm", "a", at(1000 * round), TERM).await.unwrap();
        assert!(lease.fence() > last);
        let stolen = leases
            .acquire("vm", "b", at(1000 * round + 31), TERM)
            .await
            .unwrap();
        assert!(stolen.fence() > lease.fence());
        last = stolen.fence();
        if round == 1 {
            leases.release(stolen).await.unwrap();
        }
    }
}

pub(super) async fn of_many_who_want_a_lease_at_once_one_gets_it(engine: &impl Engine) {
    let leases = Leases::new(engine.open().await);
    for round in 0..5 {
        // Every second round the lease is free, else it is over.
        let tries = (0..12).map(|n| {
            let leases = leases.clone();
            tokio::spawn(async move {
                leases
                    .acquire("vm", &format!("o{n}"), at(1000 * round), TERM)
                    .await
            })
        });
        let results: Vec<_> = join_all(tries.collect::<Vec<_>>())
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let mut won = Vec::new();
        for result in results {
            match result {
                Ok(lease) => won.push(lease),
                Err(error) => assert!(matches!(error, LeaseError::Held { .. }), "{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        if round % 2 == 0 {
            leases.release(won.remove(0)).await.unwrap();
        }
    }
}

pub(super) async fn stale_leases_are_broken_at_start(engine: &impl Engine) {
    let store = engine.open().await;
    let leases = Leases::new(store.clone());
    let old = leases.acquire("vm/1", "gone", at(0), TERM).await.unwrap();
    leases.acquire("vm/2", "gone", at(0), TERM).await.unwrap();
    if !store.is_exclusive() {
        assert_eq!(leases.break_stale().await.unwrap(), 0);
        return;
    }
    assert_eq!(leases.break_stale().await.unwrap(), 2);
    let new = leases.acquire("vm/1", "new", at(1), TERM).await.unwrap();
    assert!(new.fence() > old.fence());
    assert!(old.is_lost(&step(&store, &old, "late").await.unwrap_err()));
}

async fn insert(queue: &DueQueue, store: &SharedStore, id: &str, due: Timestamp) {
    let mut batch = Batch::new();
    queue.insert(&mut batch, id, due).unwrap();
    store.apply(batch).await.unwrap();
}

async fn claim(queue: &DueQueue, now: Timestamp, limit: usize) -> Vec<String> {
    queue
        .claim(now, limit, "w", TERM)
        .await
        .unwrap()
        .into_iter()
        .map(|claimed| claimed.id)
        .collect()
}

pub(super) async fn what_is_due_is_claimed_in_order_and_nothing_else(engine: &impl Engine) {
    let store = engine.open().await;
    let (queue, other) = (
        DueQueue::new(store.clone(), "jobs"),
        DueQueue::new(store.clone(), "jobs2"),
    );
    assert_eq!(queue.next_due().await.unwrap(), None);
    for (id, due) in [("c", 3), ("a", 1), ("d", 4), ("b", 2), ("e", 5)] {
        insert(&queue, &store, id, at(due)).await;
    }
    insert(&other, &store, "x", at(0)).await;
    assert_eq!(queue.next_due().await.unwrap(), Some(at(1)));
    assert!(claim(&queue, at(0), 10).await.is_empty());
    assert!(
        claim(&queue, at(1) - Duration::from_micros(1), 10)
            .await
            .is_empty()
    );
    assert_eq!(claim(&queue, at(1), 10).await, ["a"]);
    assert_eq!(claim(&queue, at(4), 2).await, ["b", "c"]);
    assert_eq!(claim(&queue, at(4), 0).await, [""; 0]);
    assert_eq!(claim(&queue, at(9), 10).await, ["d", "e"]);
    assert!(claim(&queue, at(9), 10).await.is_empty());
    assert_eq!(claim(&other, at(9), 10).await, ["x"]);
}

pub(super) async fn no_id_is_ever_handed_out_twice_at_once(engine: &impl Engine) {
    const IDS: usize = 120;
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    let mut batch = Batch::new();
    for n in 0..IDS {
        queue
            .insert(&mut batch, &format!("{n:03}"), at((n / 10).try_into().unwrap()))
            .unwrap();
    }
    store.apply(batch).await.unwrap();
    let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let workers = (0..6).map(|worker| {
        let (queue, store, seen) = (queue.clone(), store.clone(), seen.clone());
        tokio::spawn(async move {
            // Claims stay open, so an id that comes up again was handed out twice.
            let mut mine = Vec::new();
            loop {
                let claimed = queue
                    .claim(at(100), 9, &format!("w{worker}"), TERM)
                    .await
                    .unwrap();
                if claimed.is_empty() {
                    break;
                }
                for claim in &claimed {
                    *seen.lock().unwrap().entry(claim.id.clone()).or_default() += 1;
                }
                mine.extend(claimed);
            }
            let mut batch = Batch::new();
            for claim in &mine {
                queue.ack(&mut batch, claim);
            }
            store.apply(batch).await.unwrap();
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), IDS);
    assert!(seen.values().all(|&times| times == 1), "{seen:?}");
    assert!(claim(&queue, at(10_000), 10).await.is_empty());
    assert!(
        store
            .scan(&Scan::table(Table::DueIndex))
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}

pub(super) async fn a_claim_that_is_not_acknowledged_comes_back(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    insert(&queue, &store, "a", at(0)).await;
    let first = queue.claim(at(5), 1, "w1", TERM).await.unwrap().remove(0);
    assert_eq!((first.due, first.until, first.attempt), (at(0), at(35), 1));
    assert_eq!(
        queue.standing("a").await.unwrap().unwrap().claim,
        Some(("w1".to_owned(), at(35)))
    );
    assert_eq!(queue.next_due().await.unwrap(), Some(at(35)));
    assert!(claim(&queue, at(34), 1).await.is_empty());
    drop((queue, store));
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    let second = queue.claim(at(35), 1, "w2", TERM).await.unwrap().remove(0);
    assert_eq!((second.due, second.attempt), (at(0), 2));
}

pub(super) async fn a_late_acknowledgement_changes_nothing(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    insert(&queue, &store, "a", at(0)).await;
    let mut late = queue.claim(at(0), 1, "w1", TERM).await.unwrap().remove(0);
    let current = queue.claim(at(40), 1, "w2", TERM).await.unwrap().remove(0);
    let mut batch = Batch::new();
    queue
        .ack(&mut batch, &late)
        .put(Table::Jobs, Key::text("result"), "late");
    assert!(store.apply(batch).await.unwrap_err().is_conflict());
    assert!(
        queue
            .extend(&mut late, "w1", at(99))
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert!(queue.abandon(&late).await.unwrap_err().is_conflict());
    assert_eq!(store.get(Table::Jobs, &Key::text("result")).await.unwrap(), None);
    let mut batch = Batch::new();
    queue.ack(&mut batch, &current);
    store.apply(batch).await.unwrap();
    assert_eq!(queue.standing("a").await.unwrap(), None);
}

pub(super) async fn scheduling_moves_and_cancelling_removes(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    for due in [50, 10, 10, 20] {
        let mut batch = Batch::new();
        queue.schedule(&mut batch, "a", at(due)).await.unwrap();
        store.apply(batch).await.unwrap();
        assert_eq!(queue.next_due().await.unwrap(), Some(at(due)));
        assert_eq!(
            store
                .scan(&Scan::table(Table::DueIndex))
                .await
                .unwrap()
                .entries
                .len(),
            1
        );
    }
    let mut twice = Batch::new();
    queue.insert(&mut twice, "a", at(1)).unwrap();
    assert!(store.apply(twice).await.unwrap_err().is_conflict());
    // A claim is taken away by a new schedule.
    let claimed = queue.claim(at(20), 1, "w", TERM).await.unwrap().remove(0);
    let mut batch = Batch::new();
    queue.schedule(&mut batch, "a", at(21)).await.unwrap();
    store.apply(batch).await.unwrap();
    let mut ack = Batch::new();
    queue.ack(&mut ack, &claimed);
    assert!(store.apply(ack).await.unwrap_err().is_conflict());
    // Of two who schedule at once, the second must look again.
    let (mut one, mut two) = (Batch::new(), Batch::new());
    queue.schedule(&mut one, "a", at(30)).await.unwrap();
    queue.cancel(&mut two, "a").await.unwrap();
    store.apply(one).await.unwrap();
    assert!(store.apply(two).await.unwrap_err().is_conflict());
    for _ in 0..2 {
        let mut batch = Batch::new();
        queue.cancel(&mut batch, "a").await.unwrap();
        store.apply(batch).await.unwrap();
        assert_eq!(queue.next_due().await.unwrap(), None);
        assert_eq!(queue.standing("a").await.unwrap(), None);
    }
}

pub(super) async fn a_claim_can_be_extended_given_back_and_put_off(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    insert(&queue, &store, "a", at(0)).await;
    let mut claimed = queue.claim(at(0), 1, "w", TERM).await.unwrap().remove(0);
    queue.extend(&mut claimed, "w", at(60)).await.unwrap();
    queue.extend(&mut claimed, "w", at(60)).await.unwrap();
    assert!(claim(&queue, at(59), 1).await.is_empty());
    queue.abandon(&claimed).await.unwrap();
    let again = queue.claim(at(1), 1, "w", TERM).await.unwrap().remove(0);
    assert_eq!((again.due, again.attempt), (at(0), 2));
    let mut batch = Batch::new();
    queue.again(&mut batch, &again, at(100)).unwrap();
    store.apply(batch).await.unwrap();
    assert!(claim(&queue, at(99), 1).await.is_empty());
    let last = queue.claim(at(100), 1, "w", TERM).await.unwrap().remove(0);
    assert_eq!((last.due, last.attempt), (at(100), 1));
    assert_eq!(
        store
            .scan(&Scan::table(Table::DueIndex))
            .await
            .unwrap()
            .entries
            .len(),
        1
    );
}

pub(super) async fn a_queue_entry_and_the_rest_of_its_batch_stand_or_fall_together(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    let mut batch = Batch::new();
    queue
        .insert(&mut batch, "a", at(0))
        .unwrap()
        .require_present(Table::Jobs, Key::text("a"));
    assert!(store.apply(batch).await.unwrap_err().is_conflict());
    assert_eq!(queue.next_due().await.unwrap(), None);
    assert_eq!(queue.standing("a").await.unwrap(), None);
    let mut batch = Batch::new();
    queue
        .insert(&mut batch, "a", at(0))
        .unwrap()
        .put(Table::Jobs, Key::text("a"), "");
    store.apply(batch).await.unwrap();
    assert_eq!(claim(&queue, at(0), 5).await, ["a"]);
}

/// Counts what is asked of a store.
#[derive(Debug)]
struct Counting {
    inner: SharedStore,
    rows: Mutex<usize>,
}

#[async_trait]
impl Store for Counting {
    async fn get(&self, table: Table, key: &Key) -> Result<Option<Record>, StoreError> {
        *self.rows.lock().unwrap() += 1;
        self.inner.get(table, key).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let page = self.inner.scan(scan).await?;
        *self.rows.lock().unwrap() += 1 + page.entries.len();
        Ok(page)
    }
    async fn apply(&self, batch: Batch) -> Result<u64, StoreError> {
        *self.rows.lock().unwrap() += batch.changes().len();
        self.inner.apply(batch).await
    }
    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }
}

pub(super) async fn the_cost_of_a_claim_does_not_depend_on_what_is_not_due(engine: &impl Engine) {
    let inner = engine.open().await;
    let counting = Arc::new(Counting {
        inner: inner.clone(),
        rows: Mutex::default(),
    });
    let queue = DueQueue::new(counting.clone(), "jobs");
    for chunk in 0..20 {
        let mut batch = Batch::new();
        for n in 0..100 {
            queue
                .insert(&mut batch, &format!("later-{chunk}-{n}"), at(1000 + n))
                .unwrap();
        }
        inner.apply(batch).await.unwrap();
    }
    for n in 0..3 {
        insert(&queue, &inner, &format!("now-{n}"), at(n)).await;
    }
    *counting.rows.lock().unwrap() = 0;
    assert_eq!(claim(&queue, at(10), 50).await.len(), 3);
    let rows = *counting.rows.lock().unwrap();
    assert!(
        rows <= 4 + 3 * 6,
        "{rows} rows touched for three due ids among two thousand"
    );
    *counting.rows.lock().unwrap() = 0;
    assert!(claim(&queue, at(10), 50).await.is_empty());
    assert_eq!(*counting.rows.lock().unwrap(), 1);
    let version = inner.put(Table::Meta, &Key::text("x"), "y".into()).await;
    assert!(version.is_ok());
}

pub(super) async fn stale_claims_are_ended_at_start(engine: &impl Engine) {
    let store = engine.open().await;
    let queue = DueQueue::new(store.clone(), "jobs");
    for n in 0..3 {
        insert(&queue, &store, &format!("{n}"), at(n)).await;
    }
    assert_eq!(claim(&queue, at(1), 5).await, ["0", "1"]);
    if !store.is_exclusive() {
        assert_eq!(queue.break_stale().await.unwrap(), 0);
        return;
    }
    assert_eq!(queue.break_stale().await.unwrap(), 2);
    assert_eq!(claim(&queue, at(2), 5).await, ["0", "1", "2"]);
}
