//! Leaves a plugin alone that keeps failing, so that it costs the others nothing and the provider sees it.
//!
//! Closed: calls pass. After a number of failures within a window it is open: calls are refused. When the pause is over
//! it is half open: one call passes as a probe; its success closes the breaker, its failure opens it again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::limits::BreakerLimits;

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Every call.
    Closed,
    /// None.
    Open,
    /// One, to try the plugin.
    HalfOpen,
}

/// The breaker of one plugin. Times are parameters.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: VecDeque<Instant>,
    open_until: Option<Instant>,
    probing: bool,
}

/// Leave to call the plugin. Dropped without [`Pass::succeeded`] or [`Pass::failed`] it says nothing about the plugin.
#[must_use]
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
        }
    }

    /// Asks for leave to call the plugin.
    ///
    /// # Errors
    /// How long it is still left alone.
    pub fn admit(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        let mut inner = self.lock();
        let Some(until) = inner.open_until else {
            return Ok(Pass {
                breaker: self,
                probe: false,
            });
        };
        if now < until {
            return Err(until - now);
        }
        if inner.probing {
            return Err(Duration::from_secs(1));
        }
        inner.probing = true;
        Ok(Pass {
            breaker: self,
            probe: true,
        })
    }

    /// What it lets through now.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.lock().open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Closes it and forgets what was counted: the provider says so.
    pub fn reset(&self) {
        let mut inner = self.lock();
        inner.failures.clear();
        inner.open_until = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The plugin answered.
    pub fn succeeded(self) {
        if self.probe {
            self.breaker.reset();
        }
    }

    /// The plugin failed by its own fault.
    pub fn failed(self, now: Instant) {
        let limits = &self.breaker.limits;
        let pause = Duration::from_millis(limits.pause_ms.into());
        let mut inner = self.breaker.lock();
        if self.probe {
            inner.open_until = Some(now + pause);
        } else if inner.open_until.is_none() {
            let window = Duration::from_millis(limits.window_ms.into());
            inner.failures.push_back(now);
            while inner
                .failures
                .front()
                .is_some_and(|first| now.duration_since(*first) > window)
            {
                inner.failures.pop_front();
            }
            if inner.failures.len() >= limits.failures as usize {
                inner.failures.clear();
                inner.open_until = Some(now + pause);
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        window_ms: 1_000,
        pause_ms: 500,
    };

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn opened(start: Instant) -> Breaker {
        let breaker = Breaker::new(LIMITS);
        for _ in 0..3 {
            breaker.admit(start).unwrap().failed(start);
        }
        breaker
    }

    #[test]
    fn failures_within_the_window_open_it_for_the_pause() {
        let start = Instant::now();
        let breaker = opened(start);
        assert_eq!(
            breaker.admit(after(start, 100)).unwrap_err(),
            Duration::from_millis(400)
        );
        assert_eq!(breaker.state(after(start, 499)), BreakerState::Open);
        assert_eq!(breaker.state(after(start, 500)), BreakerState::HalfOpen);
    }

    #[test]
    fn failures_spread_over_more_than_the_window_do_not_open_it() {
        let start = Instant::now();
        let breaker = Breaker::new(LIMITS);
        for millis in [0, 900, 1_800, 2_700] {
            breaker
                .admit(after(start, millis))
                .unwrap()
                .failed(after(start, millis));
        }
        assert_eq!(breaker.state(after(start, 2_700)), BreakerState::Closed);
    }

    #[test]
    fn half_open_it_lets_one_probe_through_whose_success_closes_it() {
        let start = Instant::now();
        let breaker = opened(start);
        let later = after(start, 600);
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err());
        probe.succeeded();
        assert_eq!(breaker.state(later), BreakerState::Closed);
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let start = Instant::now();
        let breaker = opened(start);
        let later = after(start, 600);
        breaker.admit(later).unwrap().failed(later);
        assert_eq!(breaker.state(after(start, 1_000)), BreakerState::Open);
    }

    #[test]
    fn a_probe_that_was_cancelled_makes_room_for_the_next() {
        let start = Instant::now();
        let breaker = opened(start);
        let later = after(start, 600);
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_ok());
    }
}
