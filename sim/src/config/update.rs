//! Changing a configuration: what `PUT …/config` checks and does.
//!
//! [`Change::read`] makes a change of the parameters, [`Change::permitted`] holds it against the caller's
//! privileges, [`apply`] carries it out: at once on a stopped VM, key by key on a running one.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::drive::Drive;
use super::keys::{self, Area, Plug};
use super::network::Network;
use super::prepare::prepared;
use super::{Section, sshkeys, stored};
use crate::failure::Failure;
use crate::schema::{Params, format};
use crate::world::World;
use crate::world::counters::Effect;
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

/// What a change without any key is answered.
const NOTHING_ASKED: &str = "no options specified";

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
            return Err(Failure::died(NOTHING_ASKED));
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
                    if let Some(reason) = drive.as_ref().and_then(misuse) {
                        errors.insert(key.clone(), reason.to_owned());
                    }
                    // `import-from` is not stored, but the change must still know of it.
                    if !keys::holds_volume(key) {
                        *value = text;
                    }
                }
            }
        }
        if !errors.is_empty() {
            return Err(Failure::invalid(errors));
        }
        if let Some(keys) = change.set.get("sshkeys") {
            sshkeys::validate(keys)?;
        }
        Ok(change)
    }

    /// The parameters of a call that makes a VM: every key, and nothing of what only a change can do.
    pub(crate) fn for_new(params: &Params, own: &[&str], who: &str) -> Result<Self, Failure> {
        let only_keys = params.without(own);
        match Self::read(&only_keys, who) {
            // A VM may be made without saying anything of it.
            Err(failure) if failure.message == NOTHING_ASKED => Ok(Self::default()),
            outcome => outcome,
        }
    }

    /// The keys that are set, with their values as they came.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Sets one more key.
    pub(crate) fn set(&mut self, key: &str, value: String) {
        self.set.insert(key.to_owned(), value);
    }

    /// The drives that copy another volume: key and source.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (&str, String)> {
        self.sets().filter_map(|(key, value)| {
            let drive = keys::holds_volume(key).then(|| Drive::parse(key, value))??;
            Some((key, drive.get("import-from")?.to_owned()))
        })
    }

    /// Whether `who` may make this change.
    pub(crate) fn permitted(&self, world: &World, vmid: u32, who: &str) -> Result<(), Failure> {
        self.permitted_in(world, vmid, None, who)
    }

    /// The same for a VM that is made, where rights on the pool it goes to count too.
    pub(crate) fn permitted_in(
        &self,
        world: &World,
        vmid: u32,
        pool: Option<&str>,
        who: &str,
    ) -> Result<(), Failure> {
        let path = format!("/vms/{vmid}");
        let pool = pool.map(|pool| format!("/pool/{pool}"));
        let vm = world.vms.get(&vmid);
        let old = |key: &str| vm.and_then(|vm| Drive::parse(key, vm.get(key)?));
        let require = |path: &str, any: &[&str]| {
            let on = |path: &str| any.iter().any(|privilege| world.access.may(who, path, privilege));
            let by_pool = || path.starts_with("/vms/") && pool.as_deref().is_some_and(on);
            if on(path) || by_pool() {
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
                    if let Some(source) = drive.get("import-from") {
                        may_import(world, key, source, &require, who)?;
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

    /// What must hold before the change: the VM is there, is the one the caller saw, and is not locked.
    pub(crate) fn timely(&self, vm: &Vm) -> Result<(), Failure> {
        unmodified(vm, self.digest.as_deref())?;
        if !self.skiplock {
            vm.check_lock()?;
        }
        Ok(())
    }
}

/// Refuses what was asked for against another state of a VM's configuration.
pub(crate) fn unmodified(vm: &Vm, digest: Option<&str>) -> Result<(), String> {
    match digest {
        Some(digest) if digest != vm.digest() => {
            Err("checksum mismatch (file change by other user?)".to_owned())
        }
        _ => Ok(()),
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

/// What is wrong with a drive that could be read.
fn misuse(drive: &Drive) -> Option<&'static str> {
    if drive.file().contains(":iso/") && !drive.is_cdrom() {
        return Some("explicit 'media=cdrom' is required for iso images");
    }
    let size = drive.file().split_once(':').map(|(_, size)| size);
    let empty = size.and_then(|size| size.parse::<f64>().ok()) == Some(0.0);
    (drive.has("import-from") && !empty)
        .then_some("'import-from' requires special syntax - use <storage ID>:0,import-from=<source>")
}

/// Whether `who` may copy a volume into a disk: one of a VM needs `VM.Clone` on that VM.
fn may_import(
    world: &World,
    key: &str,
    source: &str,
    require: &impl Fn(&str, &[&str]) -> Result<(), Failure>,
    who: &str,
) -> Result<(), Failure> {
    let Some((storage, _)) = source.split_once(':') else {
        return if who == "root@pam" {
            Ok(())
        } else {
            Err(Failure::died("Only root can pass arbitrary filesystem paths."))
        };
    };
    let volumes = world.storages.get(storage).map(|storage| &storage.volumes);
    let Some(volume) = volumes
        .into_iter()
        .flatten()
        .find(|volume| volume.volid == source)
    else {
        return Ok(());
    };
    match (volume.content.as_str(), volume.vmid) {
        ("images", Some(owner)) => require(&format!("/vms/{owner}"), &["VM.Clone"]),
        ("images" | "import", _) => require(
            &format!("/storage/{storage}"),
            &["Datastore.Audit", "Datastore.AllocateSpace"],
        ),
        (kind, _) => Err(Failure::parameter(
            key,
            format!("{source} has wrong type '{kind}' - not an image"),
        )),
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
