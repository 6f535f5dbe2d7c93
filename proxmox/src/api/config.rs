//! A VM's configuration: reading it whole, changing parts of it.

use std::borrow::Cow;

use http::Method;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use crate::api::split_tags;
use crate::client::Vm;
use crate::error::Error;
use crate::id::{SnapshotName, is_config_id};
use crate::lenient::{Scalar, parse_bool};
use crate::property::{
    Agent, BootOrder, Bus, Disk, DriveSlot, IpConfig, Net, PropertyString, Vga, decode_ssh_keys,
    encode_ssh_keys,
};
use crate::reason::Lock;
use crate::route::Params;
use crate::secret::Secret;
use crate::transport::Class;

/// A VM's configuration, every key as PVE sent it, with getters that give some of them a type.
///
/// A getter gives `None` for a key that is not set: then PVE's default holds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct VmConfig {
    values: IndexMap<String, Value>,
}

impl VmConfig {
    /// Every key with its value, in the order it came.
    pub fn values(&self) -> &IndexMap<String, Value> {
        &self.values
    }

    /// A value as text, whatever JSON type it came as.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.values.get(key)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "1" } else { "0" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A value as a whole number.
    pub fn whole(&self, key: &str) -> Option<u64> {
        Scalar::Text(self.text(key)?.into_owned()).to_u64().ok().flatten()
    }

    /// A value as a number.
    pub fn number(&self, key: &str) -> Option<f64> {
        Scalar::Text(self.text(key)?.into_owned()).to_f64().ok().flatten()
    }

