//! Every volume that a VM's configuration names, and where: now, pending, in snapshots.

use std::collections::BTreeMap;

use super::vm::Vm;
use crate::config::Section;
use crate::config::drive::Drive;
use crate::config::keys;

/// Where a volume is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the configuration in force.
    Now,
    /// In a change that waits for the next start.
    Pending,
    /// In a snapshot of that name.
    Snapshot(String),
}

/// One place that names a volume.
#[derive(Debug, Clone)]
struct Use {
    key: String,
    place: Place,
    drive: Drive,
}

/// A volume and all places that name it; the volume may be `none`, `cdrom` or a path too.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// The volume.
    pub(crate) volid: String,
    uses: Vec<Use>,
}

impl Reference {
    /// Its storage, if it is on one.
    pub(crate) fn storage(&self) -> Option<&str> {
        if self.volid.starts_with('/') {
            return None;
        }
        self.volid.split_once(':').map(|(storage, _)| storage)
    }

    /// Whether it is nothing but a medium.
    pub(crate) fn is_cdrom(&self) -> bool {
        self.uses.iter().all(|one| one.drive.is_cdrom())
    }

    /// Whether it is the image of cloud-init.
    pub(crate) fn is_cloudinit(&self) -> bool {
        self.uses.iter().any(|one| one.drive.is_cloudinit())
    }

    /// Whether it is the memory of a VM that was saved.
    pub(crate) fn is_vmstate(&self) -> bool {
        self.keyed("vmstate")
    }

    /// Whether it is the state of a TPM.
    pub(crate) fn is_tpmstate(&self) -> bool {
        self.keyed("tpmstate0")
    }

    /// Whether it is listed as unused.
    pub(crate) fn is_unused(&self) -> bool {
        self.uses.iter().any(|one| one.key.starts_with("unused"))
    }

    /// Whether the VM has it now.
    pub(crate) fn is_attached(&self) -> bool {
        !self.is_unused() && self.uses.iter().any(|one| one.place == Place::Now)
    }

    /// Whether a change that waits names it.
    pub(crate) fn is_pending(&self) -> bool {
        self.uses.iter().any(|one| one.place == Place::Pending)
    }

    /// Whether somebody said that all nodes have it.
    pub(crate) fn is_shared(&self) -> bool {
        self.any_part("shared", "1")
    }

    /// Whether replication takes it along.
    pub(crate) fn is_replicated(&self) -> bool {
        self.uses
            .iter()
            .any(|one| one.drive.get("replicate").is_none_or(|on| on != "0"))
    }

    /// The snapshots that name it.
    pub(crate) fn snapshots(&self) -> Vec<&str> {
        let named = self.uses.iter().filter_map(|one| match &one.place {
            Place::Snapshot(name) => Some(name.as_str()),
            Place::Now | Place::Pending => None,
        });
        named.collect()
    }

    /// Whether a snapshot has it, or another drive than this one.
    pub(crate) fn is_used_besides(&self, key: &str) -> bool {
        self.uses.iter().any(|one| {
            let other = match one.place {
                Place::Now => one.key != key,
                Place::Snapshot(_) => true,
                Place::Pending => false,
            };
            other && !one.key.starts_with("unused") && !one.drive.is_cdrom()
        })
    }

    /// The drive that has it.
    pub(crate) fn drive(&self) -> Option<&str> {
        let drives = self.uses.iter().filter(|one| {
            keys::holds_volume(&one.key) && !one.key.starts_with("unused") && one.place == Place::Now
        });
        drives.map(|one| one.key.as_str()).next()
    }

    /// Its size as the configuration has it, in bytes.
    pub(crate) fn size(&self) -> Option<u64> {
        self.uses
            .iter()
            .map(|one| one.drive.size())
            .find(|size| *size > 0)
    }

    fn keyed(&self, key: &str) -> bool {
        self.uses.iter().any(|one| one.key == key)
    }

