//! `[metrics]`.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Figures for Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// The address and port of `/metrics`, `/healthz` and `/readyz`. Without it `/metrics` is not served. Keep it
    /// from customers: the figures name plugins and clusters.
    #[schemars(extend("examples" = ["127.0.0.1:9464"]))]
    pub listen: Option<SocketAddr>,
}
