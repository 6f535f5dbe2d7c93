//! Storages and the volumes on them.

use std::collections::{BTreeMap, BTreeSet};

use super::retention::Keep;

/// A kind of storage, with what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageKind {
    /// A directory.
    Dir,
    /// An NFS share.
    Nfs,
    /// Thin LVM.
    LvmThin,
    /// Thick LVM.
    Lvm,
    /// A ZFS pool on the node.
    Zfs,
    /// Ceph.
    Rbd,
    /// A Proxmox Backup Server.
    Pbs,
}

impl StorageKind {
    /// PVE's name of the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Nfs => "nfs",
            Self::LvmThin => "lvmthin",
            Self::Lvm => "lvm",
            Self::Zfs => "zfspool",
            Self::Rbd => "rbd",
            Self::Pbs => "pbs",
        }
    }

    /// The kind with that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [
            Self::Dir,
            Self::Nfs,
            Self::LvmThin,
            Self::Lvm,
            Self::Zfs,
            Self::Rbd,
            Self::Pbs,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// Whether volumes are files whose format has a name ending.
    pub(crate) fn is_files(self) -> bool {
        matches!(self, Self::Dir | Self::Nfs)
    }
}

/// A volume: a disk image, an ISO image, a backup.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    /// `STORAGE:…`.
    pub(crate) volid: String,
    /// `images`, `iso`, `backup`…
    pub(crate) content: String,
    /// `raw`, `qcow2`, `iso`, `vma.zst`…
    pub(crate) format: String,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was made, in seconds since the epoch.
    pub(crate) ctime: i64,
    /// The VM it belongs to.
    pub(crate) vmid: Option<u32>,
    /// Notes of a backup.
    pub(crate) notes: Option<String>,
    /// Whether a backup may not be removed.
    pub(crate) protected: bool,
    /// On a backup server: the fingerprint of the key that encrypted it.
    pub(crate) encrypted: Option<String>,
    /// On a backup server: what came of the last look at it, such as `ok` or `failed`; that of the nightly look, which
    /// finds nothing wrong, if absent.
    pub(crate) verification: Option<String>,
    /// On a storage that is not shared: the node which has it.
    pub(crate) node: Option<String>,
}

/// A storage of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    /// Its name.
    pub(crate) id: String,
    /// Its kind.
    pub(crate) kind: StorageKind,
    /// What may be stored.
    pub(crate) content: BTreeSet<String>,
    /// Whether all nodes see the same volumes.
    pub(crate) shared: bool,
    /// The nodes that have it; empty for all.
    pub(crate) nodes: BTreeSet<String>,
    /// Size in bytes.
    pub(crate) total: u64,
    /// Switched off storages are listed but not usable.
    pub(crate) enabled: bool,
    /// Its retention for backups, if one is configured.
    pub(crate) prune: Option<Keep>,
    /// How many protected backups a VM may have; negative for any number. PVE's default depends on the caller.
    pub(crate) max_protected: Option<i64>,
    /// What its section says besides, by PVE's names.
    pub(crate) settings: BTreeMap<String, String>,
    /// What is on it.
    pub(crate) volumes: Vec<Volume>,
}

impl Storage {
    /// Whether a node has it.
    pub(crate) fn on(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }

    /// The volumes a node sees.
    pub(crate) fn volumes_on(&self, node: &str) -> impl Iterator<Item = &Volume> {
        self.volumes
            .iter()
            .filter(move |v| v.node.as_deref().is_none_or(|n| n == node))
    }

