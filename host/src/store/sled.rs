//! The store in one directory of one process, on sled.
//!
//! All tables live in one sled tree, a key being the table's tag and then the key, so that a batch over any
//! tables is one atomic sled batch. One thread writes: it takes whatever batches wait, checks and applies them
//! one after the other, flushes once for all of them and only then answers. So preconditions need no
//! transactions, and a hundred concurrent batches cost one fsync.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::scan::PageBuilder;
use super::{Batch, Key, OpenProblem, Page, Record, Scan, Store, StoreError, Table};

/// The store's own key that holds the format number. Tag zero is no table's.
const FORMAT_KEY: &[u8] = b"\0format";
/// The store's own key that holds the number of the last batch.
const VERSION_KEY: &[u8] = b"\0version";
/// The layout described above.
const FORMAT: u64 = 1;
/// As many batches wait for the writer at most; then `apply` waits to be let in.
const QUEUE: usize = 1024;
/// As many batches share one flush at most, which bounds how long the first of them waits.
const GROUP: usize = 256;
/// The file whose lock says that the directory is in use.
const LOCK_FILE: &str = "portico.lock";
/// What sled may keep in memory unless [`SledOptions`] says otherwise.
const CACHE_BYTES: u64 = 32 << 20;

/// How to open a [`SledStore`].
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// The directory; made, readable by its owner alone, when it is not there.
    pub path: PathBuf,
    /// How much sled may keep in memory, in bytes.
    pub cache_bytes: u64,
}

impl SledOptions {
    /// The store in `path` with the default cache of 32 MiB.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes: CACHE_BYTES,
        }
    }
}

/// The embedded store. Clones are the same store; the last one to be dropped finishes what was applied and
/// gives the directory free.
#[derive(Clone, Debug)]
pub struct SledStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: ::sled::Db,
    /// Held for writing while a batch is applied, for reading while a page is read: a page is a snapshot.
    view: Arc<RwLock<()>>,
    queue: Option<mpsc::Sender<Waiting>>,
    writer: Option<JoinHandle<()>>,
    /// Locked as long as it is open.
    _lock: std::fs::File,
}

/// A batch that waits for the writer.
struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Result<u64, StoreError>>,
}

impl SledStore {
    /// Opens the store, or makes a new one. Blocks, for as long as recovery after a crash takes.
    ///
    /// # Errors
    /// [`StoreError::Open`] with what is wrong; [`OpenProblem::hint`] says what to do about it.
    pub fn open(options: &SledOptions) -> Result<Self, StoreError> {
        let path = options.path.as_path();
        let lock = lock_directory(path)?;
        let tree = open_tree(options)?;
        let version = prepare(&tree, path)?;
        let view = Arc::new(RwLock::new(()));
        let (queue, waiting) = mpsc::channel(QUEUE);
        let mut state = Writer {
            tree: tree.clone(),
            view: view.clone(),
            version,
            failed: None,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || state.run(waiting))
            .map_err(|error| open_error(path, OpenProblem::Disk, Some(Arc::new(error))))?;
        let inner = Inner {
            tree,
            view,
            queue: Some(queue),
            writer: Some(writer),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The bytes the store takes on disk.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.inner.tree.size_on_disk().map_err(unavailable)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the writer finishes what waits and ends.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has answered nobody since, and there is nothing left to do about it.
            let _ = writer.join();
        }
    }
}

fn open_error(path: &Path, problem: OpenProblem, source: Option<super::Cause>) -> StoreError {
    StoreError::Open {
        path: path.to_owned(),
        problem,
        source,
    }
}

fn io_problem(error: &std::io::Error) -> OpenProblem {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            OpenProblem::Permission
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => OpenProblem::NotADirectory,
        _ => OpenProblem::Disk,
    }
}

