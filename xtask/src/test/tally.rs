//! Counts tests from what their runners print.

use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// Adds what a line of output says, which for most lines is nothing.
    ///
    /// Known are the closing lines of cargo's harness (`test result: ok. 12 passed; 0 failed; …`), of the script with
    /// proxmoxer (`12 passed, 0 failed`) and of Playwright
    /// (`  3 failed`, `  12 passed (1.2m)`; a test that only passed when it was repeated is `flaky` and failed, one
    /// that was kept from running by another failure `did not run` and failed too).
    pub(super) fn read_line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            for part in counts.split([';', '.']) {
                self.add(part);
            }
        } else if let Some((passed, failed)) = line.split_once(", ")
            && passed.ends_with(" passed")
            && failed.ends_with(" failed")
        {
            self.add(passed);
            self.add(failed);
        } else if line.starts_with("  ") {
            let line = line.split_once(" (").map_or(line, |(line, _)| line);
            self.add(line);
        }
    }

    fn add(&mut self, text: &str) {
        let Some((count, what)) = text.trim().split_once(' ') else {
            return;
        };
        let Ok(count) = count.parse::<u64>() else { return };
        match what {
            "passed" => self.passed += count,
            "failed" | "flaky" | "did not run" | "interrupted" => self.failed += count,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (u64, u64) {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read_line(line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn the_closing_lines_of_cargo_are_added_up() {
        let text = "running 2 tests\ntest a ... ok\n\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s\n\
            test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        assert_eq!(of(text), (16, 2));
    }

    #[test]
    fn the_closing_lines_of_playwright_are_added_up() {
        let text = "Running 9 tests using 1 worker\n  ✓  1 a.spec.ts:3:1 › shows 3 failed jobs (2.0s)\n\
            \x20 1 failed\n    a.spec.ts:9:1 › b\n  1 flaky\n  2 did not run\n  1 skipped\n  4 passed (1.2m)\n";
        assert_eq!(of(text), (4, 4));
    }

    #[test]
    fn the_closing_line_of_the_script_with_proxmoxer_is_added_up() {
        assert_eq!(
            of("power: 18 steps, 0.9 s\n158 passed, 2 failed\n160 passed, 0 failed\n"),
            (318, 2)
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            of("12 passed\n  twelve passed\n  passed 12\n   Compiling x v1\n"),
            (0, 0)
        );
    }
}
