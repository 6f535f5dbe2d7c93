//! The promises of [`Store`](crate::store::Store).

use bytes::Bytes;
use futures_util::future::join_all;

use super::Engine;
use crate::store::{Batch, Key, Page, Scan, SharedStore, StoreError, StoreExt, Table, limits};

fn key(n: u64) -> Key {
    Key::text("k").number(n)
}

async fn value(store: &SharedStore, table: Table, key: &Key) -> Option<Bytes> {
    store.get(table, key).await.unwrap().map(|record| record.value)
}

async fn number(store: &SharedStore, key: &Key) -> u64 {
    let bytes = value(store, Table::Meta, key).await.unwrap();
    std::str::from_utf8(&bytes).unwrap().parse().unwrap()
}

pub(super) async fn what_was_written_is_read_back_with_the_version_apply_returned(engine: &impl Engine) {
    let store = engine.open().await;
    assert_eq!(store.get(Table::Meta, &key(1)).await.unwrap(), None);
    let mut batch = Batch::new();
    batch.put(Table::Meta, key(1), "one").put(Table::Jobs, key(2), "");
    let version = store.apply(batch).await.unwrap();
    let one = store.get(Table::Meta, &key(1)).await.unwrap().unwrap();
    let two = store.get(Table::Jobs, &key(2)).await.unwrap().unwrap();
    assert_eq!((one.version, two.version), (version, version));
    assert_eq!((&one.value[..], &two.value[..]), (&b"one"[..], &b""[..]));
    store.delete(Table::Meta, &key(1)).await.unwrap();
    store.delete(Table::Meta, &key(1)).await.unwrap();
    assert_eq!(store.get(Table::Meta, &key(1)).await.unwrap(), None);
}

pub(super) async fn versions_rise_and_never_come_back_after_a_delete(engine: &impl Engine) {
    let store = engine.open().await;
    let mut last = 0;
    for _ in 0..5 {
        let version = store
            .compare_and_swap(Table::Meta, &key(1), None, "x".into())
            .await
            .unwrap();
        assert!(version > last);
        last = store
            .compare_and_swap(Table::Meta, &key(1), Some(version), "y".into())
            .await
            .unwrap();
        assert!(last > version);
        store.delete(Table::Meta, &key(1)).await.unwrap();
    }
}

pub(super) async fn tables_do_not_see_each_others_keys(engine: &impl Engine) {
    let store = engine.open().await;
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch.put(*table, key(1), table.name());
    }
    store.apply(batch).await.unwrap();
    for table in Table::ALL {
        assert_eq!(value(&store, *table, &key(1)).await.unwrap(), table.name());
        let page = store.scan(&Scan::table(*table)).await.unwrap();
        assert_eq!(page.entries.len(), 1);
        assert_eq!(page.entries[0].key, key(1));
    }
}

pub(super) async fn any_bytes_are_a_key_and_any_bytes_up_to_the_limit_a_value(engine: &impl Engine) {
    let store = engine.open().await;
    let keys = [
        vec![],
        vec![0],
        vec![0, 0],
        vec![0xff],
        vec![0xff; limits::KEY_BYTES],
        b"\0\xff\0".to_vec(),
    ];
    let mut content = vec![0_u8; limits::VALUE_BYTES];
    for (byte, n) in content.iter_mut().zip(0_u64..) {
        *byte = (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0];
    }
    let content = Bytes::from(content);
    for bytes in &keys {
        store
            .put(Table::Meta, &Key::raw(bytes.clone()), content.clone())
            .await
            .unwrap();
    }
    for bytes in &keys {
        let read = value(&store, Table::Meta, &Key::raw(bytes.clone()))
            .await
            .unwrap();
        assert!(read == content, "{bytes:?} came back changed");
    }
}

