//! A disk or drive of a VM.

use std::fmt;

use super::{PropertyError, PropertyString, parse_size, positive_number};
use crate::id::{StorageId, VolumeId};
use crate::lenient::float;

/// A limit of a disk, as PVE names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// `mbps`: MiB/s, reads and writes together. Excludes the two below.
    Mbps,
    /// `mbps_rd`: MiB/s read.
    MbpsRead,
    /// `mbps_wr`: MiB/s written.
    MbpsWrite,
    /// `mbps_max`: MiB/s for a moment.
    MbpsMax,
    /// `mbps_rd_max`: MiB/s read for a moment.
    MbpsReadMax,
    /// `mbps_wr_max`: MiB/s written for a moment.
    MbpsWriteMax,
    /// `iops`: operations a second, reads and writes together.
    Iops,
    /// `iops_rd`: reads a second.
    IopsRead,
    /// `iops_wr`: writes a second.
    IopsWrite,
    /// `iops_max`: operations a second for a moment.
    IopsMax,
    /// `iops_rd_max`: reads a second for a moment.
    IopsReadMax,
    /// `iops_wr_max`: writes a second for a moment.
    IopsWriteMax,
}

impl Throttle {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Mbps,
        Self::MbpsRead,
        Self::MbpsWrite,
        Self::MbpsMax,
        Self::MbpsReadMax,
        Self::MbpsWriteMax,
        Self::Iops,
        Self::IopsRead,
        Self::IopsWrite,
        Self::IopsMax,
        Self::IopsReadMax,
        Self::IopsWriteMax,
    ];

    /// The key in the property string.
    pub fn key(self) -> &'static str {
        match self {
            Self::Mbps => "mbps",
            Self::MbpsRead => "mbps_rd",
            Self::MbpsWrite => "mbps_wr",
            Self::MbpsMax => "mbps_max",
            Self::MbpsReadMax => "mbps_rd_max",
            Self::MbpsWriteMax => "mbps_wr_max",
            Self::Iops => "iops",
            Self::IopsRead => "iops_rd",
            Self::IopsWrite => "iops_wr",
            Self::IopsMax => "iops_max",
            Self::IopsReadMax => "iops_rd_max",
            Self::IopsWriteMax => "iops_wr_max",
        }
    }

    fn is_iops(self) -> bool {
        self.key().starts_with("iops")
    }
}

/// The lasting limits of a disk by direction; a limit on both together stands in each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DiskLimits {
    /// MiB/s read.
    pub mbps_read: Option<f64>,
    /// MiB/s written.
    pub mbps_write: Option<f64>,
    /// Reads a second.
    pub iops_read: Option<f64>,
    /// Writes a second.
    pub iops_write: Option<f64>,
}

/// What is in a drive slot: a volume, a medium, or an empty CD drive, with its options.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disk {
    properties: PropertyString,
}

