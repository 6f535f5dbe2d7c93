//! Reads the command line of `cargo xtask` and calls the command's module.

use anyhow::bail;
use clap::{Parser, Subcommand};
use xtask::build;

/// Builds, runs and checks Portico.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the plugins (WebAssembly components) and the web assets.
    Build(build::Options),
    /// Start the simulator and the panel with sample data on this machine.
    Demo,
    /// Run every check and test.
    Test,
    /// Measure.
    Bench,
    /// Write the files that are made from the code: sample configuration, references, golden files.
    Generate,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Build(options) => build::run(&options),
        Command::Demo | Command::Test | Command::Bench | Command::Generate => {
            bail!("this command does not exist yet")
        }
    }
}
