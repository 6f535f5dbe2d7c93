//! The project's own tool: sets up what a build needs, builds it, runs it.
//!
//! `cargo xtask <command>` runs it; `main.rs` only reads the command line. Each command is a module with a `run`.
//!
//! - [`mod@bench`]: the benchmark, built and run.
//! - [`build`]: guests (WebAssembly components) and web assets. A library too: tests build their own guests with it.
//! - [`demo`]: the panel with sample data in front of a simulated cluster.
//! - [`generate`]: the files in `docs/` that are made from the code.
//! - [`mod@test`]: every check there is.
//!
//! Messages for people go to stderr; stdout is kept for results that a program could read.
#![expect(
    clippy::print_stderr,
    reason = "a command line tool: progress is talk, and talk goes to stderr"
)]

pub mod bench;
pub mod build;
pub mod demo;
pub mod generate;
pub mod test;

use std::path::{Path, PathBuf};

/// The root folder of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Says what is being done now, one line on stderr.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}
