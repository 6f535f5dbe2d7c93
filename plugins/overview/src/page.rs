//! The page: a live card and a card with the network settings.

use portico_sdk::prelude::*;
use portico_sdk::vm::{Adapter, Disk, DiskRole, Hardware, Network, Rates, State, Status};
use serde::Serialize;

use crate::power::{NO_REACTION, Switch};

/// Beyond this many seconds the state is called the last known one.
const STALE: u32 = 20;

/// How long after a failed shutdown the page offers force, in seconds.
const OFFER_FORCE: i64 = 3_600;

pub(crate) fn show(cx: &Context, _: &Request) -> Result<Response, Error> {
    let page = Page {
        live: Live::read(cx)?,
        network: NetworkCard::from(vm::network()?),
    };
    Response::page(&page)
}

pub(crate) fn live(cx: &Context, _: &Request) -> Result<Response, Error> {
    Response::fragment(&Live::read(cx)?)
}

/// The whole page.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    #[serde(flatten)]
    live: Live,
    network: NetworkCard,
}

/// The part that is read again every few seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Live {
    status: StatusRow,
    cpu: f64,
    cores: u32,
    memory_used: u64,
    memory_total: u64,
    /// Share of the memory in use; none when nothing is known of it.
    memory: Option<f64>,
    rates: Option<RatesRow>,
    disks: Vec<DiskRow>,
    adapters: Vec<AdapterRow>,
    /// A shutdown failed a moment ago: why, and whether the plan allows force.
    force: Option<Force>,
}

#[derive(Debug, Serialize)]
struct StatusRow {
    text: &'static str,
    tone: &'static str,
    /// Seconds; none while it is off.
    uptime: Option<u64>,
    /// Age of the state in seconds, when it is worth telling.
    stale: Option<u32>,
}

#[derive(Debug, Serialize)]
struct RatesRow {
    disk_read: f64,
    disk_write: f64,
    net_in: f64,
    net_out: f64,
}

#[derive(Debug, Serialize)]
struct DiskRow {
    title: String,
    size: u64,
    read: Limit,
    write: Limit,
}

/// The package's limits; none is unlimited.
#[derive(Debug, Serialize)]
struct Limit {
    rate: Option<f64>,
    iops: Option<u32>,
}

#[derive(Debug, Serialize)]
struct AdapterRow {
    title: String,
    model: String,
    mac: String,
    rate: Option<f64>,
    connected: bool,
}

#[derive(Debug, Serialize)]
struct Force {
    text: String,
    disabled_reason: Option<&'static str>,
}

impl Live {
    fn read(cx: &Context) -> Result<Self, Error> {
        let status = vm::status()?;
        // The state alone is worth a page while the configuration cannot be read.
        let hardware = match vm::hardware() {
            Err(Error::Unavailable) => None,
            other => Some(other?),
        };
        let force = force_offer(cx, &status)?;
        Ok(Self::new(&status, hardware, force))
    }

    fn new(status: &Status, hardware: Option<Hardware>, force: Option<Force>) -> Self {
        let (disks, adapters) = hardware
            .map(|hardware| (hardware.disks, hardware.adapters))
            .unwrap_or_default();
        let on = matches!(status.state, State::Running | State::Paused);
        Self {
            status: StatusRow::from(status),
            cpu: if on { status.cpu.clamp(0.0, 1.0) } else { 0.0 },
            cores: status.cores,
            memory_used: if on { status.memory_used } else { 0 },
            memory_total: status.memory_total,
            memory: share(if on { status.memory_used } else { 0 }, status.memory_total),
            rates: status.rates.filter(|_| on).map(RatesRow::from),
            disks: disk_rows(&disks),
            adapters: adapter_rows(adapters),
            force,
        }
    }
}

