//! Every key of a VM's configuration.

use super::{cloudinit, drive, hardware, network};
use crate::schema::{Kind, Property, format};

/// Which privilege a change of a key needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// `VM.Config.CPU`.
    Cpu,
    /// `VM.Config.Memory`.
    Memory,
    /// `VM.Config.Network`.
    Network,
    /// `VM.Config.Cloudinit` or `VM.Config.Network`.
    Cloudinit,
    /// `VM.Config.Disk`, `VM.Config.CDROM` or `VM.Config.Cloudinit`, depending on the drive.
    Drive,
    /// `VM.Config.HWType`.
    Hardware,
    /// `VM.Config.HWType` for what is simulated or mapped; only root@pam for devices of the host.
    Device,
    /// `VM.Config.Options`.
    Options,
    /// Only root@pam.
    Root,
}

/// When a running VM takes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plug {
    /// At once, always.
    Fast,
    /// Depends on what of the device changes; what a guest would notice needs `network` in `hotplug`.
    Network,
    /// Depends on the drive and on what changes; needs `disk` in `hotplug`.
    Disk,
    /// At once, if the VM's `hotplug` has `usb` and its system takes such devices.
    Usb,
    /// At once, unless it switches ballooning on or off.
    Balloon,
    /// At once, unless processors or memory are among what is plugged.
    Hotplug,
    /// At once: limits that the host applies.
    Host,
    /// At the next cold start.
    Cold,
}

/// A key: its schema, who may change it, and when a change takes effect.
pub(crate) struct Key {
    /// Name, type and format.
    pub(crate) property: Property,
    /// Who may change it.
    pub(crate) area: Area,
    /// When a change takes effect on a running VM.
    pub(crate) plug: Plug,
}

const fn key(property: Property, area: Area, plug: Plug) -> Key {
    Key {
        property: property.optional(),
        area,
        plug,
    }
}

const fn text(name: &'static str) -> Property {
    Property::text(name)
}

const fn boolean(name: &'static str) -> Property {
    Property::boolean(name)
}

const fn integer(name: &'static str) -> Property {
    Property::integer(name)
}

use Area::{Cloudinit, Cpu, Device, Drive, Hardware, Memory, Network, Options, Root};
use Plug::{Balloon, Cold, Disk, Fast, Host, Hotplug, Usb};

const KEYBOARDS: &[&str] = &[
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it",
    "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
];

