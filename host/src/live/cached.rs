//! One value, fetched once for all who ask.
//!
//! However many ask, at most one fetch is under way, and it goes on when the one who started it has left. Whoever asks
//! waits a short budget; then he gets the last value with its age, if there is one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::time::Instant;

/// How old a value may be, and how long to wait for a newer one.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A value younger than this is given at once.
    pub fresh: Duration,
    /// How long to wait for a fetch while an older value is at hand.
    pub budget: Duration,
    /// How long to wait while there is none.
    pub first: Duration,
    /// After a failed fetch, a value up to this age is still given.
    pub stale: Duration,
}

/// How long a failure is believed, so that a dead cluster is not asked by every viewer in turn.
const FAILURE: Duration = Duration::from_secs(1);

/// A value and when it was fetched.
#[derive(Debug, Clone)]
pub struct Aged<T> {
    /// The value.
    pub value: T,
    /// When the fetch that brought it was started.
    pub at: Instant,
}

impl<T> Aged<T> {
    /// How old it is.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

type Fetched<T, E> = Result<Aged<T>, Arc<E>>;
type Flight<T, E> = Shared<Pin<Box<dyn Future<Output = Fetched<T, E>> + Send>>>;

struct State<T, E> {
    last: Option<Aged<T>>,
    failure: Option<(Instant, Arc<E>)>,
    flight: Option<Flight<T, E>>,
    /// The last value is from before a change.
    expired: bool,
    /// Raised by [`Cached::expire`]: what a fetch from before brings is not fresh.
    epoch: u64,
}

/// The value.
pub struct Cached<T, E> {
    state: Mutex<State<T, E>>,
}

impl<T, E> Default for Cached<T, E> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                last: None,
                failure: None,
                flight: None,
                expired: false,
                epoch: 0,
            }),
        }
    }
}

impl<T, E> std::fmt::Debug for Cached<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl<T, E> Cached<T, E>
where
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The value, as fresh as `patience` asks for. `fetch` is called only if no fetch is under way; it is given the last
    /// value.
    ///
    /// # Errors
    /// The failure of the fetch when no value is young enough to stand in; none when the time was over.
    pub async fn get<F, Fut>(
        self: &Arc<Self>,
        patience: Patience,
        fetch: F,
    ) -> Result<Aged<T>, Option<Arc<E>>>
    where
        F: FnOnce(Option<Aged<T>>) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (flight, last) = {
            let mut state = self.state();
            if let Some(last) = state
                .last
                .as_ref()
                .filter(|last| !state.expired && last.age() < patience.fresh)
            {
                return Ok(last.clone());
            }
            if let Some((at, failure)) = &state.failure
                && at.elapsed() < FAILURE
                && state.flight.is_none()
            {
                let failure = Arc::clone(failure);
                return Self::stand_in(state.last.clone(), patience).ok_or(Some(failure));
            }
            let flight = if let Some(flight) = &state.flight {
                flight.clone()
            } else {
                let flight = self.launch(fetch(state.last.clone()), state.epoch);
                state.flight = Some(flight.clone());
                flight
            };
            (flight, state.last.clone())
        };
        let wait = if last.is_some() {
            patience.budget
        } else {
            patience.first
        };
        match tokio::time::timeout(wait, flight).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Self::stand_in(last, patience).ok_or(Some(failure)),
            Err(_) => Self::stand_in(last, patience).ok_or(None),
        }
    }

    fn launch<Fut>(self: &Arc<Self>, fetch: Fut, epoch: u64) -> Flight<T, E>
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let this = Arc::clone(self);
        let at = Instant::now();
        // Spawned, so that it ends even if all who wait have left: the next one finds its result.
        let fetch = tokio::spawn(async move {
            let result = fetch.await.map(|value| Aged { value, at }).map_err(Arc::new);
            let mut state = this.state();
            if state.epoch != epoch {
                // It was answered before a change, and another fetch may be under way: it counts for those who wait
                // for it only.
                return result;
            }
            state.flight = None;
            match &result {
                Ok(value) => {
                    state.failure = None;
                    state.expired = false;
                    state.last = Some(value.clone());
                }
                Err(failure) => state.failure = Some((Instant::now(), Arc::clone(failure))),
            }
            result
        });
        let this = Arc::clone(self);
        async move {
            if let Ok(result) = fetch.await {
                return result;
            }
            // The fetch panicked or the runtime stops: there is no value and nobody else will bring one.
            this.state().flight = None;
            std::future::pending().await
        }
        .boxed()
        .shared()
    }

    fn stand_in(last: Option<Aged<T>>, patience: Patience) -> Option<Aged<T>> {
        last.filter(|last| last.age() < patience.stale)
    }

    /// Makes the value old: the next one who asks fetches.
    pub fn expire(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.failure = None;
        state.expired = true;
        // A fetch under way may have been answered before the change: whoever asks now starts another.
        state.flight = None;
    }

    /// The last value, however old.
    pub fn last(&self) -> Option<Aged<T>> {
        self.state().last.clone()
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const PATIENCE: Patience = Patience {
        fresh: Duration::from_secs(5),
        budget: Duration::from_secs(1),
        first: Duration::from_secs(3),
        stale: Duration::from_secs(30),
    };

    #[tokio::test(start_paused = true)]
    async fn a_thousand_viewers_cost_one_fetch() {
        let cached = Arc::new(Cached::<u32, ()>::default());
        let fetches = Arc::new(AtomicU32::new(0));
        let viewers = (0..1000).map(|_| {
            let fetches = Arc::clone(&fetches);
            cached.get(PATIENCE, move |_| async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(fetches.fetch_add(1, Ordering::Relaxed))
            })
        });
        for viewer in futures_util::future::join_all(viewers).await {
            assert_eq!(viewer.unwrap().value, 0);
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_fetch_gives_the_last_value_and_goes_on() {
        let cached = Arc::new(Cached::<u32, ()>::default());
        cached.get(PATIENCE, |_| async { Ok(1) }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let slow = |_| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(2)
        };
        assert_eq!(cached.get(PATIENCE, slow).await.unwrap().value, 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(cached.get(PATIENCE, slow).await.unwrap().value, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_covered_by_a_young_value_and_not_by_an_old_one() {
        let cached = Arc::new(Cached::<u32, &str>::default());
        cached.get(PATIENCE, |_| async { Ok(1) }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(
            cached
                .get(PATIENCE, |_| async { Err("down") })
                .await
                .unwrap()
                .value,
            1
        );
        tokio::time::sleep(Duration::from_secs(30)).await;
        let failure = cached.get(PATIENCE, |_| async { Err("down") }).await.unwrap_err();
        assert_eq!(failure.as_deref(), Some(&"down"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_cluster_is_asked_once_a_second_and_not_once_a_viewer() {
        let cached = Arc::new(Cached::<u32, ()>::default());
        let fetches = Arc::new(AtomicU32::new(0));
        for _ in 0..50 {
            let fetches = Arc::clone(&fetches);
            let _ = cached
                .get(PATIENCE, move |_| async move {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    Err(())
                })
                .await;
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_fetched_before_a_change_is_not_fresh_after_it() {
        let cached = Arc::new(Cached::<u32, ()>::default());
        let early = cached.get(PATIENCE, |_| async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(1)
        });
        let change = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cached.expire();
            cached.get(PATIENCE, |_| async { Ok(2) }).await
        };
        let (_, after) = tokio::join!(early, change);
        assert_eq!(after.unwrap().value, 2);
        // The early fetch ends last, and must not take the place of what was asked after the change.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(cached.get(PATIENCE, |_| async { Ok(3) }).await.unwrap().value, 2);
    }
}
