use std::sync::Arc;

use super::*;
use crate::auth::SessionPolicy;
use crate::clock::ManualClock;
use crate::domain::{ActivityEntry, Actor, Outcome, ServiceId};
use crate::jobs::Jobs;
use crate::secret::SeededEntropy;
use crate::store::{Batch, Key, MemoryStore, Scan, SharedStore, Table};

fn housekeeping(clock: &ManualClock) -> Housekeeping {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Housekeeping {
        records: Records::new(Arc::clone(&store)),
        schedules: Schedules::new(Jobs::new(Arc::clone(&store), Arc::clone(&clock))),
        sessions: Sessions::new(
            store,
            Arc::clone(&clock),
            Arc::new(SeededEntropy::new(7)),
            SessionPolicy::default(),
        ),
        clock,
        keep_activity: Duration::from_hours(24),
        wake: Arc::default(),
    }
}

fn entry(at: Timestamp, text: &str) -> ActivityEntry {
    ActivityEntry {
        at,
        service: Some(ServiceId::from_random([1; 16])),
        actor: Actor::System,
        ip: None,
        action: "snapshots.create".parse().unwrap(),
        target: None,
        outcome: Outcome::Done,
        text: text.to_owned(),
    }
}

async fn count(keeping: &Housekeeping, table: Table) -> usize {
    let page = keeping.records.store().scan(&Scan::table(table)).await.unwrap();
    page.entries.len()
}

#[tokio::test]
async fn activity_is_kept_for_its_time_and_no_longer() {
    let clock = ManualClock::new("2026-11-24T12:00:00Z".parse().unwrap());
    let keeping = housekeeping(&clock);
    let now = clock.now();
    // More than is removed in one transaction.
    for second in 0..450_u64 {
        let at = earlier(now, Duration::from_secs(86_401 + second));
        keeping.records.log(&entry(at, "old")).await.unwrap();
    }
    let young = earlier(now, Duration::from_secs(86_399));
    keeping.records.log(&entry(young, "young")).await.unwrap();
    keeping.once().await.unwrap();
    let left = keeping.records.all_activity(None, 10).await.unwrap().entries;
    assert_eq!(
        left.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(),
        ["young"]
    );
    assert_eq!(count(&keeping, Table::Activity).await, 1);
}

#[tokio::test]
async fn values_of_a_removed_service_go_and_those_of_others_stay() {
    let keeping = housekeeping(&ManualClock::default());
    let (gone, kept) = (ServiceId::from_random([1; 16]), ServiceId::from_random([2; 16]));
    let store = Arc::clone(keeping.records.store());
    for plugin in ["overview", "snapshots", "snapshots2"] {
        for service in [gone, kept] {
            let space = Key::text(plugin).and(&service.to_string());
            for number in 0..250 {
                let mut batch = Batch::new();
                batch.put(Table::PluginStorage, space.clone().and(&number.to_string()), "v");
                batch.put(Table::PluginStorageUse, space.clone(), "1");
                store.apply(batch).await.unwrap();
            }
        }
    }
    let mut batch = Batch::new();
    Records::stage_removed_service(&mut batch, gone);
    store.apply(batch).await.unwrap();

    keeping.once().await.unwrap();

    for plugin in ["overview", "snapshots", "snapshots2"] {
        for (service, left) in [(gone, 0), (kept, 250)] {
            let space = Key::text(plugin).and(&service.to_string());
            let values = Scan::prefix(Table::PluginStorage, &space);
            assert_eq!(store.scan(&values).await.unwrap().entries.len(), left, "{plugin}");
        }
    }
    assert_eq!(count(&keeping, Table::PluginStorageUse).await, 3);
    assert!(keeping.records.removed_services().await.unwrap().is_empty());
}