/// Makes the directory if needed and locks it against a second process.
fn lock_directory(path: &Path) -> Result<std::fs::File, StoreError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let io = |error: std::io::Error| open_error(path, io_problem(&error), Some(Arc::new(error)));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io)?;
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join(LOCK_FILE))
        .map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(open_error(path, OpenProblem::InUse, None)),
        Err(std::fs::TryLockError::Error(error)) => Err(io(error)),
    }
}

fn open_tree(options: &SledOptions) -> Result<::sled::Db, StoreError> {
    let path = options.path.as_path();
    let config = ::sled::Config::new()
        .path(path)
        .cache_capacity(options.cache_bytes)
        .mode(::sled::Mode::HighThroughput)
        // The writer flushes; a timer beside it would only cost.
        .flush_every_ms(None);
    // On some damaged files sled panics instead of saying so.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()));
    match opened {
        Ok(Ok(tree)) => Ok(tree),
        Ok(Err(error)) => {
            let problem = match &error {
                ::sled::Error::Io(error) => io_problem(error),
                ::sled::Error::Unsupported(_) => OpenProblem::Foreign,
                _ => OpenProblem::Damaged,
            };
            Err(open_error(path, problem, Some(Arc::new(error))))
        }
        Err(_) => Err(open_error(path, OpenProblem::Damaged, None)),
    }
}

/// Checks the format, or writes it into a new store, and returns the number of the last batch.
fn prepare(tree: &::sled::Db, path: &Path) -> Result<u64, StoreError> {
    let damaged = |error: ::sled::Error| open_error(path, OpenProblem::Damaged, Some(Arc::new(error)));
    let foreign = || open_error(path, OpenProblem::Foreign, None);
    let number = |key: &[u8]| -> Result<Option<u64>, StoreError> {
        let Some(bytes) = tree.get(key).map_err(damaged)? else {
            return Ok(None);
        };
        Ok(Some(u64::from_be_bytes(
            bytes.as_ref().try_into().map_err(|_| foreign())?,
        )))
    };
    match number(FORMAT_KEY)? {
        Some(FORMAT) => number(VERSION_KEY)?.ok_or_else(|| open_error(path, OpenProblem::Damaged, None)),
        None if tree.is_empty() && tree.tree_names().len() <= 1 => {
            let mut batch = ::sled::Batch::default();
            batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
            batch.insert(VERSION_KEY, &0_u64.to_be_bytes());
            let disk = |error| open_error(path, OpenProblem::Disk, Some(Arc::new(error)));
            tree.apply_batch(batch).map_err(disk)?;
            tree.flush().map_err(disk)?;
            Ok(0)
        }
        Some(_) | None => Err(foreign()),
    }
}

fn unavailable(error: ::sled::Error) -> StoreError {
    StoreError::Unavailable {
        reason: "the disk failed",
        source: Some(Arc::new(error)),
    }
}

fn tree_key(table: Table, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.as_bytes().len() + 1);
    bytes.push(table.tag());
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

fn record(stored: &[u8]) -> Result<Record, StoreError> {
    let (version, value) = stored
        .split_first_chunk::<8>()
        .ok_or_else(|| StoreError::Damaged {
            kind: "record",
            reason: "it has no version".into(),
        })?;
    Ok(Record {
        value: Bytes::copy_from_slice(value),
        version: u64::from_be_bytes(*version),
    })
}

/// What the writing thread works with.
struct Writer {
    tree: ::sled::Db,
    view: Arc<RwLock<()>>,
    version: u64,
    /// Why nothing more is written: after a failed flush nobody knows what is on disk.
    failed: Option<StoreError>,
}

