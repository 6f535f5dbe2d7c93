//! Where the time of the native page goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A part of the native page's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Service and product from the store, and what the product grants.
    Open,
    /// Reading the VM by the ports, and the plugin's own code.
    Work,
    /// State, buttons and jobs above the page.
    Head,
    /// The plugin's template.
    Template,
    /// The markup policy.
    Policy,
    /// The layout around it.
    Layout,
}

/// The sums of all pages so far.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    nanos: [AtomicU64; 6],
    pages: AtomicU64,
}

/// All stages, with what to call them.
pub(crate) const ALL: [(Stage, &str); 6] = [
    (Stage::Open, "service, product, grants (store)"),
    (Stage::Work, "reading by the ports, the page's own code"),
    (Stage::Head, "head: state, buttons, jobs"),
    (Stage::Template, "template"),
    (Stage::Policy, "markup policy"),
    (Stage::Layout, "layout"),
];

impl Stages {
    /// Adds the time since `start`. Returns the present.
    pub(crate) fn note(&self, stage: Stage, start: Instant) -> Instant {
        let now = Instant::now();
        self.add(stage, now.saturating_duration_since(start));
        now
    }

    /// Adds a time.
    pub(crate) fn add(&self, stage: Stage, time: Duration) {
        if let Some(sum) = self.nanos.get(stage as usize) {
            sum.fetch_add(
                u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
        }
        if stage == Stage::Layout {
            self.pages.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Microseconds a page.
    pub(crate) fn mean(&self, stage: Stage) -> f64 {
        let sum = self
            .nanos
            .get(stage as usize)
            .map_or(0, |sum| sum.load(Ordering::Relaxed));
        Duration::from_nanos(sum).as_secs_f64() * 1e6 / f64_of(self.pages.load(Ordering::Relaxed).max(1))
    }
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts here have far less than 15 digits"
)]
pub(crate) fn f64_of(count: u64) -> f64 {
    count as f64
}
