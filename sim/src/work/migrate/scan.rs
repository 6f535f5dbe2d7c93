//! Which volumes a migration has to take along, and which forbid it.

use super::Rules;
use crate::world::World;
use crate::world::references::{self, Reference};
use crate::world::storage::StorageKind;
use crate::world::vm::Vm;

/// A volume that goes along.
#[derive(Debug, Clone)]
pub(super) struct Local {
    /// What it is called here.
    pub(super) volid: String,
    /// The storage it goes to.
    pub(super) storage: String,
    /// In bytes.
    pub(super) size: u64,
    /// Its format here.
    pub(super) format: String,
    /// The drive whose running QEMU copies it; all others are copied before.
    pub(super) online: Option<String>,
    /// Why it goes along, as the log says it.
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Attached,
    Unused,
    Snapshot,
    Pending,
    Generated,
    Path,
}

impl Local {
    /// How the log tells of it.
    fn line(&self) -> String {
        let volid = &self.volid;
        match self.why {
            Why::Attached => format!("found local disk '{volid}' (attached)"),
            Why::Unused => format!("found local disk '{volid}' (unused)"),
            Why::Snapshot => format!("found local disk '{volid}' (referenced by snapshot(s))"),
            Why::Pending => format!("found local disk '{volid}' (pending change)"),
            Why::Generated => format!("found generated disk '{volid}' (in current VM config)"),
            Why::Path => format!("found local disk '{volid}'"),
        }
    }
}

/// Whether all storages of a VM are there on both nodes, looked at before anything is done.
pub(super) fn reachable(world: &World, vm: &Vm, rules: &Rules, target: &str) -> Result<(), String> {
    for one in references::of(vm) {
        if let Some(id) = one.storage() {
            let storage = world.enabled_storage(id, &vm.node)?;
            let goes_to = if storage.shared { id } else { rules.map.of(id) };
            takes(world, goes_to, target, &one.volid)?;
        }
    }
    Ok(())
}

/// Whether a storage on a node takes a volume of that kind, or PVE's text.
pub(crate) fn takes(world: &World, id: &str, target: &str, volid: &str) -> Result<(), String> {
    let storage = world.enabled_storage(id, target)?;
    let (_, _, named) = world.named(volid).map_err(|failure| failure.message)?;
    if storage.content.contains(named.content) {
        return Ok(());
    }
    let kind = named.content;
    Err(format!(
        "{volid}: content type '{kind}' is not available on storage '{id}'"
    ))
}

