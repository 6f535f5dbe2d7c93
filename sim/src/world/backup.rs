//! Backups: what an archive holds and what it is called.
//!
//! An [`Archive`] is the inside of a backup volume; the world keeps archives beside the volumes, so that a
//! volume is the same small thing for every kind of content. Which backups are kept is told by `retention`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::World;
use super::firewall::Config as Firewall;
use super::storage::{Storage, StorageKind, Volume};
use super::vm::drives_of;
use crate::calendar::Moment;
use crate::config::{Section, keys};

/// A disk in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedDisk {
    /// The key it had, such as `scsi0`.
    pub(crate) key: String,
    /// Where it was.
    pub(crate) storage: String,
    /// `raw` or `qcow2`.
    pub(crate) format: String,
    /// In bytes.
    pub(crate) size: u64,
}

/// What a backup holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    /// The configuration, without lock, parent and unused volumes, and with the disks that are not in it.
    pub(crate) config: Section,
    /// The disks whose data are in it.
    pub(crate) disks: Vec<SavedDisk>,
    /// The VM's firewall file, if it had one.
    pub(crate) firewall: Option<Firewall>,
}

/// Whether a drive's data go into a backup, and PVE's reason if not.
fn left_out(key: &str, no_backup: bool, config: &Section) -> Option<&'static str> {
    if key.starts_with("efidisk") && config.get("bios").map(String::as_str) != Some("ovmf") {
        return Some("efidisk but no OVMF BIOS");
    }
    no_backup.then_some("backup=no")
}

/// The disks of a configuration as a backup sees them: key, volume, size in bytes, and why it is left out.
pub(crate) fn candidates(config: &Section) -> Vec<(String, String, u64, Option<&'static str>)> {
    let special = config
        .iter()
        .filter(|(key, _)| ["efidisk0", "tpmstate0"].contains(&key.as_str()))
        .filter_map(|(key, text)| Some((key.as_str(), crate::config::drive::Drive::parse(key, text)?)));
    let all = drives_of(config)
        .chain(special)
        .filter(|(_, drive)| !drive.is_cdrom());
    let mut list = all
        .map(|(key, drive)| {
            let reason = left_out(key, drive.get("backup") == Some("0"), config);
            (key.to_owned(), drive.file().to_owned(), drive.size(), reason)
        })
        .collect::<Vec<_>>();
    list.sort();
    list
}

impl Archive {
    /// What a backup of a VM with this configuration holds.
    pub(crate) fn of(world: &World, vmid: Option<u32>, current: &Section) -> Self {
        let mut config = current.clone();
        config.retain(|key, _| {
            !["lock", "parent", "vmstate"].contains(&key.as_str()) && !key.starts_with("unused")
        });
        let included = candidates(current)
            .into_iter()
            .filter(|(_, _, _, reason)| reason.is_none());
        let disks = included.map(|(key, volid, size, _)| {
            let (id, _) = volid.split_once(':').unwrap_or(("", ""));
            let format = world.storages.get(id).map_or("raw", |s| s.format_of(&volid));
            SavedDisk {
                key,
                storage: id.to_owned(),
                format: format.to_owned(),
                size,
            }
        });
        Self {
            disks: disks.collect(),
            config,
            firewall: vmid
                .map(|vmid| world.firewall.get(vmid))
                .filter(|file| *file != Firewall::default()),
        }
    }

    /// The sum of its disks' sizes, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.disks.iter().map(|disk| disk.size).sum()
    }

    /// The configuration file as it lies in the archive.
    pub(crate) fn text(&self) -> String {
        let nothing = Section::new();
        let mut text =
            crate::config::file_text(&self.config, &nothing, std::iter::empty(), std::iter::empty());
        for disk in &self.disks {
            let SavedDisk {
                key, storage, format, ..
            } = disk;
            let _ = writeln!(text, "#qmdump#map:{key}:drive-{key}:{storage}:{format}:");
        }
        text
    }
}

/// What a volume's name says: the kind of content and the VM it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) content: &'static str,
    pub(crate) owner: Option<u32>,
}

