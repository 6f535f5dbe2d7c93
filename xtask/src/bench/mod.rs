//! `cargo xtask bench`: builds everything optimised and runs the benchmark (`tests/bench/`).
//!
//! The report goes to stdout. What it means: `docs/benchmarks.md`. Not here: measuring.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::build::guest;
use crate::{build, root, say};

/// How long is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Rounds of the native page against the plugin's
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Seconds of each variant in a round
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,
}

/// Builds and measures. A target that is missed is part of the report and no error.
///
/// # Errors
/// When something does not build, or cannot be measured.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let root = root();
    say("[1/3] web assets and plugins");
    build::run(&build::Options::default())?;
    say("[2/3] panel, simulator and benchmark, optimised");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The selection of `cargo xtask demo --release`, so that what it has built is not built again.
    command.args([
        "build",
        "--release",
        "--workspace",
        "--bins",
        "--features",
        "portico-tests/bench",
    ]);
    let status = command
        .current_dir(&root)
        .stdout(std::io::stderr())
        .status()
        .context("`cargo build` cannot be run")?;
    if !status.success() {
        bail!("the benchmark did not compile");
    }
    say("[3/3] measuring: leave the machine alone meanwhile");
    let target = guest::target_folder(&root);
    let program = target.join(format!("release/portico-bench{}", std::env::consts::EXE_SUFFIX));
    let status = Command::new(&program)
        .arg("--plugins")
        .arg(target.join("plugins"))
        .args(["--rounds", &options.rounds.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .status()
        .with_context(|| format!("`{}` cannot be run", program.display()))?;
    if !status.success() {
        bail!("the benchmark failed ({status}): what it wrote is above");
    }
    Ok(())
}