impl Disk {
    /// Reads the value of a drive key such as `scsi0`.
    ///
    /// # Errors
    /// When no volume is named.
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let disk = Self {
            properties: PropertyString::from(text),
        };
        if disk.volume().is_empty() {
            Err(PropertyError::Missing("the volume"))
        } else {
            Ok(disk)
        }
    }

    /// A new empty disk of so many GiB, for a slot of a VM.
    ///
    /// # Errors
    /// When the size is 0, which PVE keeps for copies.
    pub fn create(storage: &StorageId, gib: u64) -> Result<Self, PropertyError> {
        if gib == 0 {
            return Err(PropertyError::Form {
                key: "size".to_owned(),
                wanted: "a number above 0",
            });
        }
        let properties = PropertyString::with_default(&format!("{storage}:{gib}"))?;
        Ok(Self { properties })
    }

    /// A copy of another volume, such as a template's disk, for a slot of a VM. The copy is a full one and as
    /// large as its source; PVE does not show the source later.
    ///
    /// # Errors
    /// When the source would break the string.
    pub fn import(storage: &StorageId, source: &VolumeId) -> Result<Self, PropertyError> {
        let mut properties = PropertyString::with_default(&format!("{storage}:0"))?;
        properties.set("import-from", source.as_str())?;
        Ok(Self { properties })
    }

    /// A new drive with the cloud-init data, for a slot of a VM.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn cloudinit(storage: &StorageId) -> Result<Self, PropertyError> {
        let properties = PropertyString::with_default(&format!("{storage}:cloudinit"))?;
        Ok(Self { properties })
    }

    /// The volume as written: a volume id, `none`, `cdrom` or a path.
    pub fn volume(&self) -> &str {
        let properties = &self.properties;
        properties
            .get("file")
            .or_else(|| properties.get_or_default("volume"))
            .unwrap_or_default()
    }

    /// The volume, where it is one on a storage.
    pub fn volume_id(&self) -> Option<VolumeId> {
        VolumeId::new(self.volume()).ok()
    }

    /// The storage the volume is on.
    pub fn storage(&self) -> Option<StorageId> {
        self.volume_id()?.storage()
    }

    /// Whether it is a CD drive, with a medium or without.
    pub fn is_cdrom(&self) -> bool {
        self.properties.get("media") == Some("cdrom") || self.volume() == "cdrom"
    }

    /// Whether it is the drive with the cloud-init data: a volume named `cloudinit` or `vm-N-cloudinit`, with
    /// an image format behind it on some storages.
    pub fn is_cloudinit(&self) -> bool {
        let name = self.volume().rsplit([':', '/']).next().unwrap_or_default();
        let stem = ["raw", "qcow2", "qed", "vmdk", "cow", "cloop"]
            .into_iter()
            .find_map(|format| name.strip_suffix(format)?.strip_suffix('.'))
            .unwrap_or(name);
        let owner = stem.strip_suffix("cloudinit");
        self.volume().contains([':', '/'])
            && owner.is_some_and(|owner| {
                let number = owner.strip_prefix("vm-").and_then(|rest| rest.strip_suffix('-'));
                owner.is_empty()
                    || number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            })
    }

    /// Whether the guest keeps data on it: neither CD nor cloud-init drive.
    pub fn is_disk(&self) -> bool {
        !self.is_cdrom() && !self.is_cloudinit() && self.volume() != "none"
    }

    /// The size as the config has it, bytes. Only informs: it changes by resizing, not by writing it.
    pub fn size(&self) -> Option<u64> {
        self.properties.get("size").and_then(parse_size)
    }

    /// Whether backups include it. They do unless told not to.
    pub fn in_backup(&self) -> bool {
        self.properties.get_bool("backup").unwrap_or(true)
    }

    /// A limit, in its own unit.
    pub fn throttle(&self, throttle: Throttle) -> Option<f64> {
        let value = self.properties.get(throttle.key())?.parse().ok()?;
        (f64::is_finite(value) && value > 0.0).then_some(value)
    }

    /// Sets a limit or takes it away. Operations a second are whole numbers and are rounded up.
    ///
    /// PVE refuses `mbps` beside `mbps_rd` or `mbps_wr`, and a `…_max` without its lasting limit.
    ///
    /// # Errors
    /// When the number is not above 0.
    pub fn set_throttle(&mut self, throttle: Throttle, value: Option<f64>) -> Result<(), PropertyError> {
        let key = throttle.key();
        let value = value
            .map(|v| positive_number(key, if throttle.is_iops() { v.ceil() } else { v }))
            .transpose()?;
        self.properties.put(key, value.as_deref())
    }

    /// The lasting limits by direction. Older configs have bytes a second (`bps…`), which count too.
    pub fn limits(&self) -> DiskLimits {
        let mib = float(1024 * 1024);
        let bps = |key| {
            self.properties
                .get(key)
                .and_then(|v| v.parse::<u64>().ok())
                .map(|v| float(v) / mib)
        };
        let mbps = |own, own_bps| {
            self.throttle(own)
                .or_else(|| bps(own_bps))
                .or_else(|| self.throttle(Throttle::Mbps))
                .or_else(|| bps("bps"))
                .filter(|limit| *limit > 0.0)
        };
        let iops = |own| self.throttle(own).or_else(|| self.throttle(Throttle::Iops));
        DiskLimits {
            mbps_read: mbps(Throttle::MbpsRead, "bps_rd"),
            mbps_write: mbps(Throttle::MbpsWrite, "bps_wr"),
            iops_read: iops(Throttle::IopsRead),
            iops_write: iops(Throttle::IopsWrite),
        }
    }

    /// All options.
    pub fn properties(&self) -> &PropertyString {
        &self.properties
    }

    /// All options, to change.
    pub fn properties_mut(&mut self) -> &mut PropertyString {
        &mut self.properties
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Disk {
        Disk::parse(text).unwrap()
    }

    #[test]
    fn volume_storage_size_and_limits_are_read() {
        let disk = disk(
            "my.store:vm-100-disk-0,discard=on,iops_wr=500,iothread=1,mbps_rd=100,mbps_wr=12.5,size=32G",
        );
        assert_eq!(disk.volume_id().unwrap().as_str(), "my.store:vm-100-disk-0");
        assert_eq!(disk.storage().unwrap().as_str(), "my.store");
        assert_eq!(disk.size(), Some(32 << 30));
        assert_eq!(
            disk.limits(),
            DiskLimits {
                mbps_read: Some(100.0),
                mbps_write: Some(12.5),
                iops_read: None,
                iops_write: Some(500.0)
            }
        );
        assert!(disk.is_disk() && disk.in_backup());
    }

    #[test]
    fn a_limit_on_both_directions_counts_for_each() {
        let limits = disk("s1:vm-100-disk-0,iops=200,mbps=50").limits();
        assert_eq!(
            (limits.mbps_read, limits.mbps_write, limits.iops_read),
            (Some(50.0), Some(50.0), Some(200.0))
        );
        assert_eq!(disk("s1:x,bps_rd=10485760").limits().mbps_read, Some(10.0));
        let fast = disk("s1:x,bps_rd=10485760000").limits();
        assert_eq!(fast.mbps_read, Some(10_000.0), "more than 32 bits");
    }

    #[test]
    fn setting_a_limit_keeps_everything_else() {
        let mut disk = disk("s1:vm-100-disk-0,discard=on,iothread=1,size=32G,future=x");
        disk.set_throttle(Throttle::MbpsRead, Some(100.0)).unwrap();
        disk.set_throttle(Throttle::IopsWrite, Some(99.2)).unwrap();
        assert_eq!(
            disk.to_string(),
            "s1:vm-100-disk-0,discard=on,iops_wr=100,iothread=1,mbps_rd=100,size=32G,future=x"
        );
        disk.set_throttle(Throttle::MbpsRead, None).unwrap();
        disk.set_throttle(Throttle::IopsWrite, None).unwrap();
        assert_eq!(
            disk.to_string(),
            "s1:vm-100-disk-0,discard=on,iothread=1,size=32G,future=x"
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(disk.set_throttle(Throttle::Mbps, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn media_and_cloud_init_drives_are_no_disks() {
        for text in [
            "none,media=cdrom",
            "cdrom",
            "local:iso/debian.iso,media=cdrom,size=629M",
            "local-lvm:vm-100-cloudinit,media=cdrom,size=4M",
            "local-lvm:vm-100-cloudinit",
            "local:100/vm-100-cloudinit.qcow2,media=cdrom",
            "local:cloudinit",
        ] {
            assert!(!disk(text).is_disk(), "{text}");
        }
        assert!(disk("local-lvm:vm-100-cloudinit").is_cloudinit());
        assert!(disk("local:100/vm-100-cloudinit.qcow2").is_cloudinit());
        assert!(!disk("local:iso/my-cloudinit.iso,media=cdrom").is_cloudinit());
        assert!(!disk("local-lvm:vm-x-cloudinit").is_cloudinit());
        assert!(disk("local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2,size=8G").is_disk());
    }

    #[test]
    fn the_volume_may_stand_under_its_key() {
        assert_eq!(
            disk("file=local-lvm:vm-100-disk-0,size=1G").volume(),
            "local-lvm:vm-100-disk-0"
        );
        assert_eq!(
            disk("volume=local-lvm:vm-100-disk-0").volume(),
            "local-lvm:vm-100-disk-0"
        );
        assert!(Disk::parse("size=1G").is_err());
        assert!(Disk::parse("").is_err());
    }

    #[test]
    fn a_hostile_size_or_limit_is_none_and_no_panic() {
        let disk = disk("s1:x,size=99999999999999999999T,mbps_rd=NaN,iops_rd=-5,mbps=1e400");
        assert_eq!((disk.size(), disk.limits()), (None, DiskLimits::default()));
    }
}