pub(super) async fn a_batch_over_a_limit_is_refused_and_changes_nothing(engine: &impl Engine) {
    let store = engine.open().await;
    let zeros = |n| Bytes::from(vec![0_u8; n]);
    let mut long_key = Batch::new();
    long_key.put(Table::Meta, Key::raw(vec![1; limits::KEY_BYTES + 1]), "");
    let mut long_condition = Batch::new();
    long_condition.require_absent(Table::Meta, Key::raw(vec![1; limits::KEY_BYTES + 1]));
    let mut large_value = Batch::new();
    large_value.put(Table::Meta, key(2), zeros(limits::VALUE_BYTES + 1));
    let mut many = Batch::new();
    for n in 0..=limits::BATCH_OPERATIONS as u64 {
        many.put(Table::Meta, key(n), "");
    }
    let mut large = Batch::new();
    for n in 0..=(limits::BATCH_BYTES / limits::VALUE_BYTES) as u64 {
        large.put(Table::Meta, key(n), zeros(limits::VALUE_BYTES));
    }
    for mut batch in [long_key, long_condition, large_value, many, large] {
        batch.put(Table::Meta, key(1), "");
        let error = store.apply(batch).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    }
    assert!(
        store
            .scan(&Scan::table(Table::Meta))
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}

pub(super) async fn a_failed_precondition_names_its_key_and_changes_nothing(engine: &impl Engine) {
    let store = engine.open().await;
    let version = store.put(Table::Products, &key(1), "there".into()).await.unwrap();
    let mut conditions = vec![Batch::new(), Batch::new(), Batch::new(), Batch::new()];
    conditions[0].require_absent(Table::Products, key(1));
    conditions[1].require_version(Table::Products, key(1), version + 1);
    conditions[2].require_present(Table::Products, key(2));
    conditions[3].require_version(Table::Products, key(2), version);
    for (mut batch, failing) in conditions.into_iter().zip([1, 1, 2, 2]) {
        batch
            .put(Table::Jobs, key(9), "x")
            .delete(Table::Products, key(1))
            .require_version(Table::Products, key(1), version);
        let error = store.apply(batch).await.unwrap_err();
        let StoreError::Conflict { table, key: at } = error else {
            panic!("{error}")
        };
        assert_eq!((table, at), (Table::Products, key(failing)));
    }
    assert_eq!(value(&store, Table::Products, &key(1)).await.unwrap(), "there");
    assert_eq!(value(&store, Table::Jobs, &key(9)).await, None);
}

pub(super) async fn preconditions_are_judged_before_the_batch_and_the_last_write_of_a_key_counts(
    engine: &impl Engine,
) {
    let store = engine.open().await;
    let mut batch = Batch::new();
    batch
        .put(Table::Meta, key(1), "first")
        .require_absent(Table::Meta, key(1))
        .delete(Table::Meta, key(1))
        .put(Table::Meta, key(1), "last")
        .put(Table::Meta, key(2), "gone")
        .delete(Table::Meta, key(2));
    store.apply(batch).await.unwrap();
    assert_eq!(value(&store, Table::Meta, &key(1)).await.unwrap(), "last");
    assert_eq!(value(&store, Table::Meta, &key(2)).await, None);
}

pub(super) async fn a_batch_of_preconditions_alone_only_asks(engine: &impl Engine) {
    let store = engine.open().await;
    let version = store.put(Table::Meta, &key(1), "x".into()).await.unwrap();
    let mut holds = Batch::new();
    holds
        .require_version(Table::Meta, key(1), version)
        .require_absent(Table::Meta, key(2));
    store.apply(holds).await.unwrap();
    let mut fails = Batch::new();
    fails.require_present(Table::Meta, key(2));
    assert!(store.apply(fails).await.unwrap_err().is_conflict());
    assert_eq!(
        store.get(Table::Meta, &key(1)).await.unwrap().unwrap().version,
        version
    );
}

/// Money moves between eight accounts by many tasks at once; a reader sums them up all the while. Were a batch
/// ever half applied, or a page half a batch, the sum would differ.
pub(super) async fn concurrent_batches_over_the_same_keys_are_never_half_applied(engine: &impl Engine) {
    const ACCOUNTS: u64 = 8;
    const EACH: u64 = 100;
    let store = engine.open().await;
    let mut batch = Batch::new();
    for n in 0..ACCOUNTS {
        batch.put(Table::Meta, key(n), EACH.to_string());
    }
    store.apply(batch).await.unwrap();
    let movers = (0..8_u64).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut moved = 0;
            for round in 0..40_u64 {
                let from = (task + round) % ACCOUNTS;
                let to = (task * 3 + round * 5 + 1) % ACCOUNTS;
                if from == to {
                    continue;
                }
                let (a, b) = (key(from), key(to));
                let left = store.get(Table::Meta, &a).await.unwrap().unwrap();
                let right = store.get(Table::Meta, &b).await.unwrap().unwrap();
                let amount = |bytes: &Bytes| std::str::from_utf8(bytes).unwrap().parse::<u64>().unwrap();
                let (have, had) = (amount(&left.value), amount(&right.value));
                if have == 0 {
                    continue;
                }
                let mut batch = Batch::new();
                batch
                    .replace(Table::Meta, &a, left.version, (have - 1).to_string())
                    .replace(Table::Meta, &b, right.version, (had + 1).to_string())
                    .put(Table::Jobs, Key::text("moved").number(task).number(round), "");
                match store.apply(batch).await {
                    Ok(_) => moved += 1,
                    Err(error) => assert!(error.is_conflict(), "{error}"),
                }
            }
            moved
        })
    });
    let movers: Vec<_> = movers.collect();
    let reader = store.clone();
    let sums = tokio::spawn(async move {
        for _ in 0..50 {
            let page = reader
                .scan(&Scan::prefix(Table::Meta, Key::text("k")))
                .await
                .unwrap();
            let amounts = page
                .entries
                .iter()
                .map(|entry| std::str::from_utf8(&entry.record.value).unwrap());
            assert_eq!(
                amounts.map(|amount| amount.parse::<u64>().unwrap()).sum::<u64>(),
                ACCOUNTS * EACH
            );
        }
    });
    let moved: usize = join_all(movers).await.into_iter().map(Result::unwrap).sum();
    sums.await.unwrap();
    assert!(moved > 0);
    let notes = store.scan(&Scan::table(Table::Jobs)).await.unwrap().entries.len();
    assert_eq!(notes, moved, "as many notes as acknowledged batches");
    let mut sum = 0;
    for n in 0..ACCOUNTS {
        sum += number(&store, &key(n)).await;
    }
    assert_eq!(sum, ACCOUNTS * EACH);
}

