//! How often somebody may ask, by kind of request.
//!
//! Customers are counted by account, however many sessions and tabs they have; who is not signed in is counted by
//! address. Each kind has an account of its own, so that a script that presses buttons does not cost its owner the
//! pages. Answers say what is left in the fields of draft-ietf-httpapi-ratelimit-headers-10, refusals add `Retry-After`.
//!
//! The counts are this process's and in memory (see [`Limiter`]). Not here: the sign-in's own limits
//! ([`crate::auth::LoginLimiter`]), which count failures, and the runtime's, which count what runs at the same time.

use std::fmt::Write as _;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::error::{Failure, PageError};
use super::state::App;
use super::visit::{Resolved, Signed, Visitor};
use crate::auth::{Limiter, Rate, RetryAfter, Standing, network};
use crate::view::urls::{Url, pattern};

/// `RateLimit-Policy`: what is allowed.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit`: what is left.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// What is allowed of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Pages and their live parts, a customer.
    pub pages: Rate,
    /// Actions on services, a customer.
    pub actions: Rate,
    /// Changes of the profile, a customer.
    pub account: Rate,
    /// Everything, an address that is not signed in.
    pub visitors: Rate,
    /// The keys remembered of each kind.
    pub max_keys: usize,
}

/// The kinds of requests, with who has asked how often.
#[derive(Debug)]
pub struct Rates {
    pages: Counted,
    actions: Counted,
    account: Counted,
    visitors: Counted,
}

#[derive(Debug)]
struct Counted {
    /// The policy's name in the header fields.
    name: &'static str,
    limiter: Limiter,
}

/// What became of a request at a limit.
#[derive(Debug)]
struct Taken {
    name: &'static str,
    outcome: Result<(), RetryAfter>,
    fields: [(HeaderName, String); 2],
}

impl Rates {
    /// Nobody has asked yet.
    pub fn new(limits: &RateLimits) -> Self {
        let counted = |name, rate| Counted {
            name,
            limiter: Limiter::new(rate, limits.max_keys),
        };
        Self {
            pages: counted("pages", limits.pages),
            actions: counted("actions", limits.actions),
            account: counted("account", limits.account),
            visitors: counted("visitors", limits.visitors),
        }
    }

    /// The kind of a customer's request; none is not limited.
    fn of_customer(&self, method: &Method, path: &str) -> Option<&Counted> {
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            Some(&self.pages)
        } else if path == pattern::LOGOUT {
            // It can be done once a session, and nobody may be kept from it.
            None
        } else if path.starts_with("/services/") {
            Some(&self.actions)
        } else {
            Some(&self.account)
        }
    }
}

impl Counted {
    fn take(&self, key: &[u8], now: Timestamp) -> Taken {
        let outcome = self.limiter.take(key, now);
        Taken {
            name: self.name,
            outcome,
            fields: fields(
                self.name,
                self.limiter.rate(),
                self.limiter.standing(key, now),
                outcome,
            ),
        }
    }
}

/// The two fields: structured lists of one item each, a string with integers as its parameters (RFC 9651).
fn fields(
    name: &str,
    rate: Rate,
    standing: Standing,
    outcome: Result<(), RetryAfter>,
) -> [(HeaderName, String); 2] {
    let policy = format!("\"{name}\";q={};w={}", rate.burst, rate.period.as_secs().max(1));
    let mut left = format!("\"{name}\";r={}", standing.left);
    // Beside a `Retry-After` it must be the same moment.
    let seconds = match outcome {
        Err(wait) => Some(wait.seconds()),
        Ok(()) => standing.next.map(|next| RetryAfter(next).seconds()),
    };
    if let Some(seconds) = seconds {
        let _ = write!(left, ";t={seconds}");
    }
    [(POLICY, policy), (LEFT, left)]
}

