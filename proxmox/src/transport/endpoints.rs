//! The endpoints, which of them are passed over for now, and in which order a call tries them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::sync::Semaphore;
use url::Url;

use super::turns::{EndpointTurns, Turn, turns};
use crate::error::Error;

/// How long an endpoint is passed over after it failed. Then one read looks whether it is back.
const DETOUR: Duration = Duration::from_mins(1);

/// One of the configured endpoints.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(super) url: Url,
    pub(super) turns: EndpointTurns,
    place: usize,
    detour: Detour,
}

/// What is remembered of a node while calls about it are made.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) turns: Arc<Semaphore>,
    /// By the place of the endpoint: whether it could not reach the node.
    detours: Vec<Detour>,
}

impl Endpoint {
    /// The endpoints in the configured order.
    pub(super) fn all(urls: &[Url], limit: usize) -> Vec<Arc<Self>> {
        let endpoints = urls.iter().enumerate().map(|(place, url)| Self {
            url: url.clone(),
            turns: EndpointTurns::new(limit),
            place,
            detour: Detour::default(),
        });
        endpoints.map(Arc::new).collect()
    }

    /// Remembers what came of a request to it.
    pub(super) fn learn(&self, node: Option<&Node>, error: Option<&Error>, now: Instant) {
        let beyond = node.and_then(|node| node.detours.get(self.place));
        match (error, beyond) {
            (Some(Error::Connect { .. } | Error::Tls { .. } | Error::Transport { .. }), _)
            // It could not connect to its own daemon; or answered nothing that only it has to answer.
            | (Some(Error::NodeUnreachable { code: 595, .. } | Error::Timeout { .. }), None) => {
                self.detour.begin(now);
            }
            (Some(Error::NodeUnreachable { code: 595, .. }), Some(beyond)) => {
                self.detour.end();
                beyond.begin(now);
            }
            // The node or a storage of it may be what hangs.
            (Some(Error::Timeout { .. } | Error::NodeUnreachable { .. } | Error::Busy { .. }), _) => {}
            (_, beyond) => {
                self.detour.end();
                if let Some(beyond) = beyond {
                    beyond.end();
                }
            }
        }
    }
}

impl Node {
    pub(super) fn new(limit: usize, endpoints: usize) -> Self {
        Self {
            turns: turns(limit),
            detours: std::iter::repeat_with(Detour::default).take(endpoints).collect(),
        }
    }
}

/// Until when something is passed over, if it is.
#[derive(Debug, Default)]
struct Detour(Mutex<Option<Instant>>);

impl Detour {
    fn begin(&self, now: Instant) {
        self.set(Some(now + DETOUR));
    }

