//! What only this engine promises: its directory, and what is on disk after an acknowledgement.

use super::layout::PIECE;
use super::*;
use crate::store::StoreExt;
use crate::store::limits;
use futures_util::future::join_all;

fn problem(path: &Path) -> OpenProblem {
    match SledStore::open(&SledOptions::new(path)) {
        Err(StoreError::Open { problem, .. }) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_free_again_after_the_last_clone_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/store");
    let store = SledStore::open(&SledOptions::new(&path)).unwrap();
    assert_eq!(problem(&path), OpenProblem::InUse);
    let clone = store.clone();
    drop(store);
    assert_eq!(problem(&path), OpenProblem::InUse);
    clone.put(Table::Meta, &Key::text("a"), "x".into()).await.unwrap();
    drop(clone);
    let store = SledStore::open(&SledOptions::new(&path)).unwrap();
    assert!(store.get(Table::Meta, &Key::text("a")).await.unwrap().is_some());
    assert!(store.size_on_disk().unwrap() > 0);
}

/// What happens when another thread starts a process just then: until its exec the child has a copy of every open file,
/// and with it the lock.
#[test]
fn a_store_that_is_locked_for_a_moment_longer_is_opened_all_the_same() {
    for file in [LOCK_FILE, "db"] {
        let directory = tempfile::tempdir().unwrap();
        let options = SledOptions::new(directory.path());
        drop(SledStore::open(&options).unwrap());
        let held = std::fs::File::open(directory.path().join(file)).unwrap();
        held.try_lock().unwrap();
        let child = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE / 5);
            drop(held);
        });
        SledStore::open(&options).unwrap();
        child.join().unwrap();
    }
}

#[test]
fn a_new_directory_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let _store = SledStore::open(&SledOptions::new(&path)).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(problem(file.path()), OpenProblem::NotADirectory);
}

#[test]
fn a_store_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let other = ::sled::open(directory.path()).unwrap();
    other.insert("theirs", "x").unwrap();
    drop(other);
    assert_eq!(problem(directory.path()), OpenProblem::Foreign);
    let other = ::sled::open(directory.path()).unwrap();
    assert_eq!(other.len(), 1);
}

#[tokio::test]
async fn garbage_in_the_directory_is_an_error_and_not_a_panic() {
    for garbage in [vec![0xa5_u8; 100_000], b"x".to_vec()] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("db"), &garbage).unwrap();
        std::fs::write(directory.path().join("conf"), &garbage).unwrap();
        match SledStore::open(&SledOptions::new(directory.path())) {
            Err(StoreError::Open { problem, .. }) => {
                assert!(
                    matches!(problem, OpenProblem::Damaged | OpenProblem::Foreign),
                    "{problem}"
                );
            }
            Err(other) => panic!("{other}"),
            // A database file without one whole record reads as a new one, and then works as one.
            Ok(store) => drop(store.put(Table::Meta, &Key::text("a"), "x".into()).await.unwrap()),
        }
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let newer = ::sled::open(directory.path()).unwrap();
    newer.insert(FORMAT_KEY, &2_u64.to_be_bytes()).unwrap();
    drop(newer);
    assert_eq!(problem(directory.path()), OpenProblem::Foreign);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_caller_gives_up_does_not_stop_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Meta, Key::text("a"), "x");
    let mut future = Box::pin(store.apply(batch));
    let _ = futures_util::poll!(future.as_mut());
    drop(future);
    store.put(Table::Meta, &Key::text("b"), "y".into()).await.unwrap();
    assert!(store.get(Table::Meta, &Key::text("a")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_batches_all_get_their_own_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    let writes = (0..1000_u64).map(|n| {
        let store = store.clone();
        async move {
            store
                .put(Table::Meta, &Key::text("k").number(n), "x".into())
                .await
                .unwrap()
        }
    });
    let mut versions = join_all(writes).await;
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 1000);
}

/// The directory in which sled puts what it does not sync.
fn blobs(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("blobs")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_large_values_nor_long_keys_ever_leave_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    // Keys as long as they may be and without a common beginning, so that index nodes are as large as they get.
    let long = |n: u64| {
        let mut key = blake3::hash(&n.to_le_bytes()).as_bytes().to_vec();
        key.resize(limits::KEY_BYTES, 7);
        Key::raw(key)
    };
    for group in 0..20_u64 {
        let mut batch = Batch::new();
        for n in 0..60 {
            batch.put(Table::Jobs, long(group * 60 + n), vec![1; PIECE]);
        }
        batch.put(Table::Meta, Key::text("large"), vec![2; limits::VALUE_BYTES]);
        store.apply(batch).await.unwrap();
        assert_eq!(blobs(directory.path()), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pieces_of_a_large_value_go_when_it_is_replaced_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    let key = Key::text("k");
    let entries = || store.inner.tree.len();
    for size in [
        0,
        1,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        2 * PIECE,
        2 * PIECE + 1,
        100 * PIECE,
        3,
    ] {
        let value = vec![u8::try_from(size % 251).unwrap(); size];
        store.put(Table::Meta, &key, value.clone().into()).await.unwrap();
        assert_eq!(store.get(Table::Meta, &key).await.unwrap().unwrap().value, value);
        let pieces = if size > PIECE { size.div_ceil(PIECE) } else { 0 };
        assert_eq!(entries(), 3 + pieces, "{size}");
    }
    let mut twice = Batch::new();
    twice
        .put(Table::Meta, &key, vec![1; 50_000])
        .put(Table::Meta, &key, vec![2; 60_000]);
    store.apply(twice).await.unwrap();
    assert_eq!(
        store.get(Table::Meta, &key).await.unwrap().unwrap().value,
        vec![2; 60_000]
    );
    store.delete(Table::Meta, &key).await.unwrap();
    assert_eq!(entries(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_that_is_replaced_meanwhile_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    let key = Key::text("k");
    store
        .put(Table::Meta, &key, vec![0; 200_000].into())
        .await
        .unwrap();
    let writer = {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move {
            for n in 1..60_u8 {
                store
                    .put(Table::Meta, &key, vec![n; 200_000 - usize::from(n)].into())
                    .await
                    .unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let value = store.get(Table::Meta, &key).await.unwrap().unwrap().value;
        assert!(value.iter().all(|byte| *byte == value[0]));
        assert_eq!(value.len(), 200_000 - usize::from(value[0]));
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn space_is_used_again_when_the_same_records_are_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    for round in 0..60_u8 {
        let mut batch = Batch::new();
        for n in 0..200_u64 {
            batch.put(Table::Jobs, Key::text("job").number(n), vec![round; 2000]);
        }
        batch.put(Table::Meta, Key::text("large"), vec![round; 300_000]);
        store.apply(batch).await.unwrap();
    }
    // 0.7 MB live, 42 MB written.
    let size = store.size_on_disk().unwrap();
    assert!(size < 12 << 20, "{size} bytes");
}
