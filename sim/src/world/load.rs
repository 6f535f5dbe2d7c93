//! Plausible load: smooth, seeded curves whose integral is known, so that counters and averages agree.
//!
//! A VM is busy to a degree between 0.05 and 1 at any time; its CPU use, traffic and disk rates follow it with
//! their own phases. Counters are integrals of the rates over the time the VM ran.

use std::f64::consts::TAU;

use crate::units::fraction;

/// (period in seconds, amplitude) of the waves around the mean.
const WAVES: [(f64, f64); 4] = [(86_400.0, 0.16), (5_400.0, 0.14), (613.0, 0.10), (41.0, 0.06)];
const MEAN: f64 = 0.52;

/// Which of a VM's curves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Curve {
    /// Processor use.
    Cpu = 1,
    /// Memory in use.
    Memory,
    /// Bytes into the guest.
    NetIn,
    /// Bytes out of the guest.
    NetOut,
    /// Bytes read from disks.
    DiskRead,
    /// Bytes written to disks.
    DiskWrite,
}

/// The curves of one VM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Fixes the phases.
    pub(crate) seed: u64,
    /// How busy it is: 0 idle, 1 heavy.
    pub(crate) weight: f64,
}

impl Load {
    fn phase(&self, curve: Curve, wave: u64) -> f64 {
        fraction(self.seed, (curve as u64) * 16 + wave) * TAU
    }

    /// The degree of activity at a time, in 0.05…1.
    fn level(&self, curve: Curve, time: f64) -> f64 {
        let waves = WAVES.iter().zip(0..).map(|((period, amplitude), wave)| {
            amplitude * (TAU * time / period + self.phase(curve, wave)).sin()
        });
        MEAN + waves.sum::<f64>()
    }

    /// The integral of [`Self::level`] from one time to another.
    fn integral(&self, curve: Curve, from: f64, to: f64) -> f64 {
        let primitive = |time: f64| {
            WAVES
                .iter()
                .zip(0..)
                .map(|((period, amplitude), wave)| {
                    -amplitude * period / TAU * (TAU * time / period + self.phase(curve, wave)).cos()
                })
                .sum::<f64>()
        };
        MEAN * (to - from) + primitive(to) - primitive(from)
    }

    /// The rate a curve has at full activity, in bytes a second (CPU and memory: a fraction).
    fn full(&self, curve: Curve) -> f64 {
        let spread = 0.5 + fraction(self.seed, 900 + curve as u64);
        match curve {
            Curve::Cpu => (0.9 * self.weight * spread).min(0.98),
            Curve::Memory => 0.3 + 0.5 * self.weight,
            Curve::NetIn => 3.0e6 * self.weight * spread,
            Curve::NetOut => 6.0e6 * self.weight * spread,
            Curve::DiskRead => 4.0e6 * self.weight * spread,
            Curve::DiskWrite => 2.5e6 * self.weight * spread,
        }
    }

    /// The value of a curve at a time, never above `cap`.
    pub(crate) fn at(&self, curve: Curve, time: f64, cap: Option<f64>) -> f64 {
        self.capped(curve, cap) * self.level(curve, time)
    }

    /// What a curve adds up to between two times, never faster than `cap`.
    pub(crate) fn sum(&self, curve: Curve, from: f64, to: f64, cap: Option<f64>) -> f64 {
        if to > from {
            self.capped(curve, cap) * self.integral(curve, from, to)
        } else {
            0.0
        }
    }

    fn capped(&self, curve: Curve, cap: Option<f64>) -> f64 {
        let full = self.full(curve);
        cap.map_or(full, |cap| full.min(cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { seed: 5, weight: 0.6 };

    #[test]
    fn counters_only_grow() {
        let mut before = 0.0;
        for second in 1..5000 {
            let now = LOAD.sum(Curve::NetIn, 1.7e9, 1.7e9 + f64::from(second), None);
            assert!(now > before);
            before = now;
        }
    }

    #[test]
    fn a_capped_rate_stays_under_its_cap() {
        for second in 0..2000 {
            let rate = LOAD.at(Curve::NetOut, 1.7e9 + f64::from(second), Some(1000.0));
            assert!((0.0..=1000.0).contains(&rate));
        }
    }

    #[test]
    fn the_sum_over_a_second_is_about_the_rate() {
        let rate = LOAD.at(Curve::DiskRead, 1.7e9 + 0.5, None);
        let sum = LOAD.sum(Curve::DiskRead, 1.7e9, 1.7e9 + 1.0, None);
        assert!((rate - sum).abs() / rate < 0.05);
    }
}
