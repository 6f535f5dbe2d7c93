//! The simulator's only source of time.
//!
//! Wall-clock timestamps are always true; durations (task lengths, delays, timeouts) are divided by the
//! time scale. A skew can be set to test clients against a cluster whose clock is off.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time and shortens durations by the time scale.
#[derive(Debug)]
pub(crate) struct Clock {
    scale: f64,
    skew_seconds: AtomicI64,
}

impl Clock {
    /// A clock whose durations run `scale` times faster than real time.
    pub(crate) fn new(scale: f64) -> Self {
        Self {
            scale,
            skew_seconds: AtomicI64::new(0),
        }
    }

    /// Seconds since the epoch, with fractions.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock which everything else takes"
    )]
    pub(crate) fn now(&self) -> f64 {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        real + crate::units::float_of_signed(self.skew_seconds.load(Ordering::Relaxed))
    }

    /// Whole seconds since the epoch.
    pub(crate) fn seconds(&self) -> i64 {
        crate::units::signed(self.now())
    }

    /// How long `seconds` of the simulated cluster last in real time.
    pub(crate) fn real(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64((seconds / self.scale).max(0.0)).unwrap_or(Duration::ZERO)
    }

    /// How many seconds of the simulated cluster pass in `seconds` of real time.
    pub(crate) fn simulated(&self, seconds: f64) -> f64 {
        (seconds * self.scale).max(0.0)
    }

    /// Lets the cluster's clock be `seconds` ahead of the true time (negative: behind).
    pub(crate) fn set_skew(&self, seconds: i64) {
        self.skew_seconds.store(seconds, Ordering::Relaxed);
    }
}
