//! The cost of a call without anything around it, one call after the other.

use std::time::Instant;

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use portico_host::capability::Origin;
use portico_host::plugins::Installed;
use portico_host::plugins::call::{Subject, build};
use portico_runtime::bindings::guest::{Method, Request};
use portico_runtime::{Call, PluginError};

use crate::client::histogram;
use crate::native::PLUGIN;
use crate::panel::Running;

/// Calls that are measured, after as many that are not.
const CALLS: usize = 2_000;

/// What calls take, nanoseconds as microseconds in the histograms.
pub(crate) struct Calls {
    /// A guest that answers at once: instantiate, call, drop.
    pub(crate) bare: Histogram<u64>,
    /// The call of the snapshots page, with the host functions it calls.
    pub(crate) page: Histogram<u64>,
}

/// Measures both, in turns.
pub(crate) async fn run(panel: &Running) -> anyhow::Result<Calls> {
    let app = &panel.app;
    let set = app.plugins.set();
    let installed = set
        .plugins
        .get(&PLUGIN.parse()?)
        .context("the plugin is not loaded")?;
    let subject = Subject {
        service: panel.service.clone(),
        product: app.records.product(&panel.service.product).await?.value,
        customer: app.records.customer(&panel.service.customer).await?.value,
    };
    let (mut bare, mut page) = (histogram()?, histogram()?);
    for number in 0..2 * CALLS {
        for (granted, times) in [(false, &mut bare), (true, &mut page)] {
            let mut call = build(
                &app.parts,
                &subject,
                installed,
                "bench",
                Origin::Page { address: None },
            );
            if !granted {
                // The first thing the page does is to ask for its permission.
                call.context.permissions.clear();
            }
            let start = Instant::now();
            answer(panel, installed, call, granted).await?;
            let took = start.elapsed();
            if number >= CALLS {
                times.saturating_record(u64::try_from(took.as_nanos())? / 10);
            }
        }
    }
    Ok(Calls { bare, page })
}

async fn answer(panel: &Running, installed: &Installed, call: Call, granted: bool) -> anyhow::Result<()> {
    let request = Request {
        method: Method::Get,
        path: String::new(),
        query: Vec::new(),
        form: Vec::new(),
    };
    match panel
        .app
        .plugins
        .runtime()
        .handle(&installed.plugin, call, request)
        .await
    {
        Ok(_) if granted => Ok(()),
        Err(PluginError::Denied(_)) if !granted => Ok(()),
        Ok(_) => bail!("the plugin answered without its permission"),
        Err(error) => Err(error.into()),
    }
}