/// Offers force when the last thing that was tried is a shutdown that the guest ignored, and the VM still runs.
fn force_offer(cx: &Context, status: &Status) -> Result<Option<Force>, Error> {
    if status.state != State::Running || status.busy.is_some() {
        return Ok(None);
    }
    let last = jobs::list()?.into_iter().find(|job| job.kind == "power");
    let ignored = last.filter(|job| {
        job.phase == jobs::Phase::Failed
            && job.key.as_deref() == Some(Switch::Stop.name())
            && job.text == NO_REACTION
            && job.ended.is_some_and(|ended| cx.now - ended < OFFER_FORCE)
    });
    Ok(ignored.map(|job| Force {
        text: job.text,
        disabled_reason: (!cx.permits("stop")).then_some("Not included in your plan"),
    }))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share for a bar; memory sizes are far below 2^53 bytes"
)]
fn share(used: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| (used as f64 / total as f64).clamp(0.0, 1.0))
}

fn disk_rows(disks: &[Disk]) -> Vec<DiskRow> {
    let additional = disks
        .iter()
        .filter(|disk| disk.role == DiskRole::Additional)
        .count();
    let mut number = 0;
    let title = |role: DiskRole, number: &mut usize| match role {
        DiskRole::System => "System disk".to_owned(),
        DiskRole::Additional if additional == 1 => "Additional disk".to_owned(),
        DiskRole::Additional => {
            *number += 1;
            format!("Additional disk {number}")
        }
    };
    let row = |disk: &Disk| DiskRow {
        title: title(disk.role, &mut number),
        size: disk.size,
        read: Limit {
            rate: disk.read_limit,
            iops: disk.read_iops,
        },
        write: Limit {
            rate: disk.write_limit,
            iops: disk.write_iops,
        },
    };
    disks.iter().map(row).collect()
}

fn adapter_rows(adapters: Vec<Adapter>) -> Vec<AdapterRow> {
    let several = adapters.len() > 1;
    let row = |(index, adapter): (usize, Adapter)| AdapterRow {
        title: if several {
            format!("Network adapter {}", index + 1)
        } else {
            "Network adapter".into()
        },
        model: adapter.model,
        mac: adapter.mac,
        rate: adapter.rate,
        connected: adapter.connected,
    };
    adapters.into_iter().enumerate().map(row).collect()
}

impl From<&Status> for StatusRow {
    fn from(status: &Status) -> Self {
        let (text, tone) = match status.state {
            State::Running => ("Running", "success"),
            State::Stopped => ("Stopped", "danger"),
            State::Paused => ("Paused", "warning"),
            State::Suspended => ("Suspended", "warning"),
            State::Unknown => ("Unknown", "muted"),
        };
        let on = matches!(status.state, State::Running | State::Paused);
        Self {
            text,
            tone,
            uptime: on.then_some(status.uptime),
            stale: (status.age > STALE).then_some(status.age),
        }
    }
}

impl From<Rates> for RatesRow {
    fn from(rates: Rates) -> Self {
        let Rates {
            disk_read,
            disk_write,
            net_in,
            net_out,
        } = rates;
        Self {
            disk_read,
            disk_write,
            net_in,
            net_out,
        }
    }
}

/// The network settings, in the order they are shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct NetworkCard {
    ipv4: Option<String>,
    ipv4_mask: Option<String>,
    ipv4_more: Vec<String>,
    ipv4_gateway: Option<String>,
    dns: Vec<String>,
    ipv6: Option<String>,
    ipv6_prefix: Option<u8>,
    ipv6_more: Vec<String>,
    ipv6_gateway: Option<String>,
    domain: Option<String>,
}

