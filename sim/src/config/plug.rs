//! What a running VM takes at once, what waits for the next cold start, and what it refuses.

use super::boot;
use super::drive::Drive;
use super::keys::{self, Plug};
use super::network::Network;
use crate::world::vm::Vm;

/// Whether a VM takes a change now; `value` is `None` for a key that goes away.
pub(super) fn goes_at_once(vm: &Vm, key: &str, value: Option<&str>) -> bool {
    if vm.run.is_none() {
        return true;
    }
    let Some(known) = keys::find(key) else {
        return false;
    };
    match known.plug {
        Plug::Fast | Plug::Host => true,
        Plug::Cold => false,
        Plug::Usb => has(vm, "usb") && (key == "tablet" || takes_usb(vm)),
        Plug::Network => has(vm, "network") || changes_only_the_host(vm, key, value),
        Plug::Balloon => is_ballooning(vm.get(key)) == is_ballooning(value),
        Plug::Hotplug => {
            let plugs_cpu_or_memory = |text: &str| text.contains("cpu") || text.contains("memory");
            !vm.get(key).into_iter().chain(value).any(plugs_cpu_or_memory)
        }
        Plug::Disk => {
            let old = vm.get(key).and_then(|text| Drive::parse(key, text));
            let new = value.and_then(|text| Drive::parse(key, text));
            match (old, new) {
                (Some(old), Some(new)) if old.is_cdrom() && new.is_cdrom() => true,
                (Some(old), Some(new)) if old.file() == new.file() => old.differs_only_live(&new),
                _ => has(vm, "disk") && (key.starts_with("scsi") || key.starts_with("virtio")),
            }
        }
    }
}

/// Whether a VM is set up to take such devices while it runs.
fn has(vm: &Vm, what: &str) -> bool {
    let hotplug = vm.get("hotplug").unwrap_or("network,disk,usb");
    hotplug == "1" || hotplug.split(',').any(|item| item == what)
}

/// Whether the guest's system takes USB devices while it runs: Linux since 2.6, Windows since 8.
fn takes_usb(vm: &Vm) -> bool {
    matches!(vm.get("ostype"), Some("l26" | "win8" | "win10" | "win11"))
}

fn changes_only_the_host(vm: &Vm, key: &str, value: Option<&str>) -> bool {
    let device = |text: &str| Network::parse(key, text).ok();
    let (Some(old), Some(new)) = (vm.get(key).and_then(device), value.and_then(device)) else {
        return false;
    };
    !old.differs_for_guest(&new)
}

/// Ballooning is on unless it is switched off by a zero.
fn is_ballooning(value: Option<&str>) -> bool {
    value != Some("0")
}

/// Why a running VM cannot do a change that it would do at once, in PVE's words.
pub(super) fn refusal(vm: &Vm, key: &str, value: Option<&str>) -> Option<String> {
    if vm.run.is_none() || !keys::is_drive(key) {
        return None;
    }
    let old = Drive::parse(key, vm.get(key)?)?;
    let new = value.and_then(|text| Drive::parse(key, text));
    if new.as_ref().is_some_and(|new| new.is_cdrom() != old.is_cdrom()) {
        return Some("unable to change media type".to_owned());
    }
    let is_unplugged =
        !old.is_cdrom() && new.is_none_or(|new| new.file() != old.file()) && goes_at_once(vm, key, value);
    (is_unplugged && boot::boot_drives(vm).contains(&key)).then(|| format!("can't unplug bootdisk '{key}'"))
}
