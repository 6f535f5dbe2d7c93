//! A hook that sees every request, for metrics.

use std::time::Duration;

use http::Method;

/// How one request to one endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// PVE did what was asked.
    Ok,
    /// PVE answered with this status, 300 or above.
    Refused(u16),
    /// PVE could not reach the node (595 to 599, or a gateway status).
    NodeUnreachable(u16),
    /// No connection came about, TLS included.
    NotConnected,
    /// The connection broke before the whole answer was there.
    Broken,
    /// The answer did not come in time.
    Timeout,
    /// The answer was too large or not what PVE sends.
    Malformed,
    /// The caller lost interest before the answer came.
    Dropped,
}

impl Outcome {
    /// A word for a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(_) => "refused",
            Self::NodeUnreachable(_) => "node-unreachable",
            Self::NotConnected => "not-connected",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Dropped => "dropped",
        }
    }
}

/// Is told of every request that the client sends, also of each repeated one.
///
/// Called on the task that made the call, after the request ended: an implementation must not block.
pub trait Observer: Send + Sync + 'static {
    /// One request ended. `route` is a template such as `/nodes/{node}/qemu/{vmid}/config`, of which there
    /// are few, so that it can be a metric's label.
    fn request(&self, method: &Method, route: &str, outcome: Outcome, took: Duration);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn request(&self, _: &Method, _: &str, _: Outcome, _: Duration) {}
}
