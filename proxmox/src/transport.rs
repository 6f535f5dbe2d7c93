//! Sending of calls: turns, time-outs, fail-over, and what may be sent twice.
//!
//! **Reads** are repeated, at the next endpoint first, when they fail in a way that passes by itself: no
//! connection, a broken one, an unreachable node, a lock or wait inside PVE. There are at most four attempts,
//! and none begins later than half the read time-out after the first: a node that took 30 s to be found
//! unreachable is not asked again at once.
//!
//! **Writes** are sent once. Only when no connection came about, so that PVE cannot have got a byte of it,
//! is the next endpoint tried. In all other cases the caller gets the error and asks
//! [`Error::may_have_happened`].
//!
//! Dropping a call's future closes its connection and gives its turn free. PVE may have begun a write that
//! was dropped, just as after a broken connection.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};
use hyper::ext::ReasonPhrase;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::handshake;
use url::Url;

use crate::answer::{self, Answer};
use crate::cluster::{ClusterConfig, Limits, Timeouts, Trust};
use crate::error::{Cause, ConfigError, Error};
use crate::id::NodeName;
use crate::observe::{Observer, Outcome};
use crate::route::{Params, Route};
use crate::secret::Secret;
use crate::tls;

/// Attempts at a read, at most.
const MAX_ATTEMPTS: usize = 4;
/// Between two attempts when there is only one endpoint.
const PAUSE: Duration = Duration::from_millis(250);
/// More nodes than any cluster has; beyond, turns of idle nodes are forgotten.
const MAX_NODES: usize = 1024;

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing, may be repeated.
    Read,
    /// Must not be sent twice.
    Write,
}

/// One of the configured endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndpointId(usize);

struct Endpoint {
    url: Url,
    turns: Arc<Semaphore>,
}

