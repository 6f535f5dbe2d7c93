//! Making, finding and freeing volumes.

use super::World;
use super::storage::{Storage, StorageKind, Volume};

impl World {
    /// A storage that is configured for a node, whether it can be reached or not; or PVE's text.
    pub(crate) fn enabled_storage(&self, id: &str, node: &str) -> Result<&Storage, String> {
        let storage = self
            .storages
            .get(id)
            .ok_or_else(|| format!("storage '{id}' does not exist"))?;
        if !storage.enabled {
            return Err(format!("storage '{id}' is disabled"));
        }
        if !storage.on(node) {
            return Err(format!("storage '{id}' is not available on node '{node}'"));
        }
        Ok(storage)
    }

    /// A storage that can be used on a node, or PVE's text why it cannot.
    pub(crate) fn usable_storage(&self, id: &str, node: &str) -> Result<&Storage, String> {
        let storage = self.enabled_storage(id, node)?;
        if self.faults.storage_is_offline(id) {
            return Err(storage.offline_text());
        }
        Ok(storage)
    }

    /// Takes the lock on a storage for a moment, as whatever makes, frees or links volumes does; PVE's refusal while a
    /// fault holds it or, where it is the cluster's, there is no quorum. Nodes that share a storage lock it in the cluster; else it is a file on the node.
    pub(crate) fn storage_lock(&mut self, id: &str) -> Result<(), String> {
        let name = format!("storage-{id}");
        match self.storages.get(id).filter(|storage| !storage.shared) {
            Some(storage) => self
                .faults
                .cfs_lock(&name)
                .map_or(Ok(()), |_| Err(storage.lock_text())),
            None => self.cfs_refusal(&name).map_or(Ok(()), Err),
        }
    }

    /// A volume as a node sees it.
    pub(crate) fn volume(&self, node: &str, volid: &str) -> Option<&Volume> {
        let storage = self.storages.get(volid.split_once(':')?.0)?;
        storage.volumes_on(node).find(|volume| volume.volid == volid)
    }

    /// Makes a disk for a VM and gives its volume id: the first free `vm-N-disk-M`, or what `name` says instead.
    ///
    /// `format` matters only where volumes are files; `base` makes it a linked clone of that volume.
    pub(crate) fn allocate(&mut self, node: &str, wish: &Wish<'_>, now: i64) -> Result<String, String> {
        let id = wish.storage;
        let storage = self.usable_storage(id, node)?;
        if !storage.content.contains("images") {
            return Err(format!("storage '{id}' does not support content-type 'images'"));
        }
        let (files, shared) = (storage.kind.is_files(), storage.shared);
        let ending = if files {
            format!(".{}", wish.format.unwrap_or("qcow2"))
        } else {
            String::new()
        };
        let vmid = wish.vmid;
        let folder = match (wish.base.and_then(|base| base.split_once(':')), storage.kind) {
            (Some((_, base)), StorageKind::Dir | StorageKind::Nfs) => format!("{base}/{vmid}/"),
            (Some((_, base)), StorageKind::Zfs | StorageKind::Rbd) => format!("{base}/"),
            (None, StorageKind::Dir | StorageKind::Nfs) => format!("{vmid}/"),
            _ => String::new(),
        };
        let name = match wish.name {
            Some(name) => name.to_owned(),
            None => free_name(storage, node, "vm", vmid)?,
        };
        if !wish.replaces && self.faults.storage_is_full(id) {
            return Err(storage.full_text(&format!("{folder}{name}{ending}"), wish.size));
        }
        let volid = format!("{id}:{folder}{name}{ending}");
        let volume = Volume {
            volid: volid.clone(),
            content: "images".to_owned(),
            format: storage.format_of(&volid).to_owned(),
            size: wish.size,
            ctime: now,
            vmid: Some(vmid),
            notes: None,
            protected: false,
            encrypted: None,
            verification: None,
            node: (!shared).then(|| node.to_owned()),
        };
        if let Some(storage) = self.storages.get_mut(id) {
            storage.volumes.retain(|other| {
                other.volid != volid || other.node.as_deref().is_some_and(|other| other != node)
            });
            storage.volumes.push(volume);
        }
        Ok(volid)
    }

