//! `cargo xtask bench`: what a sandboxed page costs, from one run.
//!
//! - [`site`]: a simulated cluster and folders for panels; [`panel`]: a panel in this process;
//! - [`native`]: the page to compare with, [`convert`] and [`stages`] for it;
//! - [`client`]: the browsers; [`compare`]: native against plugin, in rounds; [`way`]: where the time goes;
//! - [`calls`], [`load`], [`process`]: single calls, loading, a real `portico serve`;
//! - [`spread`], [`report`]: figures with their spread, and the print-out.
//!
//! What is measured, what is not and why: `docs/benchmarks.md`. Not here: tests. A target that is missed is printed, and the
//! exit code stays 0.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::print_stderr, reason = "progress is talk, and talk goes to stderr")]

mod calls;
mod client;
mod compare;
mod convert;
mod load;
mod native;
mod panel;
mod process;
mod report;
mod site;
mod spread;
mod stages;
mod way;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use compare::Effort;
use panel::Running;
use report::Report;
use site::{Programs, Site};

/// Measures the panel.
#[derive(Debug, Parser)]
struct Args {
    /// The folder of the built components.
    #[arg(long)]
    plugins: PathBuf,
    /// Rounds of native against plugin.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of one variant in one round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// Numbers of connections.
const CONNECTIONS: [usize; 2] = [8, 32];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let effort = Effort {
        rounds: args.rounds.max(1),
        slice: Duration::try_from_secs_f64(args.seconds)?,
    };
    let site = Site::new(Programs::find(&args.plugins)?).await?;
    let report = measure(&site, effort).await?;
    println!("{}", report.text()?);
    Ok(())
}

async fn measure(site: &Site, effort: Effort) -> anyhow::Result<Report> {
    eprintln!("bench: `portico serve` by itself");
    let process = process::run(site).await?;
    eprintln!("bench: loading plugins");
    let loads = load::run(site).await?;
    eprintln!("bench: two panels, fast and safe reset");
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let fast = Running::start(&site.panel("fast", nowhere, true).await?).await?;
    let safe = Running::start(&site.panel("safe", nowhere, false).await?).await?;
    let length = fast.compare().await?;
    safe.compare().await?;
    eprintln!("bench: single calls");
    let calls = [
        ("fast", calls::run(&fast).await?),
        ("safe", calls::run(&safe).await?),
    ];
    let way = way::run(&fast).await?;
    let mut comparisons = Vec::new();
    for connections in CONNECTIONS {
        eprintln!(
            "bench: native against plugin, {connections} connections, {} rounds",
            effort.rounds
        );
        comparisons.push(compare::run(&fast, &safe, connections, effort).await?);
    }
    let processors = std::thread::available_parallelism()?;
    let mut about = vec![
        format!(
            "{processors} processors, browsers, panel and simulator on the same ones; load before the run is shown by the spread"
        ),
        format!(
            "page: snapshots with three of them and the schedule, {} KiB, the same bytes from both (checked)",
            length / 1024
        ),
    ];
    let is_fast = fast.app.plugins.runtime().fast_reset();
    if !is_fast {
        about.push("the machine has swap: there is no fast reset, both modes are the safe one".to_owned());
    }
    Ok(Report {
        about,
        comparisons,
        way,
        calls,
        loads,
        process,
        fast: is_fast,
    })
}
