//! The store in one directory of one process, on sled.
//!
//! All tables live in one sled tree (`layout`), so that a batch over any tables is one atomic sled batch. One
//! thread writes (`writer`): it takes whatever batches wait, checks and applies them one after the other,
//! flushes once for all of them and only then answers. So preconditions need no transactions, and a hundred
//! concurrent batches cost one flush.
//!
//! What a power cut can do: acknowledged batches are synced with `fdatasync`. Between two syncs sled itself
//! relies on the disk to keep the order of completed writes when it uses freed space again; disks with power
//! loss protection do, and on others the window is one group of batches.

mod layout;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::layout::{Entry, FORMAT, FORMAT_KEY, VERSION_KEY, tree_key};
use self::writer::{Waiting, Writer};
use super::scan::PageBuilder;
use super::{Batch, Cause, Key, OpenProblem, Page, Record, Scan, Store, StoreError, Table};

/// As many batches wait for the writer at most; then `apply` waits to be let in.
const QUEUE: usize = 1024;
/// The file whose lock says that the directory is in use.
const LOCK_FILE: &str = "portico.lock";
/// sled's log, which holds everything that counts.
const LOG_FILE: &str = "db";
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
    /// Held for writing while a batch is applied, for reading while a page or a large value is read: both are
    /// snapshots.
    view: Arc<RwLock<()>>,
    queue: Option<mpsc::Sender<Waiting>>,
    writer: Option<JoinHandle<()>>,
    /// Locked as long as it is open.
    _lock: std::fs::File,
}

/// How long a store that is in use is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
const AGAIN: std::time::Duration = std::time::Duration::from_millis(10);

impl SledStore {
    /// Opens the store, or makes a new one. Blocks, for as long as recovery after a crash takes.
    ///
    /// # Errors
    /// [`StoreError::Open`] with what is wrong; [`OpenProblem::hint`] says what to do about it.
    pub fn open(options: &SledOptions) -> Result<Self, StoreError> {
        let path = options.path.as_path();
        let lock = patiently(|| lock_directory(path))?;
        let tree = patiently(|| open_tree(options))?;
        let version = prepare(&tree, path)?;
        let disk = |error: std::io::Error| open_error(path, OpenProblem::Disk, Some(Arc::new(error)));
        let log = std::fs::File::open(path.join(LOG_FILE)).map_err(disk)?;
        log.sync_all().map_err(disk)?;
        // The names of the files, and of the directory itself, are to survive a power cut as well.
        for directory in [Some(path), path.parent()].into_iter().flatten() {
            if !directory.as_os_str().is_empty() {
                std::fs::File::open(directory)
                    .and_then(|directory| directory.sync_all())
                    .map_err(disk)?;
            }
        }
        let view = Arc::new(RwLock::new(()));
        let (queue, waiting) = mpsc::channel(QUEUE);
        let mut state = Writer {
            tree: tree.clone(),
            log,
            view: view.clone(),
            version,
            failed: None,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || state.run(waiting))
            .map_err(disk)?;
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

fn open_error(path: &Path, problem: OpenProblem, source: Option<Cause>) -> StoreError {
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

/// Tries again for a moment while the store is in use. A panel that is just ending still has it; and a process that was
/// started meanwhile shares the lock for the moment between its fork and its exec.
fn patiently<T>(attempt: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(StoreError::Open {
                problem: OpenProblem::InUse,
                ..
            }) if std::time::Instant::now() < deadline => std::thread::sleep(AGAIN),
            other => return other,
        }
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
                // It says so in words only, and locks its file besides our own.
                ::sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
                    OpenProblem::InUse
                }
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

impl Inner {
    fn entry(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.tree
            .get(key)
            .map_err(unavailable)?
            .map(|stored| Entry::read(&stored))
            .transpose()
    }

    /// Reads a record that may lie in pieces.
    fn large(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let _still = self.view.read().unwrap_or_else(PoisonError::into_inner);
        self.entry(key)?
            .map(|entry| entry.assemble(&self.tree))
            .transpose()
    }

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
            if !page.push(key, Entry::read(&stored)?.assemble(&self.tree)?) {
                break;
            }
        }
        Ok(page.finish())
    }
}

impl SledStore {
    /// Reads on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || read(&inner))
            .await
            .unwrap_or_else(|error| {
                Err(StoreError::Unavailable {
                    reason: "the read was cut off",
                    source: Some(Arc::new(error)),
                })
            })
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, table: Table, key: &Key) -> Result<Option<Record>, StoreError> {
        // Read on the spot: nearly always from memory, else one page from disk, which is less than a trip to
        // another thread and back.
        let key = tree_key(table, key);
        match self.inner.entry(&key)? {
            None => Ok(None),
            Some(Entry::Whole(record)) => Ok(Some(record)),
            Some(Entry::Large(_)) => self.blocking(move |inner| inner.large(&key)).await,
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let scan = scan.clone();
        self.blocking(move |inner| inner.page(&scan)).await
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