    fn end(&self) {
        self.set(None);
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoints as one call tries them: each once, then all over again.
pub(super) struct Way {
    all: Vec<Arc<Endpoint>>,
    good: Vec<Arc<Endpoint>>,
    /// Those that are passed over, for when nothing else is left.
    rest: Vec<Arc<Endpoint>>,
    about_a_node: bool,
}

impl Way {
    /// The way of a call, by what is known at its beginning. One that `looks` goes first to an endpoint whose detour is
    /// over; until its answer is there, the others still pass it over.
    pub(super) fn new(all: &[Arc<Endpoint>], node: Option<&Node>, looks: bool, now: Instant) -> Self {
        let (mut good, mut rest) = (Vec::new(), Vec::new());
        for endpoint in all {
            let beyond = node.and_then(|node| node.detours.get(endpoint.place));
            let detours: Vec<&Detour> = std::iter::once(&endpoint.detour)
                .chain(beyond)
                .filter(|detour| detour.until().is_some())
                .collect();
            let over = |detour: &&Detour| detour.until().is_none_or(|until| until <= now);
            if detours.is_empty() {
                good.push(Arc::clone(endpoint));
            } else if looks && good.is_empty() && detours.iter().all(over) {
                for detour in detours {
                    detour.begin(now);
                }
                good.push(Arc::clone(endpoint));
            } else {
                rest.push(Arc::clone(endpoint));
            }
        }
        // One that only could not reach the node answers soon.
        rest.sort_by_key(|endpoint| endpoint.detour.until().is_some());
        Self {
            all: all.to_vec(),
            good,
            rest,
            about_a_node: node.is_some(),
        }
    }

    /// The next endpoint with a turn at it: the first that has one free now, else the first that gets one free.
    pub(super) async fn next(&mut self) -> Option<(Arc<Endpoint>, Turn)> {
        if self.good.is_empty() && self.rest.is_empty() {
            self.rest.clone_from(&self.all);
        }
        let about_a_node = self.about_a_node;
        let left = if self.good.is_empty() {
            &mut self.rest
        } else {
            &mut self.good
        };
        let free = |endpoint: &Arc<Endpoint>| {
            let turn = endpoint.turns.at_once(about_a_node)?;
            Some((Arc::clone(endpoint), turn))
        };
        let (endpoint, turn) = match left.iter().find_map(free) {
            Some(found) => found,
            // `select_all` wants one at least.
            None if left.is_empty() => return None,
            None => {
                let waits = left.iter().map(|endpoint| {
                    Box::pin(
                        async move { Some((Arc::clone(endpoint), endpoint.turns.wait(about_a_node).await?)) },
                    )
                });
                select_all(waits).await.0?
            }
        };
        left.retain(|other| !Arc::ptr_eq(other, &endpoint));
        Some((endpoint, turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    const LIMIT: usize = 4;

    fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
        let urls: Vec<Url> = (1..=count)
            .map(|n| format!("https://pve{n}:8006").parse().unwrap())
            .collect();
        Endpoint::all(&urls, LIMIT)
    }

    fn node(endpoints: &[Arc<Endpoint>]) -> Node {
        Node::new(LIMIT, endpoints.len())
    }

    fn unreachable(code: u16) -> Error {
        Error::NodeUnreachable {
            target: Route::get("/x").target("prod"),
            code,
            text: String::new(),
        }
    }

    fn broken() -> Error {
        Error::Transport {
            target: Route::get("/x").target("prod"),
            source: Arc::new(std::io::Error::other("cut")),
        }
    }

    fn silent() -> Error {
        Error::Timeout {
            target: Route::get("/x").target("prod"),
            after: Duration::ZERO,
        }
    }

    /// The places of the endpoints in the order in which a call tries them.
    fn order(all: &[Arc<Endpoint>], node: Option<&Node>, looks: bool, now: Instant) -> Vec<usize> {
        let way = Way::new(all, node, looks, now);
        way.good
            .iter()
            .chain(&way.rest)
            .map(|endpoint| endpoint.place)
            .collect()
    }

    #[test]
    fn a_failed_endpoint_is_passed_over_for_a_minute_and_then_first_again() {
        let (all, start) = (endpoints(3), Instant::now());
        all[0].learn(None, Some(&broken()), start);
        assert_eq!(order(&all, None, true, start), [1, 2, 0]);
        let (soon, later) = (start + DETOUR / 2, start + DETOUR);
        assert_eq!(order(&all, None, true, soon), [1, 2, 0]);
        // A write does not look whether it is back, and while one read looks the other calls do not.
        assert_eq!(order(&all, None, false, later), [1, 2, 0]);
        assert_eq!(order(&all, None, true, later), [0, 1, 2]);
        assert_eq!(order(&all, None, true, later), [1, 2, 0]);
        all[0].learn(None, None, later);
        assert_eq!(order(&all, None, false, later), [0, 1, 2]);
    }

    #[test]
    fn a_node_that_one_endpoint_cannot_reach_is_reached_by_another_from_then_on() {
        let (all, start) = (endpoints(2), Instant::now());
        let (here, other) = (node(&all), node(&all));
        all[0].learn(Some(&here), Some(&unreachable(595)), start);
        assert_eq!(order(&all, Some(&here), false, start), [1, 0]);
        assert_eq!(order(&all, Some(&other), false, start), [0, 1]);
        assert_eq!(order(&all, None, false, start), [0, 1]);
        all[1].learn(None, Some(&broken()), start);
        assert_eq!(
            order(&all, Some(&here), false, start),
            [0, 1],
            "the one that answers first"
        );
        all[0].learn(Some(&here), None, start);
        assert_eq!(order(&all, Some(&here), false, start), [0, 1]);
    }

    #[test]
    fn an_endpoint_is_not_blamed_for_a_node_that_hangs() {
        let (all, start) = (endpoints(2), Instant::now());
        let node = node(&all);
        for error in [silent(), unreachable(596)] {
            all[0].learn(Some(&node), Some(&error), start);
            assert_eq!(order(&all, Some(&node), false, start), [0, 1], "{error}");
        }
        all[0].learn(None, Some(&silent()), start);
        assert_eq!(order(&all, None, false, start), [1, 0]);
    }

    #[tokio::test]
    async fn an_endpoint_without_a_free_turn_is_not_waited_for_while_another_has_one() {
        let (all, start) = (endpoints(2), Instant::now());
        let held: Vec<_> = std::iter::from_fn(|| all[0].turns.at_once(false)).collect();
        let mut way = Way::new(&all, None, false, start);
        assert_eq!(way.next().await.unwrap().0.place, 1);
        drop(held);
        assert_eq!(way.next().await.unwrap().0.place, 0);
        assert_eq!(way.next().await.unwrap().0.place, 0, "all over again");
    }

    #[tokio::test]
    async fn a_dead_endpoint_is_not_asked_because_a_living_one_is_busy() {
        let (all, start) = (endpoints(2), Instant::now());
        all[1].learn(None, Some(&broken()), start);
        let mut held: Vec<_> = std::iter::from_fn(|| all[0].turns.at_once(false)).collect();
        let mut way = Way::new(&all, None, false, start);
        let next = way.next();
        tokio::pin!(next);
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, &mut next).await.is_err());
        held.pop();
        assert_eq!(next.await.unwrap().0.place, 0);
    }
}
