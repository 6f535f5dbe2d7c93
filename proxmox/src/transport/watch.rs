//! Telling the observer how each request ended.

use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::time::timeout;

use super::Transport;
use crate::error::Error;
use crate::observe::{Observer, Outcome};
use crate::route::Route;

impl Transport {
    /// Waits for an exchange with an endpoint, for as long as allowed, and reports its end.
    pub(super) async fn watched<T>(
        &self,
        allowed: Duration,
        route: &Route,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut watch = Watch {
            observer: &*self.observer,
            route,
            began: Instant::now(),
            outcome: Outcome::Dropped,
        };
        let result = match timeout(allowed, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                target: route.target(&self.cluster),
                after: allowed,
            }),
        };
        watch.outcome = result.as_ref().map_or_else(outcome, |_| Outcome::Ok);
        result
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
        Error::Busy { .. } | Error::VmUnknown { .. } | Error::Declined { .. } => Outcome::Dropped,
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