/// Counts a request, and turns it away when there were too many of its kind. Who asks is found out here, once, and
/// handed on to the handler.
pub(super) async fn limited(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut parts, &app).await {
        Ok(visitor) => visitor,
        Err(error) => return error.into_response(),
    };
    let who = Signed::from_request_parts(&mut parts, &app).await;
    let now = app.parts.clock.now();
    let taken = match &who {
        Ok(signed) => app
            .rates
            .of_customer(&parts.method, parts.uri.path())
            .map(|counted| counted.take(signed.customer.id.as_str().as_bytes(), now)),
        Err(_) => Some(app.rates.visitors.take(&network(visitor.address), now)),
    };
    let fields = taken.as_ref().map(|taken| taken.fields.clone());
    let mut response = if let Some(Taken {
        name,
        outcome: Err(wait),
        ..
    }) = taken
    {
        app.metrics.refused(name);
        // At a level that is off by default: a flood must not become a flood of log lines.
        tracing::debug!(address = %visitor.address, path = parts.uri.path(), "too many requests");
        let retry = (parts.method == Method::GET)
            .then(|| Url::from_client(parts.uri.path_and_query()?.as_str()))
            .flatten();
        let error = PageError::TooMany {
            retry_after: wait.seconds(),
            retry,
        };
        match &who {
            Ok(signed) => signed.failure(&app, error),
            Err(_) => Failure::from(error),
        }
        .into_response()
    } else {
        parts.extensions.insert(Resolved(who));
        next.run(Request::from_parts(parts, body)).await
    };
    for (name, value) in fields.into_iter().flatten() {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The fields of an answer that is about to be replaced by a page.
pub(super) fn carried(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    [POLICY, LEFT]
        .into_iter()
        .filter_map(|name| {
            let value = headers.get(&name)?.clone();
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATES: RateLimits = RateLimits {
        pages: Rate::new(1_200, Duration::from_mins(1)),
        actions: Rate::new(2, Duration::from_mins(1)),
        account: Rate::new(1, Duration::from_mins(10)),
        visitors: Rate::new(3, Duration::from_mins(1)),
        max_keys: 100,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn kind(method: &Method, path: &str) -> Option<&'static str> {
        Rates::new(&RATES)
            .of_customer(method, path)
            .map(|counted| counted.name)
    }

    #[test]
    fn each_request_has_its_kind_and_signing_out_is_always_possible() {
        assert_eq!(kind(&Method::GET, "/services/1/snapshots"), Some("pages"));
        assert_eq!(kind(&Method::HEAD, "/profile"), Some("pages"));
        assert_eq!(
            kind(&Method::POST, "/services/1/snapshots/create"),
            Some("actions")
        );
        assert_eq!(
            kind(&Method::DELETE, "/services/1/snapshots/create"),
            Some("actions")
        );
        assert_eq!(kind(&Method::POST, "/profile"), Some("account"));
        assert_eq!(kind(&Method::POST, "/profile/password"), Some("account"));
        assert_eq!(
            kind(&Method::POST, "/services-of-another-program"),
            Some("account")
        );
        assert_eq!(kind(&Method::POST, "/logout"), None);
    }

    #[test]
    fn the_fields_tell_what_is_left_until_nothing_is_and_when_to_come_back() {
        let rates = Rates::new(&RATES);
        let fields = |second| {
            let taken = rates.actions.take(b"anna", at(second));
            let [(_, policy), (_, left)] = taken.fields;
            assert_eq!(policy, "\"actions\";q=2;w=60");
            (taken.outcome.map_err(|wait| wait.seconds()), left)
        };
        assert_eq!(fields(0), (Ok(()), "\"actions\";r=1;t=30".to_owned()));
        assert_eq!(fields(10), (Ok(()), "\"actions\";r=0;t=20".to_owned()));
        assert_eq!(fields(11), (Err(19), "\"actions\";r=0;t=19".to_owned()));
        assert_eq!(fields(30), (Ok(()), "\"actions\";r=0;t=30".to_owned()));
        assert!(rates.actions.take(b"ben", at(30)).outcome.is_ok());
    }

    #[test]
    fn a_customer_with_ten_tabs_at_their_fastest_does_not_meet_the_default() {
        let defaults = crate::config::RequestsConfig::default().limits();
        let rates = Rates::new(&defaults);
        // Two live parts a tab, each asked for every second, for ten minutes.
        for second in 0..600 {
            for _ in 0..20 {
                assert!(rates.pages.take(b"anna", at(second)).outcome.is_ok(), "{second}");
            }
        }
    }

    #[test]
    fn other_addresses_of_one_ipv6_line_share_its_count() {
        let rates = Rates::new(&RATES);
        let ask = |address: &str| {
            rates
                .visitors
                .take(&network(address.parse().unwrap()), at(0))
                .outcome
        };
        for host in 1..=3 {
            assert!(ask(&format!("2001:db8::{host}")).is_ok());
        }
        assert!(ask("2001:db8::ffff").is_err());
        assert!(ask("2001:db8:0:1::1").is_ok());
        assert!(ask("192.0.2.1").is_ok());
    }
}
