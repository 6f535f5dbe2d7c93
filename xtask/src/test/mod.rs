//! `cargo xtask test`: every check there is, in one run, as CI does it.
//!
//! - [`step`]: the steps, in their order, and what each runs.
//! - [`tools`]: the programs that steps need, installed where that is possible without a question.
//! - [`tally`]: how many tests passed and failed, read from what the runners print.
//! - [`report`]: the summary, which ends with one line `N passed, N failed`.
//!
//! All calls of cargo select the same packages and the same profile, so that each dependency is compiled once for
//! running and once, without code, for clippy and rustdoc. A failed step does not keep later ones from running, except
//! those that need what it makes.
//!
//! Not here: what is tested. Unit tests stand beside the code, end-to-end and hostile tests in `tests/`, browser tests
//! in `tests/browser/`.

mod report;
mod step;
mod tally;
mod tools;

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::say;
use report::{Outcome, Row};
use step::Step;

/// Which steps to run.
#[derive(Debug, Args)]
pub struct Options {
    /// Run this step alone; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave this step out; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    skip: Vec<Step>,
}

/// Runs the steps and prints the summary. The code is a failure when any step failed.
///
/// # Errors
/// Only when the summary cannot be printed; what fails in a step stands in the summary.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let chosen = Step::all().filter(|step| {
        (options.only.is_empty() || options.only.contains(step)) && !options.skip.contains(step)
    });
    let mut rows: Vec<Row> = Vec::new();
    for step in chosen {
        let blocked = rows
            .iter()
            .find(|row| row.outcome.is_failure() && step.needs().contains(&row.step));
        if let Some(blocked) = blocked {
            let reason = format!("needs {}, which failed", blocked.step);
            rows.push(Row::new(step, Outcome::NotRun(reason)));
            continue;
        }
        say(&format!("== {step}: {}", step.what()));
        let start = Instant::now();
        let mut row = match step.run() {
            Ok(tally) => Row::new(step, Outcome::Ok).with_tally(tally),
            Err(failure) => {
                say(&format!("{step} failed: {}", failure.reason));
                Row::new(step, Outcome::Failed(failure.reason)).with_tally(failure.tally)
            }
        };
        row.time = start.elapsed();
        rows.push(row);
    }
    report::print(&rows)?;
    let failed = rows.iter().any(|row| row.outcome.is_failure());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
