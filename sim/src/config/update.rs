//! Carrying out a [`Change`]: at once on a stopped VM, key by key on a running one.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::Section;
use super::change::Change;
use super::drive::Drive;
use super::keys::{self, Plug};
use super::prepare::prepared;
use crate::failure::Failure;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::vm::Vm;

/// Carries a change out; gives warnings.
pub(crate) fn apply(
    world: &mut World,
    node: &str,
    vmid: u32,
    change: &Change,
    now: i64,
) -> Result<Vec<String>, Failure> {
    change.timely(world.vm(node, vmid)?)?;
    let mut ready = BTreeMap::new();
    for (key, value) in &change.set {
        match prepared(world, node, vmid, key, value, now) {
            Ok(value) => ready.insert(key.clone(), value),
            Err(failure) => {
                // What was made for keys before this one is in nobody's configuration.
                unmake(world, node, vmid, &ready);
                return Err(failure);
            }
        };
    }
    let problems = hotplug_problems(world, node, vmid, change, &ready)?;
    let mut warnings = Vec::new();
    let mut freed = Vec::new();
    let vm = world.vm_mut(node, vmid)?;
    let protected = vm.get("protection") == Some("1");
    if vm.seeded.is_none() {
        // The image still has what the configuration had until now.
        vm.make_seed();
    }
    for key in &change.revert {
        shelve_pending(vm, key);
        vm.pending_delete.remove(key);
    }
    for key in &change.delete {
        shelve_pending(vm, key);
        if let Some(text) = vm.config.get(key).cloned() {
            if key.starts_with("unused") {
                if protected {
                    let text = format!("can't remove unused disk '{text}' - protection mode enabled");
                    return Err(Failure::died(text));
                }
                if kept_by_snapshot(vm, &text) {
                    let text = format!("unable to delete '{text}' - volume is still in use (snapshot?)");
                    return Err(Failure::died(text));
                }
                freed.extend(vm.config.remove(key));
            } else if protected && keys::is_drive(key) && !is_cdrom(key, &text) {
                let text = format!("can't remove drive '{key}' - protection mode enabled");
                return Err(Failure::died(text));
            } else {
                vm.pending_delete.insert(key.clone());
            }
        } else {
            warnings.push(format!(
                "cannot delete '{key}' - not set in current configuration!"
            ));
        }
    }
    for (key, value) in ready {
        vm.pending_delete.remove(&key);
        vm.pending.insert(key, value);
    }
    settle(vm, change.force, &problems, &mut freed);
    for volid in freed {
        world.remove_volume(volid.split(',').next().unwrap_or_default());
    }
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
    if problems.is_empty() {
        Ok(warnings)
    } else {
        Err(Failure::invalid(problems))
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

/// Makes pending changes real as far as the VM's state allows.
fn settle(vm: &mut Vm, force: bool, problems: &IndexMap<String, String>, freed: &mut Vec<String>) {
    let deletes = vm.pending_delete.iter().cloned().collect::<Vec<_>>();
    for key in deletes {
        if problems.contains_key(&key) || !goes_at_once(vm, &key, None) {
            continue;
        }
        vm.pending_delete.remove(&key);
        if let Some(text) = vm.config.remove(&key) {
            put_aside(vm, &key, &text, force, freed);
        }
    }
    let sets = vm.pending.clone();
    for (key, value) in sets {
        if problems.contains_key(&key) {
            continue;
        }
        if vm.get(&key) == Some(value.as_str()) {
            vm.pending.remove(&key);
        } else if goes_at_once(vm, &key, Some(&value)) {
            vm.pending.remove(&key);
            let before = vm.config.insert(key.clone(), value.clone());
            if key == "boot" || before.is_none() {
                extend_boot_order(vm, &key);
            }
            if let Some(old) = before.filter(|old| file_of(&key, old) != file_of(&key, &value)) {
                put_aside(vm, &key, &old, false, freed);
            }
        }
    }
}

fn is_cdrom(key: &str, text: &str) -> bool {
    Drive::parse(key, text).is_some_and(|drive| drive.is_cdrom())
}

/// Whether a snapshot still has a volume in one of its drives.
fn kept_by_snapshot(vm: &Vm, volid: &str) -> bool {
    let volid = volid.split(',').next().unwrap_or_default();
    vm.snapshots.values().any(|snapshot| {
        crate::world::vm::drives_of(&snapshot.section).any(|(_, drive)| drive.file() == volid)
    })
}

/// Forgets a pending value; a disk that was made for it becomes an unused one.
fn shelve_pending(vm: &mut Vm, key: &str) {
    if let Some(text) = vm.pending.remove(key)
        && file_of(key, &text) != vm.get(key).and_then(|text| file_of(key, text))
    {
        put_aside(vm, key, &text, false, &mut Vec::new());
    }
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

fn file_of(key: &str, text: &str) -> Option<String> {
    Drive::parse(key, text).map(|drive| drive.file().to_owned())
}

/// A disk that left its key becomes an unused one; a cloud-init image is freed.
fn put_aside(vm: &mut Vm, key: &str, text: &str, force: bool, freed: &mut Vec<String>) {
    if !keys::is_drive(key) {
        return;
    }
    let Some(drive) = Drive::parse(key, text) else {
        return;
    };
    if drive.is_cloudinit() || (force && !drive.is_cdrom()) {
        freed.push(drive.file().to_owned());
    } else if !drive.is_cdrom() && drive.storage().is_some() {
        add_unused(&mut vm.config, drive.file());
    }
}

/// Lists a volume under the first free `unusedN`.
pub(crate) fn add_unused(config: &mut Section, volid: &str) {
    let listed = config
        .iter()
        .any(|(key, value)| key.starts_with("unused") && value == volid);
    if !listed
        && let Some(key) = (0..256)
            .map(|n| format!("unused{n}"))
            .find(|key| !config.contains_key(key))
    {
        config.insert(key, volid.to_owned());
    }
}

/// A new CD drive goes to the end of an explicit boot order.
fn extend_boot_order(vm: &mut Vm, key: &str) {
    let cdrom = vm
        .get(key)
        .and_then(|text| Drive::parse(key, text))
        .is_some_and(|d| d.is_cdrom());
    if !cdrom || !keys::is_drive(key) {
        return;
    }
    if let Some(boot) = vm.config.get_mut("boot")
        && let Some(order) = boot.strip_prefix("order=")
        && !order.split(';').any(|device| device == key)
    {
        *boot = format!("{boot};{key}");
    }
}

/// Whether a VM takes this change now; `value` is `None` for a key that goes away.
fn goes_at_once(vm: &Vm, key: &str, value: Option<&str>) -> bool {
    if vm.run.is_none() {
        return true;
    }
    let Some(known) = keys::find(key) else {
        return false;
    };
    let hotplug = vm.get("hotplug").unwrap_or("network,disk,usb");
    let has = |what: &str| hotplug == "1" || hotplug.split(',').any(|item| item == what);
    match known.plug {
        Plug::Fast | Plug::Host => true,
        Plug::Cold => false,
        Plug::Network => has("network"),
        Plug::Disk => {
            let pluggable = has("disk") && (key.starts_with("scsi") || key.starts_with("virtio"));
            let old = vm.get(key).and_then(|text| Drive::parse(key, text));
            let new = value.and_then(|text| Drive::parse(key, text));
            match (old, new) {
                (Some(old), Some(new)) if old.is_cdrom() && new.is_cdrom() => true,
                (Some(old), Some(new)) if old.file() == new.file() => old.differs_only_live(&new),
                _ => pluggable,
            }
        }
    }
}