pub(crate) struct Transport {
    cluster: String,
    http: reqwest::Client,
    endpoints: Vec<Endpoint>,
    /// The endpoint to begin with: the last one that answered.
    preferred: AtomicUsize,
    node_turns: Mutex<HashMap<NodeName, Arc<Semaphore>>>,
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
            .map_err(|e| ConfigError::Http(Box::new(e.without_url())))?;
        let endpoints = config
            .endpoints
            .iter()
            .map(|url| Endpoint {
                url: url.clone(),
                turns: turns(config.limits.per_endpoint),
            })
            .collect();
        Ok(Self {
            cluster: config.name,
            http,
            endpoints,
            preferred: AtomicUsize::new(0),
            node_turns: Mutex::new(HashMap::new()),
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
    ) -> Result<(Answer<T>, EndpointId), Error> {
        let began = Instant::now();
        let count = self.endpoints.len();
        let (allowed, attempts) = match class {
            Class::Read => (self.timeouts.read, count.clamp(2, MAX_ATTEMPTS)),
            Class::Write => (self.timeouts.write, count),
        };
        let _turn = match &route.node {
            Some(node) => Some(self.turn(self.node_turns(node), allowed, route).await?),
            None => None,
        };
        let mut last = None;
        let first = self.preferred.load(Ordering::Relaxed);
        for (index, endpoint) in self
            .endpoints
            .iter()
            .enumerate()
            .cycle()
            .skip(first)
            .take(attempts)
        {
            if last.is_some() && count == 1 {
                tokio::time::sleep(PAUSE).await;
            }
            let error = match self.attempt(endpoint, allowed, route, params).await {
                Ok(answer) => return Ok((answer, EndpointId(index))),
                Err(error) => error,
            };
            if is_about_the_endpoint(&error) {
                // Only move on from the endpoint that failed: another call may have done so already.
                let next = (index + 1) % count;
                let _ = self
                    .preferred
                    .compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            if !may_be_sent_again(class, &error) || (class == Class::Read && began.elapsed() >= allowed / 2) {
                return Err(error);
            }
            if matches!(error, Error::Tls { .. }) {
                // Another endpoint may serve, but somebody may be in the way to this one.
                tracing::warn!(endpoint = %endpoint.url, "{}", error.with_causes());
            } else {
                tracing::debug!(endpoint = %endpoint.url, "trying again: {}", error.with_causes());
            }
            last = Some(error);
        }
        // `attempts` is at least 1, so there is an error when the loop ends.
        Err(last.unwrap_or_else(|| Error::Busy {
            target: route.target(&self.cluster),
            after: began.elapsed(),
        }))
    }

    /// Sends one request to one endpoint and reads the whole answer.
    async fn attempt<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        allowed: Duration,
        route: &Route,
        params: &Params,
    ) -> Result<Answer<T>, Error> {
        self.watched(endpoint, allowed, route, self.exchange(endpoint, route, params))
            .await
    }

    /// Waits for an exchange with an endpoint, in its turn and for as long as allowed, and reports its end.
    async fn watched<T>(
        &self,
        endpoint: &Endpoint,
        allowed: Duration,
        route: &Route,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _turn = self.turn(Arc::clone(&endpoint.turns), allowed, route).await?;
        let mut watch = Watch {
            observer: &*self.observer,
            route,
            began: Instant::now(),
            outcome: Outcome::Dropped,
        };
        let result = match tokio::time::timeout(allowed, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                target: route.target(&self.cluster),
                after: allowed,
            }),
        };
        watch.outcome = result.as_ref().map_or_else(outcome, |_| Outcome::Ok);
        result
    }

    /// Opens a WebSocket at one endpoint and no other. Never repeated: what it connects to takes one connection.
    pub(crate) async fn upgrade(
        &self,
        at: EndpointId,
        route: &Route,
        params: &Params,
    ) -> Result<reqwest::Upgraded, Error> {
        // An id comes from this client's own list, which never changes.
        let Some(endpoint) = self.endpoints.get(at.0) else {
            return Err(Error::VmUnknown {
                target: route.target(&self.cluster),
            });
        };
        let exchange = self.switch_protocols(endpoint, route, params);
        self.watched(endpoint, self.timeouts.read, route, exchange).await
    }

    async fn switch_protocols(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> Result<reqwest::Upgraded, Error> {
        let key = handshake::client::generate_key();
        let request = self
            .request(endpoint, route, params)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, "binary");
        let response = request.send().await.map_err(|e| self.fault(route, e))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            if response.status().is_success() {
                let problem = "it is no WebSocket".to_owned();
                let target = route.target(&self.cluster);
                return Err(Error::Malformed { target, problem });
            }
            return Err(self.refusal(response, route, params).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|value| *value != handshake::derive_accept_key(key.as_bytes())) {
            let problem = "its WebSocket handshake is for somebody else".to_owned();
            let target = route.target(&self.cluster);
            return Err(Error::Malformed { target, problem });
        }
        response.upgrade().await.map_err(|e| self.fault(route, e))
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> Result<Answer<T>, Error> {
        let request = self.request(endpoint, route, params);
        let response = request.send().await.map_err(|e| self.fault(route, e))?;
        if !response.status().is_success() {
            return Err(self.refusal(response, route, params).await);
        }
        let body = self.body(response).await.map_err(|e| self.fault(route, e))?;
        let target = route.target(&self.cluster);
        let Some(body) = body else {
            let problem = format!("it is larger than {} bytes", self.limits.max_body);
            return Err(Error::Malformed { target, problem });
        };
        answer::read(target, &body)
    }

    fn request(&self, endpoint: &Endpoint, route: &Route, params: &Params) -> reqwest::RequestBuilder {
        let mut url = endpoint.url.clone();
        url.set_path(&format!("/api2/json{}", route.path));
        // PVE answers 501 to a body with GET or DELETE, and to a body of unknown length with any method.
        let in_query = matches!(route.method, Method::GET | Method::DELETE);
        if in_query && !params.is_empty() {
            url.set_query(Some(&params.encode()));
        }
        let mut request = self.http.request(route.method.clone(), url);
        if !in_query {
            let body = params.encode().to_string();
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                // Left to itself, the HTTP library states no length for an empty body.
                .header(CONTENT_LENGTH, body.len())
                .body(body);
        }
        request
    }

    /// The error that an answer stands for which is no success.
    async fn refusal(&self, response: reqwest::Response, route: &Route, params: &Params) -> Error {
        let status = response.status();
        let phrase = reason_phrase(&response);
        // The status line says enough when the body cannot be had.
        let body = self.body(response).await.ok().flatten().unwrap_or_default();
        let secrets = params.secrets().chain([&self.token_secret]).collect::<Vec<_>>();
        let target = route.target(&self.cluster);
        answer::refusal(target, status, &phrase, &body, secrets.iter().copied())
    }

    /// The body, or `None` when it is larger than allowed.
    async fn body(&self, mut response: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.limits.max_body {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    fn fault(&self, route: &Route, error: reqwest::Error) -> Error {
        let target = route.target(&self.cluster);
        let (connect, tls) = (error.is_connect(), is_tls(&error));
        let source: Cause = Box::new(error.without_url());
        match (connect, tls) {
            (true, true) => Error::Tls { target, source },
            (true, false) => Error::Connect { target, source },
            (false, _) => Error::Transport { target, source },
        }
    }

    async fn turn(
        &self,
        turns: Arc<Semaphore>,
        allowed: Duration,
        route: &Route,
    ) -> Result<OwnedSemaphorePermit, Error> {
        // The semaphores are never closed, so a time-out is the only way not to get a turn.
        match tokio::time::timeout(allowed, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::Busy {
                target: route.target(&self.cluster),
                after: allowed,
            }),
        }
    }

    fn node_turns(&self, node: &NodeName) -> Arc<Semaphore> {
        let mut all = self.node_turns.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_NODES {
            all.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = all
            .entry(node.clone())
            .or_insert_with(|| turns(self.limits.per_node));
        Arc::clone(turns)
    }
}

/// So many turns; more than the semaphore can count are no limit.
fn turns(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

/// Whether another endpoint may do better.
fn is_about_the_endpoint(error: &Error) -> bool {
    matches!(
        error,
        Error::Connect { .. } | Error::Tls { .. } | Error::Transport { .. } | Error::Timeout { .. }
    )
}

fn may_be_sent_again(class: Class, error: &Error) -> bool {
    let not_connected = matches!(error, Error::Connect { .. } | Error::Tls { .. });
    match class {
        Class::Write => not_connected,
        // Whoever has waited for a turn in vain does not queue up once more.
        Class::Read => not_connected || (error.is_transient_read() && !matches!(error, Error::Busy { .. })),
    }
}

/// Whether rustls is somewhere below. An I/O error does not name what it carries as its source, and they are
/// nested here.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.is::<rustls::Error>() {
            return true;
        }
        cause = match current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(carried) => Some(carried),
            None => current.source(),
        };
    }
    false
}