    fn any_part(&self, part: &str, value: &str) -> bool {
        self.uses.iter().any(|one| one.drive.get(part) == Some(value))
    }
}

/// All volumes that a VM names, by their ids.
pub(crate) fn of(vm: &Vm) -> Vec<Reference> {
    let mut found = BTreeMap::<String, Vec<Use>>::new();
    let mut look = |section: &Section, place: &Place| {
        let holders = section
            .iter()
            .filter(|(key, _)| keys::holds_volume(key) || *key == "vmstate");
        for (key, text) in holders {
            let Some(drive) = Drive::parse(key, text) else {
                continue;
            };
            found.entry(drive.file().to_owned()).or_default().push(Use {
                key: key.clone(),
                place: place.clone(),
                drive,
            });
        }
    };
    look(&vm.config, &Place::Now);
    look(&vm.pending, &Place::Pending);
    for (name, snapshot) in &vm.snapshots {
        look(&snapshot.section, &Place::Snapshot(name.clone()));
    }
    found
        .into_iter()
        .map(|(volid, uses)| Reference { volid, uses })
        .collect()
}

/// Gives volumes other names in all places that name them: what each was called and what it is called from now on.
pub(crate) fn rename(vm: &mut Vm, names: &[(String, String)]) {
    let snapshots = vm.snapshots.values_mut().map(|snapshot| &mut snapshot.section);
    let sections = [&mut vm.config, &mut vm.pending].into_iter().chain(snapshots);
    for (key, text) in sections.flatten() {
        if !keys::holds_volume(key) && key != "vmstate" {
            continue;
        }
        // The volume is the first part of a drive's text.
        let (volid, rest) = match text.split_once(',') {
            Some((volid, rest)) => (volid, format!(",{rest}")),
            None => (text.as_str(), String::new()),
        };
        if let Some((_, new)) = names.iter().find(|(old, _)| old == volid) {
            *text = format!("{new}{rest}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::vm::Snapshot;

    fn vm() -> Vm {
        let section = |pairs: &[(&str, &str)]| {
            let owned = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            owned.collect::<Section>()
        };
        let config = section(&[
            ("scsi0", "s1:vm-100-disk-1,size=1G"),
            ("unused0", "s1:vm-100-disk-10"),
            ("ide2", "none,media=cdrom"),
        ]);
        let mut vm = Vm::new(100, "pve1", config, 1, 0.0);
        let section = section(&[
            ("scsi0", "s1:vm-100-disk-1,size=1G"),
            ("vmstate", "s1:vm-100-state-a"),
        ]);
        vm.snapshots.insert("aa".into(), Snapshot { section });
        vm
    }

    #[test]
    fn a_volume_knows_all_its_places() {
        let all = of(&vm());
        let find = |volid: &str| all.iter().find(|one| one.volid == volid).unwrap();
        let disk = find("s1:vm-100-disk-1");
        assert!(disk.is_attached() && !disk.is_unused() && !disk.is_cdrom());
        assert_eq!((disk.snapshots(), disk.drive()), (vec!["aa"], Some("scsi0")));
        assert!(find("s1:vm-100-disk-10").is_unused() && find("none").is_cdrom());
        let state = find("s1:vm-100-state-a");
        assert!(state.is_vmstate() && !state.is_attached());
    }

    #[test]
    fn new_names_are_taken_over_everywhere_and_all_at_once() {
        let mut vm = vm();
        let swapped =
            |old: &str, new: &str| (format!("s1:vm-100-disk-{old}"), format!("s1:vm-100-disk-{new}"));
        rename(&mut vm, &[swapped("1", "10"), swapped("10", "1")]);
        assert_eq!(vm.get("scsi0"), Some("s1:vm-100-disk-10,size=1G"));
        assert_eq!(vm.snapshots["aa"].get("scsi0"), Some("s1:vm-100-disk-10,size=1G"));
        assert_eq!(vm.get("unused0"), Some("s1:vm-100-disk-1"));
    }
}
