//! Carrying out a [`Change`]: at once on a stopped VM, key by key on a running one.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::change::Change;
use super::drive::Drive;
use super::keys::{self, Plug};
use super::plug::goes_at_once;
use super::prepare::prepared;
use super::settle::{file_of, kept_by_snapshot, settle, shelve_pending, still_in_use, volume_in};
use super::{boot, rights};
use crate::failure::Failure;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::vm::Vm;

/// Carries out a change that somebody asked for, if the VM allows it now and he may; gives warnings.
///
/// The caller holds the VM's configuration lock and knows that [`rights::permitted`] is true.
pub(crate) fn carry_out(
    world: &mut World,
    node: &str,
    vmid: u32,
    change: &Change,
    who: &str,
    now: i64,
) -> Result<Vec<String>, Failure> {
    let vm = world.vm(node, vmid)?;
    change.possible(vm)?;
    rights::devices_permitted(change, world, vm, who)?;
    boot::check(vm, change)?;
    apply(world, node, vmid, change, now)
}

/// Carries a change out, without asking who wants it; gives warnings.
pub(crate) fn apply(
    world: &mut World,
    node: &str,
    vmid: u32,
    change: &Change,
    now: i64,
) -> Result<Vec<String>, Failure> {
    let vm = world.vm(node, vmid)?;
    change.timely(vm)?;
    for key in &change.delete {
        removable(vm, key)?;
    }
    let ready = made_ready(world, node, vmid, change, now)?;
    let problems = hotplug_problems(world, node, vmid, change, &ready)?;
    let mut warnings = Vec::new();
    let mut freed = Vec::new();
    let vm = world.vm_mut(node, vmid)?;
    if vm.seeded.is_none() {
        // The image still has what the configuration had until now.
        vm.make_seed();
    }
    let mut chosen = change.touched().collect::<BTreeSet<_>>();
    for key in &change.revert {
        shelve_pending(vm, key, None, &mut freed);
        vm.pending_delete.remove(key);
    }
    for key in &change.delete {
        if !vm.config.contains_key(key) && !vm.pending.contains_key(key) {
            warnings.push(format!(
                "cannot delete '{key}' - not set in current configuration!"
            ));
        }
        shelve_pending(vm, key, None, &mut freed);
        if !key.starts_with("unused") {
            vm.pending_delete.insert(key.clone(), change.force);
        } else if let Some(text) = vm.config.remove(key) {
            freed.push(volume_in(&text).to_owned());
        }
    }
    for (key, value) in ready {
        shelve_pending(vm, &key, Some(&value), &mut freed);
        vm.pending_delete.remove(&key);
        vm.pending.insert(key, value);
    }
    if boot::follow(vm, change) {
        chosen.extend(["boot", "bootdisk"]);
    }
    let settled = settle(vm, Some(&chosen), problems);
    freed.extend(settled.freed);
    for volid in freed {
        world.remove_volume(&volid);
    }
    count(world, node, vmid, change)?;
    if settled.problems.is_empty() {
        Ok(warnings)
    } else {
        Err(Failure::invalid(settled.problems))
    }
}

/// Whether a key may go away, or PVE's text.
fn removable(vm: &Vm, key: &str) -> Result<(), String> {
    let Some(text) = vm.get(key).or_else(|| vm.pending.get(key).map(String::as_str)) else {
        return Ok(());
    };
    let protected = vm.get("protection") == Some("1");
    let is_unused = key.starts_with("unused");
    if protected && is_unused {
        let volid = volume_in(text);
        return Err(format!(
            "can't remove unused disk '{volid}' - protection mode enabled"
        ));
    }
    if protected && keys::is_place(key) {
        return Err(format!("can't remove drive '{key}' - protection mode enabled"));
    }
    if is_unused && kept_by_snapshot(vm, text) {
        return Err(still_in_use(text));
    }
    Ok(())
}

