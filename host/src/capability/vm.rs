//! Reading the VM.

use async_trait::async_trait;
use portico_proxmox::property::{Disk, Throttle};
use portico_proxmox::{Lock, PowerState};
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::types::Address;
use portico_runtime::bindings::vm::{
    Adapter, Disk as DiskView, DiskRole, HardwareView, NetworkView, Rates, State, StatusView,
};
use portico_runtime::capability::VmPort;

use super::{Binding, Origin, problem, store_failed};
use crate::live::problem::operation;

/// Proxmox gives limits of disks (`mbps`) and adapters (`rate`) in MiB/s, which it calls MB/s.
const MIB: f64 = 1_048_576.0;

#[async_trait]
impl VmPort for Binding {
    async fn status(&self) -> Result<StatusView, CapabilityError> {
        let live = self.live().await?;
        let sample = live.status().await.map_err(problem)?;
        let age = u32::try_from(sample.age().as_secs()).unwrap_or(u32::MAX);
        let status = &sample.value.status;
        Ok(StatusView {
            state: state(status.state(), status.lock.as_ref()),
            uptime: status.uptime.unwrap_or(0),
            cpu: status.cpu.unwrap_or(0.0).clamp(0.0, 1.0),
            cores: cores(status.cpus),
            memory_used: status.mem.unwrap_or(0),
            memory_total: status.maxmem.unwrap_or(0),
            rates: sample.value.rates.map(|rates| Rates {
                disk_read: rates.disk_read,
                disk_write: rates.disk_write,
                net_in: rates.net_in,
                net_out: rates.net_out,
            }),
            busy: self.busy(status.lock.as_ref()).await?,
            age,
        })
    }

    async fn hardware(&self) -> Result<HardwareView, CapabilityError> {
        let config = self.live().await?.hardware().await.map_err(problem)?;
        let system = config
            .system_disk()
            .map(|(_, disk)| disk_view(DiskRole::System, &disk));
        let additional = config.additional_disks();
        let additional = additional
            .iter()
            .map(|(_, disk)| disk_view(DiskRole::Additional, disk));
        let adapters = config.nets().into_iter().take(32).map(|(_, net)| Adapter {
            model: net.model().unwrap_or("virtio").to_owned(),
            mac: net.mac().map(|mac| mac.to_string()).unwrap_or_default(),
            rate: net.rate().filter(|rate| *rate > 0.0).map(|rate| rate * MIB),
            connected: !net.link_down(),
        });
        Ok(HardwareView {
            cores: u32::try_from(config.cpus()).unwrap_or(u32::MAX),
            memory: config.memory_mib().saturating_mul(1 << 20),
            disks: system.into_iter().chain(additional).take(52).collect(),
            adapters: adapters.collect(),
        })
    }

    async fn network(&self) -> Result<NetworkView, CapabilityError> {
        let addresses = &self.service.addresses;
        let v4 = addresses.ipv4.iter().map(|net| Address {
            ip: net.addr().to_string(),
            prefix: net.prefix_len(),
        });
        let v6 = addresses.ipv6.iter().map(|net| Address {
            ip: net.addr().to_string(),
            prefix: net.prefix_len(),
        });
        Ok(NetworkView {
            ipv4: v4.take(64).collect(),
            ipv4_gateway: addresses.gateway4.map(|gateway| gateway.to_string()),
            ipv6: v6.take(64).collect(),
            ipv6_gateway: addresses.gateway6.map(|gateway| gateway.to_string()),
            dns: addresses.dns.iter().map(ToString::to_string).collect(),
            domain: addresses.domain.clone(),
        })
    }
}

impl Binding {
    /// What holds the VM, for a plugin: a job of the panel, else a lock of Proxmox. A job does not hold itself up.
    async fn busy(&self, lock: Option<&Lock>) -> Result<Option<String>, CapabilityError> {
        let hold = self
            .parts
            .jobs
            .hold(self.service.id)
            .await
            .map_err(store_failed)?;
        match (&self.origin, hold) {
            (Origin::Job { job, .. }, Some(hold)) if hold.job == job.id => {}
            (_, Some(hold)) => return Ok(Some(hold.operation)),
            (_, None) => {}
        }
        Ok(lock
            .filter(|lock| **lock != Lock::Suspended)
            .map(|lock| operation(lock.as_str()).to_owned()))
    }
}

/// The state as a person would say it.
pub(crate) fn state(state: &PowerState, lock: Option<&Lock>) -> State {
    match state {
        PowerState::Running | PowerState::Prelaunch => State::Running,
        PowerState::Stopped if lock == Some(&Lock::Suspended) => State::Suspended,
        PowerState::Stopped | PowerState::Shutdown => State::Stopped,
        PowerState::Paused | PowerState::IoError | PowerState::InternalError => State::Paused,
        PowerState::Suspended => State::Suspended,
        _ => State::Unknown,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32"
)]
fn cores(cpus: Option<f64>) -> u32 {
    cpus.unwrap_or(1.0).clamp(1.0, 100_000.0) as u32
}

fn disk_view(role: DiskRole, disk: &Disk) -> DiskView {
    let positive = |throttle| disk.throttle(throttle).filter(|value| *value > 0.0);
    let bytes = |one, both| positive(one).or_else(|| positive(both)).map(|value| value * MIB);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u32"
    )]
    let operations = |one, both| {
        positive(one)
            .or_else(|| positive(both))
            .map(|value| value.clamp(0.0, f64::from(u32::MAX)) as u32)
    };
    DiskView {
        role,
        size: disk.size().unwrap_or(0),
        read_limit: bytes(Throttle::MbpsRead, Throttle::Mbps),
        write_limit: bytes(Throttle::MbpsWrite, Throttle::Mbps),
        read_iops: operations(Throttle::IopsRead, Throttle::Iops),
        write_iops: operations(Throttle::IopsWrite, Throttle::Iops),
    }
}