/// The words after the status code, where they are not the standard ones.
fn reason_phrase(response: &reqwest::Response) -> String {
    match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => response
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn outcome(error: &Error) -> Outcome {
    match error {
        Error::Unauthorized { .. } => Outcome::Refused(StatusCode::UNAUTHORIZED.as_u16()),
        Error::PermissionDenied { .. } => Outcome::Refused(StatusCode::FORBIDDEN.as_u16()),
        Error::Parameters { .. } => Outcome::Refused(StatusCode::BAD_REQUEST.as_u16()),
        Error::Refused { status, .. } => Outcome::Refused(*status),
        Error::NodeUnreachable { code, .. } => Outcome::NodeUnreachable(*code),
        Error::Connect { .. } | Error::Tls { .. } => Outcome::NotConnected,
        Error::Transport { .. } => Outcome::Broken,
        Error::Timeout { .. } => Outcome::Timeout,
        Error::Malformed { .. } => Outcome::Malformed,
        // Made without a request.
        Error::Busy { .. } | Error::VmUnknown { .. } => Outcome::Dropped,
    }
}

/// Reports a request when it ends, also when its future is dropped.
struct Watch<'a> {
    observer: &'a dyn Observer,
    route: &'a Route,
    began: Instant,
    outcome: Outcome,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.observer.request(
            &self.route.method,
            &self.route.template,
            self.outcome,
            self.began.elapsed(),
        );
    }
}
