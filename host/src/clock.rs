//! Time as a parameter.
//!
//! Whatever needs to know the time or to wait takes a [`Clock`]. The composition root makes one
//! [`SystemClock`]; tests make a [`ManualClock`] and move it by hand, so that a week passes in no time and
//! nothing depends on how fast the machine is.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The time now, UTC. It can step backwards when the machine's clock is corrected.
    fn now(&self) -> Timestamp;

    /// Returns once [`Clock::now`] has reached `deadline`; at once when it lies in the past.
    ///
    /// Dropping the future is the way to stop waiting.
    async fn sleep_until(&self, deadline: Timestamp);

    /// Returns after `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration) {
        self.sleep_until(later(self.now(), duration)).await;
    }
}

/// `duration` after `time`, or the last representable instant if that lies beyond it.
///
/// A time-to-live from a configuration file must not be able to panic an addition.
pub fn later(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|d| time.checked_add(d).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `duration` before `time`, or the first representable instant if that lies before it.
pub fn earlier(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|d| time.checked_sub(d).ok())
        .unwrap_or(Timestamp::MIN)
}

/// How long it is from `from` to `to`; zero if `to` is the earlier one.
pub fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest stretch slept in one go: wall time is looked at again at least this often, because a timer
/// counts monotonic time and does not notice that somebody set the clock.
const LONGEST_NAP: Duration = Duration::from_secs(30);

#[async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else takes as a parameter"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        loop {
            let left = span(self.now(), deadline);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
    }
}

/// A clock that stands still until a test moves it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            time: Arc::new(watch::Sender::new(start)),
        }
    }

    /// Moves the clock forward and wakes whoever waits for a time that has come.
    pub fn advance(&self, duration: Duration) {
        self.time.send_modify(|time| *time = later(*time, duration));
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, time: Timestamp) {
        self.time.send_replace(time);
    }
}

impl Default for ManualClock {
    /// A clock that shows noon of a day without any meaning, far from any edge.
    fn default() -> Self {
        Self::new(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 55 + 12))
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.time.borrow()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let mut times = self.time.subscribe();
        // The sender lives in `self`, so the only error, a closed channel, cannot come up here.
        let _ = times.wait_for(|now| *now >= deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_sleeper_on_the_manual_clock_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::default();
        let deadline = later(clock.now(), Duration::from_mins(1));
        let mut sleeper = Box::pin(clock.sleep_until(deadline));
        assert!(sleeper.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(59));
        assert!(sleeper.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        sleeper.await;
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_does_not_wait() {
        SystemClock.sleep_until(Timestamp::UNIX_EPOCH).await;
        let clock = ManualClock::default();
        clock.sleep_until(Timestamp::UNIX_EPOCH).await;
    }

    #[test]
    fn an_addition_beyond_the_end_of_time_saturates() {
        assert_eq!(later(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(later(Timestamp::UNIX_EPOCH, Duration::MAX), Timestamp::MAX);
        assert_eq!(earlier(Timestamp::MIN, Duration::from_secs(1)), Timestamp::MIN);
        assert_eq!(span(Timestamp::MAX, Timestamp::MIN), Duration::ZERO);
    }
}