pub(super) async fn of_concurrent_swaps_of_one_version_exactly_one_wins(engine: &impl Engine) {
    let store = engine.open().await;
    let mut version = store.put(Table::Meta, &key(1), "start".into()).await.unwrap();
    for round in 0..10 {
        let swaps = (0..16).map(|n| {
            let store = store.clone();
            let expected = Some(version);
            tokio::spawn(async move {
                store
                    .compare_and_swap(Table::Meta, &key(1), expected, format!("{round}/{n}").into())
                    .await
            })
        });
        let results = join_all(swaps.collect::<Vec<_>>()).await;
        let won: Vec<_> = results
            .into_iter()
            .filter_map(|result| result.unwrap().ok())
            .collect();
        assert_eq!(won.len(), 1);
        version = won[0];
    }
}

async fn pages(store: &SharedStore, scan: Scan) -> (Vec<Key>, usize) {
    let (mut keys, mut count, mut next) = (Vec::new(), 0, Some(scan));
    while let Some(scan) = next {
        let page: Page = store.scan(&scan).await.unwrap();
        assert!(page.entries.len() <= scan.page_entries());
        next = scan.next(&page);
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        count += 1;
    }
    (keys, count)
}

pub(super) async fn a_scan_is_ordered_paged_and_complete_in_both_directions(engine: &impl Engine) {
    let store = engine.open().await;
    let mut batch = Batch::new();
    let mut expected = Vec::new();
    for n in 0..30_u64 {
        // Written in an order that is not theirs.
        let mixed = (n * 17) % 30;
        batch.put(Table::Meta, Key::text("b").number(mixed), "");
        expected.push(Key::text("b").number(n));
    }
    batch
        .put(Table::Meta, Key::text("a"), "")
        .put(Table::Meta, Key::text("c"), "");
    batch.put(Table::Jobs, Key::text("b").number(99), "");
    store.apply(batch).await.unwrap();
    let all = Scan::prefix(Table::Meta, Key::text("b"));
    assert_eq!(pages(&store, all.clone()).await, (expected.clone(), 1));
    assert_eq!(pages(&store, all.clone().limit(7)).await, (expected.clone(), 5));
    // Thirty entries in pages of ten: the third page must not promise a fourth.
    assert_eq!(pages(&store, all.clone().limit(10)).await, (expected.clone(), 3));
    let inner = all.clone().after(&expected[3]).before(&expected[9]);
    assert_eq!(pages(&store, inner).await.0, expected[4..9]);
    assert_eq!(
        pages(&store, all.clone().from(&expected[28])).await.0,
        expected[28..]
    );
    expected.reverse();
    assert_eq!(pages(&store, all.limit(7).reverse()).await, (expected, 5));
    let (keys, _) = pages(&store, Scan::table(Table::Meta).reverse().limit(5)).await;
    assert_eq!(
        (keys.len(), keys[0].clone(), keys[31].clone()),
        (32, Key::text("c"), Key::text("a"))
    );
}