/// Reads a volume's name (the part after the storage) as the storage's kind does.
///
/// # Errors
/// PVE's text for a name that the kind of storage does not have.
pub(crate) fn parse_name(kind: StorageKind, name: &str) -> Result<Named, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id >= 100);
    let image = |file: &str| {
        let rest = ["vm-", "base-"]
            .iter()
            .find_map(|prefix| file.strip_prefix(prefix))?;
        number(rest.split('-').next()?)
    };
    let plain = |file: &str| !file.is_empty() && !file.contains('/');
    let found = match kind {
        StorageKind::Pbs => name.strip_prefix("backup/").and_then(|rest| {
            let mut parts = rest.split('/');
            let (kind, owner, time) = (parts.next()?, parts.next()?, parts.next()?);
            let good = ["vm", "ct"].contains(&kind) && time.ends_with('Z') && parts.next().is_none();
            good.then(|| number(owner)).flatten().map(|owner| Named {
                content: "backup",
                owner: Some(owner),
            })
        }),
        StorageKind::Dir | StorageKind::Nfs => match name.split_once('/') {
            Some(("iso", file)) if plain(file) => Some(Named {
                content: "iso",
                owner: None,
            }),
            Some(("vztmpl", file)) if plain(file) => Some(Named {
                content: "vztmpl",
                owner: None,
            }),
            Some(("import", file)) if plain(file) => Some(Named {
                content: "import",
                owner: None,
            }),
            Some(("snippets", file)) if plain(file) => Some(Named {
                content: "snippets",
                owner: None,
            }),
            Some(("backup", file)) if plain(file) && dump_format(file).is_some() => Some(Named {
                content: "backup",
                owner: dump_owner(file),
            }),
            // `100/vm-100-disk-0.qcow2`, and linked clones: `9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2`.
            Some((folder, _)) => number(folder).and_then(|_| {
                image(name.rsplit('/').next().unwrap_or_default()).map(|owner| Named {
                    content: "images",
                    owner: Some(owner),
                })
            }),
            None => None,
        },
        StorageKind::LvmThin | StorageKind::Lvm | StorageKind::Zfs | StorageKind::Rbd => {
            image(name.rsplit('/').next().unwrap_or_default()).map(|owner| Named {
                content: "images",
                owner: Some(owner),
            })
        }
    };
    found.ok_or_else(|| {
        let what = match kind {
            StorageKind::Pbs => "pbs",
            StorageKind::Dir | StorageKind::Nfs => "directory",
            StorageKind::LvmThin | StorageKind::Lvm => "lvm",
            StorageKind::Zfs => "zfs",
            StorageKind::Rbd => "rbd",
        };
        format!("unable to parse {what} volume name '{name}'")
    })
}

/// `vma.zst` of a dump file's name.
pub(crate) fn dump_format(file: &str) -> Option<&str> {
    ["vma", "vma.gz", "vma.lzo", "vma.zst", "tar", "tar.gz", "tar.zst"]
        .into_iter()
        .find(|format| file.ends_with(&format!(".{format}")))
}

fn dump_owner(file: &str) -> Option<u32> {
    let rest = ["vzdump-qemu-", "vzdump-lxc-"]
        .iter()
        .find_map(|prefix| file.strip_prefix(prefix))?;
    rest.split('-')
        .next()?
        .parse::<u32>()
        .ok()
        .filter(|id| *id >= 100)
}

/// Whether a dump file has the name that vzdump gives; others are never pruned.
pub(super) fn has_standard_name(volid: &str) -> bool {
    let file = volid.rsplit('/').next().unwrap_or_default();
    let stamp = dump_format(file)
        .and_then(|format| file.strip_suffix(&format!(".{format}")))
        .and_then(|stem| stem.strip_prefix("vzdump-qemu-"))
        .and_then(|rest| rest.split_once('-'))
        .map(|(_, stamp)| stamp);
    stamp.is_some_and(|stamp| {
        stamp.len() == 19
            && stamp.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 | 13 | 16 => byte == b'_',
                10 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    })
}

