//! What a call of `PUT …/config` asks for: [`Change::read`] makes it of the parameters, [`Change::possible`] holds it
//! against the VM as it is now.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::drive::Drive;
use super::keys;
use super::{cloudinit, sshkeys, stored};
use crate::failure::Failure;
use crate::schema::{Params, format};
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
        let unaliased = |key: &str| if key == "cdrom" { "ide2" } else { key }.to_owned();
        let list = |name: &str| {
            params
                .get(name)
                .map(|text| format::items(text).map(unaliased).collect())
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
            change.set.insert(unaliased(key), value.to_owned());
        }
        if change.set.is_empty() && change.delete.is_empty() && change.revert.is_empty() {
            return Err(Failure::died(NOTHING_ASKED));
        }
        for (parameter, keys) in [("delete", &change.delete), ("revert", &change.revert)] {
            for key in keys {
                if keys::find(key).is_none() {
                    return Err(Failure::parameter(parameter, format!("unknown option '{key}'")));
                }
                // The texts lack a quotation mark in PVE too, and both come under `delete`.
                if change.set.contains_key(key) {
                    let text = format!("you can't use '-{key}' and -{parameter} {key}' at the same time");
                    return Err(Failure::parameter("delete", text));
                }
                if parameter == "revert" && change.delete.contains(key) {
                    let text = format!("you can't use '-delete {key}' and -revert {key}' at the same time");
                    return Err(Failure::parameter("revert", text));
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

    /// Every key that is named.
    pub(super) fn touched(&self) -> impl Iterator<Item = &str> {
        let keys = self.delete.iter().chain(&self.revert).chain(self.set.keys());
        keys.map(String::as_str)
    }

    /// What must hold before a VM is changed: [`Self::timely`], and its memory is enough for its balloon.
    pub(crate) fn possible(&self, vm: &Vm) -> Result<(), Failure> {
        self.timely(vm)?;
        let coming = |key: &str| {
            let asked = self.set.get(key).or_else(|| vm.pending.get(key));
            asked.map(String::as_str).or_else(|| vm.get(key))
        };
        let is_asked = ["memory", "balloon"]
            .iter()
            .any(|key| self.set.contains_key(*key));
        let balloon = coming("balloon").and_then(|text| text.parse::<u64>().ok());
        let memory = coming("memory").map_or(cloudinit::DEFAULT_MEMORY, cloudinit::memory_mib);
        if is_asked && balloon.is_some_and(|balloon| balloon > memory) {
            return Err(Failure::died(
                "balloon value too large (must be smaller than assigned memory)",
            ));
        }
        Ok(())
    }

    /// What must hold before a configuration is written: it is the one that the caller saw, and is not locked.
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
