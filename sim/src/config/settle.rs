//! Making pending changes real, and what becomes of volumes that lose their place.
//!
//! A volume that leaves a drive, or that was made for a drive and is not used after all, is listed under `unusedN`; the
//! image with the cloud-init data is freed, and so is a disk that was taken away with `force`. Nothing here frees
//! volumes by itself: what is to be freed is handed back.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::Section;
use super::drive::Drive;
use super::keys::{self, Plug};
use super::plug::{goes_at_once, refusal};
use crate::world::vm::Vm;

/// What came of making changes real.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Volumes that nobody has any more.
    pub(crate) freed: Vec<String>,
    /// Why changes stay pending that should have been made, by key.
    pub(crate) problems: IndexMap<String, String>,
}

/// Makes pending changes real as far as the VM's state allows, all or those to the `chosen` keys. What has a problem
/// already is left as it is.
pub(crate) fn settle(
    vm: &mut Vm,
    chosen: Option<&BTreeSet<&str>>,
    problems: IndexMap<String, String>,
) -> Settled {
    let mut out = Settled {
        problems,
        ..Settled::default()
    };
    forget_what_is_so_already(vm);
    let is_fast = |key: &str| keys::find(key).is_some_and(|known| known.plug == Plug::Fast);
    let is_chosen = |key: &str| is_fast(key) || chosen.is_none_or(|chosen| chosen.contains(key));
    for (key, force) in vm.pending_delete.clone() {
        if !is_chosen(&key) || out.problems.contains_key(&key) || !goes_at_once(vm, &key, None) {
            continue;
        }
        let text = vm.get(&key).unwrap_or_default().to_owned();
        let reason = if force && is_own_disk(vm, &key, &text) && kept_by_snapshot(vm, &text) {
            Some(still_in_use(&text))
        } else {
            refusal(vm, &key, None)
        };
        if let Some(reason) = reason {
            out.problems.insert(key.clone(), problem(vm, &key, &reason));
            continue;
        }
        vm.pending_delete.remove(&key);
        vm.config.remove(&key);
        put_aside(vm, &key, &text, force, &mut out.freed);
    }
    for (key, value) in vm.pending.clone() {
        if !is_chosen(&key) || out.problems.contains_key(&key) {
            continue;
        }
        if let Some(reason) = refusal(vm, &key, Some(&value)) {
            out.problems.insert(key.clone(), problem(vm, &key, &reason));
        } else if goes_at_once(vm, &key, Some(&value)) {
            vm.pending.remove(&key);
            let before = vm.config.insert(key.clone(), value.clone());
            if let Some(old) = before.filter(|old| file_of(&key, old) != file_of(&key, &value)) {
                put_aside(vm, &key, &old, false, &mut out.freed);
            }
        }
    }
    tidy_unused(vm);
    out
}

/// Drops pending changes that would change nothing.
fn forget_what_is_so_already(vm: &mut Vm) {
    let Vm {
        config,
        pending,
        pending_delete,
        ..
    } = vm;
    pending.retain(|key, value| config.get(key) != Some(value));
    pending_delete.retain(|key, _| config.contains_key(key));
}

fn problem(vm: &Vm, key: &str, reason: &str) -> String {
    if vm.run.is_some() {
        format!("hotplug problem - {reason}")
    } else {
        format!("unable to apply pending change {key} : {reason}")
    }
}

/// Whether a snapshot still has the volume of a stored drive.
pub(super) fn kept_by_snapshot(vm: &Vm, text: &str) -> bool {
    let places = vm
        .snapshots
        .values()
        .flat_map(|snapshot| &snapshot.section)
        .filter(|(key, _)| keys::is_place(key));
    places
        .into_iter()
        .any(|(_, kept)| volume_in(kept) == volume_in(text))
}

/// Whether a key has a disk, not a CD, with a volume of this VM.
fn is_own_disk(vm: &Vm, key: &str, text: &str) -> bool {
    keys::is_place(key)
        && Drive::parse(key, text).is_some_and(|drive| !drive.is_cdrom() && drive.owner() == Some(vm.vmid))
}

/// PVE's refusal to free a volume that something needs.
pub(super) fn still_in_use(text: &str) -> String {
    let volid = volume_in(text);
    format!("unable to delete '{volid}' - volume is still in use (snapshot?)")
}

/// The volume in a stored drive, which begins with it.
pub(super) fn volume_in(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}

/// Forgets a pending value, unless `next` has the same volume; one that was made for it is put aside.
pub(super) fn shelve_pending(vm: &mut Vm, key: &str, next: Option<&str>, freed: &mut Vec<String>) {
    let Some(text) = vm.pending.remove(key) else {
        return;
    };
    let file = file_of(key, &text);
    let stays = vm
        .get(key)
        .into_iter()
        .chain(next)
        .any(|other| file_of(key, other) == file);
    if !stays {
        put_aside(vm, key, &text, false, freed);
    }
}

pub(super) fn file_of(key: &str, text: &str) -> Option<String> {
    Drive::parse(key, text).map(|drive| drive.file().to_owned())
}

/// A volume of the VM's that left its key becomes an unused one, or is to be freed.
fn put_aside(vm: &mut Vm, key: &str, text: &str, force: bool, freed: &mut Vec<String>) {
    let own_disk = is_own_disk(vm, key, text);
    let Some(drive) = Drive::parse(key, text).filter(|_| keys::is_place(key)) else {
        return;
    };
    if drive.is_cloudinit() || (own_disk && force) {
        freed.push(drive.file().to_owned());
    } else if own_disk {
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

/// Takes those volumes from the unused ones that a drive has again, now or soon.
fn tidy_unused(vm: &mut Vm) {
    let sections = [&vm.config, &vm.pending].into_iter().flatten();
    let used = sections
        .filter(|(key, _)| keys::is_place(key))
        .filter_map(|(key, text)| file_of(key, text))
        .collect::<BTreeSet<_>>();
    vm.config
        .retain(|key, value| !key.starts_with("unused") || !used.contains(volume_in(value)));
}