/// All keys that `PUT …/config` takes.
pub(crate) const KEYS: &[Key] = &[
    key(boolean("acpi"), Options, Cold),
    key(text("affinity"), Cpu, Cold),
    key(text("agent").format(cloudinit::agent), Options, Cold),
    key(boolean("allow-ksm").new_in_9(), Options, Cold),
    key(text("amd-sev").format(hardware::sev), Options, Cold),
    key(text("arch").one_of(&["x86_64", "aarch64"]), Root, Cold),
    key(text("args"), Root, Cold),
    key(text("audio0").format(hardware::audio), Hardware, Cold),
    key(boolean("autostart"), Options, Cold),
    key(integer("balloon").at_least(0), Memory, Balloon),
    key(text("bios").one_of(&["seabios", "ovmf"]), Options, Cold),
    key(text("boot").format(format::boot), Options, Cold),
    key(text("bootdisk").format(format::boot_disk), Options, Cold),
    key(text("cdrom").format(drive::check), Drive, Disk),
    key(text("cicustom").format(hardware::custom_seed), Cloudinit, Fast),
    key(text("cipassword"), Cloudinit, Fast),
    key(
        text("citype").one_of(&["configdrive2", "nocloud", "opennebula"]),
        Cloudinit,
        Fast,
    ),
    key(boolean("ciupgrade"), Cloudinit, Fast),
    key(text("ciuser"), Cloudinit, Fast),
    key(integer("cores").at_least(1), Cpu, Cold),
    key(text("cpu").format(hardware::cpu), Cpu, Cold),
    key(Property::number("cpulimit").at_least(0).at_most(128), Cpu, Host),
    key(integer("cpuunits").at_least(1).at_most(262_144), Cpu, Host),
    key(text("description").no_longer_than(8192), Options, Fast),
    key(text("efidisk0").format(drive::check_special), Drive, Cold),
    key(boolean("freeze"), Options, Cold),
    key(text("hookscript").format(format::volume_id), Root, Fast),
    key(text("hostpci").numbered(15), Device, Cold),
    key(text("hotplug").list_of(format::hotplug), Options, Hotplug),
    key(text("hugepages").one_of(&["any", "2", "1024"]), Memory, Cold),
    key(text("ide").numbered(3).format(drive::check), Drive, Disk),
    key(text("intel-tdx").new_in_9(), Options, Cold),
    key(
        text("ipconfig").numbered(31).format(cloudinit::ipconfig),
        Cloudinit,
        Fast,
    ),
    key(text("ivshmem").format(hardware::shared_memory), Root, Cold),
    key(boolean("keephugepages"), Memory, Cold),
    key(text("keyboard").one_of(KEYBOARDS), Options, Cold),
    key(boolean("kvm"), Options, Cold),
    key(boolean("localtime"), Options, Cold),
    key(
        text("lock").one_of(&[
            "backup",
            "clone",
            "create",
            "migrate",
            "rollback",
            "snapshot",
            "snapshot-delete",
            "suspending",
            "suspended",
        ]),
        Root,
        Fast,
    ),
    key(text("machine").format(hardware::machine), Hardware, Cold),
    key(text("memory").format(cloudinit::memory), Memory, Cold),
    key(Property::number("migrate_downtime").at_least(0), Options, Host),
    key(integer("migrate_speed").at_least(0), Options, Host),
    key(text("name").format(format::dns_name), Options, Fast),
    key(text("nameserver").list_of(format::address), Cloudinit, Fast),
    key(
        text("net").numbered(31).format(network::check),
        Network,
        Plug::Network,
    ),
    key(boolean("numa"), Cpu, Cold),
    key(text("numa").numbered(7).format(hardware::numa), Cpu, Cold),
    key(boolean("onboot"), Options, Fast),
    key(
        text("ostype").one_of(&[
            "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26",
            "solaris",
        ]),
        Options,
        Cold,
    ),
    key(
        text("parallel").numbered(2).pattern(hardware::is_parallel_port),
        Root,
        Cold,
    ),
    key(boolean("protection"), Options, Fast),
    key(boolean("reboot"), Options, Cold),
    key(text("rng0").format(hardware::random), Hardware, Cold),
    key(text("sata").numbered(5).format(drive::check), Drive, Disk),
    key(text("scsi").numbered(30).format(drive::check), Drive, Disk),
    key(
        text("scsihw").one_of(&[
            "lsi",
            "lsi53c810",
            "virtio-scsi-pci",
            "virtio-scsi-single",
            "megasas",
            "pvscsi",
        ]),
        Hardware,
        Cold,
    ),
    key(text("searchdomain"), Cloudinit, Fast),
    key(
        text("serial").numbered(3).pattern(hardware::is_serial_port),
        Device,
        Cold,
    ),
    key(integer("shares").at_least(0).at_most(50_000), Memory, Fast),
    key(
        text("smbios1").format(hardware::smbios).no_longer_than(512),
        Hardware,
        Cold,
    ),
    key(integer("smp").at_least(1), Cpu, Cold),
    key(integer("sockets").at_least(1), Cpu, Cold),
    key(text("spice_enhancements").format(hardware::spice), Options, Cold),
    key(text("sshkeys").format(format::urlencoded), Cloudinit, Fast),
    key(text("startdate").pattern(hardware::is_start_date), Options, Cold),
    key(text("startup").format(format::startup_order), Options, Fast),
    key(boolean("tablet"), Hardware, Usb),
    key(text("tags").list_of(format::tag), Options, Fast),
    key(boolean("tdf"), Options, Cold),
    key(boolean("template"), Options, Cold),
    key(text("tpmstate0").format(drive::check_special), Drive, Cold),
    key(
        text("unused").numbered(255).format(drive::check_special),
        Drive,
        Disk,
    ),
    key(text("usb").numbered(13).format(hardware::usb), Device, Usb),
    key(integer("vcpus").at_least(1), Cpu, Cold),
    key(text("vga").format(hardware::vga), Hardware, Cold),
    key(text("virtio").numbered(15).format(drive::check), Drive, Disk),
    key(
        text("virtiofs").numbered(9).format(hardware::shared_folder),
        Root,
        Cold,
    ),
    key(text("vmgenid").pattern(hardware::is_generation), Hardware, Cold),
    key(text("vmstatestorage").format(format::storage_id), Options, Fast),
    key(text("watchdog").format(hardware::watchdog), Hardware, Cold),
];