/// The name of a new backup on a storage: what follows `STORAGE:backup/`.
pub(crate) fn new_name(storage: &Storage, vmid: u32, time: i64, ending: &str) -> String {
    let moment = Moment::of(time);
    if storage.kind == StorageKind::Pbs {
        format!("vm/{vmid}/{}", moment.rfc3339())
    } else {
        format!("vzdump-qemu-{vmid}-{}.vma{ending}", moment.in_file_name())
    }
}

/// The backups that a node sees on a storage, of one VM or of all.
pub(crate) fn backups_on<'a>(storage: &'a Storage, node: &str, vmid: Option<u32>) -> Vec<&'a Volume> {
    storage
        .volumes_on(node)
        .filter(|volume| volume.content == "backup" && vmid.is_none_or(|vmid| volume.vmid == Some(vmid)))
        .collect()
}

/// The inside of backups, by node (empty for shared storages) and volume.
#[derive(Debug, Default)]
pub(crate) struct Archives(std::collections::BTreeMap<(String, String), Arc<Archive>>);

impl Archives {
    /// Remembers the inside of a backup.
    pub(crate) fn insert(&mut self, node: Option<&str>, volid: &str, archive: Archive) {
        let key = (node.unwrap_or_default().to_owned(), volid.to_owned());
        self.0.insert(key, Arc::new(archive));
    }

    /// The inside of a backup as a node sees it.
    pub(crate) fn get(&self, node: &str, volid: &str) -> Option<Arc<Archive>> {
        let find = |node: &str| self.0.get(&(node.to_owned(), volid.to_owned())).cloned();
        find(node).or_else(|| find(""))
    }

    /// Forgets the inside of a backup.
    pub(crate) fn remove(&mut self, node: Option<&str>, volid: &str) {
        let key = (node.unwrap_or_default().to_owned(), volid.to_owned());
        self.0.remove(&key);
    }
}

/// Whether a key of an archive's configuration is a drive whose line a restore changes.
pub(crate) fn is_restorable(key: &str) -> bool {
    keys::is_drive(key) || key == "efidisk0" || key == "tpmstate0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_volumes_tell_content_and_owner() {
        use StorageKind::{Dir, LvmThin, Pbs, Zfs};
        let named = |kind, name| {
            parse_name(kind, name)
                .ok()
                .map(|named| (named.content, named.owner))
        };
        let dump = "backup/vzdump-qemu-100-2026_08_20-03_00_01.vma.zst";
        assert_eq!(named(Dir, dump), Some(("backup", Some(100))));
        assert_eq!(named(Dir, "backup/mine.vma"), Some(("backup", None)));
        assert_eq!(named(Dir, "iso/a.iso"), Some(("iso", None)));
        assert_eq!(named(Dir, "100/vm-100-disk-0.qcow2"), Some(("images", Some(100))));
        let clone = "9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2";
        assert_eq!(named(Dir, clone), Some(("images", Some(100))));
        assert_eq!(
            named(Pbs, "backup/vm/100/2026-08-20T03:00:01Z"),
            Some(("backup", Some(100)))
        );
        assert_eq!(named(LvmThin, "vm-100-disk-0"), Some(("images", Some(100))));
        assert_eq!(
            named(Zfs, "base-9000-disk-0/vm-100-disk-0"),
            Some(("images", Some(100)))
        );
        for (kind, name) in [
            (LvmThin, "iso/a.iso"),
            (Pbs, "iso/a.iso"),
            (Dir, "../etc/passwd"),
            (Dir, "backup/a.txt"),
        ] {
            assert_eq!(named(kind, name), None, "{name}");
        }
    }

    #[test]
    fn only_names_that_vzdump_gives_are_standard() {
        assert!(has_standard_name(
            "a1:backup/vzdump-qemu-100-2026_08_20-03_00_01.vma.zst"
        ));
        assert!(!has_standard_name("a1:backup/vzdump-qemu-100-before.vma.zst"));
        assert!(!has_standard_name("a1:backup/mine.vma"));
    }
}
