//! The summary of a run.

use std::io::Write as _;
use std::time::Duration;

use super::step::Step;
use super::tally::Tally;

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Failed(String),
    NotRun(String),
}

impl Outcome {
    /// A step that could not run counts as failed: nobody knows what it would have said.
    pub(super) fn is_failure(&self) -> bool {
        *self != Self::Ok
    }
}

/// One line of the summary.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) step: Step,
    pub(super) outcome: Outcome,
    pub(super) tally: Tally,
    pub(super) time: Duration,
}

impl Row {
    pub(super) fn new(step: Step, outcome: Outcome) -> Self {
        Self {
            step,
            outcome,
            tally: Tally::default(),
            time: Duration::ZERO,
        }
    }

    pub(super) fn with_tally(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self
    }
}

/// Prints the table and, as the very last line, the sum.
pub(super) fn print(rows: &[Row]) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(text(rows).as_bytes())
}

fn text(rows: &[Row]) -> String {
    let mut text = format!(
        "\n{:<10} {:<8} {:>7} {:>7} {:>9}\n",
        "step", "result", "passed", "failed", "time"
    );
    let mut sum = Tally::default();
    for row in rows {
        let (result, note) = match &row.outcome {
            Outcome::Ok => ("ok", ""),
            Outcome::Failed(reason) => ("FAILED", reason.as_str()),
            Outcome::NotRun(reason) => ("not run", reason.as_str()),
        };
        let counted = row.tally != Tally::default();
        let count = |number: u64| {
            if counted {
                number.to_string()
            } else {
                String::new()
            }
        };
        let line = format!(
            "{:<10} {result:<8} {:>7} {:>7} {:>9}  {note}",
            row.step.to_string(),
            count(row.tally.passed),
            count(row.tally.failed),
            time(row.time),
        );
        text.push_str(line.trim_end());
        text.push('\n');
        sum += row.tally;
        // A step without a failed test that failed all the same must show in the sum.
        sum.failed += u64::from(row.outcome.is_failure() && row.tally.failed == 0);
    }
    let total: Duration = rows.iter().map(|row| row.time).sum();
    text + &format!(
        "{:<35} {:>9}\n\n{} passed, {} failed\n",
        "",
        time(total),
        sum.passed,
        sum.failed
    )
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: Step, outcome: Outcome, passed: u64, failed: u64) -> Row {
        Row::new(step, outcome).with_tally(Tally { passed, failed })
    }

    fn last_line(rows: &[Row]) -> String {
        text(rows).lines().next_back().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_last_line_is_the_sum_over_all_runners() {
        let rows = [
            row(Step::Fmt, Outcome::Ok, 0, 0),
            row(Step::Test, Outcome::Ok, 40, 0),
            row(Step::Browser, Outcome::Failed("2 tests failed".into()), 9, 2),
        ];
        assert_eq!(last_line(&rows), "49 passed, 2 failed");
    }

    #[test]
    fn a_step_that_failed_without_a_failed_test_counts_as_one() {
        let rows = [
            row(Step::Clippy, Outcome::Failed("warnings".into()), 0, 0),
            row(
                Step::Browser,
                Outcome::NotRun("needs build, which failed".into()),
                0,
                0,
            ),
            row(Step::Test, Outcome::Ok, 3, 0),
        ];
        assert_eq!(last_line(&rows), "3 passed, 2 failed");
    }
}
