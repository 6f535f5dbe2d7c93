//! What one call has used so far, shared between the guest's frames, the caller that watches it and the report at the end.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Counters of a call. All of them are written by the one task that runs the guest; the order between them is of no
/// importance to anybody.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    host_calls: AtomicU32,
    log_bytes: AtomicUsize,
    log_dropped: AtomicU32,
    peak_memory: AtomicUsize,
    cpu_nanos: AtomicU64,
    slice_start: AtomicU64,
    waiting_on: Mutex<Option<&'static str>>,
}

impl Tally {
    pub(crate) fn host_calls(&self) -> u32 {
        self.host_calls.load(Relaxed)
    }

    pub(crate) fn count_host_call(&self) {
        self.host_calls.fetch_add(1, Relaxed);
    }

    pub(crate) fn log_bytes(&self) -> usize {
        self.log_bytes.load(Relaxed)
    }

    pub(crate) fn dropped_log_lines(&self) -> u32 {
        self.log_dropped.load(Relaxed)
    }

    /// Whether a line still fits; a line that does not is counted.
    pub(crate) fn take_log(&self, size: usize, most: usize) -> bool {
        if self.log_bytes.load(Relaxed).saturating_add(size) > most {
            self.log_dropped.fetch_add(1, Relaxed);
            return false;
        }
        self.log_bytes.fetch_add(size, Relaxed);
        true
    }

    pub(crate) fn peak_memory(&self) -> usize {
        self.peak_memory.load(Relaxed)
    }

    pub(crate) fn saw_memory(&self, bytes: usize) {
        self.peak_memory.fetch_max(bytes, Relaxed);
    }

    /// The host function the guest waits for.
    pub(crate) fn waiting_on(&self) -> Option<&'static str> {
        *self.waiting_on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the host function the guest waits for until the guard is dropped by the end of the wait. A guest that is
    /// dropped while it waits drops the guard with it, so the caller reads the name before it drops the guest.
    pub(crate) fn wait_on(self: &std::sync::Arc<Self>, function: &'static str) -> Waiting {
        self.set_waiting(Some(function));
        Waiting(std::sync::Arc::clone(self))
    }

    fn set_waiting(&self, function: Option<&'static str>) {
        *self.waiting_on.lock().unwrap_or_else(PoisonError::into_inner) = function;
    }

    /// Processor time so far. Inside [`metered`](Self::metered), on its thread, up to this moment.
    pub(crate) fn cpu(&self) -> Duration {
        let start = self.slice_start.load(Relaxed);
        let slice = if start == 0 {
            0
        } else {
            thread_cpu_nanos().saturating_sub(start)
        };
        Duration::from_nanos(self.cpu_nanos.load(Relaxed) + slice)
    }

    /// Runs a future and adds up the processor time its polls take.
    ///
    /// The clock is the thread's own: time in which the machine runs something else is not billed to the guest.
    pub(crate) async fn metered<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| {
            self.slice_start.store(thread_cpu_nanos().max(1), Relaxed);
            let slice = Slice(self);
            let poll = future.as_mut().poll(context);
            drop(slice);
            poll
        })
        .await
    }
}

/// Closes a slice of processor time, also when the poll panics.
struct Slice<'a>(&'a Tally);

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        let start = self.0.slice_start.swap(0, Relaxed);
        self.0
            .cpu_nanos
            .fetch_add(thread_cpu_nanos().saturating_sub(start), Relaxed);
    }
}

pub(crate) struct Waiting(std::sync::Arc<Tally>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set_waiting(None);
    }
}

/// The running thread's processor time. Every system that this crate runs on has the clock; without it CPU time reads as
/// nothing and the wall clock is the only bound.
fn thread_cpu_nanos() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .ok()
        .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
        .unwrap_or(0)
}
