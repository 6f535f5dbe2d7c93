//! What a VM's measurements are: counters and gauges of now, sums over the past, and what others were told of them.
//!
//! Nothing is recorded but when the processors ran; the rest follows from the VM's load curves and limits.

use super::load::Curve;
use super::vm::{GuestAgent, Vm};
use crate::config::keys;
use crate::config::network::Network;
use crate::options::Major;
use crate::units::{float, whole};

const MIB: u64 = 1 << 20;

/// How long a guest takes to touch about two thirds of the memory that it does not use, in seconds.
const TOUCHING: f64 = 900.0;

/// What a process of QEMU has of addresses besides the guest's memory, in bytes.
const QEMU_ADDRESSES: f64 = 1.5e9;

/// A time span during which the guest's processors ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Begin, in seconds since the epoch.
    pub(crate) from: f64,
    /// End; `None` while it lasts.
    pub(crate) to: Option<f64>,
}

/// What pvestatd told the cluster last.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// When, in seconds since the epoch.
    pub(crate) time: f64,
    /// Status as in the resources list.
    pub(crate) status: &'static str,
    /// The VM's name.
    pub(crate) name: String,
    /// Whether it is a template.
    pub(crate) template: bool,
    /// Its processors.
    pub(crate) cpus: u64,
    /// Memory in use as PVE counts it, in bytes.
    pub(crate) memory: u64,
    /// Its memory, in bytes.
    pub(crate) max_memory: u64,
    /// Size of its boot disk, in bytes.
    pub(crate) max_disk: u64,
    /// Numbers at that time.
    pub(crate) sample: Sample,
}

/// The numbers of a VM at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Fraction of its processors.
    pub(crate) cpu: f64,
    /// Memory in use as the guest counts it, in bytes.
    pub(crate) mem: u64,
    /// Memory that QEMU takes from the host, in bytes.
    pub(crate) host: u64,
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
            // A rate needs two looks at the process.
            cpu: if now - run.since < 1.0 {
                0.0
            } else {
                self.cpu_used(now)
            },
            mem: self.memory_used(now),
            host: self.host_memory(now),
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

    /// Whether the balloon's driver in the guest tells how much of the memory is free.
    pub(crate) fn balloon_reports(&self) -> bool {
        self.get("balloon") != Some("0") && self.agent != GuestAgent::Absent
    }

    /// Memory that QEMU takes from the host at a time at which it runs, in bytes. What a guest has touched once stays
    /// taken if no balloon gives it back: after an hour that is all of its memory, and with QEMU's own it is more.
    pub(crate) fn host_memory(&self, time: f64) -> u64 {
        let (used, all) = (float(self.memory_used(time)), float(self.memory()));
        let untouched = match &self.run {
            _ if self.balloon_reports() => all - used,
            // In the runs before this one.
            Some(run) if time < run.since => 0.0,
            Some(run) => (all - used) * (-(time - run.since) / TOUCHING).exp(),
            None => 0.0,
        };
        whole(all - untouched + used / 16.0) + 96 * MIB
    }

    /// Memory in use at that moment as PVE counts it, in bytes: what the balloon's driver says if it was `asked`; else
    /// what the host knows, which 8 takes for a fraction of the memory and 9 gives as it is.
    pub(crate) fn counted_memory(&self, major: Major, used: u64, host: u64, asked: bool) -> u64 {
        if asked && self.balloon_reports() {
            return used;
        }
        match major {
            Major::V9 => host,
            Major::V8 => {
                let all = float(self.memory());
                let resident = float(host) / (all + QEMU_ADDRESSES);
                whole(all * resident.min(1.0))
            }
        }
    }

    /// Memory in use as the guest counts it, at a time at which it runs, in bytes.
    pub(crate) fn memory_used(&self, time: f64) -> u64 {
        let fraction = 0.15 + 0.7 * self.load.at(Curve::Memory, time, None);
        whole(float(self.memory()) * fraction.min(0.99))
    }

    /// The numbers for the resources list.
    pub(crate) fn publish(&mut self, now: f64, major: Major) {
        let sample = self.sample(now);
        self.published = Some(Published {
            time: now,
            status: self.qmp_status(),
            name: self.name(),
            template: self.is_template(),
            cpus: self.cpus(),
            memory: self.counted_memory(major, sample.mem, sample.host, true),
            max_memory: self.memory(),
            max_disk: self.max_disk(),
            sample,
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
