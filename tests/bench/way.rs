//! Where the time goes, one request after the other, so that nothing waits for anything else.

use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt as _;

use crate::client;
use crate::panel::Running;
use crate::stages::{self, f64_of};

/// Time of one variant alone.
const TIME: Duration = Duration::from_secs(2);

/// Means, in microseconds.
pub(crate) struct Way {
    /// The stages of the native page.
    pub(crate) native: Vec<(&'static str, f64)>,
    /// A request for the native page and its answer, over HTTP.
    pub(crate) native_total: f64,
    /// The same of the plugin's page.
    pub(crate) plugin_total: f64,
    /// Waiting for a slot of the pool.
    pub(crate) queue: f64,
    /// From the entry of the guest to its answer: instantiate, guest, host functions.
    pub(crate) call: f64,
}

/// Measures both pages of a panel with one connection.
pub(crate) async fn run(panel: &Running) -> anyhow::Result<Way> {
    let native = client::load(panel.address, panel.native.clone(), 1, TIME).await?;
    let stages = stages::ALL.map(|(stage, name)| (name, panel.stages.mean(stage)));
    let before = Figures::read(panel).await?;
    let plugin = client::load(panel.address, panel.plugin.clone(), 1, TIME).await?;
    let after = Figures::read(panel).await?;
    let calls = (after.calls - before.calls).max(1.0);
    let mean = |slice: &client::Slice| slice.took.as_secs_f64() * 1e6 / f64_of(slice.pages.max(1));
    Ok(Way {
        native: stages.to_vec(),
        native_total: mean(&native),
        plugin_total: mean(&plugin),
        queue: (after.queue - before.queue) * 1e6 / calls,
        call: (after.wall - before.wall) * 1e6 / calls,
    })
}

/// The panel's own figures of the plugin, as Prometheus would read them. Seconds.
struct Figures {
    calls: f64,
    queue: f64,
    wall: f64,
}

impl Figures {
    async fn read(panel: &Running) -> anyhow::Result<Self> {
        let router = portico_host::web::metrics::router(panel.app.clone());
        let answer = router
            .oneshot(Request::get("/metrics").body(Body::empty())?)
            .await?;
        let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await?;
        let text = String::from_utf8_lossy(&text);
        let figure = |name: &str| -> anyhow::Result<f64> {
            let start = format!("portico_plugin_{name}{{plugin=\"snapshots\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&start));
            // A plugin that was not called yet has no line.
            value.map_or(Ok(0.0), |value| {
                value.parse().context("a figure that is no number")
            })
        };
        Ok(Self {
            calls: figure("wall_seconds_count")?,
            queue: figure("queue_seconds_sum")?,
            wall: figure("wall_seconds_sum")?,
        })
    }
}
