//! The state of the simulated cluster.
//!
//! [`World`] holds everything behind one lock; it is changed by endpoints (`api`), by running tasks (`work`) and
//! by the control API (`control`). Nothing here knows HTTP, waits or spawns.

pub(crate) mod access;
pub(crate) mod backup;
pub(crate) mod counters;
pub(crate) mod devices;
pub(crate) mod faults;
pub(crate) mod figures;
pub(crate) mod firewall;
pub(crate) mod guest;
pub(crate) mod ha;
pub(crate) mod load;
pub(crate) mod qmp;
pub(crate) mod quorum;
mod reading;
pub(crate) mod references;
pub(crate) mod retention;
mod run;
mod section;
pub(crate) mod storage;
pub(crate) mod task;
pub(crate) mod totp;
pub(crate) mod upload;
pub(crate) mod vm;
pub(crate) mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use self::access::Access;
use self::backup::Archives;
use self::counters::Counters;
use self::faults::Faults;
use self::firewall::Firewall;
use self::ha::Managed;
use self::storage::Storage;
use self::task::Tasks;
use self::upload::Uploads;
use self::vm::Vm;
use crate::console::Consoles;
use crate::failure::Failure;
use crate::options::Major;

/// A node of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: String,
    /// Logical processors.
    pub(crate) cpus: u64,
    /// Memory in bytes.
    pub(crate) memory: u64,
    /// Root file system in bytes.
    pub(crate) disk: u64,
    /// When it booted, in seconds since the epoch.
    pub(crate) booted: f64,
    /// Whether the others reach it.
    pub(crate) online: bool,
    /// Its address in the cluster.
    pub(crate) address: String,
    /// Held by the one backup job that may run on it.
    pub(crate) vzdump: Arc<tokio::sync::Mutex<()>>,
}

/// How long tasks take, in seconds at time scale 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Durations {
    /// Starting a VM.
    pub start: f64,
    /// Stopping a VM hard.
    pub stop: f64,
    /// Resetting, pausing, resuming.
    pub signal: f64,
    /// Taking a snapshot without memory.
    pub snapshot: f64,
    /// Saving one GiB of memory.
    pub state_per_gib: f64,
    /// Rolling back.
    pub rollback: f64,
    /// Removing a snapshot.
    pub remove_snapshot: f64,
    /// Changing the configuration in a task.
    pub config: f64,
    /// Making the configuration of a VM, and removing a VM.
    pub allocate: f64,
    /// Copying one GiB of a disk.
    pub copy_per_gib: f64,
    /// Growing a disk.
    pub resize: f64,
    /// Moving a VM to another node.
    pub migrate: f64,
    /// How often high availability looks at its VMs.
    pub ha_round: f64,
    /// How long a node is away before its VMs are taken over.
    pub ha_fence: f64,
    /// Backing up one GiB of disk.
    pub backup_per_gib: f64,
    /// Restoring one GiB of disk.
    pub restore_per_gib: f64,
    /// Removing a volume from a storage.
    pub remove_volume: f64,
    /// Downloading one GiB.
    pub download_per_gib: f64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            start: 3.0,
            stop: 1.5,
            signal: 0.5,
            snapshot: 4.0,
            state_per_gib: 2.0,
            rollback: 5.0,
            remove_snapshot: 3.0,
            config: 1.0,
            allocate: 1.0,
            copy_per_gib: 0.5,
            resize: 1.0,
            migrate: 8.0,
            ha_round: 5.0,
            ha_fence: 60.0,
            backup_per_gib: 0.3,
            restore_per_gib: 0.4,
            remove_volume: 1.0,
            download_per_gib: 10.0,
        }
    }
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct World {
    /// Which PVE it is.
    pub(crate) major: Major,
    /// Makes choices reproducible.
    pub(crate) seed: u64,
    /// Its name.
    pub(crate) cluster: String,
    /// What the datacenter's file says, by PVE's names.
    pub(crate) options: BTreeMap<String, String>,
    /// Its nodes, in the order of their ids.
    pub(crate) nodes: IndexMap<String, Node>,
    /// Its storages.
    pub(crate) storages: IndexMap<String, Storage>,
    /// What is inside its backups.
    pub(crate) archives: Archives,
    /// Files that are on their way into a storage.
    pub(crate) uploads: Uploads,
    /// Its VMs.
    pub(crate) vms: BTreeMap<u32, Vm>,
    /// Who may do what.
    pub(crate) access: Access,
    /// Tasks, running and ended.
    pub(crate) tasks: Tasks,
    /// How long tasks take.
    pub(crate) durations: Durations,
    /// The firewall files.
    pub(crate) firewall: Firewall,
    /// Whether the cluster's file system can be written. Nodes that go offline leave it as it is, as with an outside
    /// vote (QDevice): recovery of the VMs of a lost node needs it.
    pub(crate) quorate: bool,
    /// What goes wrong.
    pub(crate) faults: Faults,
    /// What was asked and done.
    pub(crate) counters: Counters,
    /// Screens of VMs and ports that lead to them.
    pub(crate) consoles: Consoles,
    /// Bumped when stuck tasks may go on.
    pub(crate) releases: u64,
    /// What high availability manages.
    pub(crate) ha: BTreeMap<u32, Managed>,
    /// When the cluster was upgraded from PVE 8, in seconds since the epoch: older figures have the old steps.
    pub(crate) upgraded: Option<f64>,
    /// Source of process ids.
    pub(crate) next_pid: u32,
}

