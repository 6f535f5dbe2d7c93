//! Sending of calls: time-outs, fail-over, and what may be sent twice.
//!
//! **Reads** are repeated, at the next endpoint first, when they fail in a way that passes by itself: no
//! connection, a broken one, an unreachable node, a lock or wait inside PVE. There are at most four attempts. Those that
//! hold a worker of PVE for seconds ([`Class::Probe`]) are not repeated after an answer.
//!
//! **Writes** are sent once. Only when PVE cannot have got a byte of it is the next endpoint tried: when no connection
//! came about, to the endpoint or (status 595) from the endpoint to the node. In all other cases the caller gets the
//! error and asks [`Error::may_have_happened`].
//!
//! The time-out of a class is for the whole call with its attempts; `budget` says how it is divided. The endpoints are
//! tried in the order in which they are configured. One that fails is passed over for a minute, one that cannot reach a
//! node for the calls about that node; `endpoints` keeps account. `turns` has the turns that calls wait for, `exchange`
//! sends one request, `upgrade` opens WebSockets, `watch` tells the observer.
//!
//! Dropping a call's future closes its connection and gives its turn free. PVE may have begun a write that
//! was dropped, just as after a broken connection.

mod budget;
mod endpoints;
mod exchange;
mod turns;
mod upgrade;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use self::budget::Budget;
pub(crate) use self::endpoints::Endpoint;
use self::endpoints::{Node, Way};
use crate::answer::Answer;
use crate::cluster::{ClusterConfig, Limits, Timeouts, Trust};
use crate::error::{ConfigError, Effect, Error};
use crate::id::NodeName;
use crate::observe::Observer;
use crate::route::{Params, Route};
use crate::secret::Secret;
use crate::tls;

/// Attempts at a read, at most.
const MAX_ATTEMPTS: usize = 4;
/// Between two attempts when there is only one endpoint.
const PAUSE: Duration = Duration::from_millis(250);
/// More nodes than any cluster has; beyond, idle nodes are forgotten.
const MAX_NODES: usize = 1024;

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing, may be repeated.
    Read,
    /// Changes nothing, but holds a worker of PVE for seconds: not repeated after an answer, not even after one that
    /// something did not answer in time.
    Probe,
    /// Must not be sent twice.
    Write,
}

/// A call that came to nothing, with all its attempts.
pub(crate) struct Failed {
    /// The error that says most.
    pub(crate) error: Error,
    /// Whether an endpoint said that it cannot reach the node.
    pub(crate) unreachable: bool,
}

pub(crate) struct Transport {
    cluster: String,
    http: reqwest::Client,
    endpoints: Vec<Arc<Endpoint>>,
    nodes: Mutex<HashMap<NodeName, Arc<Node>>>,
    token_id: String,
    token_secret: Secret,
    timeouts: Timeouts,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

impl Transport {
    pub(crate) fn new(config: ClusterConfig, observer: Arc<dyn Observer>) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut authorization = HeaderValue::from_str(config.token.header().expose())
            .map_err(|_| ConfigError::Token("the id has characters that no header may have"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(&config.trust)?)
            .https_only(!matches!(config.trust, Trust::PlainHttpForTests))
            // The reason phrase carries the error text of older versions; HTTP/2 has none.
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(config.timeouts.connect)
            .pool_max_idle_per_host(config.limits.per_endpoint)
            // pveproxy closes idle connections after a few seconds: be earlier, so that no write meets that.
            .pool_idle_timeout(Duration::from_secs(4))
            .default_headers(headers)
            .build()
            .map_err(|e| ConfigError::Http(Arc::new(e.without_url())))?;
        let endpoints = Endpoint::all(&config.endpoints, config.limits.per_endpoint);
        Ok(Self {
            cluster: config.name,
            http,
            endpoints,
            nodes: Mutex::new(HashMap::new()),
            token_id: config.token.id().to_owned(),
            token_secret: config.token.secret().clone(),
            timeouts: config.timeouts,
            limits: config.limits,
            observer,
        })
    }

    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        self.timeouts.read
    }

    pub(crate) fn token_id(&self) -> &str {
        &self.token_id
    }

