//! Installation media in the CD drives of a VM.
//!
//! The drive with the cloud-init data is a CD drive too and is never touched: to put a medium in its place would
//! destroy it. A running VM takes another medium into a drive it has at once; a drive it does not have is left
//! pending until it is started anew ([`VmConfig::media_drive`] tells which it is). So a medium is taken out by
//! emptying the drive, not by removing it.
//!
//! No call is made here. Which drive takes a medium, and what a boot order is where none is set, follow from how PVE reads
//! its configs, which is why they are here and not with those who decide who may do it.

use crate::api::config::{ConfigUpdate, InvalidUpdate, VmConfig};
use crate::id::VolumeId;
use crate::property::{BootOrder, Bus, Disk, DriveSlot};

/// Whether a CD drive can be in a slot.
fn takes_cds(slot: DriveSlot) -> bool {
    matches!(slot.bus(), Bus::Ide | Bus::Sata | Bus::Scsi)
}

/// Where PVE's own interface puts CD drives: machines of type q35 have no `ide1` and `ide3`.
const PREFERRED: [(Bus, u8); 8] = [
    (Bus::Ide, 2),
    (Bus::Ide, 0),
    (Bus::Sata, 0),
    (Bus::Sata, 1),
    (Bus::Sata, 2),
    (Bus::Sata, 3),
    (Bus::Sata, 4),
    (Bus::Sata, 5),
];

impl VmConfig {
    /// The CD drives that can hold a medium, in PVE's order: not the one with the cloud-init data, and not one that
    /// passes the node's own drive through.
    pub fn cd_drives(&self) -> Vec<(DriveSlot, Disk)> {
        let mut drives = self.drives();
        drives.retain(|(slot, disk)| {
            takes_cds(*slot) && disk.is_cdrom() && !disk.is_cloudinit() && disk.volume() != "cdrom"
        });
        drives
    }

    /// The CD drive that media go into: the first one with a medium, else `ide2`, else the first one.
    pub fn media_drive(&self) -> Option<(DriveSlot, Disk)> {
        let drives = self.cd_drives();
        let filled = drives.iter().find(|(_, disk)| disk.volume_id().is_some());
        let usual = || drives.iter().find(|(slot, _)| slot.to_string() == "ide2");
        filled.or_else(usual).or(drives.first()).cloned()
    }

    /// The medium that is in the VM.
    pub fn medium(&self) -> Option<VolumeId> {
        self.media_drive()?.1.volume_id()
    }

    /// Where a medium goes: into the drive there is, else into a slot where nothing is. `None` if all are taken.
    pub fn media_slot(&self) -> Option<DriveSlot> {
        if let Some((slot, _)) = self.media_drive() {
            return Some(slot);
        }
        PREFERRED
            .iter()
            .filter_map(|(bus, index)| DriveSlot::new(*bus, *index).ok())
            .find(|slot| self.text(&slot.to_string()).is_none())
    }

    /// The boot order with the media drive in front of all else; `None` if there is no such drive or the config
    /// has the older letters instead of an order.
    pub fn boot_from_medium(&self) -> Option<BootOrder> {
        let slot = self.media_drive()?.0.to_string();
        let devices = self.boot_devices()?;
        let rest = devices.iter().filter(|device| **device != slot);
        let order = std::iter::once(&slot).chain(rest).map(String::as_str);
        Some(BootOrder::of(&order.collect::<Vec<_>>()))
    }

    /// The boot order with all CD drives behind all else; `None` if the config has the older letters instead.
    pub fn boot_from_disk(&self) -> Option<BootOrder> {
        let drives = self.cd_drives();
        let is_cd = |device: &str| drives.iter().any(|(slot, _)| slot.to_string() == device);
        let devices = self.boot_devices()?;
        let devices = devices.iter().map(String::as_str);
        let (cds, others): (Vec<&str>, Vec<&str>) = devices.partition(|device| is_cd(device));
        Some(BootOrder::of(&[others, cds].concat()))
    }

    /// The devices of the boot order. Where none is set, as PVE takes it then (the letters `cdn`): the system's disk, CD
    /// drives, network cards. `None` if letters are set.
    fn boot_devices(&self) -> Option<Vec<String>> {
        if let Some(boot) = self.boot() {
            let devices = boot.devices()?;
            return Some(devices.into_iter().map(str::to_owned).collect());
        }
        let disk = self.system_disk().map(|(slot, _)| slot.to_string());
        let cds = self.cd_drives().into_iter().map(|(slot, _)| slot.to_string());
        let cards = self.nets().into_iter().map(|(number, _)| format!("net{number}"));
        Some(disk.into_iter().chain(cds).chain(cards).collect())
    }
}

impl ConfigUpdate {
    /// Puts a medium into a CD drive, in the place of what is there.
    ///
    /// # Errors
    /// [`InvalidUpdate::Medium`] for a volume that is no installation medium, or a slot that no CD drive can be in.
    pub fn mount(self, slot: DriveSlot, medium: &VolumeId) -> Result<Self, InvalidUpdate> {
        if !medium.volume_name().starts_with("iso/") {
            return Err(InvalidUpdate::Medium(medium.to_string()));
        }
        self.cd_drive(slot, medium.as_str())
    }

