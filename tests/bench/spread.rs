//! A figure that was measured several times.

use std::time::Duration;

use anyhow::Context as _;

/// The median, and the lowest and highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The one in the middle; of an even number, the mean of the two in the middle.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) low: f64,
    /// The highest.
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> anyhow::Result<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = |index: usize| sorted.get(index).copied().context("nothing was measured");
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            middle(half)?
        } else {
            f64::midpoint(middle(half.saturating_sub(1))?, middle(half)?)
        };
        Ok(Self {
            median,
            low: middle(0)?,
            high: middle(sorted.len() - 1)?,
        })
    }

    /// Of times, in milliseconds.
    pub(crate) fn of_times(times: &[Duration]) -> anyhow::Result<Self> {
        Self::of(times.iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// `12.3 (11.0…15.8)`, with so many digits after the point.
    pub(crate) fn show(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}…{:.digits$})",
            self.median, self.low, self.high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let spread = Spread::of([3.0, 1.0, 10.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                median: 3.0,
                low: 1.0,
                high: 10.0
            }
        );
        assert_eq!(spread.show(1), "3.0 (1.0…10.0)");
        assert!((Spread::of([4.0, 2.0]).unwrap().median - 3.0).abs() < f64::EPSILON);
        assert!(Spread::of([]).is_err());
    }
}
