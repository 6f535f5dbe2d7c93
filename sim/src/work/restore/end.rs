//! The end of a restore: the configuration that the VM has from then on.

use super::{CLOUDINIT_BYTES, Coming, Restore};
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::config::settle::add_unused;
use crate::config::{Section, keys};
use crate::units::mix;
use crate::work::{Outcome, Worker};
use crate::world::backup::{Archive, is_restorable};
use crate::world::counters::Effect;
use crate::world::guest::Guest;
use crate::world::volumes::Wish;

/// Writes the configuration of the backup, changed where the disks lie elsewhere and where the caller wants.
pub(super) fn finish(
    worker: &Worker,
    vmid: u32,
    what: &Restore,
    archive: &Archive,
    coming: &[Coming],
) -> Outcome {
    let now = worker.sim.clock.seconds();
    let mut world = worker.world();
    let world = &mut *world;
    let seed = mix(world.seed, u64::from(vmid) ^ now.unsigned_abs());
    let mut config = Section::new();
    let seed_name = format!("vm-{vmid}-cloudinit");
    let mut commented = Vec::new();
    for (key, text) in &archive.config {
        let Some(drive) = is_restorable(key).then(|| Drive::parse(key, text)).flatten() else {
            config.insert(key.clone(), renewed(key, text, what.unique, seed));
            continue;
        };
        if drive.get("backup") == Some("0") {
            // PVE puts a `#` before the line, which makes it a part of the description.
            commented.push(format!("{key}: {text}"));
            continue;
        }
        let volid = if drive.is_cloudinit() {
            let id = what.storage.as_deref().or(drive.storage()).unwrap_or("local");
            Some(world.allocate(
                worker.node(),
                &Wish {
                    name: Some(&seed_name),
                    replaces: true,
                    ..Wish::new(id, vmid, CLOUDINIT_BYTES)
                },
                now,
            )?)
        } else {
            let found = coming.iter().find(|c| c.disk.key == *key);
            found.map(|c| c.volid.clone())
        };
        config.insert(
            key.clone(),
            volid.map_or(text.clone(), |volid| moved(&drive, volid)),
        );
    }
    if !commented.is_empty() {
        let before = config.get("description").cloned().unwrap_or_default();
        let joint = if before.is_empty() || before.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        config.insert(
            "description".to_owned(),
            format!("{before}{joint}{}", commented.join("\n")),
        );
    }
    for (key, text) in &what.overrides {
        let text = match Network::parse(key, text) {
            Ok(mut device) if key.starts_with("net") && device.mac().is_none() => {
                device.set_mac(crate::scenario::generated_mac(seed, key));
                device.print()
            }
            _ => text.clone(),
        };
        config.insert(key.clone(), text);
    }
    // PVE looks for volumes of the VM that nothing refers to.
    world.tasks.log(&worker.upid.text(), "rescan volumes...");
    let used = config
        .iter()
        .filter(|(key, _)| keys::holds_volume(key))
        .filter_map(|(key, text)| Some(Drive::parse(key, text)?.file().to_owned()))
        .collect::<Vec<_>>();
    let orphans = world
        .storages
        .values()
        .flat_map(|storage| storage.volumes_on(worker.node()))
        .filter(|volume| volume.vmid == Some(vmid) && volume.content == "images")
        .map(|volume| volume.volid.clone())
        .filter(|volid| !used.contains(volid) && !volid.contains("-cloudinit"))
        .collect::<Vec<_>>();
    for volid in orphans {
        add_unused(&mut config, &volid);
    }
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config = config;
    vm.seeded = None;
    vm.guest = Guest::of_boot_time(vm.guest.boot_seconds);
    if let Some(pool) = &what.pool {
        world.access.add_to_pool(vmid, pool);
    }
    world.counters.effect(Effect::Restored, vmid, Some(&what.archive));
    Ok(())
}

/// A drive whose volume is another one now.
fn moved(drive: &Drive, volid: String) -> String {
    let mut drive = drive.clone();
    drive.set_file(volid);
    // The format may differ on another storage.
    drive.unset("format");
    drive.print()
}

/// A value that is not the same after a restore: generation ids always, MAC addresses and UUIDs if unique.
fn renewed(key: &str, text: &str, unique: bool, seed: u64) -> String {
    let uuid = || {
        let id = mix(seed, key.len() as u64);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            id >> 32,
            id & 0xffff,
            id >> 52,
            (id >> 40) & 0xfff,
            id & 0xffff_ffff_ffff
        )
    };
    match key {
        "vmgenid" if text != "0" => uuid(),
        "smbios1" if unique => {
            let mut parts = text
                .split(',')
                .filter(|part| !part.starts_with("uuid=") && !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>();
            parts.insert(0, format!("uuid={}", uuid()));
            parts.join(",")
        }
        _ if unique && key.starts_with("net") => Network::parse(key, text).map_or_else(
            |_| text.to_owned(),
            |mut device| {
                device.set_mac(crate::scenario::generated_mac(seed, key));
                device.print()
            },
        ),
        _ => text.to_owned(),
    }
}
