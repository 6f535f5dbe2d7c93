//! Making an empty disk image on a storage, apart from any VM's configuration.

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::{Storage, StorageKind};
use crate::world::volumes::Wish;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "POST",
    "/nodes/{node}/storage/{storage}/content",
    Allow::On("/storage/{storage}", &["Datastore.AllocateSpace"]),
    ALLOCATE,
    allocate,
)];

const ALLOCATE: &[Property] = &[
    Property::text("filename"),
    Property::integer("vmid")
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
    Property::text("size").pattern(is_size),
    Property::text("format")
        .optional()
        .one_of(&["raw", "qcow2", "subvol", "vmdk"])
        .requires("size"),
];

/// `\d+[MG]?`.
fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['M', 'G']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Bytes of a size in KiB, MiB (`M`) or GiB (`G`).
fn bytes(size: &str) -> Option<u64> {
    let (digits, unit) = match size.as_bytes().last()? {
        b'M' => (size.strip_suffix('M')?, 1 << 20),
        b'G' => (size.strip_suffix('G')?, 1 << 30),
        _ => (size, 1 << 10),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn allocate(call: &mut Call<'_>) -> Answer {
    let (id, node, vmid) = (call.params.text("storage").to_owned(), call.node(), call.vmid());
    let (name, size) = (call.params.text("filename").to_owned(), call.params.text("size"));
    let unreadable = || Failure::parameter("size", format!("unable to parse size '{size}'"));
    let size = bytes(size).ok_or_else(unreadable)?;
    let told = ["raw", "qcow2", "vmdk"]
        .into_iter()
        .find(|ending| name.ends_with(&format!(".{ending}")));
    let asked = call.params.get("format");
    if let (Some(told), Some(asked)) = (told, asked)
        && told != asked
    {
        let text = format!("different storage formats ({asked} != {told})");
        return Err(Failure::parameter("format", text));
    }
    let format = told.or(asked).unwrap_or("raw").to_owned();
    let storage = call.world.usable_storage(&id, &node)?;
    let stem = stem(storage, vmid, &name, &format)?;
    if taken(call.world, storage, &node, vmid, &name) {
        return Err(Failure::died(already_there(storage, vmid, &name)));
    }
    let wish = Wish {
        name: Some(stem),
        format: Some(&format),
        ..Wish::new(&id, vmid, size)
    };
    let now = call.sim.clock.seconds();
    let volid = call.world.allocate(&node, &wish, now)?;
    call.world
        .counters
        .effect(Effect::VolumeAdded, vmid, Some(&volid));
    Ok(volid.into())
}

/// The name without the ending of its format, or PVE's text why a storage cannot have such a volume.
fn stem<'n>(storage: &Storage, vmid: u32, name: &'n str, format: &str) -> Result<&'n str, String> {
    if !storage.kind.is_files() {
        if format != "raw" {
            return Err(format!("unsupported format '{format}'"));
        }
        return if name.starts_with(&format!("vm-{vmid}-")) {
            Ok(name)
        } else {
            Err(format!("illegal name '{name}' - should be 'vm-{vmid}-*'"))
        };
    }
    let parts = name
        .rsplit_once('.')
        .filter(|(stem, ending)| !stem.is_empty() && ["raw", "qcow2", "vmdk", "subvol"].contains(ending))
        .filter(|_| !name.contains(|c: char| c == '/' || c.is_whitespace()));
    match parts {
        None => Err(format!("unable to parse volume filename '{name}'")),
        Some((stem, ending)) if ending == format => Ok(stem),
        Some((_, ending)) => Err(format!(
            "illegal name '{name}' - wrong extension for format ('{ending} != '{format}')"
        )),
    }
}

fn volume_of(storage: &Storage, vmid: u32, name: &str) -> String {
    if storage.kind.is_files() {
        format!("{vmid}/{name}")
    } else {
        name.to_owned()
    }
}

fn taken(world: &World, storage: &Storage, node: &str, vmid: u32, name: &str) -> bool {
    let volid = format!("{}:{}", storage.id, volume_of(storage, vmid, name));
    world.volume(node, &volid).is_some()
}

fn already_there(storage: &Storage, vmid: u32, name: &str) -> String {
    let id = &storage.id;
    match storage.kind {
        StorageKind::Dir | StorageKind::Nfs => {
            let path = storage.path_of(&volume_of(storage, vmid, name));
            format!("disk image '{path}' already exists")
        }
        StorageKind::LvmThin | StorageKind::Lvm => format!(
            "lvcreate '{id}/{name}' error:   Logical Volume \"{name}\" already exists in volume group \"{id}\""
        ),
        StorageKind::Zfs => format!("zfs error: cannot create '{id}/{name}': dataset already exists"),
        StorageKind::Rbd | StorageKind::Pbs => {
            format!("rbd create '{name}' error: rbd: create error: (17) File exists")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_kib_unless_they_say_otherwise() {
        assert_eq!(bytes("4"), Some(4096));
        assert_eq!(bytes("4M"), Some(4 << 20));
        assert_eq!(bytes("4G"), Some(4 << 30));
        assert_eq!(bytes("99999999999999999999G"), None);
        for bad in ["", "G", "4K", "1.5G"] {
            assert!(!is_size(bad), "{bad}");
        }
    }
}