    /// A value as a boolean; false if not set.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key)
            .and_then(|text| parse_bool(text.trim()))
            .unwrap_or(false)
    }

    /// The digest of the config, to be given with a change so that it is refused if another came before.
    pub fn digest(&self) -> Option<Cow<'_, str>> {
        self.text("digest")
    }

    /// The name.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.text("name")
    }

    /// The notes.
    pub fn description(&self) -> Option<Cow<'_, str>> {
        self.text("description")
    }

    /// The operation that holds the VM.
    pub fn lock(&self) -> Option<Lock> {
        self.text("lock").map(|word| Lock::from(&*word))
    }

    /// Whether it is a template.
    pub fn is_template(&self) -> bool {
        self.flag("template")
    }

    /// Whether it is protected against removal.
    pub fn is_protected(&self) -> bool {
        self.flag("protection")
    }

    /// CPUs of the guest: sockets by cores, each 1 unless set.
    pub fn cpus(&self) -> u64 {
        let (cores, sockets) = (
            self.whole("cores").unwrap_or(1),
            self.whole("sockets").unwrap_or(1),
        );
        cores.saturating_mul(sockets)
    }

    /// Memory in MiB; PVE's default is 512. The value is a number, a text or `current=N`, by version.
    pub fn memory_mib(&self) -> u64 {
        let memory = self.text("memory").and_then(|text| {
            PropertyString::from(&*text)
                .get_or_default("current")
                .and_then(|number| number.trim().parse().ok())
        });
        memory.unwrap_or(512)
    }

    /// The kind of the guest's system, such as `l26` or `win11`.
    pub fn ostype(&self) -> Option<Cow<'_, str>> {
        self.text("ostype")
    }

    /// Tags.
    pub fn tags(&self) -> Vec<String> {
        split_tags(&self.text("tags").unwrap_or_default())
    }

    /// The snapshot that the present state descends from.
    pub fn parent(&self) -> Option<SnapshotName> {
        self.text("parent").and_then(|name| SnapshotName::new(name).ok())
    }

    /// The guest agent.
    pub fn agent(&self) -> Option<Agent> {
        self.text("agent").map(|text| Agent::parse(&text))
    }

    /// The boot order.
    pub fn boot(&self) -> Option<BootOrder> {
        self.text("boot").map(|text| BootOrder::parse(&text))
    }

    /// The display.
    pub fn vga(&self) -> Option<Vga> {
        self.text("vga").map(|text| Vga::parse(&text))
    }

    /// What is in a slot.
    pub fn drive(&self, slot: DriveSlot) -> Option<Disk> {
        Disk::parse(&self.text(&slot.to_string())?).ok()
    }

    /// Everything in drive slots, CD drives, firmware state and detached volumes included, in PVE's order.
    pub fn drives(&self) -> Vec<(DriveSlot, Disk)> {
        let mut drives: Vec<_> = self
            .values
            .keys()
            .filter_map(|key| key.parse().ok())
            .filter_map(|slot| Some((slot, self.drive(slot)?)))
            .collect();
        drives.sort_by_key(|(slot, _)| *slot);
        drives
    }

    /// The disks that the guest keeps data on: no CD, cloud-init drive, firmware state or detached volume.
    pub fn disks(&self) -> Vec<(DriveSlot, Disk)> {
        self.drives()
            .into_iter()
            .filter(|(slot, disk)| slot.is_drive() && disk.is_disk())
            .collect()
    }

    /// The disk the system is on: the first real disk of the boot order, else that of the older `bootdisk`
    /// key, else the first disk there is (IDE, SCSI, VirtIO, SATA), as PVE itself looks for it.
    pub fn system_disk(&self) -> Option<(DriveSlot, Disk)> {
        let disks = self.disks();
        let ordered = self.boot().map(|boot| boot.drives()).unwrap_or_default();
        let bootdisk = self.text("bootdisk").and_then(|slot| slot.trim().parse().ok());
        let named = ordered
            .into_iter()
            .chain(bootdisk)
            .find(|slot| disks.iter().any(|(other, _)| other == slot));
        match named {
            Some(slot) => disks.into_iter().find(|(other, _)| *other == slot),
            None => disks.into_iter().next(),
        }
    }

    /// The disks beside the system's.
    pub fn additional_disks(&self) -> Vec<(DriveSlot, Disk)> {
        let system = self.system_disk().map(|(slot, _)| slot);
        self.disks()
            .into_iter()
            .filter(|(slot, _)| Some(*slot) != system)
            .collect()
    }

    /// The drive with the cloud-init data.
    pub fn cloudinit_drive(&self) -> Option<(DriveSlot, Disk)> {
        self.drives()
            .into_iter()
            .find(|(slot, disk)| slot.is_drive() && disk.is_cloudinit())
    }

    /// Network cards by number.
    pub fn nets(&self) -> Vec<(u8, Net)> {
        self.numbered("net")
            .into_iter()
            .filter_map(|(n, text)| Some((n, Net::parse(&text).ok()?)))
            .collect()
    }

    /// The addresses that cloud-init gives the cards, by number.
    pub fn ipconfigs(&self) -> Vec<(u8, IpConfig)> {
        self.numbered("ipconfig")
            .into_iter()
            .map(|(n, text)| (n, IpConfig::parse(&text)))
            .collect()
    }

    /// Name servers for cloud-init.
    pub fn nameservers(&self) -> Vec<String> {
        let text = self.text("nameserver").unwrap_or_default();
        let servers = text.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace());
        servers
            .filter(|server| !server.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The public keys that cloud-init gives the user.
    pub fn ssh_keys(&self) -> Vec<String> {
        decode_ssh_keys(&self.text("sshkeys").unwrap_or_default())
    }

    /// Volumes that belong to the VM and are not attached.
    pub fn unused(&self) -> Vec<(DriveSlot, Disk)> {
        let mut drives = self.drives();
        drives.retain(|(slot, _)| slot.bus() == Bus::Unused);
        drives
    }

    /// The sum of the sizes of the guest's disks, bytes; unknown sizes count 0.
    pub fn disk_bytes(&self) -> u64 {
        self.disks()
            .iter()
            .filter_map(|(_, disk)| disk.size())
            .fold(0, u64::saturating_add)
    }

    fn numbered(&self, prefix: &str) -> Vec<(u8, Cow<'_, str>)> {
        let number = |key: &str| key.strip_prefix(prefix)?.parse::<u8>().ok().filter(|n| *n < 32);
        let keys = self
            .values
            .keys()
            .filter_map(|key| Some((number(key)?, self.text(key)?)));
        let mut found: Vec<_> = keys.collect();
        found.sort_by_key(|(n, _)| *n);
        found
    }
}

