//! Reports of calls, for metrics and logs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::PluginError;
use crate::tally::Tally;

/// What one call did and cost.
#[derive(Debug, Clone)]
pub struct CallReport<'a> {
    /// Id of the plugin.
    pub plugin: &'a str,
    /// Version of the plugin.
    pub version: &'a str,
    /// `handle` or `advance`; at install `describe` or `templates`.
    pub export: &'static str,
    /// `ok`, `cancelled`, or the name of a [`PluginError`].
    pub outcome: &'static str,
    /// Processor time of guest and host functions.
    pub cpu: Duration,
    /// Time from the entry of the guest to the end.
    pub wall: Duration,
    /// Time in the queue before.
    pub queue_wait: Duration,
    /// Most linear memory that the guest had, bytes.
    pub peak_memory: usize,
    /// Calls of host functions, `log` not counted.
    pub host_calls: u32,
    /// Bytes of log.
    pub log_bytes: usize,
    /// Lines of log that were dropped.
    pub log_dropped: u32,
}

/// Is told of every call, also of those that were cancelled. Must be quick and must not panic.
pub trait Observer: Send + Sync {
    /// Takes a report.
    fn observe(&self, report: &CallReport<'_>);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &CallReport<'_>) {}
}

/// Makes the report of one call when it is dropped, however the call ends.
pub(crate) struct Reporting<'a> {
    observer: &'a dyn Observer,
    plugin: &'a str,
    version: &'a str,
    export: &'static str,
    queued: Instant,
    entered: Option<Instant>,
    tally: Option<Arc<Tally>>,
    outcome: &'static str,
}

impl<'a> Reporting<'a> {
    pub(crate) fn new(
        observer: &'a dyn Observer,
        plugin: &'a str,
        version: &'a str,
        export: &'static str,
    ) -> Self {
        let queued = Instant::now();
        Self {
            observer,
            plugin,
            version,
            export,
            queued,
            entered: None,
            tally: None,
            outcome: "cancelled",
        }
    }

    pub(crate) fn entered(&mut self, tally: &Arc<Tally>) {
        self.entered = Some(Instant::now());
        self.tally = Some(Arc::clone(tally));
    }

    pub(crate) fn ended<T>(&mut self, result: &Result<T, PluginError>) {
        self.outcome = result.as_ref().err().map_or("ok", PluginError::outcome);
    }
}

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let entered = self.entered.unwrap_or(now);
        let unused = Arc::default();
        let tally = self.tally.as_ref().unwrap_or(&unused);
        self.observer.observe(&CallReport {
            plugin: self.plugin,
            version: self.version,
            export: self.export,
            outcome: self.outcome,
            cpu: tally.cpu(),
            wall: now.duration_since(entered),
            queue_wait: entered.duration_since(self.queued),
            peak_memory: tally.peak_memory(),
            host_calls: tally.host_calls(),
            log_bytes: tally.log_bytes(),
            log_dropped: tally.dropped_log_lines(),
        });
    }
}
