//! Making values ready to be stored: new volumes, copies of volumes, MAC addresses, hashed passwords.

use sha2::{Digest as _, Sha256};

use super::drive::Drive;
use super::network::Network;
use super::{keys, size_text, stored};
use crate::failure::Failure;
use crate::world::World;
use crate::world::volumes::Wish;

/// The value as it will be stored: new volumes made, MAC addresses chosen, passwords hashed.
pub(super) fn prepared(
    world: &mut World,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    now: i64,
) -> Result<String, Failure> {
    if key == "cipassword" {
        let vm = world.vm(node, vmid)?;
        let windows = vm.get("ostype").is_some_and(|os| os.starts_with('w'));
        let hashed = ["$1$", "$5$", "$6$", "$2a$"]
            .iter()
            .any(|prefix| value.starts_with(prefix));
        return Ok(if windows || hashed {
            value.to_owned()
        } else {
            hashed_password(vmid, value)
        });
    }
    if key.starts_with("net")
        && let Ok(mut device) = Network::parse(key, value)
    {
        if device.mac().is_none() {
            let kept = world
                .vm(node, vmid)?
                .get(key)
                .and_then(|old| Network::parse(key, old).ok());
            let mac = kept.and_then(|old| old.mac().map(str::to_owned));
            device.set_mac(mac.unwrap_or_else(|| crate::scenario::generated_mac(u64::from(vmid), key)));
        }
        return Ok(device.print());
    }
    if !keys::holds_volume(key) {
        return Ok(stored(key, value)?);
    }
    let Some(drive) = Drive::parse(key, value) else {
        return Err(Failure::parameter(key, "unable to parse drive options"));
    };
    placed(world, node, vmid, key, drive, now).map(|drive| drive.print())
}

/// What stands behind the storage's name in a drive.
enum Asked {
    /// `STORAGE:cloudinit`: the image with the cloud-init data.
    Seed,
    /// `STORAGE:SIZE`: a new disk of so many bytes.
    New(u64),
    /// A volume by its name.
    Volume,
}

fn asked(rest: &str) -> Asked {
    if rest == "cloudinit" {
        return Asked::Seed;
    }
    match rest.parse::<f64>() {
        Ok(gib) if gib.is_finite() && gib >= 0.0 && !rest.starts_with(['+', '-']) => {
            Asked::New(crate::units::whole(gib * f64::from(1 << 30)))
        }
        _ => Asked::Volume,
    }
}

/// Finds, makes or copies the volume of a drive.
fn placed(
    world: &mut World,
    node: &str,
    vmid: u32,
    key: &str,
    mut drive: Drive,
    now: i64,
) -> Result<Drive, Failure> {
    let file = drive.file().to_owned();
    let Some((id, rest)) = file.split_once(':') else {
        return Ok(drive);
    };
    let before = world
        .vm(node, vmid)?
        .get(key)
        .and_then(|text| Drive::parse(key, text));
    let storage = world.usable_storage(id, node)?;
    let wish = match asked(rest) {
        Asked::Volume => {
            if before.is_none_or(|old| old.file() != file) {
                let Some(volume) = storage.volumes_on(node).find(|volume| volume.volid == file) else {
                    return Err(Failure::died(format!("volume {file} does not exist")));
                };
                drive.set("size", size_text(volume.size));
            }
            return Ok(drive);
        }
        _ if !storage.content.contains("images") => {
            return Err(Failure::parameter(
                "storage",
                format!("storage '{id}' does not support vm images"),
            ));
        }
        Asked::Seed => {
            drive.set("media", "cdrom".to_owned());
            lock(world, id)?;
            let name = format!("vm-{vmid}-cloudinit");
            let wish = Wish {
                name: Some(&name),
                ..Wish::new(id, vmid, 4 << 20)
            };
            let volid = world.allocate(node, &wish, now)?;
            drive.set_file(volid);
            drive.set("size", size_text(4 << 20));
            return Ok(drive);
        }
        Asked::New(size) => {
            let size = match drive.get("import-from") {
                None => size,
                Some(source) => {
                    let Some(volume) = world.volume(node, source) else {
                        return Err(Failure::died(format!("volume '{source}' does not exist")));
                    };
                    volume.size
                }
            };
            Wish {
                format: drive.get("format"),
                ..Wish::new(id, vmid, size)
            }
        }
    };
    lock(world, id)?;
    let size = wish.size;
    let volid = world.allocate(node, &wish, now)?;
    drive.set_file(volid);
    drive.set("size", size_text(size));
    drive.unset("format");
    drive.unset("import-from");
    Ok(drive)
}

/// Takes the lock under which a volume is made.
fn lock(world: &mut World, storage: &str) -> Result<(), Failure> {
    world
        .storage_lock(storage)
        .map_err(|text| Failure::timed_out(text, 10.0))
}

/// A stand-in for crypt(3): of the same form, not reversible, not the password.
fn hashed_password(vmid: u32, password: &str) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(format!("{vmid}:{password}"));
    format!(
        "$5$pvesim{vmid}${}",
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest)
    )
}