/// The key of the password that cloud-init gives the user.
const PASSWORD: &str = "cipassword";

/// A change that PVE would refuse or that would do harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUpdate {
    /// Not a key of a config, or one that steers the call itself.
    #[error("`{0}` is not a configuration key that can be set")]
    Key(String),
    /// A control character in a value; only the description may have line breaks.
    #[error("the value of `{0}` contains control characters")]
    Control(String),
    /// Not an installation medium, or not a slot that a CD drive can be in.
    #[error("`{0}` cannot be put into a CD drive there")]
    Medium(String),
    /// The mask that PVE shows instead of a password: written back, it would become the password.
    #[error("`{0}` holds the mask of a password, not a password")]
    Mask(String),
    /// A text that is no public key among the keys.
    #[error("one of the keys is not a public key such as `ssh-ed25519 AAAA… name`")]
    SshKeys,
}

/// A change of a VM's config.
#[derive(Debug, Clone, Default)]
pub struct ConfigUpdate {
    set: IndexMap<String, String>,
    secrets: IndexMap<String, Secret>,
    delete: Vec<String>,
    revert: Vec<String>,
    digest: Option<String>,
}

impl ConfigUpdate {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key; the last value counts. A password is kept as by [`Self::set_secret`].
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn set(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Result<Self, InvalidUpdate> {
        if key == PASSWORD {
            return self.set_secret(key, Secret::new(value.to_string()));
        }
        check_key(key)?;
        let value = value.to_string();
        check_value(key, &value)?;
        self.secrets.shift_remove(key);
        self.set.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Sets a key to a value that must appear nowhere, such as `cipassword`.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn set_secret(mut self, key: &str, value: Secret) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        check_value(key, value.expose())?;
        self.set.shift_remove(key);
        self.secrets.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Takes a key out of the config.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn delete(mut self, key: &str) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        self.delete.push(key.to_owned());
        Ok(self)
    }

    /// Empties a slot. A disk becomes a detached volume; a detached volume is freed, for good.
    #[must_use]
    pub fn delete_slot(mut self, slot: DriveSlot) -> Self {
        self.delete.push(slot.to_string());
        self
    }

    /// Takes back what waits for a key.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn revert(mut self, key: &str) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        self.revert.push(key.to_owned());
        Ok(self)
    }

