//! Changing a configuration: what `PUT …/config` checks and does.
//!
//! [`Change::read`] makes a change of the parameters, [`Change::permitted`] holds it against the caller's
//! privileges, [`apply`] carries it out: at once on a stopped VM, key by key on a running one.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

use super::drive::Drive;
use super::keys::{self, Area, Plug};
use super::network::Network;
use super::{Section, size_text, stored};
use crate::failure::Failure;
use crate::schema::{Params, format};
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::Volume;
use crate::world::vm::Vm;

/// Parameters of the call that are no keys of the configuration.
const CALL_PARAMETERS: &[&str] = &[
    "node",
    "vmid",
    "delete",
    "revert",
    "digest",
    "skiplock",
    "force",
    "background_delay",
    "import-working-storage",
];

/// A change that was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    set: BTreeMap<String, String>,
    delete: Vec<String>,
    revert: Vec<String>,
    digest: Option<String>,
    skiplock: bool,
    force: bool,
}

impl Change {
    /// Makes a change of parameters that passed their schema.
    pub(crate) fn read(params: &Params, who: &str) -> Result<Self, Failure> {
        if params.flag("skiplock") && who != "root@pam" {
            return Err(Failure::parameter("skiplock", "Only root may use this option."));
        }
        let list = |name: &str| {
            params
                .get(name)
                .map(|text| format::items(text).map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let mut change = Self {
            set: BTreeMap::new(),
            delete: list("delete"),
            revert: list("revert"),
            digest: params.get("digest").filter(|d| !d.is_empty()).map(str::to_owned),
            skiplock: params.flag("skiplock"),
            force: params.flag("force"),
        };
        for (key, value) in params.iter().filter(|(key, _)| !CALL_PARAMETERS.contains(key)) {
            let key = if key == "cdrom" { "ide2" } else { key };
            change.set.insert(key.to_owned(), value.to_owned());
        }
        if change.set.is_empty() && change.delete.is_empty() && change.revert.is_empty() {
            return Err(Failure::died("no options specified"));
        }
        for (parameter, keys) in [("delete", &change.delete), ("revert", &change.revert)] {
            for key in keys {
                if keys::find(key).is_none() {
                    return Err(Failure::parameter(parameter, format!("unknown option '{key}'")));
                }
                if change.set.contains_key(key) {
                    let text = format!("you can't use '-{key}' and '-{parameter} {key}' at the same time");
                    return Err(Failure::parameter(parameter, text));
                }
            }
        }
        let mut errors = IndexMap::new();
        for (key, value) in &mut change.set {
            match stored(key, value) {
                Err(reason) => {
                    errors.insert(key.clone(), reason);
                }
                Ok(text) => {
                    let drive = keys::is_drive(key).then(|| Drive::parse(key, value)).flatten();
                    let iso = drive.filter(|d| d.file().contains(":iso/") && !d.is_cdrom());
                    if iso.is_some() {
                        let reason = "explicit 'media=cdrom' is required for iso images";
                        errors.insert(key.clone(), reason.to_owned());
                    }
                    // `import-from` is not stored, but the change must still know of it.
                    if !keys::holds_volume(key) {
                        *value = text;
                    }
                }
            }
        }
        if errors.is_empty() {
            Ok(change)
        } else {
            Err(Failure::invalid(errors))
        }
    }

    /// Whether `who` may make this change.
    pub(crate) fn permitted(&self, world: &World, vmid: u32, who: &str) -> Result<(), Failure> {
        let path = format!("/vms/{vmid}");
        let vm = world.vms.get(&vmid);
        let old = |key: &str| vm.and_then(|vm| Drive::parse(key, vm.get(key)?));
        let require = |path: &str, any: &[&str]| {
            if any.iter().any(|privilege| world.access.may(who, path, privilege)) {
                Ok(())
            } else {
                Err(Failure::forbidden(&format!("{path}, {}", any.join("|"))))
            }
        };
        let touched = self.delete.iter().chain(&self.revert).chain(self.set.keys());
        for key in touched {
            let Some(known) = keys::find(key) else { continue };
            let any: &[&str] = match known.area {
                Area::Root if who == "root@pam" => continue,
                Area::Root => return Err(Failure::died(format!("only root can set '{key}' config"))),
                Area::Cpu => &["VM.Config.CPU"],
                Area::Memory => &["VM.Config.Memory"],
                Area::Network => &["VM.Config.Network"],
                Area::Cloudinit => &["VM.Config.Cloudinit", "VM.Config.Network"],
                Area::Hardware => &["VM.Config.HWType"],
                Area::Options => &["VM.Config.Options"],
                Area::Drive => {
                    let new = self.set.get(key).and_then(|text| Drive::parse(key, text));
                    let drives = [new, old(key)].into_iter().flatten().collect::<Vec<_>>();
                    if drives.iter().any(|d| !d.is_cdrom()) || drives.is_empty() {
                        &["VM.Config.Disk"]
                    } else {
                        if drives.iter().any(Drive::is_cloudinit) {
                            require(&path, &["VM.Config.Cloudinit"])?;
                        }
                        &["VM.Config.CDROM"]
                    }
                }
            };
            require(&path, any)?;
            if key == "startup" {
                require("/", &["Sys.Modify"])?;
            }
        }
        for (key, value) in &self.set {
            if keys::is_drive(key)
                && let Some(drive) = Drive::parse(key, value)
                && let Some(storage) = drive.storage()
                && old(key).is_none_or(|before| before.file() != drive.file())
            {
                let name = drive.file().split_once(':').map_or("", |(_, name)| name);
                let is_new = name == "cloudinit" || name.parse::<f64>().is_ok();
                if is_new {
                    require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
                    let holds_images = |s: &crate::world::storage::Storage| s.content.contains("images");
                    if world.storages.get(storage).is_some_and(|s| !holds_images(s)) {
                        let text = format!("storage '{storage}' does not support vm images");
                        return Err(Failure::parameter("storage", text));
                    }
                } else {
                    world.readable(who, Some(vmid), drive.file(), None)?;
                    let (_, _, named) = world.named(drive.file())?;
                    if !["images", "iso"].contains(&named.content) {
                        let text = "content type needs to be 'images' or 'iso'";
                        return Err(Failure::parameter(key, text));
                    }
                }
            }
            if let Ok(device) = Network::parse(key, value)
                && key.starts_with("net")
                && let Some(bridge) = device.bridge()
            {
                let path = format!("/sdn/zones/localnetwork/{bridge}");
                let path = device.tag().map_or(path.clone(), |tag| format!("{path}/{tag}"));
                require(&path, &["SDN.Use"])?;
            }
        }
        Ok(())
    }

    /// The values to be set, by key.
    pub(crate) fn values(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// What must hold before the change: the VM is there, is the one the caller saw, and is not locked.
    pub(crate) fn timely(&self, vm: &Vm) -> Result<(), Failure> {
        if self.digest.as_ref().is_some_and(|digest| *digest != vm.digest()) {
            return Err(Failure::died("checksum mismatch (file change by other user?)"));
        }
        if !self.skiplock {
            vm.check_lock()?;
        }
        Ok(())
    }
}

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
        ready.insert(key.clone(), prepared(world, node, vmid, key, value, now)?);
    }
    let mut warnings = Vec::new();
    let mut freed = Vec::new();
    let vm = world.vm_mut(node, vmid)?;
    let protected = vm.get("protection") == Some("1");
    for key in &change.revert {
        vm.pending.remove(key);
        vm.pending_delete.remove(key);
    }
    for key in &change.delete {
        vm.pending.remove(key);
        if let Some(text) = vm.config.get(key) {
            if key.starts_with("unused") {
                if protected {
                    let text = format!("can't remove unused disk '{text}' - protection mode enabled");
                    return Err(Failure::died(text));
                }
                freed.extend(vm.config.remove(key));
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
    settle(vm, change.force, &mut freed);
    for volid in freed {
        world.remove_volume(volid.split(',').next().unwrap_or_default());
    }
    world.counters.effect(Effect::ConfigChanged, vmid, None);
    Ok(warnings)
}

/// Makes pending changes real as far as the VM's state allows.
fn settle(vm: &mut Vm, force: bool, freed: &mut Vec<String>) {
    let deletes = vm.pending_delete.iter().cloned().collect::<Vec<_>>();
    for key in deletes {
        if !goes_at_once(vm, &key, None) {
            continue;
        }
        vm.pending_delete.remove(&key);
        if let Some(text) = vm.config.remove(&key) {
            put_aside(vm, &key, &text, force, freed);
        }
    }
    let sets = vm.pending.clone();
    for (key, value) in sets {
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

/// The value as it will be stored: new volumes made, MAC addresses chosen, passwords hashed.
fn prepared(
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
    if !keys::is_drive(key) {
        return Ok(stored(key, value)?);
    }
    let Some(drive) = Drive::parse(key, value) else {
        return Err(Failure::parameter(key, "unable to parse drive options"));
    };
    if drive.has("import-from") {
        return Err(Failure::died("import-from is not simulated"));
    }
    placed(world, node, vmid, key, drive, now).map(|drive| drive.print())
}

/// Finds or makes the volume of a drive.
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
    world.storage_on(id, node)?;
    let Some(storage) = world.storages.get_mut(id) else {
        return Err(Failure::died(format!("storage '{id}' does not exist")));
    };
    let new_size = match rest {
        "cloudinit" => Some(4 << 20),
        digits => digits
            .parse::<f64>()
            .ok()
            .map(|gib| crate::units::whole(gib * f64::from(1 << 30))),
    };
    let Some(size) = new_size else {
        if before.is_none_or(|old| old.file() != file) {
            let Some(volume) = storage.volumes_on(node).find(|volume| volume.volid == file) else {
                return Err(Failure::died(format!("volume {file} does not exist")));
            };
            drive.set("size", size_text(volume.size));
        }
        return Ok(drive);
    };
    let ending = if storage.kind.is_files() { ".qcow2" } else { "" };
    let folder = if storage.kind.is_files() {
        format!("{vmid}/")
    } else {
        String::new()
    };
    let taken = |volid: &str| storage.volumes_on(node).any(|volume| volume.volid == volid);
    let volid = if rest == "cloudinit" {
        drive.set("media", "cdrom".to_owned());
        format!("{id}:{folder}vm-{vmid}-cloudinit{ending}")
    } else {
        let names = (0..1000).map(|n| format!("{id}:{folder}vm-{vmid}-disk-{n}{ending}"));
        names.into_iter().find(|volid| !taken(volid)).unwrap_or_default()
    };
    let volume = Volume {
        volid: volid.clone(),
        content: "images".to_owned(),
        format: storage.format_of(&volid).to_owned(),
        size,
        ctime: now,
        vmid: Some(vmid),
        notes: None,
        protected: false,
        node: (!storage.shared).then(|| node.to_owned()),
    };
    storage.volumes.push(volume);
    drive.set_file(volid);
    drive.set("size", size_text(size));
    Ok(drive)
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
