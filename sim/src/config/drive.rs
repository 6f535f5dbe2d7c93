//! Disks and CD drives: `local-lvm:vm-100-disk-0,iops_rd=500,mbps_rd=100,size=32G`.

use crate::schema::property_string::{Layout, Parts};
use crate::schema::{Property, format};

const CACHE: &[&str] = &["none", "writethrough", "writeback", "unsafe", "directsync"];
const FORMATS: &[&str] = &["raw", "qcow2", "vmdk", "qed", "qcow", "cow", "cloop"];

const fn limit(name: &'static str) -> Property {
    Property::integer(name).optional()
}

const fn seconds(name: &'static str) -> Property {
    Property::integer(name).optional().at_least(1)
}

const fn megabytes(name: &'static str) -> Property {
    Property::number(name).optional()
}

/// The parts of `ideN`, `sataN`, `scsiN`, `virtioN`.
pub(crate) const LAYOUT: Layout = Layout {
    default_key: Some("file"),
    parts: &[
        Property::text("file").format(format::volume),
        Property::text("aio")
            .optional()
            .one_of(&["native", "threads", "io_uring"]),
        Property::boolean("backup").optional(),
        limit("bps"),
        seconds("bps_max_length"),
        limit("bps_rd"),
        seconds("bps_rd_max_length"),
        limit("bps_wr"),
        seconds("bps_wr_max_length"),
        Property::text("cache").optional().one_of(CACHE),
        Property::integer("cyls").optional(),
        Property::boolean("detect_zeroes").optional(),
        Property::text("discard").optional().one_of(&["ignore", "on"]),
        Property::text("format").optional().one_of(FORMATS),
        Property::integer("heads").optional(),
        Property::text("import-from").optional(),
        limit("iops"),
        limit("iops_max"),
        seconds("iops_max_length"),
        limit("iops_rd"),
        limit("iops_rd_max"),
        seconds("iops_rd_max_length"),
        limit("iops_wr"),
        limit("iops_wr_max"),
        seconds("iops_wr_max_length"),
        Property::boolean("iothread").optional(),
        megabytes("mbps"),
        megabytes("mbps_max"),
        megabytes("mbps_rd"),
        megabytes("mbps_rd_max"),
        megabytes("mbps_wr"),
        megabytes("mbps_wr_max"),
        Property::text("media").optional().one_of(&["cdrom", "disk"]),
        Property::text("model").optional().no_longer_than(120),
        Property::text("product").optional(),
        Property::integer("queues").optional().at_least(2),
        Property::boolean("replicate").optional(),
        Property::text("rerror")
            .optional()
            .one_of(&["ignore", "report", "stop"]),
        Property::boolean("ro").optional(),
        Property::boolean("scsiblock").optional(),
        Property::integer("secs").optional(),
        Property::text("serial")
            .optional()
            .format(format::urlencoded)
            .no_longer_than(60),
        Property::boolean("shared").optional(),
        Property::text("size").optional().format(format::disk_size),
        Property::boolean("snapshot").optional(),
        Property::boolean("ssd").optional(),
        Property::text("trans")
            .optional()
            .one_of(&["none", "lba", "auto"]),
        Property::text("vendor").optional(),
        Property::text("werror")
            .optional()
            .one_of(&["enospc", "ignore", "report", "stop"]),
        Property::text("wwn").optional(),
    ],
    aliases: &[
        ("volume", "file"),
        ("bps_rd_length", "bps_rd_max_length"),
        ("bps_wr_length", "bps_wr_max_length"),
        ("iops_rd_length", "iops_rd_max_length"),
        ("iops_wr_length", "iops_wr_max_length"),
    ],
};

/// The parts of `efidisk0`, `tpmstate0` and `unusedN`.
pub(crate) const SPECIAL_LAYOUT: Layout = Layout {
    default_key: Some("file"),
    parts: &[
        Property::text("file").format(format::volume),
        Property::text("efitype").optional().one_of(&["2m", "4m"]),
        Property::text("format").optional().one_of(FORMATS),
        Property::text("import-from").optional(),
        Property::text("ms-cert").optional(),
        Property::boolean("pre-enrolled-keys").optional(),
        Property::text("size").optional().format(format::disk_size),
        Property::text("version").optional().one_of(&["v1.2", "v2.0"]),
    ],
    aliases: &[("volume", "file")],
};

/// Format check of a drive's text.
pub(crate) fn check(name: &str, text: &str) -> Result<(), String> {
    LAYOUT.parse(name, text).map(drop)
}

/// Format check of the special drives' text.
pub(crate) fn check_special(name: &str, text: &str) -> Result<(), String> {
    SPECIAL_LAYOUT.parse(name, text).map(drop)
}

/// A drive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drive {
    parts: Parts,
    /// Whether it is UEFI's, a TPM's or an unused one, which have parts of their own.
    special: bool,
}

impl Drive {
    /// Reads a drive; `None` for text that PVE cannot use, limits that exclude each other among it.
    pub(crate) fn parse(key: &str, text: &str) -> Option<Self> {
        let special = !super::keys::is_drive(key);
        let layout = if special { &SPECIAL_LAYOUT } else { &LAYOUT };
        let mut parts = layout.parse(key, text).ok()?;
        for (bytes, megabytes) in [("bps", "mbps"), ("bps_rd", "mbps_rd"), ("bps_wr", "mbps_wr")] {
            if let Some(value) = parts.remove(bytes) {
                let number = crate::units::float(value.parse().ok()?) / (1024.0 * 1024.0);
                parts.insert(megabytes.to_owned(), format!("{number:.2}"));
            }
        }
        let has = |name: &str| parts.contains_key(name);
        for family in ["mbps", "iops"] {
            let each = |suffix: &str| format!("{family}{suffix}");
            if has(family) && (has(&each("_rd")) || has(&each("_wr"))) {
                return None;
            }
            if has(&each("_max")) && (has(&each("_rd_max")) || has(&each("_wr_max"))) {
                return None;
            }
            for side in ["", "_rd", "_wr"] {
                if has(&format!("{family}{side}_max")) && !has(&format!("{family}{side}")) {
                    return None;
                }
            }
        }
        let drive = Self { parts, special };
        let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if drive.is_cdrom()
            && (family == "virtio"
                || ["snapshot", "trans", "format", "secs", "cyls", "heads"]
                    .iter()
                    .any(|p| drive.has(p)))
        {
            return None;
        }
        Some(drive)
    }