    /// Puts a disk, a medium or an empty CD drive into a slot.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn drive(self, slot: DriveSlot, disk: &Disk) -> Result<Self, InvalidUpdate> {
        self.set(&slot.to_string(), disk)
    }

    /// Sets the public keys that cloud-init gives the user; none takes the key out.
    ///
    /// # Errors
    /// [`InvalidUpdate::SshKeys`] when one is not a public key.
    pub fn ssh_keys<K: AsRef<str>>(mut self, keys: &[K]) -> Result<Self, InvalidUpdate> {
        let encoded = encode_ssh_keys(keys).map_err(|_| InvalidUpdate::SshKeys)?;
        if encoded.is_empty() {
            self.delete.push("sshkeys".to_owned());
        } else {
            self.set.insert("sshkeys".to_owned(), encoded);
        }
        Ok(self)
    }

    /// Lets the change be refused ([`Reason::DigestMismatch`](crate::Reason::DigestMismatch)) unless the
    /// config still has this digest.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(digest.to_owned());
        self
    }

    /// Whether there is nothing to change. PVE refuses such a call.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.secrets.is_empty() && self.delete.is_empty() && self.revert.is_empty()
    }

    /// Whether it also takes keys or what waits for them away, or depends on a digest.
    pub(crate) fn does_more_than_set(&self) -> bool {
        !self.delete.is_empty() || !self.revert.is_empty() || self.digest.is_some()
    }

    /// Whether it changes more than one key. PVE writes the config after each of them.
    fn has_parts(&self) -> bool {
        self.set.len() + self.secrets.len() + self.delete.len() + self.revert.len() > 1
    }

    /// The keys that it sets.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.set.keys().chain(self.secrets.keys()).map(String::as_str)
    }

    pub(crate) fn params(&self) -> Params {
        let mut params = Params::new();
        for (key, value) in &self.set {
            params = params.set(key, value);
        }
        for (key, value) in &self.secrets {
            params = params.secret(key, value);
        }
        let delete = (!self.delete.is_empty()).then(|| self.delete.join(","));
        let revert = (!self.revert.is_empty()).then(|| self.revert.join(","));
        params
            .opt("delete", delete)
            .opt("revert", revert)
            .opt("digest", self.digest.as_ref())
    }
}

fn check_key(key: &str) -> Result<(), InvalidUpdate> {
    let steers = [
        "delete",
        "digest",
        "skiplock",
        "revert",
        "force",
        "background_delay",
        "node",
        "vmid",
    ];
    if is_config_id(key) && !steers.contains(&key) {
        Ok(())
    } else {
        Err(InvalidUpdate::Key(
            key.chars().filter(|c| !c.is_control()).take(64).collect(),
        ))
    }
}

fn check_value(key: &str, value: &str) -> Result<(), InvalidUpdate> {
    let breaks = key == "description";
    if value.contains(|c: char| c.is_control() && !(breaks && matches!(c, '\n' | '\t'))) {
        return Err(InvalidUpdate::Control(key.to_owned()));
    }
    if key == PASSWORD && !value.is_empty() && value.bytes().all(|b| b == b'*') {
        return Err(InvalidUpdate::Mask(key.to_owned()));
    }
    Ok(())
}

impl Vm {
    /// `GET config`: the configuration with changes that are still pending already in it.
    ///
    /// The cloud-init password is masked.
    pub async fn config(&self) -> Result<VmConfig, Error> {
        self.call(Class::Read, Method::GET, |vm| vm.word("/config"), Params::new())
            .await
    }

    /// `GET config?current=1`: the configuration the VM runs with, without pending changes.
    pub async fn current_config(&self) -> Result<VmConfig, Error> {
        self.call(
            Class::Read,
            Method::GET,
            |vm| vm.word("/config"),
            Params::new().flag("current", true),
        )
        .await
    }

    /// `PUT config`: changes the configuration, at once and without a task.
    ///
    /// What cannot be changed while the VM runs is left pending until it is started anew.
    ///
    /// PVE changes one key after the other, those to be taken out first. When one fails, those before it stay
    /// changed, and nothing tells which.
    ///
    /// # Errors
    /// Rights, parameters, [`Reason::Locked`](crate::Reason::Locked),
    /// [`Reason::DigestMismatch`](crate::Reason::DigestMismatch) and a
    /// [`Reason::LockTimeout`](crate::Reason::LockTimeout) of the config come before all keys: nothing is changed then.
    /// After any other refusal of a change of several keys some may be saved, also after a `LockTimeout` of a storage
    /// and a change that is written but cannot be made ([`Error::Parameters`], as when hotplug fails):
    /// [`Error::may_have_happened`] says so.
    pub async fn update_config(&self, update: &ConfigUpdate) -> Result<(), Error> {
        let changed = self
            .change(Method::PUT, |vm| vm.word("/config"), update.params())
            .await;
        changed.map_err(|error| {
            if update.has_parts() {
                error.in_parts()
            } else {
                error
            }
        })
    }
}