/// Finds the volumes of a VM that only its node has; gives the lines for the log and the volumes, or the refusal.
pub(super) fn local_volumes(
    world: &World,
    vm: &Vm,
    rules: &Rules,
    target: &str,
) -> (Vec<String>, Result<Vec<Local>, String>) {
    let running = vm.run.is_some();
    let (mut found, mut wrong, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for one in references::of(vm) {
        if one.is_cdrom() && one.volid == "cdrom" {
            others.push(physical_drive(&one));
            continue;
        }
        match local(world, vm, &one, rules, target) {
            Ok(None) => {}
            Ok(Some(volume)) => {
                let attached = volume.why == Why::Attached;
                let reason = if running
                    && attached
                    && !rules.online.is_some_and(|online| online.with_local_disks)
                {
                    Some("can't live migrate attached local disks without with-local-disks option".to_owned())
                } else {
                    obstacle(world, vm, &one, &volume)
                };
                wrong.extend(reason.map(|reason| (one.volid.clone(), reason)));
                found.push(volume);
            }
            Err(reason) => wrong.push((one.volid.clone(), reason)),
        }
    }
    let mut lines = found.iter().map(Local::line).collect::<Vec<_>>();
    let problems = wrong
        .iter()
        .map(|(volid, reason)| format!("can't migrate local disk '{volid}': {reason}"));
    lines.extend(problems);
    let bad = !wrong.is_empty() || !others.is_empty();
    lines.extend(others);
    if bad {
        return (lines, Err("can't migrate VM - check log".to_owned()));
    }
    let linked = found.iter().find_map(|volume| {
        let base = base_of(world, &volume.volid)?;
        Some(format!(
            "can't migrate '{}' as it's a clone of '{base}'",
            volume.volid
        ))
    });
    (lines, linked.map_or(Ok(found), Err))
}

fn physical_drive(one: &Reference) -> String {
    let snapshots = one.snapshots();
    if one.is_attached() || snapshots.is_empty() {
        return "can't migrate local cdrom drive".to_owned();
    }
    format!(
        "can't migrate local cdrom drive (referenced in snapshot - {})",
        snapshots.join(", ")
    )
}

/// The volume, if it is one that only this node has.
fn local(
    world: &World,
    vm: &Vm,
    one: &Reference,
    rules: &Rules,
    target: &str,
) -> Result<Option<Local>, String> {
    let volid = &one.volid;
    let Some(id) = one.storage() else {
        // An empty drive, or a device of the node.
        let device = volid.starts_with('/') && !one.is_shared();
        return Ok(device.then(|| Local {
            volid: volid.clone(),
            storage: String::new(),
            size: 0,
            format: "raw".to_owned(),
            online: None,
            why: Why::Path,
        }));
    };
    let storage = world.enabled_storage(id, &vm.node)?;
    let goes_to = if storage.shared { id } else { rules.map.of(id) };
    takes(world, goes_to, target, volid)?;
    if storage.shared {
        return Ok(None);
    }
    let Some(volume) = world.volume(&vm.node, volid) else {
        return Err(format!("unable to determine size for volume '{volid}'"));
    };
    let why = match () {
        () if one.is_tpmstate() || one.is_cloudinit() => Why::Generated,
        () if one.is_attached() => Why::Attached,
        () if one.is_unused() => Why::Unused,
        () if !one.snapshots().is_empty() => Why::Snapshot,
        () => Why::Pending,
    };
    let online = one
        .drive()
        .filter(|_| vm.run.is_some() && why == Why::Attached)
        .map(str::to_owned);
    Ok(Some(Local {
        volid: volid.clone(),
        storage: goes_to.to_owned(),
        size: volume.size,
        format: volume.format.clone(),
        online,
        why,
    }))
}

/// Why a volume that only this node has cannot go along.
fn obstacle(world: &World, vm: &Vm, one: &Reference, volume: &Local) -> Option<String> {
    let told = |text: &str| Some(text.to_owned());
    if volume.why == Why::Path {
        return told("local file/device");
    }
    if one.is_cloudinit() {
        return None;
    }
    if one.is_cdrom() {
        return told("local cdrom image");
    }
    let kept = world.volume(&vm.node, &one.volid)?;
    match kept.vmid {
        Some(owner) if owner == vm.vmid => {}
        owner => {
            let owner = owner.map_or_else(String::new, |owner| owner.to_string());
            return Some(format!("owned by other VM (owner = VM {owner})"));
        }
    }
    if one.is_vmstate() {
        return None;
    }
    if !one.snapshots().is_empty() {
        if vm.run.is_some() {
            return told("online storage migration not possible if non-replicated snapshot exists");
        }
        let zfs = one
            .storage()
            .and_then(|id| world.storages.get(id))
            .is_some_and(|storage| storage.kind == StorageKind::Zfs);
        if !zfs && volume.format != "qcow2" {
            return told("non-migratable snapshot exists");
        }
    }
    if world.has_children(&one.volid) {
        return told("referenced by linked clone(s)");
    }
    None
}

/// The volume that another is a linked clone of, where the names tell.
fn base_of<'t>(world: &World, volid: &'t str) -> Option<&'t str> {
    let (id, name) = volid.split_once(':')?;
    let parts = name.split('/').collect::<Vec<_>>();
    match (world.storages.get(id)?.kind, parts.as_slice()) {
        (StorageKind::Dir | StorageKind::Nfs, [_, base, _, _])
        | (StorageKind::Zfs | StorageKind::Rbd, [base, _]) => Some(base),
        _ => None,
    }
}
