//! Makes a scenario's VMs: their configurations, snapshots, past, and the volumes of their disks.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::build::{Built, Volumes, wrong};
use super::file::{self, Status};
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::config::{self, Section, keys};
use crate::schema::format;
use crate::units::mix;
use crate::world::World;
use crate::world::figures::Span;
use crate::world::guest::Guest;
use crate::world::ha::Managed;
use crate::world::load::Load;
use crate::world::storage::Volume;
use crate::world::vm::{Run, Snapshot, Vm};

/// Checks and normalises a configuration table.
pub(super) fn section(place: &str, table: &BTreeMap<String, file::Scalar>, vmid: u32) -> Built<Section> {
    let mut out = Section::new();
    for (key, value) in table {
        let place = format!("{place}, `{key}`");
        let Some(known) = keys::find(key) else {
            return wrong(place, "is not a key of a VM's configuration");
        };
        let text = value.text();
        if let Err(reason) = known.property.accept_text(key, &text) {
            return wrong(place, reason.trim_end());
        }
        let mut text = match config::stored(key, &text) {
            Ok(text) => text,
            Err(reason) => return wrong(place, reason),
        };
        if let Ok(mut device) = Network::parse(key, &text)
            && key.starts_with("net")
            && device.mac().is_none()
        {
            device.set_mac(generated_mac(u64::from(vmid), key));
            text = device.print();
        }
        out.insert(key.clone(), text);
    }
    Ok(out)
}

/// A MAC address with PVE's prefix that is always the same for a VM's device.
pub(crate) fn generated_mac(vmid: u64, key: &str) -> String {
    let number = mix(vmid, key.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    let [a, b, c, ..] = number.to_be_bytes();
    format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
}

pub(super) fn add_vm(
    world: &mut World,
    volumes: &mut Volumes,
    spec: &file::Vm,
    mut config: Section,
    now: f64,
) -> Built<()> {
    let place = format!("vm {}", spec.vmid);
    if !(100..1_000_000_000).contains(&spec.vmid) {
        return wrong(place, "a VMID is between 100 and 999999999");
    }
    if !world.nodes.contains_key(&spec.node) {
        return wrong(place, format!("there is no node `{}`", spec.node));
    }
    let mut snapshots = IndexMap::new();
    let mut parent: Option<String> = None;
    for spec_snapshot in &spec.snapshots {
        let place = format!("{place}, snapshot `{}`", spec_snapshot.name);
        if let Err(reason) = format::config_id("", &spec_snapshot.name) {
            return wrong(place, reason);
        }
        let mut kept = config.clone();
        kept.extend(section(&place, &spec_snapshot.config, spec.vmid)?);
        kept.remove("description");
        let time = crate::units::signed(now) - i64::from(spec_snapshot.age_seconds);
        kept.insert("snaptime".to_owned(), time.to_string());
        if !spec_snapshot.description.is_empty() {
            kept.insert("description".to_owned(), spec_snapshot.description.clone());
        }
        if let Some(name) = spec_snapshot.parent.clone().or_else(|| parent.clone()) {
            if !snapshots.contains_key(&name) {
                return wrong(place, format!("its parent `{name}` is not listed before it"));
            }
            kept.insert("parent".to_owned(), name);
        }
        if spec_snapshot.vmstate {
            let storage = Drive::parse("scsi0", config.get("scsi0").map_or("", String::as_str));
            let storage = storage.as_ref().and_then(Drive::storage).unwrap_or("local");
            kept.insert(
                "vmstate".to_owned(),
                format!("{storage}:vm-{}-state-{}", spec.vmid, spec_snapshot.name),
            );
        }
        snapshots.insert(spec_snapshot.name.clone(), Snapshot { section: kept });
        parent = Some(spec_snapshot.name.clone());
    }
    if let Some(parent) = parent {
        config.insert("parent".to_owned(), parent);
    }
    disks(world, volumes, spec, &config, now)?;
    let began = now - f64::from(spec.uptime_seconds);
    let running = spec.status != Status::Stopped;
    let vm = Vm {
        snapshots,
        run: running.then(|| Run {
            since: began,
            pid: world.pid(),
            paused: spec.status == Status::Paused,
            prelaunch: false,
            said: None,
        }),
        spans: spans(spec, began, now),
        load: Load {
            seed: mix(world.seed, u64::from(spec.vmid)),
            weight: spec.load.clamp(0.0, 1.0),
        },
        ignores_acpi: spec.ignores_acpi,
        shutdown_seconds: spec.shutdown_seconds.max(0.0),
        agent: spec.guest_agent,
        guest: Guest::of_boot_time(spec.agent_boot_seconds.max(0.0)),
        // Long ago, so that charts have a past.
        ..Vm::new(spec.vmid, &spec.node, config, world.seed, 0.0)
    };
    if let Some(wanted) = spec.ha {
        world.ha.insert(spec.vmid, Managed::new(wanted));
    }
    if world.vms.insert(spec.vmid, vm).is_some() {
        return wrong(place, "is there twice");
    }
    Ok(())
}

/// When the VM ran before the simulator began, so that charts have a past.
fn spans(spec: &file::Vm, began: f64, now: f64) -> Vec<Span> {
    match spec.status {
        Status::Running => {
            let year = 365.0 * 86_400.0;
            vec![
                Span {
                    from: began - year,
                    to: Some(began - 120.0),
                },
                Span {
                    from: began,
                    to: None,
                },
            ]
        }
        Status::Paused => vec![Span {
            from: began,
            to: Some(now - 600.0_f64.min(now - began)),
        }],
        Status::Stopped => {
            vec![Span {
                from: began - 30.0 * 86_400.0,
                to: Some(now - 3.0 * 3600.0_f64),
            }]
        }
    }
}

/// Puts the volumes of a VM's disks on their storages.
fn disks(world: &mut World, volumes: &mut Volumes, spec: &file::Vm, config: &Section, now: f64) -> Built<()> {
    for (key, text) in config.iter().filter(|(key, _)| keys::holds_volume(key)) {
        let place = format!("vm {}, `{key}`", spec.vmid);
        let Some(drive) = Drive::parse(key, text) else {
            return wrong(place, "is not a drive");
        };
        let Some(id) = drive.storage() else { continue };
        let Some(storage) = world.storages.get_mut(id) else {
            return wrong(place, format!("there is no storage `{id}`"));
        };
        if !storage.on(&spec.node) {
            return wrong(place, format!("storage `{id}` is not on node `{}`", spec.node));
        }
        let entry = |node: &str| (node.to_owned(), drive.file().to_owned());
        if volumes.contains(&entry("")) || volumes.contains(&entry(&spec.node)) {
            continue;
        }
        if drive.is_cdrom() && !drive.is_cloudinit() {
            return wrong(place, format!("there is no volume `{}`", drive.file()));
        }
        let volume = Volume {
            volid: drive.file().to_owned(),
            content: "images".to_owned(),
            format: storage.format_of(drive.file()).to_owned(),
            size: drive.size(),
            ctime: crate::units::signed(now) - 90 * 86_400,
            vmid: Some(spec.vmid),
            notes: None,
            protected: false,
            encrypted: None,
            verification: None,
            node: (!storage.shared).then(|| spec.node.clone()),
        };
        volumes.insert((volume.node.clone().unwrap_or_default(), volume.volid.clone()));
        storage.volumes.push(volume);
    }
    Ok(())
}
