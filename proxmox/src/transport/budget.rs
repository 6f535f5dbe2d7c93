//! How a call divides its time-out between waiting for its turns, further attempts, and the answer.

use std::time::{Duration, Instant};

/// The time of one call, all of its attempts included.
///
/// It waits for the turns of its first request for half of the time, and begins no request in the last third: an answer
/// has a third of the time at least, that to the first request half of it. A write that is sent so late that its answer
/// cannot come would only end as uncertain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    began: Instant,
    allowed: Duration,
}

impl Budget {
    pub(super) fn new(allowed: Duration, now: Instant) -> Self {
        Self { began: now, allowed }
    }

    /// How long the call has lasted.
    pub(super) fn spent(self, now: Instant) -> Duration {
        now.duration_since(self.began)
    }

    /// How long the first request may wait for its turns from now on.
    pub(super) fn to_first(self, now: Instant) -> Duration {
        (self.allowed / 2).saturating_sub(self.spent(now))
    }

    /// How long it is from now on until no other request is begun.
    pub(super) fn to_another(self, now: Instant) -> Duration {
        (self.allowed / 3)
            .saturating_mul(2)
            .saturating_sub(self.spent(now))
    }

    /// How long an answer may take from now on.
    pub(super) fn left(self, now: Instant) -> Duration {
        self.allowed.saturating_sub(self.spent(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_call_is_over_with_its_time_however_long_it_waited() {
        let start = Instant::now();
        let budget = Budget::new(seconds(60), start);
        assert_eq!(budget.to_first(start), seconds(30));
        let sent = start + seconds(20);
        assert_eq!(
            (budget.to_first(sent), budget.left(sent)),
            (seconds(10), seconds(40))
        );
        let late = start + seconds(70);
        assert_eq!(
            (budget.to_first(late), budget.left(late)),
            (seconds(0), seconds(0))
        );
    }

    #[test]
    fn a_call_that_waited_its_longest_still_has_another_attempt() {
        let start = Instant::now();
        let budget = Budget::new(seconds(36), start);
        let sent = start + seconds(18);
        assert_eq!(budget.to_first(sent), seconds(0));
        assert_eq!(budget.to_another(sent + seconds(5)), seconds(1));
        // What took 30 s to be found unreachable is not asked again at once.
        assert_eq!(budget.to_another(start + seconds(30)), seconds(0));
    }

    #[test]
    fn the_longest_time_out_there_is_does_no_harm() {
        let budget = Budget::new(Duration::MAX, Instant::now());
        assert!(budget.to_another(Instant::now()) > seconds(1 << 40));
    }
}