/// The keys of disks that a call can name.
pub(crate) const DISKS: &[&str] = &[
    "ide0",
    "ide1",
    "ide2",
    "ide3",
    "scsi0",
    "scsi1",
    "scsi2",
    "scsi3",
    "scsi4",
    "scsi5",
    "scsi6",
    "scsi7",
    "scsi8",
    "scsi9",
    "scsi10",
    "scsi11",
    "scsi12",
    "scsi13",
    "scsi14",
    "scsi15",
    "scsi16",
    "scsi17",
    "scsi18",
    "scsi19",
    "scsi20",
    "scsi21",
    "scsi22",
    "scsi23",
    "scsi24",
    "scsi25",
    "scsi26",
    "scsi27",
    "scsi28",
    "scsi29",
    "scsi30",
    "virtio0",
    "virtio1",
    "virtio2",
    "virtio3",
    "virtio4",
    "virtio5",
    "virtio6",
    "virtio7",
    "virtio8",
    "virtio9",
    "virtio10",
    "virtio11",
    "virtio12",
    "virtio13",
    "virtio14",
    "virtio15",
    "sata0",
    "sata1",
    "sata2",
    "sata3",
    "sata4",
    "sata5",
    "efidisk0",
    "tpmstate0",
];

/// The entry of a key.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.property.covers(name))
}

/// How a key's value is shown; keys that PVE writes by itself are text, but for a few.
pub(crate) fn kind_of(name: &str) -> Kind {
    match name {
        "snaptime" => Kind::Integer,
        _ => find(name).map_or(Kind::Text, |key| key.property.kind),
    }
}

/// Whether a key is one of the disks and CD drives (not `efidisk0`, `tpmstate0`, `unusedN`).
pub(crate) fn is_drive(name: &str) -> bool {
    ["ide", "sata", "scsi", "virtio"].iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether a key is a place for a disk or CD, UEFI's and the TPM's among them (not `unusedN`).
pub(crate) fn is_place(name: &str) -> bool {
    is_drive(name) || name == "efidisk0" || name == "tpmstate0"
}

/// Whether the cloud-init image is made of this key, among others.
pub(crate) fn is_seed(name: &str) -> bool {
    name == "name" || find(name).is_some_and(|key| key.area == Area::Cloudinit)
}

/// Whether a key may hold a volume that belongs to the VM.
pub(crate) fn holds_volume(name: &str) -> bool {
    is_place(name)
        || name
            .strip_prefix("unused")
            .is_some_and(|rest| rest.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_and_plain_keys_of_one_name_are_told_apart() {
        assert_eq!(kind_of("numa"), Kind::Boolean);
        assert_eq!(kind_of("numa0"), Kind::Text);
        assert_eq!(kind_of("memory"), Kind::Text);
        assert_eq!(kind_of("cores"), Kind::Integer);
    }

    #[test]
    fn drives_are_recognised_by_their_keys() {
        assert!(is_drive("scsi0") && is_drive("virtio15"));
        assert!(!is_drive("scsihw") && !is_drive("scsi") && !is_drive("net0"));
        assert!(holds_volume("unused3") && holds_volume("efidisk0"));
    }
}