    /// Whether another volume is a linked clone of this one.
    pub(crate) fn has_children(&self, volid: &str) -> bool {
        let Some((id, name)) = volid.split_once(':') else {
            return false;
        };
        let prefix = format!("{id}:{name}/");
        self.storages.get(id).is_some_and(|storage| {
            storage
                .volumes
                .iter()
                .any(|other| other.volid.starts_with(&prefix))
        })
    }

    /// Sets the size of a volume.
    pub(crate) fn set_volume_size(&mut self, node: &str, volid: &str, size: u64) {
        let storage = volid
            .split_once(':')
            .and_then(|(id, _)| self.storages.get_mut(id));
        let volumes = storage.map(|storage| &mut storage.volumes);
        for volume in volumes.into_iter().flatten() {
            if volume.volid == volid && volume.node.as_deref().is_none_or(|on| on == node) {
                volume.size = size;
            }
        }
    }
}

/// The first name for a disk of a VM that nobody has: `vm-N-disk-M`, or with `base` in front.
pub(crate) fn free_name(storage: &Storage, node: &str, prefix: &str, vmid: u32) -> Result<String, String> {
    let id = &storage.id;
    (0..1000)
        .map(|number| format!("{prefix}-{vmid}-disk-{number}"))
        .find(|name| !storage.has_image(node, name))
        .ok_or_else(|| format!("unable to allocate an image name for VM {vmid} in storage '{id}'"))
}

/// A disk that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// On which storage.
    pub(crate) storage: &'a str,
    /// For which VM.
    pub(crate) vmid: u32,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// A name of its own, without folder and ending.
    pub(crate) name: Option<&'a str>,
    /// `raw`, `qcow2` or `vmdk`.
    pub(crate) format: Option<&'a str>,
    /// The volume that it shall be a linked clone of.
    pub(crate) base: Option<&'a str>,
    /// Whether it gets the room of a disk that was freed for it, so that it can be made on a full storage.
    pub(crate) replaces: bool,
}

impl<'a> Wish<'a> {
    /// An ordinary new disk.
    pub(crate) fn new(storage: &'a str, vmid: u32, size: u64) -> Self {
        Self {
            storage,
            vmid,
            size,
            name: None,
            format: None,
            base: None,
            replaces: false,
        }
    }
}

impl World {
    /// Gives a VM to another node, with the volumes that only its node had.
    pub(crate) fn move_vm(&mut self, vmid: u32, node: &str) {
        if let Some(vm) = self.vms.get_mut(&vmid) {
            node.clone_into(&mut vm.node);
        }
        let volumes = self
            .storages
            .values_mut()
            .flat_map(|storage| &mut storage.volumes);
        for volume in volumes.filter(|volume| volume.vmid == Some(vmid) && volume.node.is_some()) {
            volume.node = Some(node.to_owned());
        }
    }

    /// Removes a VM with all disks that carry its number as their owner's, its pool membership, its firewall file, the
    /// rights on it and what high availability knows of it. Backups stay.
    pub(crate) fn forget_vm(&mut self, vmid: u32) {
        let Some(vm) = self.vms.remove(&vmid) else { return };
        let named = vm
            .config
            .iter()
            .filter(|(key, _)| crate::config::keys::holds_volume(key))
            .filter_map(|(_, text)| text.split(',').next().map(str::to_owned))
            .collect::<Vec<_>>();
        for storage in self.storages.values_mut() {
            // A VM that never came to be has disks which its configuration does not name yet.
            let unborn = matches!(vm.lock(), Some("clone" | "create"));
            storage.volumes.retain(|volume| {
                volume.vmid != Some(vmid)
                    || volume.content != "images"
                    || !(unborn || named.contains(&volume.volid))
            });
        }
        for pool in self.access.pools.values_mut() {
            pool.vms.remove(&vmid);
        }
        let path = format!("/vms/{vmid}");
        self.access.grants.retain(|grant| grant.path != path);
        self.ha.remove(&vmid);
        self.firewall.remove(vmid);
    }
}
