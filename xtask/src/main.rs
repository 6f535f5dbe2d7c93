//! Reads the command line of `cargo xtask` and calls the command's module.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, build, demo, generate, test};

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
    Demo(demo::Options),
    /// Run every check and test.
    Test(test::Options),
    /// Measure what a sandboxed page costs, how fast the panel starts and how much memory it takes.
    Bench(bench::Options),
    /// Write the files that are made from the code: sample configuration, references, golden files.
    Generate(generate::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Build(options) => build::run(&options)?,
        Command::Demo(options) => demo::run(&options)?,
        Command::Test(options) => return test::run(&options),
        Command::Generate(options) => generate::run(&options)?,
        Command::Bench(options) => bench::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
