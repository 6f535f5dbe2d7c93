//! Figures for Prometheus, on a listener of their own: they tell about all customers.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::state::App;
use crate::view::urls::pattern;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
    export: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnePlugin {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PveLabels {
    method: String,
    route: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneRoute {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnePolicy {
    policy: &'static str,
}

/// The figures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<PluginLabels, Counter>,
    cpu: Family<OnePlugin, Histogram>,
    wall: Family<OnePlugin, Histogram>,
    queue: Family<OnePlugin, Histogram>,
    memory: Family<OnePlugin, Gauge<f64, AtomicU64>>,
    requests: Family<PveLabels, Counter>,
    request_time: Family<OneRoute, Histogram>,
    too_many: Family<OnePolicy, Counter>,
    free_slots: Gauge,
    plugins_broken: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 4.0, 10))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portico");
        let calls = Family::default();
        registry.register(
            "plugin_calls",
            "Calls of plugins by export and outcome",
            calls.clone(),
        );
        let cpu = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "plugin_cpu",
            "CPU time of a plugin's call",
            Unit::Seconds,
            cpu.clone(),
        );
        let wall = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "plugin_wall",
            "Time from a call's start to its end",
            Unit::Seconds,
            wall.clone(),
        );
        let queue = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "plugin_queue",
            "Time a call waited for its turn",
            Unit::Seconds,
            queue.clone(),
        );
        let memory = Family::default();
        let text = "The most memory a call of the plugin took since the last scrape";
        registry.register_with_unit("plugin_peak_memory", text, Unit::Bytes, memory.clone());
        let requests = Family::default();
        registry.register(
            "pve_requests",
            "Requests to Proxmox VE by route and outcome",
            requests.clone(),
        );
        let request_time = Family::new_with_constructor(seconds as fn() -> Histogram);
        let text = "Time a request to Proxmox VE took";
        registry.register_with_unit("pve_request", text, Unit::Seconds, request_time.clone());
        let too_many = Family::default();
        registry.register(
            "requests_refused",
            "Requests of customers and visitors that were over a limit",
            too_many.clone(),
        );
        let free_slots = Gauge::default();
        registry.register(
            "pool_free_slots",
            "Free slots of the instance pool",
            free_slots.clone(),
        );
        let plugins_broken = Gauge::default();
        registry.register(
            "plugins_broken",
            "Approved plugins that are not loaded",
            plugins_broken.clone(),
        );
        Self {
            registry,
            calls,
            cpu,
            wall,
            queue,
            memory,
            requests,
            request_time,
            too_many,
            free_slots,
            plugins_broken,
        }
    }
}

impl Metrics {
    /// A request was over the limit of this name.
    pub(super) fn refused(&self, policy: &'static str) {
        self.too_many.get_or_create(&OnePolicy { policy }).inc();
    }
}

impl portico_runtime::Observer for Metrics {
    fn observe(&self, report: &portico_runtime::CallReport<'_>) {
        let labels = PluginLabels {
            plugin: report.plugin.to_owned(),
            export: report.export.to_owned(),
            outcome: report.outcome.to_owned(),
        };
        self.calls.get_or_create(&labels).inc();
        let plugin = OnePlugin {
            plugin: report.plugin.to_owned(),
        };
        self.cpu.get_or_create(&plugin).observe(report.cpu.as_secs_f64());
        self.wall
            .get_or_create(&plugin)
            .observe(report.wall.as_secs_f64());
        self.queue
            .get_or_create(&plugin)
            .observe(report.queue_wait.as_secs_f64());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge of bytes; 15 digits are enough"
        )]
        let peak = report.peak_memory as f64;
        let gauge = self.memory.get_or_create(&plugin);
        if peak > gauge.get() {
            gauge.set(peak);
        }
    }
}

impl portico_proxmox::Observer for Metrics {
    fn request(&self, method: &Method, route: &str, outcome: portico_proxmox::Outcome, took: Duration) {
        let labels = PveLabels {
            method: method.to_string(),
            route: route.to_owned(),
            outcome: outcome.as_str().to_owned(),
        };
        self.requests.get_or_create(&labels).inc();
        self.request_time
            .get_or_create(&OneRoute {
                route: route.to_owned(),
            })
            .observe(took.as_secs_f64());
    }
}

/// The router of the listener for Prometheus.
pub fn router(app: App) -> Router {
    Router::new().route(pattern::METRICS, get(scrape)).with_state(app)
}

async fn scrape(State(app): State<App>) -> Response {
    let metrics = &app.metrics;
    metrics
        .free_slots
        .set(i64::try_from(app.plugins.runtime().free_slots()).unwrap_or(i64::MAX));
    metrics
        .plugins_broken
        .set(i64::try_from(app.plugins.set().broken.len()).unwrap_or(i64::MAX));
    let mut text = String::new();
    if encode(&mut text, &metrics.registry).is_err() {
        return (
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "the figures cannot be written\n",
        )
            .into_response();
    }
    metrics.memory.clear();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
