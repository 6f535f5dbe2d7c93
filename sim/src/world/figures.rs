//! What a VM's measurements are: counters and gauges of now, sums over the past, and what others were told of them.
//!
//! Nothing is recorded but when the processors ran; the rest follows from the VM's load curves and limits.

use super::load::Curve;
use super::vm::Vm;
use crate::config::keys;
use crate::config::network::Network;
use crate::units::whole;

const MIB: u64 = 1 << 20;

/// A time span during which the guest's processors ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Begin, in seconds since the epoch.
    pub(crate) from: f64,
    /// End; `None` while it lasts.
    pub(crate) to: Option<f64>,
}

/// What pvestatd told the cluster last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Published {
    /// Status as in the resources list.
    pub(crate) status: &'static str,
    /// Numbers at that time.
    pub(crate) sample: Sample,
}

/// The numbers of a VM at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Fraction of its processors.
    pub(crate) cpu: f64,
    /// Memory in use, in bytes.
    pub(crate) mem: u64,
    /// Bytes into the guest since the start.
    pub(crate) netin: u64,
    /// Bytes out of the guest since the start.
    pub(crate) netout: u64,
    /// Bytes read since the start.
    pub(crate) diskread: u64,
    /// Bytes written since the start.
    pub(crate) diskwrite: u64,
    /// Seconds since QEMU began.
    pub(crate) uptime: u64,
}

impl Vm {
    pub(super) fn open_span(&mut self, now: f64) {
        self.close_span(now);
        self.spans.push(Span { from: now, to: None });
        if self.spans.len() > 1_000 {
            self.spans.remove(0);
        }
    }

    pub(super) fn close_span(&mut self, now: f64) {
        if let Some(last) = self.spans.last_mut()
            && last.to.is_none()
        {
            last.to = Some(now);
        }
    }

    /// The limit that the configuration sets on a curve, in bytes a second.
    pub(crate) fn cap(&self, curve: Curve) -> Option<f64> {
        // Most VMs of large clusters have no limit somewhere, which shows without taking the texts apart.
        let unlimited = |(key, text): (&String, &String)| match curve {
            Curve::NetIn | Curve::NetOut => key.starts_with("net") && !text.contains("rate="),
            Curve::DiskRead | Curve::DiskWrite => {
                keys::is_drive(key) && !text.contains("mbps") && !text.contains("media=cdrom")
            }
            Curve::Cpu | Curve::Memory => true,
        };
        if self.config.iter().any(unlimited) {
            return None;
        }
        match curve {
            Curve::NetIn | Curve::NetOut => {
                let rates = self
                    .config
                    .iter()
                    .filter(|(key, _)| key.starts_with("net"))
                    .filter_map(|(key, text)| Network::parse(key, text).ok())
                    .map(|device| device.rate());
                sum_of_caps(rates)
            }
            Curve::DiskRead | Curve::DiskWrite => {
                let side = if matches!(curve, Curve::DiskRead) {
                    "mbps_rd"
                } else {
                    "mbps_wr"
                };
                let limits = self.drives().filter(|(_, d)| !d.is_cdrom()).map(|(_, d)| {
                    d.get("mbps")
                        .or(d.get(side))?
                        .parse::<f64>()
                        .ok()
                        .map(|mib| mib * 1_048_576.0)
                });
                sum_of_caps(limits)
            }
            Curve::Cpu | Curve::Memory => None,
        }
    }

    /// The sum of a curve between two times, over the spans in which the processors ran.
    pub(crate) fn sum(&self, curve: Curve, from: f64, to: f64) -> f64 {
        let cap = self.cap(curve);
        let each = self.spans.iter().map(|span| {
            let (begin, end) = (span.from.max(from), span.to.unwrap_or(to).min(to));
            self.load.sum(curve, begin, end, cap)
        });
        each.sum()
    }

    /// How many seconds of a time span the processors ran.
    pub(crate) fn active(&self, from: f64, to: f64) -> f64 {
        seconds_within(&self.spans, from, to)
    }

    /// How many seconds of a time span nobody had figures.
    pub(crate) fn unknown(&self, from: f64, to: f64) -> f64 {
        seconds_within(&self.unseen, from, to)
    }

    /// Whether the processors began to run within a time span: then a rate over it cannot be known.
    pub(crate) fn began_within(&self, from: f64, to: f64) -> bool {
        self.spans.iter().any(|span| from < span.from && span.from <= to)
    }

    /// Whether others have figures of it from now on.
    pub(crate) fn set_seen(&mut self, seen: bool, now: f64) {
        match self.unseen.last_mut().filter(|span| span.to.is_none()) {
            Some(open) if seen => open.to = Some(now),
            None if !seen => self.unseen.push(Span { from: now, to: None }),
            _ => {}
        }
    }

    /// The numbers at a time; all zero when nothing runs.
    pub(crate) fn sample(&self, now: f64) -> Sample {
        let Some(run) = &self.run else {
            return Sample::default();
        };
        let counter = |curve| whole(self.sum(curve, run.since, now));
        Sample {
            cpu: self.cpu_used(now),
            mem: self.memory_used(now),
            netin: counter(Curve::NetIn),
            netout: counter(Curve::NetOut),
            diskread: counter(Curve::DiskRead) + 180 * MIB,
            diskwrite: counter(Curve::DiskWrite) + 12 * MIB,
            uptime: whole(now - run.since),
        }
    }

    /// The fraction of its processors in use at a time; none while it is paused or off.
    pub(crate) fn cpu_used(&self, time: f64) -> f64 {
        match &self.run {
            Some(run) if !run.paused => self.load.at(Curve::Cpu, time, None),
            _ => 0.0,
        }
    }

    /// Memory in use at a time at which it runs, in bytes.
    pub(crate) fn memory_used(&self, time: f64) -> u64 {
        let fraction = 0.15 + 0.7 * self.load.at(Curve::Memory, time, None);
        whole(crate::units::float(self.memory()) * fraction.min(0.99))
    }

    /// The numbers for the resources list.
    pub(crate) fn publish(&mut self, now: f64) {
        self.published = Some(Published {
            status: self.qmp_status(),
            sample: self.sample(now),
        });
    }
}

/// How many seconds of a time span lie in the spans.
fn seconds_within(spans: &[Span], from: f64, to: f64) -> f64 {
    let each = spans
        .iter()
        .map(|span| (span.to.unwrap_or(to).min(to) - span.from.max(from)).max(0.0));
    each.sum()
}

/// The sum of limits; `None` as soon as one device has none.
fn sum_of_caps(caps: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let caps = caps.collect::<Option<Vec<_>>>()?;
    (!caps.is_empty()).then(|| caps.iter().sum())
}