    /// Makes a call by the rules of its class. Tells which endpoint answered, too.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        class: Class,
        route: &Route,
        params: &Params,
    ) -> Result<(Answer<T>, Arc<Endpoint>), Failed> {
        let count = self.endpoints.len();
        let (allowed, attempts) = match class {
            Class::Read | Class::Probe => (self.timeouts.read, count.clamp(2, MAX_ATTEMPTS)),
            Class::Write => (self.timeouts.write, count),
        };
        let budget = Budget::new(allowed, Instant::now());
        let node = route.node.as_ref().map(|node| self.node(node));
        let mut failed = None;
        let _turn = match &node {
            Some(node) => match timeout(allowed / 2, Arc::clone(&node.turns).acquire_owned()).await {
                Ok(Ok(turn)) => Some(turn),
                // The semaphore is never closed, so the time is up.
                _ => return Err(Failed::of(self.busy(route, &budget))),
            },
            None => None,
        };
        let looks = class != Class::Write;
        let mut way = Way::new(&self.endpoints, node.as_deref(), looks, Instant::now());
        for attempt in 0..attempts {
            let waits = if attempt == 0 {
                budget.to_first(Instant::now())
            } else {
                budget.to_another(Instant::now())
            };
            if attempt > 0 && waits.is_zero() {
                break;
            }
            if attempt > 0 && count == 1 {
                tokio::time::sleep(PAUSE).await;
            }
            let Ok(Some((endpoint, _turn))) = timeout(waits, way.next()).await else {
                failed = Some(Failed::after(failed, self.busy(route, &budget)));
                break;
            };
            let exchange = self.exchange(&endpoint, route, params);
            let result = self.watched(budget.left(Instant::now()), route, exchange).await;
            endpoint.learn(node.as_deref(), result.as_ref().err(), Instant::now());
            let error = match result {
                Ok(answer) => return Ok((answer, endpoint)),
                Err(error) => error.with_effect(match class {
                    Class::Read | Class::Probe => Effect::None,
                    Class::Write => Effect::Whole,
                }),
            };
            if matches!(error, Error::Tls { .. }) {
                // Another endpoint may serve, but somebody may be in the way to this one.
                tracing::warn!(endpoint = %endpoint.url, "{}", error.with_causes());
            } else {
                tracing::debug!(endpoint = %endpoint.url, "an attempt failed: {}", error.with_causes());
            }
            let again = may_be_sent_again(class, &error);
            failed = Some(Failed::after(failed, error));
            if !again {
                break;
            }
        }
        // There is one attempt at least, so something failed.
        Err(failed.unwrap_or_else(|| Failed::of(self.busy(route, &budget))))
    }

    /// The error of a call that has waited for its turn until now.
    fn busy(&self, route: &Route, budget: &Budget) -> Error {
        Error::Busy {
            target: route.target(&self.cluster),
            after: budget.spent(Instant::now()),
        }
    }

    fn node(&self, name: &NodeName) -> Arc<Node> {
        let mut all = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_NODES {
            all.retain(|_, node| Arc::strong_count(node) > 1);
        }
        let node = all
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Node::new(self.limits.per_node, self.endpoints.len())));
        Arc::clone(node)
    }
}

impl Failed {
    fn of(error: Error) -> Self {
        Self {
            unreachable: matches!(error, Error::NodeUnreachable { .. }),
            error,
        }
    }

    /// What has failed so far with one more attempt. Of two errors that say as much the newer one counts.
    fn after(before: Option<Self>, error: Error) -> Self {
        let now = Self::of(error);
        match before {
            None => now,
            Some(before) => Self {
                unreachable: before.unreachable || now.unreachable,
                error: if says(&now.error) >= says(&before.error) {
                    now.error
                } else {
                    before.error
                },
            },
        }
    }
}

/// How much an error says. That a write may have happened must not be lost, whatever another attempt met with.
fn says(error: &Error) -> (bool, u8) {
    let kind = match error {
        Error::Tls { .. } => 0,
        Error::Connect { .. } => 1,
        Error::Busy { .. } => 2,
        Error::Transport { .. } | Error::Timeout { .. } => 3,
        Error::NodeUnreachable { .. } => 4,
        Error::Unauthorized { .. }
        | Error::PermissionDenied { .. }
        | Error::Parameters { .. }
        | Error::Refused { .. }
        | Error::Declined { .. }
        | Error::VmUnknown { .. }
        | Error::Malformed { .. } => 5,
    };
    (error.may_have_happened(), kind)
}

fn may_be_sent_again(class: Class, error: &Error) -> bool {
    let never_got_there = matches!(
        error,
        Error::Connect { .. } | Error::Tls { .. } | Error::NodeUnreachable { code: 595, .. }
    );
    never_got_there
        || match class {
            Class::Write => false,
            Class::Probe => matches!(error, Error::Transport { .. }),
            Class::Read => error.is_transient_read(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors() -> [Error; 4] {
        let target = || Route::new(http::Method::POST).target("prod");
        let cause = || Arc::new(std::io::Error::other("cut"));
        let code = 595;
        [
            Error::Tls {
                target: target(),
                source: cause(),
            },
            Error::Connect {
                target: target(),
                source: cause(),
            },
            Error::NodeUnreachable {
                target: target(),
                code,
                text: String::new(),
            },
            Error::Transport {
                target: target(),
                source: cause(),
            },
        ]
    }

    #[test]
    fn the_error_that_says_most_is_kept_in_whatever_order_they_come() {
        let [tls, connect, unreachable, broken] = errors();
        let read = |error: &Error| error.clone().with_effect(Effect::None);
        let kept = |one: &Error, two: &Error| Failed::after(Some(Failed::of(read(one))), read(two)).error;
        for (more, less) in [
            (&connect, &tls),
            (&broken, &connect),
            (&unreachable, &broken),
            (&unreachable, &tls),
        ] {
            assert_eq!(kept(more, less).to_string(), more.to_string());
            assert_eq!(kept(less, more).to_string(), more.to_string());
        }
    }

    #[test]
    fn of_a_write_that_may_have_happened_nothing_else_says_more() {
        let [.., unreachable, broken] = errors();
        let failed = Failed::after(Some(Failed::of(unreachable)), broken);
        assert!(failed.error.may_have_happened() && failed.unreachable);
    }
}