impl Writer {
    fn run(&mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut answers = Vec::new();
            let mut next = Some(first);
            while let Some(Waiting { batch, answer }) = next {
                answers.push((answer, self.commit(&batch)));
                next = if answers.len() < GROUP {
                    waiting.try_recv().ok()
                } else {
                    None
                };
            }
            // Conflicts wait for the flush, too: they tell of a batch that must not vanish afterwards.
            if let (None, Err(error)) = (&self.failed, self.tree.flush()) {
                tracing::error!(%error, "the store cannot be flushed and stops writing");
                self.failed = Some(unavailable(error));
            }
            for (answer, result) in answers {
                let result = self.failed.clone().map_or(result, Err);
                // Whoever gave up waiting does not want to know.
                let _ = answer.send(result);
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        for precondition in batch.preconditions() {
            let (table, key) = (precondition.table, &precondition.key);
            let stored = self.tree.get(tree_key(table, key)).map_err(unavailable)?;
            let version = stored
                .map(|stored| record(&stored).map(|record| record.version))
                .transpose()?;
            if !precondition.expected.accepts(version) {
                return Err(StoreError::Conflict {
                    table,
                    key: key.clone(),
                });
            }
        }
        let version = self.version + 1;
        if batch.changes().is_empty() {
            return Ok(self.version);
        }
        let mut writes = ::sled::Batch::default();
        for change in batch.changes() {
            let key = tree_key(change.table, &change.key);
            match &change.value {
                Some(value) => {
                    let mut stored = Vec::with_capacity(8 + value.len());
                    stored.extend_from_slice(&version.to_be_bytes());
                    stored.extend_from_slice(value);
                    writes.insert(key, stored);
                }
                None => writes.remove(key),
            }
        }
        writes.insert(VERSION_KEY, &version.to_be_bytes());
        let _alone = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.tree.apply_batch(writes) {
            let error = unavailable(error);
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.version = version;
        Ok(version)
    }
}

impl Inner {
    fn page(&self, scan: &Scan) -> Result<Page, StoreError> {
        let tag = scan.table.tag();
        let bound = |bound: &Bound<Key>, open: Bound<Vec<u8>>| match bound {
            Bound::Included(key) => Bound::Included(tree_key(scan.table, key)),
            Bound::Excluded(key) => Bound::Excluded(tree_key(scan.table, key)),
            Bound::Unbounded => open,
        };
        let start = bound(&scan.start, Bound::Included(vec![tag]));
        let end = bound(
            &scan.end,
            tag.checked_add(1)
                .map_or(Bound::Unbounded, |tag| Bound::Excluded(vec![tag])),
        );
        let mut page = PageBuilder::new(scan);
        if scan.is_void() {
            return Ok(page.finish());
        }
        let _still = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut range = self.tree.range::<Vec<u8>, _>((start, end));
        while let Some(entry) = if scan.reverse {
            range.next_back()
        } else {
            range.next()
        } {
            let (key, stored) = entry.map_err(unavailable)?;
            let key = Key::raw(key.get(1..).unwrap_or_default());
            if !page.push(key, record(&stored)?) {
                break;
            }
        }
        Ok(page.finish())
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, table: Table, key: &Key) -> Result<Option<Record>, StoreError> {
        // Read on the spot: nearly always from memory, else one page from disk, which is less than a trip to
        // another thread and back.
        let stored = self.inner.tree.get(tree_key(table, key)).map_err(unavailable)?;
        stored.map(|stored| record(&stored)).transpose()
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let (inner, scan) = (self.inner.clone(), scan.clone());
        tokio::task::spawn_blocking(move || inner.page(&scan))
            .await
            .unwrap_or_else(|error| {
                Err(StoreError::Unavailable {
                    reason: "the scan was cut off",
                    source: Some(Arc::new(error)),
                })
            })
    }

    async fn apply(&self, batch: Batch) -> Result<u64, StoreError> {
        batch.check()?;
        let gone = StoreError::Unavailable {
            reason: "the writer has ended",
            source: None,
        };
        let (answer, result) = oneshot::channel();
        let Some(queue) = &self.inner.queue else {
            return Err(gone);
        };
        if queue.send(Waiting { batch, answer }).await.is_err() {
            return Err(gone);
        }
        result.await.unwrap_or(Err(gone))
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreExt;
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
}