impl World {
    /// A VM by its node and number, or PVE's text when its configuration is not there.
    pub(crate) fn vm(&self, node: &str, vmid: u32) -> Result<&Vm, String> {
        self.vms
            .get(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(node, vmid))
    }

    /// The same, to be changed.
    pub(crate) fn vm_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Vm, String> {
        self.vms
            .get_mut(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(node, vmid))
    }

    /// A fresh process id.
    pub(crate) fn pid(&mut self) -> u32 {
        self.next_pid = self.next_pid.wrapping_add(13) % 4_000_000;
        self.next_pid + 2_000
    }

    /// Why a drive's storage cannot take snapshots, or `None` if it can.
    pub(crate) fn snapshot_possible(&self, vm: &Vm) -> bool {
        let mut disks = vm
            .drives()
            .filter(|(_, drive)| !drive.is_cdrom() || drive.is_cloudinit());
        disks.all(|(_, drive)| {
            drive
                .storage()
                .and_then(|id| self.storages.get(id))
                .is_some_and(|s| s.can_snapshot(drive.file()))
        })
    }

    /// Why a cluster-wide lock is not to be had; none if it is.
    pub(crate) fn cfs_refusal(&mut self, name: &str) -> Option<String> {
        if self.quorate {
            self.faults.cfs_lock(name)
        } else {
            Some(format!("cfs-lock '{name}' error: no quorum!"))
        }
    }

    /// Takes a cluster-wide lock for a moment.
    ///
    /// # Errors
    /// PVE's refusal, after its ten seconds, while a fault holds the lock or there is no quorum.
    pub(crate) fn cfs_lock(&mut self, name: &str) -> Result<(), Failure> {
        match self.cfs_refusal(name) {
            Some(text) => Err(Failure::timed_out(text, 10.0)),
            None => Ok(()),
        }
    }

    /// Tells the cluster the numbers of every VM on a node that is online.
    pub(crate) fn publish_all(&mut self, now: f64) {
        for vm in self.vms.values_mut() {
            if self.nodes.get(&vm.node).is_some_and(|node| node.online) {
                vm.publish(now, self.major);
            }
        }
    }

    /// Whether what is in a VM's drives can be reached, or PVE's text. A medium that is gone keeps a VM from starting.
    pub(crate) fn startable(&self, vm: &Vm) -> Result<(), String> {
        for (_, drive) in vm.drives() {
            let Some(id) = drive.storage() else { continue };
            let storage = self.usable_storage(id, &vm.node)?;
            let volid = drive.file();
            if !drive.is_cloudinit() && !storage.volumes_on(&vm.node).any(|volume| volume.volid == volid) {
                return Err(format!("volume '{volid}' does not exist"));
            }
        }
        Ok(())
    }

    /// Bytes that can still be written to a storage on a node.
    pub(crate) fn free_on(&self, storage: &Storage, node: &str) -> u64 {
        if self.faults.storage_is_full(&storage.id) {
            return 0;
        }
        storage.total.saturating_sub(storage.used_on(node))
    }

    /// Removes a volume that a node sees, and what is inside it; tells whether it was there.
    pub(crate) fn remove_volume_on(&mut self, node: &str, volid: &str) -> bool {
        let Some(storage) = volid
            .split_once(':')
            .and_then(|(id, _)| self.storages.get_mut(id))
        else {
            return false;
        };
        let seen = |volume: &storage::Volume| {
            volume.volid == volid && volume.node.as_deref().is_none_or(|own| own == node)
        };
        let Some(at) = storage.volumes.iter().position(seen) else {
            return false;
        };
        let gone = storage.volumes.remove(at);
        self.archives.remove(gone.node.as_deref(), volid);
        true
    }

    /// Removes a volume, wherever it is.
    pub(crate) fn remove_volume(&mut self, volid: &str) {
        if let Some((id, _)) = volid.split_once(':')
            && let Some(storage) = self.storages.get_mut(id)
        {
            storage.volumes.retain(|volume| volume.volid != volid);
        }
    }
}

fn no_config(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}
