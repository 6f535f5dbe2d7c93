//! What a config says, with a type for some of its keys.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use crate::api::split_tags;
use crate::id::SnapshotName;
use crate::lenient::{Scalar, parse_bool};
use crate::property::{
    Agent, BootOrder, Bus, Disk, DriveSlot, IpConfig, Net, PropertyString, Vga, decode_ssh_keys,
};
use crate::reason::Lock;

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
