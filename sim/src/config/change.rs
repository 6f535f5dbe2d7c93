//! What a call of `PUT …/config` asks for: [`Change::read`] makes it of the parameters, [`Change::permitted`] holds it
//! against the caller's privileges, [`Change::timely`] against the VM as it is now.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::drive::Drive;
use super::keys::{self, Area};
use super::network::Network;
use super::{sshkeys, stored};
use crate::failure::Failure;
use crate::schema::{Params, format};
use crate::world::World;
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
    /// Values by key, as they came.
    pub(super) set: BTreeMap<String, String>,
    /// Keys that go away.
    pub(super) delete: Vec<String>,
    /// Keys whose pending values go away.
    pub(super) revert: Vec<String>,
    digest: Option<String>,
    skiplock: bool,
    /// Disks that leave their key are freed, not kept as unused ones.
    pub(super) force: bool,
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
