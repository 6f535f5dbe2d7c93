//! Bringing the VM in line with the service's plan.
//!
//! A rollback or a restore brings an old configuration back, with old sizes, limits and addresses. This compares what is
//! there with what the product and the service say, and writes only what differs, so it may be repeated at any time.

use async_trait::async_trait;
use portico_proxmox::property::{Disk, DriveSlot, Ip4, Ip6, Net, PropertyError, Throttle};
use portico_proxmox::{ConfigUpdate, Error, InvalidUpdate, Reason, VmConfig};
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::provision::Applied;
use portico_runtime::capability::{CallNumber, ProvisionPort};

use super::{Binding, problem};
use crate::domain::{Addresses, DiskPlan, NetworkPlan, Plan};
use crate::live::Problem;

/// How often a change is tried when somebody else changes the configuration.
const ATTEMPTS: usize = 3;

#[async_trait]
impl ProvisionPort for Binding {
    async fn apply_plan(&self, _: CallNumber) -> Result<Applied, CapabilityError> {
        let live = self.live().await?;
        let vm = live.handle();
        let failed = |error: &Error| problem(Problem::from(error));
        for _ in 0..ATTEMPTS {
            let config = vm.config().await.map_err(|error| failed(&error))?;
            let running = vm.status().await.map_err(|error| failed(&error))?.is_running();
            let changes = changes(&config, &self.product.plan, &self.service.addresses).map_err(|error| {
                tracing::error!(service = %self.service.id, %error, "the plan cannot be written as a configuration");
                CapabilityError::Failed("the plan does not fit this VM".to_owned())
            })?;
            if changes.update.is_empty() {
                return Ok(Applied {
                    changed: Vec::new(),
                    pending: Vec::new(),
                });
            }
            let update = match config.digest() {
                Some(digest) => changes.update.digest(&digest),
                None => changes.update,
            };
            match vm.update_config(&update).await {
                Ok(()) => {
                    live.touched();
                    let pending = if running { changes.cold } else { Vec::new() };
                    return Ok(Applied {
                        changed: changes.names,
                        pending,
                    });
                }
                Err(Error::Refused {
                    reason: Reason::DigestMismatch,
                    ..
                }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(CapabilityError::Unavailable)
    }
}

/// What is to be changed, and what a person calls it.
#[derive(Debug, Default)]
struct Changes {
    update: ConfigUpdate,
    names: Vec<String>,
    /// Those that a running VM takes on only at its next start.
    cold: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Property(#[from] PropertyError),
    #[error(transparent)]
    Update(#[from] InvalidUpdate),
}

impl Changes {
    fn set(&mut self, key: &str, value: &(impl ToString + ?Sized)) -> Result<(), ChangeError> {
        self.update = std::mem::take(&mut self.update).set(key, value)?;
        Ok(())
    }

    fn name(&mut self, name: &str, cold: bool) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
            if cold {
                self.cold.push(name.to_owned());
            }
        }
    }
}

fn changes(config: &VmConfig, plan: &Plan, addresses: &Addresses) -> Result<Changes, ChangeError> {
    let mut changes = Changes::default();
    if config.cpus() != u64::from(plan.cores) {
        changes.set("cores", &plan.cores)?;
        if config.whole("sockets").unwrap_or(1) != 1 {
            changes.set("sockets", "1")?;
        }
        changes.name("CPU cores", true);
    }
    if config.memory_mib() != u64::from(plan.memory_mib) {
        changes.set("memory", &plan.memory_mib)?;
        changes.name("memory", true);
    }
    if let Some((slot, disk)) = config.system_disk() {
        disk_limits(&mut changes, slot, disk, &plan.system_disk)?;
    }
    if let (Some(limits), Some((slot, disk))) = (
        &plan.additional_disk,
        config.additional_disks().into_iter().next(),
    ) {
        disk_limits(&mut changes, slot, disk, limits)?;
    }
    if let Some((number, net)) = config.nets().into_iter().next() {
        network(&mut changes, number, net, &plan.network)?;
    }
    cloud_init(&mut changes, config, addresses)?;
    Ok(changes)
}

fn disk_limits(
    changes: &mut Changes,
    slot: DriveSlot,
    mut disk: Disk,
    plan: &DiskPlan,
) -> Result<(), ChangeError> {
    let before = disk.to_string();
    // A limit on both together excludes one on each (PVE: drive options).
    for both in [Throttle::Mbps, Throttle::Iops] {
        if disk.throttle(both).is_some() {
            disk.set_throttle(both, None)?;
        }
    }
    let wanted = [
        (Throttle::MbpsRead, plan.mbps_rd),
        (Throttle::MbpsWrite, plan.mbps_wr),
        (Throttle::IopsRead, plan.iops_rd.map(f64::from)),
        (Throttle::IopsWrite, plan.iops_wr.map(f64::from)),
    ];
    for (throttle, value) in wanted {
        if disk.throttle(throttle) != value {
            disk.set_throttle(throttle, value)?;
        }
    }
    if disk.to_string() != before {
        changes.set(&slot.to_string(), &disk)?;
        changes.name("disk limits", false);
    }
    Ok(())
}

fn network(changes: &mut Changes, number: u8, mut net: Net, plan: &NetworkPlan) -> Result<(), ChangeError> {
    let before = net.to_string();
    if net.rate() != plan.rate_mbps {
        net.set_rate(plan.rate_mbps)?;
        changes.name("network rate", false);
    }
    if net.tag() != plan.vlan {
        net.put("tag", plan.vlan.map(|tag| tag.to_string()).as_deref())?;
        changes.name("network", false);
    }
    if let Some(bridge) = plan
        .bridge
        .as_deref()
        .filter(|bridge| net.bridge() != Some(*bridge))
    {
        net.put("bridge", Some(bridge))?;
        changes.name("network", false);
    }
    if net.firewall() != plan.firewall {
        net.set_firewall(plan.firewall)?;
        changes.name("network", false);
    }
    if net.to_string() != before {
        changes.set(&format!("net{number}"), &net)?;
    }
    Ok(())
}

/// The addresses that cloud-init writes into the guest. A VM without a cloud-init drive has none.
fn cloud_init(changes: &mut Changes, config: &VmConfig, addresses: &Addresses) -> Result<(), ChangeError> {
    if config.cloudinit_drive().is_none() {
        return Ok(());
    }
    let old = config
        .ipconfigs()
        .into_iter()
        .find(|(number, _)| *number == 0)
        .map(|(_, old)| old);
    let mut new = old.clone().unwrap_or_default();
    if let Some(primary) = addresses.ipv4.first() {
        let wanted = Some(Ip4::Static(*primary));
        if new.ip() != wanted || new.gateway() != addresses.gateway4 {
            new.set_ip(wanted, addresses.gateway4)?;
        }
    }
    if let Some(primary) = addresses.ipv6.first() {
        let wanted = Some(Ip6::Static(*primary));
        if new.ip6() != wanted || new.gateway6() != addresses.gateway6 {
            new.set_ip6(wanted, addresses.gateway6)?;
        }
    }
    if old.as_ref() != Some(&new) && !new.to_string().is_empty() {
        changes.set("ipconfig0", &new)?;
        changes.name("addresses", true);
    }
    if !addresses.dns.is_empty() {
        let wanted: Vec<String> = addresses.dns.iter().map(ToString::to_string).collect();
        if config.nameservers() != wanted {
            changes.set("nameserver", &wanted.join(" "))?;
            changes.name("name servers", true);
        }
    }
    if let Some(domain) = addresses.domain.as_deref()
        && config.text("searchdomain").as_deref() != Some(domain)
    {
        changes.set("searchdomain", domain)?;
        changes.name("domain", true);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let disk = DiskPlan {
            size_gib: 32,
            mbps_rd: Some(100.0),
            mbps_wr: None,
            iops_rd: None,
            iops_wr: None,
        };
        let network = NetworkPlan {
            rate_mbps: Some(12.5),
            bridge: None,
            vlan: None,
            firewall: true,
        };
        Plan {
            cores: 2,
            memory_mib: 2048,
            system_disk: disk,
            additional_disk: None,
            network,
        }
    }

    fn config(json: &str) -> VmConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_vm_that_is_as_planned_is_left_alone() {
        let config = config(
            r#"{"cores":2,"memory":"2048","scsi0":"local:vm-1-disk-0,mbps_rd=100,size=32G",
                "net0":"virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5"}"#,
        );
        let changes = changes(&config, &plan(), &Addresses::default()).unwrap();
        assert!(changes.update.is_empty(), "{changes:?}");
    }

    #[test]
    fn only_what_differs_is_written_and_every_other_key_is_kept() {
        let config = config(
            r#"{"cores":1,"memory":"1024","scsi0":"local:vm-1-disk-0,discard=on,iops=50,mbps_rd=9,size=32G,ssd=1",
                "net0":"virtio=BC:24:11:AA:BB:CC,bridge=vmbr7,queues=4,rate=1"}"#,
        );
        let changes = changes(&config, &plan(), &Addresses::default()).unwrap();
        let written = format!("{:?}", changes.update);
        for kept in [
            "discard=on",
            "ssd=1",
            "size=32G",
            "mbps_rd=100",
            "BC:24:11:AA:BB:CC",
            "vmbr7",
            "queues=4",
            "rate=12.5",
            "firewall=1",
        ] {
            assert!(written.contains(kept), "{kept}: {written}");
        }
        assert!(!written.contains("iops"), "{written}");
        assert_eq!(
            changes.names,
            ["CPU cores", "memory", "disk limits", "network rate", "network"]
        );
        assert_eq!(changes.cold, ["CPU cores", "memory"]);
    }
}