impl From<Network> for NetworkCard {
    fn from(network: Network) -> Self {
        let with_prefix = |address: &Address| format!("{}/{}", address.ip, address.prefix);
        let first_v4 = network.ipv4.first();
        let first_v6 = network.ipv6.first();
        Self {
            ipv4: first_v4.map(|address| address.ip.clone()),
            ipv4_mask: first_v4.map(|address| mask(address.prefix)),
            ipv4_more: network.ipv4.iter().skip(1).map(with_prefix).collect(),
            ipv4_gateway: network.ipv4_gateway,
            dns: network.dns,
            ipv6: first_v6.map(|address| address.ip.clone()),
            ipv6_prefix: first_v6.map(|address| address.prefix),
            ipv6_more: network.ipv6.iter().skip(1).map(with_prefix).collect(),
            ipv6_gateway: network.ipv6_gateway,
            domain: network.domain,
        }
    }
}

/// `255.255.255.0` for 24.
fn mask(prefix: u8) -> String {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    std::net::Ipv4Addr::from_bits(bits).to_string()
}

impl Template for Live {
    const NAME: &'static str = "live.html";
    const SOURCE: &'static str = include_str!("../templates/live.html");

    fn samples() -> Vec<Self> {
        const GIB: u64 = 1 << 30;
        let status = Status {
            state: State::Running,
            uptime: 125,
            cpu: 0.31,
            cores: 2,
            memory_used: GIB,
            memory_total: 4 * GIB,
            rates: Some(Rates {
                disk_read: 1e6,
                disk_write: 2e6,
                net_in: 3e5,
                net_out: 4e5,
            }),
            busy: None,
            age: 2,
        };
        let disk = |role, limit| Disk {
            role,
            size: 32 * GIB,
            read_limit: limit,
            write_limit: limit,
            read_iops: limit.map(|_| 2_000),
            write_iops: None,
        };
        let adapter = |rate| Adapter {
            model: "virtio".into(),
            mac: "BC:24:11:AA:BB:CC".into(),
            rate,
            connected: rate.is_some(),
        };
        let small = Hardware {
            cores: 2,
            memory: 4 * GIB,
            disks: vec![disk(DiskRole::System, Some(200e6))],
            adapters: vec![adapter(Some(13_107_200.0))],
        };
        let large = Hardware {
            cores: 2,
            memory: 4 * GIB,
            disks: vec![
                disk(DiskRole::System, None),
                disk(DiskRole::Additional, Some(1e8)),
            ],
            adapters: vec![adapter(Some(13_107_200.0)), adapter(None)],
        };
        let force = |reason| {
            Some(Force {
                text: NO_REACTION.into(),
                disabled_reason: reason,
            })
        };
        let stopped = Status {
            state: State::Stopped,
            rates: None,
            age: 90,
            memory_total: 0,
            ..status.clone()
        };
        vec![
            Self::new(&status, Some(small), None),
            Self::new(&status, Some(large), force(None)),
            Self::new(&stopped, None, force(Some("Not included in your plan"))),
        ]
    }
}

impl Template for Page {
    const NAME: &'static str = "page.html";
    const SOURCE: &'static str = include_str!("../templates/page.html");

    fn samples() -> Vec<Self> {
        let address = |ip: &str, prefix| Address {
            ip: ip.into(),
            prefix,
        };
        let network = Network {
            ipv4: vec![address("192.0.2.10", 24), address("192.0.2.11", 32)],
            ipv4_gateway: Some("192.0.2.1".into()),
            ipv6: vec![address("2001:db8::10", 64), address("2001:db8::11", 128)],
            ipv6_gateway: Some("2001:db8::1".into()),
            dns: vec!["192.0.2.53".into(), "2001:db8::53".into()],
            domain: Some("example.com".into()),
        };
        let cards = [
            NetworkCard::from(network),
            NetworkCard::default(),
            NetworkCard::default(),
        ];
        Live::samples()
            .into_iter()
            .zip(cards)
            .map(|(live, network)| Self { live, network })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_written_as_dotted_quads_for_every_prefix() {
        assert_eq!(mask(0), "0.0.0.0");
        assert_eq!(mask(24), "255.255.255.0");
        assert_eq!(mask(31), "255.255.255.254");
        assert_eq!(mask(32), "255.255.255.255");
        assert_eq!(mask(200), "255.255.255.255");
    }
}