    /// Takes the medium out of a CD drive; the drive stays.
    ///
    /// # Errors
    /// [`InvalidUpdate::Medium`] for a slot that no CD drive can be in.
    pub fn eject(self, slot: DriveSlot) -> Result<Self, InvalidUpdate> {
        self.cd_drive(slot, "none")
    }

    fn cd_drive(self, slot: DriveSlot, content: &str) -> Result<Self, InvalidUpdate> {
        if !takes_cds(slot) {
            return Err(InvalidUpdate::Medium(slot.to_string()));
        }
        self.set(&slot.to_string(), &format!("{content},media=cdrom"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> VmConfig {
        serde_json::from_str(json).unwrap()
    }

    fn slot(text: &str) -> DriveSlot {
        text.parse().unwrap()
    }

    const CLOUDINIT: &str = r#""ide2":"local-lvm:vm-100-cloudinit,media=cdrom,size=4M""#;

    #[test]
    fn the_cloud_init_drive_is_no_drive_for_media() {
        let only = config(&format!("{{{CLOUDINIT}}}"));
        assert!(only.media_drive().is_none() && only.medium().is_none());
        assert_eq!(only.media_slot(), Some(slot("ide0")));
        let both = config(&format!(r#"{{{CLOUDINIT},"sata1":"none,media=cdrom"}}"#));
        assert_eq!(both.media_slot(), Some(slot("sata1")));
        let fresh = config("{}");
        assert_eq!(fresh.media_slot(), Some(slot("ide2")));
    }

    #[test]
    fn the_drive_with_a_medium_comes_before_an_empty_one() {
        let config = config(
            r#"{"ide0":"cdrom,media=cdrom","ide2":"none,media=cdrom","sata0":"local:iso/a.iso,media=cdrom,size=1G",
                "scsi0":"local-lvm:vm-100-disk-0,size=8G"}"#,
        );
        assert_eq!(config.cd_drives().len(), 2, "the node's own drive is left alone");
        assert_eq!(config.media_slot(), Some(slot("sata0")));
        assert_eq!(config.medium().unwrap().as_str(), "local:iso/a.iso");
    }

    #[test]
    fn no_slot_is_left_when_all_are_taken() {
        let taken = [
            "ide0", "ide2", "sata0", "sata1", "sata2", "sata3", "sata4", "sata5",
        ]
        .map(|slot| format!(r#""{slot}":"local-lvm:vm-100-disk-0""#))
        .join(",");
        assert_eq!(config(&format!("{{{taken}}}")).media_slot(), None);
    }

    #[test]
    fn media_go_to_the_front_of_the_boot_order_and_back_to_its_end() {
        let config = config(
            r#"{"boot":"order=scsi0;net0;ide2","ide2":"local:iso/a.iso,media=cdrom","scsi0":"a1:vm-100-disk-0"}"#,
        );
        assert_eq!(
            config.boot_from_medium().unwrap().to_string(),
            "order=ide2;scsi0;net0"
        );
        assert_eq!(
            config.boot_from_disk().unwrap().to_string(),
            "order=scsi0;net0;ide2"
        );
        let old = self::config(r#"{"boot":"cdn","ide2":"none,media=cdrom"}"#);
        assert!(old.boot_from_medium().is_none() && old.boot_from_disk().is_none());
    }

    #[test]
    fn a_vm_without_a_boot_order_has_the_one_that_pve_takes() {
        let config = config(
            r#"{"net0":"virtio,bridge=vmbr0","ide2":"local:iso/a.iso,media=cdrom","scsi0":"a1:vm-100-disk-0",
                "bootdisk":"scsi0"}"#,
        );
        let order = |boot: Option<BootOrder>| boot.unwrap().to_string();
        assert_eq!(order(config.boot_from_medium()), "order=ide2;scsi0;net0");
        assert_eq!(order(config.boot_from_disk()), "order=scsi0;net0;ide2");
    }

    #[test]
    fn only_media_go_into_drives_and_only_into_slots_of_cd_drives() {
        let iso = VolumeId::new("local:iso/debian-13.iso").unwrap();
        let update = ConfigUpdate::new().mount(slot("ide2"), &iso).unwrap();
        assert_eq!(
            update.params().encode().as_str(),
            "ide2=local%3Aiso%2Fdebian-13.iso%2Cmedia%3Dcdrom"
        );
        let update = ConfigUpdate::new().eject(slot("sata0")).unwrap();
        assert_eq!(update.params().encode().as_str(), "sata0=none%2Cmedia%3Dcdrom");
        for other in [
            "local-lvm:vm-100-disk-0",
            "pbs:backup/vm/100/2026-08-20T03:00:01Z",
        ] {
            let other = VolumeId::new(other).unwrap();
            assert!(matches!(
                ConfigUpdate::new().mount(slot("ide2"), &other),
                Err(InvalidUpdate::Medium(_))
            ));
        }
        for wrong in ["virtio0", "efidisk0", "unused0"] {
            assert!(ConfigUpdate::new().mount(slot(wrong), &iso).is_err());
            assert!(ConfigUpdate::new().eject(slot(wrong)).is_err());
        }
    }
}