    /// The drive as PVE stores it.
    pub(crate) fn print(&self) -> String {
        let mut parts = self.parts.clone();
        parts.remove("import-from");
        let layout = if self.special { &SPECIAL_LAYOUT } else { &LAYOUT };
        layout.print(&parts)
    }

    /// The volume, `none` or `cdrom`.
    pub(crate) fn file(&self) -> &str {
        self.parts.get("file").map(String::as_str).unwrap_or_default()
    }

    /// Puts another volume into the drive.
    pub(crate) fn set_file(&mut self, file: String) {
        self.parts.insert("file".to_owned(), file);
    }

    /// The storage of its volume, if it has one.
    pub(crate) fn storage(&self) -> Option<&str> {
        self.file().split_once(':').map(|(storage, _)| storage)
    }

    /// Whether a part is there.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.parts.contains_key(part)
    }

    /// A part's text.
    pub(crate) fn get(&self, part: &str) -> Option<&str> {
        self.parts.get(part).map(String::as_str)
    }

    /// Sets a part.
    pub(crate) fn set(&mut self, part: &str, value: String) {
        self.parts.insert(part.to_owned(), value);
    }

    /// Takes a part out.
    pub(crate) fn unset(&mut self, part: &str) {
        self.parts.remove(part);
    }

    /// Whether it is a CD drive (a cloud-init drive is one too).
    pub(crate) fn is_cdrom(&self) -> bool {
        self.get("media") == Some("cdrom")
    }

    /// Whether it holds the generated cloud-init image.
    pub(crate) fn is_cloudinit(&self) -> bool {
        self.file().ends_with("cloudinit") || self.file().contains("-cloudinit.")
    }

    /// Its size in bytes, 0 if it is not known.
    pub(crate) fn size(&self) -> u64 {
        self.get("size").and_then(format::size_in_bytes).unwrap_or(0)
    }

    /// The VM that its volume belongs to, by the volume's name: `vm-100-…` or `base-100-…`.
    pub(crate) fn owner(&self) -> Option<u32> {
        let (_, name) = self.file().split_once(':')?;
        let file = name.rsplit('/').next()?;
        let rest = file.strip_prefix("vm-").or_else(|| file.strip_prefix("base-"))?;
        rest.split('-').next()?.parse().ok()
    }

    /// Whether `self` and `other` differ in nothing that only a new QEMU can change.
    pub(crate) fn differs_only_live(&self, other: &Self) -> bool {
        const FIXED: [&str; 9] = [
            "aio", "cache", "discard", "iothread", "product", "queues", "ro", "ssd", "vendor",
        ];
        FIXED.iter().all(|part| self.get(part) == other.get(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_is_stored_in_pves_order() {
        let drive = Drive::parse(
            "scsi0",
            "size=32G,mbps_rd=100,iothread=1,discard=on,file=local-lvm:vm-100-disk-0",
        )
        .unwrap();
        assert_eq!(
            drive.print(),
            "local-lvm:vm-100-disk-0,discard=on,iothread=1,mbps_rd=100,size=32G"
        );
        assert_eq!(drive.size(), 32 << 30);
        assert_eq!(drive.storage(), Some("local-lvm"));
    }

    #[test]
    fn limits_that_exclude_each_other_are_no_drive() {
        assert!(Drive::parse("scsi0", "a1:b,mbps=1,mbps_rd=2").is_none());
        assert!(Drive::parse("scsi0", "a1:b,mbps_max=1").is_none());
        assert!(Drive::parse("scsi0", "a1:b,mbps=1,mbps_max=2").is_some());
        assert!(Drive::parse("virtio0", "none,media=cdrom").is_none());
    }

    #[test]
    fn bytes_a_second_become_mebibytes() {
        let drive = Drive::parse("scsi0", "a1:b,bps_rd=104857600").unwrap();
        assert_eq!(drive.print(), "a1:b,mbps_rd=100.00");
    }

    #[test]
    fn limits_and_notes_change_on_a_running_drive() {
        let before = Drive::parse("scsi0", "a1:b,size=1G").unwrap();
        assert!(before.differs_only_live(&Drive::parse("scsi0", "a1:b,iops=5,size=1G").unwrap()));
        assert!(before.differs_only_live(&Drive::parse("scsi0", "a1:b,serial=x,size=1G").unwrap()));
        assert!(!before.differs_only_live(&Drive::parse("scsi0", "a1:b,ssd=1,size=1G").unwrap()));
    }

    #[test]
    fn a_volume_belongs_to_the_vm_in_its_name() {
        let owner = |file: &str| Drive::parse("scsi0", file).unwrap().owner();
        assert_eq!(owner("local-lvm:vm-100-disk-0"), Some(100));
        assert_eq!(
            owner("local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2"),
            Some(100)
        );
        assert_eq!(owner("zfs:base-9000-disk-0/vm-100-cloudinit"), Some(100));
        assert_eq!(owner("local:iso/vm.iso,media=cdrom"), None);
    }
}
