//! The native page against the plugin's, in rounds.
//!
//! The machine is not quiet, and not equally unquiet at all times. So the variants take turns, in the other direction
//! every other round, and a ratio is of two slices of the same round.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::{self, Slice};
use crate::panel::Running;
use crate::spread::Spread;
use crate::stages::f64_of;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds.
    pub(crate) rounds: usize,
    /// Time of one variant in one round.
    pub(crate) slice: Duration,
}

/// One variant, over all rounds.
pub(crate) struct Variant {
    /// What it is.
    pub(crate) name: &'static str,
    /// Requests a second.
    pub(crate) rate: Spread,
    /// Processor time of the panel, microseconds a page.
    pub(crate) cpu: Spread,
    /// Of all rounds together, microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// Two variants against each other.
pub(crate) struct Ratio {
    /// The plugin's throughput as a part of the native page's.
    pub(crate) rate: Spread,
    /// The native page's processor time as a part of the plugin's page's.
    pub(crate) cpu: Spread,
}

/// What was found with a number of connections.
pub(crate) struct Comparison {
    /// How many.
    pub(crate) connections: usize,
    /// Native and plugin in the fast mode, native and plugin in the safe mode.
    pub(crate) variants: Vec<Variant>,
    /// In the fast mode.
    pub(crate) fast: Ratio,
    /// In the safe mode.
    pub(crate) safe: Ratio,
}

const NAMES: [&str; 4] = [
    "native (panel in fast mode)",
    "plugin, fast reset",
    "native (panel in safe mode)",
    "plugin, safe reset",
];

/// Measures.
pub(crate) async fn run(
    fast: &Running,
    safe: &Running,
    connections: usize,
    effort: Effort,
) -> anyhow::Result<Comparison> {
    let variants = [
        (fast, &fast.native),
        (fast, &fast.plugin),
        (safe, &safe.native),
        (safe, &safe.plugin),
    ];
    let mut slices: [Vec<Slice>; 4] = std::array::from_fn(|_| Vec::new());
    for round in 0..effort.rounds {
        let mut turn: Vec<_> = variants.iter().zip(slices.iter_mut()).collect();
        if round % 2 == 1 {
            turn.reverse();
        }
        for ((panel, requests), found) in turn {
            found.push(client::load(panel.address, (*requests).clone(), connections, effort.slice).await?);
        }
    }
    let [native_fast, plugin_fast, native_safe, plugin_safe] = &slices;
    let (fast, safe) = (ratio(native_fast, plugin_fast)?, ratio(native_safe, plugin_safe)?);
    let variants = NAMES
        .into_iter()
        .zip(&slices)
        .map(|(name, slices)| variant(name, slices));
    Ok(Comparison {
        connections,
        variants: variants.collect::<anyhow::Result<_>>()?,
        fast,
        safe,
    })
}

fn variant(name: &'static str, slices: &[Slice]) -> anyhow::Result<Variant> {
    let mut latency = client::histogram()?;
    for slice in slices {
        latency.add(&slice.latency)?;
    }
    let spread = |what: fn(&Slice) -> f64| Spread::of(slices.iter().map(what));
    Ok(Variant {
        name,
        rate: spread(rate)?,
        cpu: spread(cpu)?,
        latency,
    })
}

fn ratio(native: &[Slice], plugin: &[Slice]) -> anyhow::Result<Ratio> {
    let pairs = || native.iter().zip(plugin);
    Ok(Ratio {
        rate: Spread::of(pairs().map(|(native, plugin)| rate(plugin) / rate(native)))?,
        cpu: Spread::of(pairs().map(|(native, plugin)| cpu(native) / cpu(plugin)))?,
    })
}

fn rate(slice: &Slice) -> f64 {
    f64_of(slice.pages) / slice.took.as_secs_f64()
}

fn cpu(slice: &Slice) -> f64 {
    slice.server_cpu.as_secs_f64() * 1e6 / f64_of(slice.pages.max(1))
}
