//! Makes a world of a scenario, or says what in it cannot be.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::file::{self, Status};
use super::{Scenario, ScenarioError};
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::config::{self, Section, keys};
use crate::options::Major;
use crate::schema::format;
use crate::units::{float, mix};
use crate::world::backup::Archive;
use crate::world::guest::Guest;
use crate::world::ha::Managed;
use crate::world::load::Load;
use crate::world::retention::Keep;
use crate::world::storage::{Storage, StorageKind, Volume};
use crate::world::vm::{Run, Snapshot, Span, Vm};
use crate::world::{Node, World};

pub(super) type Built<T> = Result<T, ScenarioError>;

/// (node or empty, volume id) of every volume.
type Volumes = std::collections::HashSet<(String, String)>;

pub(super) fn wrong<T>(place: impl Into<String>, reason: impl Into<String>) -> Built<T> {
    Err(ScenarioError::Content {
        place: place.into(),
        reason: reason.into(),
    })
}

const GIB: u64 = 1 << 30;

impl Scenario {
    /// The cluster at the start, at `now` (seconds since the epoch).
    pub(crate) fn build(&self, major: Major, seed: u64, now: f64) -> Built<World> {
        let file = &self.file;
        if file.nodes.is_empty() {
            return wrong("node", "a cluster needs at least one `[[node]]`");
        }
        let mut world = World {
            major,
            seed,
            cluster: file.cluster.name.clone(),
            options: BTreeMap::new(),
            nodes: nodes(file, now)?,
            storages: IndexMap::new(),
            archives: crate::world::backup::Archives::default(),
            uploads: crate::world::upload::Uploads::default(),
            vms: BTreeMap::new(),
            access: super::access::access(file, major, seed)?,
            tasks: crate::world::task::Tasks::default(),
            durations: file.durations,
            firewall: crate::world::firewall::Firewall::default(),
            faults: crate::world::faults::Faults::default(),
            consoles: crate::console::Consoles::default(),
            counters: crate::world::counters::Counters::default(),
            releases: 0,
            ha: BTreeMap::new(),
            upgraded: file
                .cluster
                .upgraded_seconds_ago
                .filter(|_| major == Major::V9)
                .map(|ago| now - f64::from(ago)),
            next_pid: u32::try_from(mix(seed, 1) % 100_000).unwrap_or(0),
        };
        storages(file, &mut world, now)?;
        // Which volumes exist, by node (empty for shared ones): looking through lists would take long for fleets.
        let mut volumes = world
            .storages
            .values()
            .flat_map(|storage| &storage.volumes)
            .map(|volume| (volume.node.clone().unwrap_or_default(), volume.volid.clone()))
            .collect::<Volumes>();
        super::firewall::datacenter(&file.firewall, &mut world)?;
        for spec in &file.vms {
            let config = section(&format!("vm {}", spec.vmid), &spec.config, spec.vmid)?;
            add_vm(&mut world, &mut volumes, spec, config, now)?;
            if let Some(firewall) = &spec.firewall {
                super::firewall::of_vm(spec.vmid, firewall, &mut world)?;
            }
        }
        for fleet in &file.fleets {
            add_fleet(&mut world, &mut volumes, fleet, now)?;
        }
        archives(file, &mut world)?;
        super::access::members(&world)?;
        world.publish_all(now);
        Ok(world)
    }
}

fn nodes(file: &file::File, now: f64) -> Built<IndexMap<String, Node>> {
    let mut out = IndexMap::new();
    for (spec, number) in file.nodes.iter().zip(11_u32..) {
        if let Err(reason) = format::node("", &spec.name) {
            return wrong(format!("node `{}`", spec.name), reason);
        }
        let node = Node {
            name: spec.name.clone(),
            cpus: spec.cpus,
            memory: spec.memory_gib * GIB,
            disk: spec.disk_gib * GIB,
            booted: now - float(spec.uptime_seconds),
            online: spec.online,
            address: format!("10.0.0.{number}"),
            vzdump: Arc::default(),
        };
        if out.insert(spec.name.clone(), node).is_some() {
            return wrong(format!("node `{}`", spec.name), "is there twice");
        }
    }
    Ok(out)
}

fn storages(file: &file::File, world: &mut World, now: f64) -> Built<()> {
    for spec in &file.storages {
        let place = format!("storage `{}`", spec.id);
        if let Err(reason) = format::storage_id("", &spec.id) {
            return wrong(place, reason);
        }
        let Some(kind) = StorageKind::from_name(&spec.kind) else {
            return wrong(place, format!("there is no storage type `{}`", spec.kind));
        };
        if let Some(node) = spec.nodes.iter().find(|node| !world.nodes.contains_key(*node)) {
            return wrong(place, format!("there is no node `{node}`"));
        }
        let mut volumes = Vec::new();
        for volume in &spec.volumes {
            let volid = format!("{}:{}", spec.id, volume.name);
            let Some(size) = format::size_in_bytes(&volume.size) else {
                return wrong(volid, format!("`{}` is not a size", volume.size));
            };
            volumes.push(Volume {
                volid,
                content: volume.content.clone(),
                format: volume.format.clone(),
                size,
                ctime: crate::units::signed(now) - i64::from(volume.age_seconds),
                vmid: volume.vmid,
                notes: volume.notes.clone(),
                protected: volume.protected,
                node: volume.node.clone(),
            });
        }
        let prune = match spec.prune_backups.as_deref().map(Keep::parse).transpose() {
            Ok(prune) => prune,
            Err(reason) => return wrong(format!("{place}, `prune-backups`"), reason),
        };
        let storage = Storage {
            id: spec.id.clone(),
            kind,
            content: spec.content.iter().cloned().collect(),
            shared: spec.shared,
            nodes: spec.nodes.iter().cloned().collect(),
            total: spec.size_gib * GIB,
            enabled: spec.enabled,
            prune,
            max_protected: spec.max_protected_backups,
            settings: kind.settings(&spec.id),
            volumes,
        };
        if world.storages.insert(spec.id.clone(), storage).is_some() {
            return wrong(place, "is there twice");
        }
    }
    Ok(())
}