    /// Whether a node sees an image of that name, whatever folder or format it is in.
    pub(crate) fn has_image(&self, node: &str, name: &str) -> bool {
        self.volumes_on(node).any(|volume| {
            let own = volume.volid.rsplit([':', '/']).next().unwrap_or_default();
            own.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Bytes in use on a node.
    pub(crate) fn used_on(&self, node: &str) -> u64 {
        let thin = matches!(
            self.kind,
            StorageKind::LvmThin | StorageKind::Zfs | StorageKind::Rbd | StorageKind::Pbs
        );
        let sum = self
            .volumes_on(node)
            .map(|v| if thin { v.size / 3 } else { v.size })
            .sum::<u64>();
        (sum + self.total / 50).min(self.total)
    }

    /// The content kinds as PVE prints them.
    pub(crate) fn content_text(&self) -> String {
        self.content
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The format of a VM's disk with that volume name.
    pub(crate) fn format_of(&self, volid: &str) -> &'static str {
        match volid.rsplit_once('.').map(|(_, ending)| ending) {
            Some("qcow2") if self.kind.is_files() => "qcow2",
            Some("vmdk") if self.kind.is_files() => "vmdk",
            _ => "raw",
        }
    }

    /// Whether that disk can have snapshots.
    pub(crate) fn can_snapshot(&self, volid: &str) -> bool {
        match self.kind {
            StorageKind::Dir | StorageKind::Nfs => self.format_of(volid) == "qcow2",
            StorageKind::LvmThin | StorageKind::Zfs | StorageKind::Rbd => true,
            StorageKind::Lvm | StorageKind::Pbs => false,
        }
    }

    /// Where a volume lies, by its name (the part after the storage).
    pub(crate) fn path_of(&self, name: &str) -> String {
        let id = &self.id;
        let folder = self.settings.get("path").map_or("", String::as_str);
        match self.kind {
            StorageKind::Dir | StorageKind::Nfs => match name.split_once('/') {
                Some(("backup", file)) => format!("{folder}/dump/{file}"),
                Some(("iso", file)) => format!("{folder}/template/iso/{file}"),
                Some(("vztmpl", file)) => format!("{folder}/template/cache/{file}"),
                Some(("import" | "snippets", _)) => format!("{folder}/{name}"),
                _ => format!("{folder}/images/{name}"),
            },
            StorageKind::LvmThin | StorageKind::Lvm => format!("/dev/{id}/{name}"),
            StorageKind::Zfs => format!("/dev/zvol/{id}/{name}"),
            StorageKind::Rbd => format!("rbd:{id}/{name}"),
            StorageKind::Pbs => format!(
                "pbs://portico@pbs@10.0.0.50:{id}/{}",
                name.strip_prefix("backup/").unwrap_or(name)
            ),
        }
    }

    /// What PVE says when it cannot be reached.
    pub(crate) fn offline_text(&self) -> String {
        let id = &self.id;
        match self.kind {
            StorageKind::Pbs => format!(
                "{id}: error fetching datastores - 500 Can't connect to 10.0.0.50:8007 (No route to host)"
            ),
            StorageKind::Dir => format!(
                "unable to activate storage '{id}' - directory is expected to be a mount point but is not mounted: '/mnt/pve/{id}'"
            ),
            StorageKind::Zfs => {
                format!(
                    "could not activate storage '{id}', zfs error: cannot import '{id}': no such pool available"
                )
            }
            StorageKind::LvmThin | StorageKind::Lvm => format!("no such logical volume {id}/{id}"),
            StorageKind::Nfs | StorageKind::Rbd => format!("storage '{id}' is not online"),
        }
    }

    /// What PVE says when a new volume finds no room. The size is in bytes.
    pub(crate) fn full_text(&self, name: &str, size: u64) -> String {
        let id = &self.id;
        match self.kind {
            StorageKind::LvmThin => format!(
                "lvcreate '{id}/{name}' error:   Cannot create new thin volume, free space in thin pool {id}/{id} \
                 reached threshold."
            ),
            StorageKind::Lvm => format!("not enough free space (0 < {})", size / 1024),
            StorageKind::Zfs => format!("zfs error: cannot create '{id}/{name}': out of space"),
            StorageKind::Dir | StorageKind::Nfs | StorageKind::Rbd | StorageKind::Pbs => format!(
                "unable to create image: qemu-img: {}: Allocating clusters failed: No space left on device",
                self.path_of(name)
            ),
        }
    }

    /// What PVE says when the snapshot of a disk finds no room.
    pub(crate) fn full_snapshot_text(&self, disk: &str, snapshot: &str) -> String {
        let id = &self.id;
        match self.kind {
            StorageKind::LvmThin => format!(
                "lvcreate snapshot '{id}/snap_{disk}_{snapshot}' error:   Cannot create new thin volume, free space in \
                 thin pool {id}/{id} reached threshold."
            ),
            StorageKind::Zfs => {
                format!("zfs error: cannot create snapshot '{id}/{disk}@{snapshot}': out of space")
            }
            _ => format!("Could not create snapshot '{snapshot}': No space left on device"),
        }
    }

    /// What PVE says when a disk finds no room to grow; thin volumes and files grow without any.
    pub(crate) fn full_resize_text(&self, disk: &str) -> Option<String> {
        match self.kind {
            StorageKind::Lvm => Some(format!(
                "error resizing volume '{}':   Insufficient free space: 256 extents needed, but only 0 available",
                self.path_of(disk)
            )),
            StorageKind::Zfs => Some(format!(
                "zfs error: cannot set property for '{}/{disk}': size is greater than available space",
                self.id
            )),
            _ => None,
        }
    }

    /// What PVE says when the lock on it, or on the node's part of it, is not had in time.
    pub(crate) fn lock_text(&self) -> String {
        format!(
            "can't lock file '/var/lock/pve-manager/pve-storage-{}' - got timeout",
            self.id
        )
    }

    /// Whether only the newest snapshot can be rolled back to.
    pub(crate) fn only_newest_rollback(&self) -> bool {
        self.kind == StorageKind::Zfs
    }
}