pub(super) async fn a_page_is_bounded_in_bytes_and_still_makes_progress(engine: &impl Engine) {
    let store = engine.open().await;
    let value = Bytes::from(vec![7; limits::VALUE_BYTES]);
    for n in 0..6 {
        store.put(Table::Meta, &key(n), value.clone()).await.unwrap();
    }
    let page = store.scan(&Scan::table(Table::Meta)).await.unwrap();
    assert!(page.more);
    assert!((1..=limits::PAGE_BYTES / limits::VALUE_BYTES).contains(&page.entries.len()));
    assert_eq!(
        pages(&store, Scan::table(Table::Meta)).await.0,
        (0..6).map(key).collect::<Vec<_>>()
    );
}

pub(super) async fn an_empty_or_crossed_range_is_an_empty_page(engine: &impl Engine) {
    let store = engine.open().await;
    store.put(Table::Meta, &key(1), "x".into()).await.unwrap();
    let all = Scan::table(Table::Meta);
    let scans = [
        all.clone().limit(0),
        all.clone().after(key(1)),
        all.clone().before(key(1)),
        all.clone().after(key(5)).before(key(2)),
        all.clone().after(key(1)).before(key(1)),
        all.clone().from(key(1)).before(key(1)).reverse(),
        Scan::table(Table::Jobs),
    ];
    for scan in scans {
        assert!(store.scan(&scan).await.unwrap().entries.is_empty(), "{scan:?}");
    }
}

pub(super) async fn reopening_keeps_everything_and_versions_go_on_rising(engine: &impl Engine) {
    let mut last = 0;
    for round in 0..3_u64 {
        let store = engine.open().await;
        for earlier in 0..round {
            assert_eq!(number(&store, &key(earlier)).await, earlier);
            assert_eq!(store.get(Table::Meta, &key(1000 + earlier)).await.unwrap(), None);
        }
        let mut batch = Batch::new();
        batch
            .insert(Table::Meta, key(round), round.to_string())
            .put(Table::Meta, key(1000 + round), "");
        let version = store.apply(batch).await.unwrap();
        assert!(version > last);
        store.delete(Table::Meta, &key(1000 + round)).await.unwrap();
        last = store.put(Table::Jobs, &key(0), "x".into()).await.unwrap();
    }
}
