//! Makes a scenario's fleets: many VMs of a kind.

use std::collections::BTreeMap;

use super::build::{Built, Volumes, wrong};
use super::file;
use super::vms::{add_vm, generated_mac, section};
use crate::config::Section;
use crate::world::World;

/// Adds the VMs of a fleet. Their configurations differ in name, disk and MAC address, so one is checked and stands
/// for all: checking ten thousand would take longer than all the rest.
pub(super) fn add_fleet(
    world: &mut World,
    volumes: &mut Volumes,
    fleet: &file::Fleet,
    now: f64,
) -> Built<()> {
    let mut checked: Option<Section> = None;
    for index in 0..fleet.count {
        let member = fleet_member(fleet, index, world)?;
        let vmid = member.vmid;
        let config = match &checked {
            None => section(
                &format!("fleet, vm {vmid}"),
                &fleet_config(fleet, vmid, index),
                vmid,
            )?,
            Some(first) => {
                let mut config = first.clone();
                config.insert("name".to_owned(), fleet_name(fleet, index));
                config.insert("scsi0".to_owned(), fleet_disk(fleet, vmid));
                let mac = generated_mac(u64::from(vmid), "net0");
                config.insert("net0".to_owned(), format!("virtio={mac},bridge=vmbr0"));
                config
            }
        };
        checked.get_or_insert_with(|| config.clone());
        add_vm(world, volumes, &member, config, now)?;
        if let Some(from) = fleet.firewall_of {
            world.firewall.copy(from, vmid);
        }
    }
    Ok(())
}

fn fleet_name(fleet: &file::Fleet, index: u32) -> String {
    format!("{}{}", fleet.name_prefix, index + 1)
}

fn fleet_disk(fleet: &file::Fleet, vmid: u32) -> String {
    format!("{}:vm-{vmid}-disk-0,size={}G", fleet.storage, fleet.disk_gib)
}

/// The configuration of a fleet's VM as a scenario would write it.
fn fleet_config(fleet: &file::Fleet, vmid: u32, index: u32) -> BTreeMap<String, file::Scalar> {
    let text = |key: &str, text: String| (key.to_owned(), file::Scalar::Text(text));
    BTreeMap::from([
        text("name", fleet_name(fleet, index)),
        text("cores", fleet.cores.to_string()),
        text("memory", fleet.memory_mib.to_string()),
        text("scsi0", fleet_disk(fleet, vmid)),
        text("net0", "virtio,bridge=vmbr0".to_owned()),
        text("boot", "order=scsi0".to_owned()),
        text("agent", "1".to_owned()),
        text("ostype", "l26".to_owned()),
    ])
}

/// A fleet's VM without its configuration.
fn fleet_member(fleet: &file::Fleet, index: u32, world: &World) -> Built<file::Vm> {
    let vmid = fleet.first_vmid.saturating_add(index);
    let place = usize::try_from(index).unwrap_or(0) % world.nodes.len().max(1);
    let Some((node, _)) = world.nodes.get_index(place) else {
        return wrong("fleet", "a cluster needs at least one node");
    };
    Ok(file::Vm {
        vmid,
        node: node.clone(),
        status: fleet.status,
        uptime_seconds: 3600 * (1 + index % 500),
        load: crate::units::fraction(world.seed, u64::from(vmid)),
        ignores_acpi: false,
        shutdown_seconds: 6.0,
        guest_agent: crate::world::vm::GuestAgent::Running,
        agent_boot_seconds: 0.0,
        ha: None,
        config: BTreeMap::new(),
        snapshots: Vec::new(),
        firewall: None,
    })
}
