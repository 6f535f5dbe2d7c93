//! Makes a world of a scenario, or says what in it cannot be.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::fleet::add_fleet;
use super::vms::{add_vm, section};
use super::{Scenario, ScenarioError, file};
use crate::options::Major;
use crate::schema::format;
use crate::units::{float, mix};
use crate::world::backup::Archive;
use crate::world::retention::Keep;
use crate::world::storage::{Storage, StorageKind, Volume};
use crate::world::{Node, World};

pub(super) type Built<T> = Result<T, ScenarioError>;

/// (node or empty, volume id) of every volume.
pub(super) type Volumes = std::collections::HashSet<(String, String)>;

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
            quorate: true,
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
            if kind != StorageKind::Pbs && (volume.encrypted.is_some() || volume.verification.is_some()) {
                return wrong(volid, "only backups on a `pbs` are encrypted or verified");
            }
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
                encrypted: volume.encrypted.clone(),
                verification: volume.verification.map(file::Verification::text),
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
        let looked_at = "[[node]]\nname = 'n1'\n[[storage]]\nid = 'st'\ntype = 'dir'\ncontent = ['backup']\nsize_gib = 1\n\
            [[storage.volume]]\nname = 'backup/a'\ncontent = 'backup'\nformat = 'vma'\nsize = '1G'\n\
            verification = 'failed'\n";
        assert!(refusal(looked_at).contains("only backups on a `pbs`"));
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