/// The values as they will be stored, with their volumes made; if one cannot be had, none is left behind.
fn made_ready(
    world: &mut World,
    node: &str,
    vmid: u32,
    change: &Change,
    now: i64,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut ready = BTreeMap::new();
    for (key, value) in &change.set {
        let vm = world.vm(node, vmid)?;
        let sections = [&vm.config, &vm.pending, &ready];
        let had = seed_elsewhere(&sections, key, value);
        let made = match had {
            Some(other) => Err(Failure::died(format!(
                "{key} - cloud-init drive is already attached at '{other}'"
            ))),
            None => prepared(world, node, vmid, key, value, now),
        };
        match made {
            Ok(value) => ready.insert(key.clone(), value),
            Err(failure) => {
                // What was made for keys before this one is in nobody's configuration.
                unmake(world, node, vmid, &ready);
                return Err(failure);
            }
        };
    }
    Ok(ready)
}

/// Where the VM has its image with the cloud-init data already, if a value would be a second place for it.
fn seed_elsewhere(sections: &[&BTreeMap<String, String>], key: &str, value: &str) -> Option<String> {
    let is_seed = |key: &str, text: &str| {
        keys::is_drive(key) && Drive::parse(key, text).is_some_and(|drive| drive.is_cloudinit())
    };
    if !is_seed(key, value) {
        return None;
    }
    let mut places = sections.iter().copied().flatten();
    places
        .find(|(other, text)| *other != key && is_seed(other, text))
        .map(|(other, _)| other.clone())
}

/// Frees the volumes that were made for values which are not used after all.
fn unmake(world: &mut World, node: &str, vmid: u32, ready: &BTreeMap<String, String>) {
    for (key, value) in ready.iter().filter(|(key, _)| keys::holds_volume(key)) {
        let Some(made) = file_of(key, value) else { continue };
        let had = world.vm(node, vmid).is_ok_and(|vm| {
            [&vm.config, &vm.pending]
                .into_iter()
                .flatten()
                .any(|(key, value)| keys::holds_volume(key) && file_of(key, value).as_ref() == Some(&made))
        });
        if !had && made.contains(&format!("vm-{vmid}-")) {
            world.remove_volume(&made);
        }
    }
}

/// The devices that a running VM does not take or give, by an injected fault.
fn hotplug_problems(
    world: &mut World,
    node: &str,
    vmid: u32,
    change: &Change,
    ready: &BTreeMap<String, String>,
) -> Result<IndexMap<String, String>, Failure> {
    let vm = world.vm(node, vmid)?;
    let is_device = |key: &str| keys::find(key).is_some_and(|k| matches!(k.plug, Plug::Network | Plug::Disk));
    let sets = ready
        .iter()
        .filter(|(key, value)| is_device(key) && goes_at_once(vm, key, Some(value)))
        .map(|(key, _)| key);
    let deletes = change
        .delete
        .iter()
        .filter(|key| is_device(key) && goes_at_once(vm, key, None));
    let plugged = if vm.run.is_some() {
        deletes.chain(sets).cloned().collect::<Vec<_>>()
    } else {
        Vec::new()
    };
    let mut problems = IndexMap::new();
    for key in plugged {
        if let Some(text) = world.faults.hotplug(vmid, &key) {
            problems.insert(key, format!("hotplug problem - {text}"));
        }
    }
    Ok(problems)
}

/// Counts what was done.
fn count(world: &mut World, node: &str, vmid: u32, change: &Change) -> Result<(), Failure> {
    for (key, _) in change.imports() {
        let vm = world.vm_mut(node, vmid)?;
        // The system is on the disk that the VM boots from.
        if vm
            .boot_disk()
            .is_some_and(|disk| vm.get(key) == Some(disk.print().as_str()))
        {
            vm.guest.reinstall();
        }
        world.counters.effect(Effect::Imported, vmid, Some(key));
    }
    world.counters.effect(Effect::ConfigChanged, vmid, None);
    Ok(())
}