/// Checks and normalises a configuration table.
fn section(place: &str, table: &BTreeMap<String, file::Scalar>, vmid: u32) -> Built<Section> {
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

fn add_vm(
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
            node: (!storage.shared).then(|| spec.node.clone()),
        };
        volumes.insert((volume.node.clone().unwrap_or_default(), volume.volid.clone()));
        storage.volumes.push(volume);
    }
    Ok(())
}

/// Fills the backups of the scenario: with what their VM has now, but for what the scenario says differed.
fn archives(file: &file::File, world: &mut World) -> Built<()> {
    let backups = file
        .storages
        .iter()
        .flat_map(|storage| storage.volumes.iter().map(move |volume| (storage, volume)))
        .filter(|(_, volume)| volume.content == "backup");
    for (storage, volume) in backups {
        let volid = format!("{}:{}", storage.id, volume.name);
        let vm = volume.vmid.and_then(|vmid| world.vms.get(&vmid));
        let mut then = vm.map(|vm| vm.config.clone()).unwrap_or_default();
        then.extend(section(&volid, &volume.config, volume.vmid.unwrap_or(0))?);
        let archive = Archive::of(world, volume.vmid, &then);
        world.archives.insert(volume.node.as_deref(), &volid, archive);
    }
    Ok(())
}

/// Adds the VMs of a fleet. Their configurations differ in name, disk and MAC address, so one is checked and stands
/// for all: checking ten thousand would take longer than all the rest.
fn add_fleet(world: &mut World, volumes: &mut Volumes, fleet: &file::Fleet, now: f64) -> Built<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Scenario::from_toml(text) {
            Err(error) => error.to_string(),
            Ok(scenario) => scenario.build(Major::V9, 1, 1.7e9).unwrap_err().to_string(),
        }
    }

    #[test]
    fn the_demo_is_valid_for_both_majors() {
        for major in [Major::V8, Major::V9] {
            let world = Scenario::from_toml(Scenario::DEMO)
                .unwrap()
                .build(major, 1, 1.7e9)
                .unwrap();
            assert!(world.vms.len() >= 8 && world.nodes.len() == 2);
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert!(refusal("").contains("at least one `[[node]]`"));
        assert!(refusal("[[node]]\nname = 'n1'\nx = 1").contains("unknown field"));
        let vm = "[[node]]\nname = 'n1'\n[[vm]]\nvmid = 100\nnode = 'n1'\n[vm.config]\n";
        assert!(refusal(&format!("{vm}corse = 1")).contains("vm 100, `corse`: is not a key"));
        assert!(refusal(&format!("{vm}cores = 0")).contains("minimum value of 1"));
        assert!(refusal(&format!("{vm}scsi0 = 'zz:vm-100-disk-0,size=1G'")).contains("no storage `zz`"));
    }

    #[test]
    fn the_large_cluster_has_ten_thousand_vms_and_is_the_same_for_the_same_seed() {
        let scenario = Scenario::from_toml(include_str!("../../scenarios/large.toml")).unwrap();
        let built = |seed| scenario.build(Major::V9, seed, 1.7e9).unwrap();
        let (first, second) = (built(1), built(1));
        assert_eq!(first.vms.len(), 10_000);
        let told = |world: &World| {
            let each = world.vms.values().map(|vm| {
                let sample = vm.sample(1.7e9 + 5.0);
                (vm.node.clone(), vm.config.clone(), sample.netin, sample.mem)
            });
            each.collect::<Vec<_>>()
        };
        for (vmid, vm) in first.vms.iter().filter(|(vmid, _)| *vmid % 500 < 3) {
            let table = vm
                .config
                .iter()
                .map(|(key, text)| (key.clone(), file::Scalar::Text(text.clone())));
            let again = section("again", &table.collect(), *vmid).unwrap();
            assert_eq!(again, vm.config, "as if it had been checked by itself");
        }
        assert!(told(&first) == told(&second));
        let demo = |seed| told(&Scenario::demo().build(Major::V9, seed, 1.7e9).unwrap());
        assert!(demo(1) != demo(2));
        assert_eq!(first.firewall.get(1000).rules.len(), 2);
        for node in first.nodes.keys() {
            assert!(first.vms.values().any(|vm| vm.node == *node));
        }
    }
}
