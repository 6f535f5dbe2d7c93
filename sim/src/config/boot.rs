//! The order that a VM boots in: what an order may name, and how it follows devices that come and go.

use super::change::Change;
use super::drive::Drive;
use super::keys;
use crate::schema::format;
use crate::world::vm::Vm;

/// A boot order as it is shown: of none there is a blank, as a file with nothing behind the colon is read.
pub(crate) fn boot_text(order: &str) -> String {
    if order.is_empty() {
        " ".to_owned()
    } else {
        format!("order={order}")
    }
}

/// The devices of an explicit order, `None` for one of letters (`cdn`).
fn devices(boot: &str) -> Option<Vec<&str>> {
    let order = boot.split(',').find_map(|part| part.strip_prefix("order="))?;
    Some(format::items(order).collect())
}

/// The drives that a VM may boot from; a running guest does not give them away.
pub(super) fn boot_drives(vm: &Vm) -> Vec<&str> {
    match vm.get("boot").map(devices) {
        Some(Some(order)) => order.into_iter().filter(|key| keys::is_place(key)).collect(),
        _ => vm.get("bootdisk").into_iter().collect(),
    }
}

/// Whether all devices of the order that is asked for will be there, or PVE's text.
pub(super) fn check(vm: &Vm, change: &Change) -> Result<(), String> {
    let order = change.set.get("boot").and_then(|boot| devices(boot));
    for device in order.unwrap_or_default() {
        let there = vm.config.contains_key(device)
            || vm.pending.contains_key(device)
            || change.set.contains_key(device);
        if !there || change.delete.iter().any(|key| key == device) {
            // The quotation mark at the end is PVE's.
            return Err(format!("invalid bootorder: device '{device}' does not exist'"));
        }
    }
    Ok(())
}

/// Lets the order follow what is asked for, as a change that waits like any other: devices that go away leave it, CD
/// drives that are not in it come to its end. An order that is asked for stands as it is, and takes the place of
/// `bootdisk`.
///
/// PVE takes the keys of a call in no order, so that there an order may lose against a CD drive of the same call.
pub(super) fn follow(vm: &mut Vm, change: &Change) -> bool {
    if let Some(order) = change.set.get("boot").and_then(|boot| devices(boot)) {
        vm.pending.insert("boot".to_owned(), boot_text(&order.join(";")));
        if vm.config.contains_key("bootdisk") && !change.set.contains_key("bootdisk") {
            vm.pending_delete.insert("bootdisk".to_owned(), false);
        }
        return true;
    }
    let Some(before) = vm.get("boot").and_then(devices) else {
        return false;
    };
    let is_deleted = |device: &&str| change.delete.iter().any(|key| key == device);
    let mut order = before.clone();
    order.retain(|device| !is_deleted(device));
    // PVE does not add to an order that names nothing.
    if !order.is_empty() {
        let new = change.sets().filter(|(key, text)| is_disc_drive(key, text));
        for (key, _) in new {
            if !order.contains(&key) {
                order.push(key);
            }
        }
    }
    if order == before {
        return false;
    }
    let text = boot_text(&order.join(";"));
    vm.pending.insert("boot".to_owned(), text);
    true
}

/// Whether a drive takes discs; the one with the cloud-init image does not.
fn is_disc_drive(key: &str, text: &str) -> bool {
    keys::is_drive(key)
        && Drive::parse(key, text).is_some_and(|drive| drive.is_cdrom() && !drive.is_cloudinit())
}
