//! The cluster's file system without a quorum: it can be read, and PVE refuses whatever writes to it.
//!
//! [`call`] is asked before a handler runs and knows what calls write by themselves; [`World::task_refusal`] is asked
//! before a task works. Locks of storages and firewall files refuse where they are taken ([`World::cfs_lock`],
//! [`World::storage_lock`]). A task is refused before it has done anything, also one that in PVE writes only at its end.

use super::World;
use crate::failure::Failure;

/// What PVE says before it makes, starts, clones or migrates a VM.
const NOT_READY: &str = "cluster not ready - no quorum?";

/// (method, begin of the path, lock, what the error begins with) of calls that change one file of the whole cluster
/// under its lock; the first that fits counts.
const FILES: &[(&str, &str, &str, &str)] = &[
    ("PUT", "/access/password", "file-priv_shadow_cfg", ""),
    ("PUT", "/access/acl", USERS, "ACL update failed: "),
    (
        "POST",
        "/access/users/{userid}/token",
        USERS,
        "generating token failed: ",
    ),
    (
        "PUT",
        "/access/users/{userid}/token",
        USERS,
        "updating token info failed: ",
    ),
    (
        "DELETE",
        "/access/users/{userid}/token",
        USERS,
        "deleting token failed: ",
    ),
    ("POST", "/access/users", USERS, "create user failed: "),
    ("PUT", "/access/users", USERS, "update user failed: "),
    ("DELETE", "/access/users", USERS, "delete user failed: "),
    ("POST", "/access/groups", USERS, "create group failed: "),
    ("PUT", "/access/groups", USERS, "update group failed: "),
    ("DELETE", "/access/groups", USERS, "delete group failed: "),
    ("POST", "/access/roles", USERS, "create role failed: "),
    ("PUT", "/access/roles", USERS, "update role failed: "),
    ("DELETE", "/access/roles", USERS, "delete role failed: "),
    ("POST", "/pools", USERS, "create pool failed: "),
    ("PUT", "/pools", USERS, "update pools failed: "),
    ("DELETE", "/pools", USERS, "delete pool failed: "),
    ("POST", "/storage", STORAGES, "create storage failed: "),
    ("PUT", "/storage", STORAGES, "update storage failed: "),
    ("DELETE", "/storage", STORAGES, "delete storage failed: "),
    ("PUT", "/cluster/options", "file-datacenter_cfg", ""),
    ("POST", "/cluster/ha/resources", HA, "create resource failed: "),
    (
        "PUT",
        "/cluster/ha/resources",
        HA,
        "update resources config failed: ",
    ),
    ("DELETE", "/cluster/ha/resources", HA, "delete resource failed: "),
];

const USERS: &str = "file-user_cfg";
const STORAGES: &str = "file-storage_cfg";
/// The lock on what high availability manages.
const HA: &str = "domain-ha";

/// (method, path) of calls that PVE refuses at once for want of a quorum.
const AT_ONCE: &[(&str, &str)] = &[
    ("POST", "/nodes/{node}/qemu"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
    ("POST", "/nodes/{node}/qemu/{vmid}/clone"),
    ("GET", "/nodes/{node}/qemu/{vmid}/migrate"),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate"),
];

/// (method, path) of calls that write a VM's configuration by themselves, not in a task.
const IN_PLACE: &[(&str, &str)] = &[
    ("PUT", "/nodes/{node}/qemu/{vmid}/config"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/unlink"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/cloudinit"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"),
];

/// Types of tasks that write the VM's configuration.
const WRITING_TASKS: &[&str] = &[
    "qmconfig",
    "qmdelsnapshot",
    "qmdestroy",
    "qmmove",
    "qmrollback",
    "qmsnapshot",
    "qmsuspend",
    "qmtemplate",
    "resize",
];

/// Refuses a call that writes to the cluster's file system, when that cannot be written; by method and path template.
///
/// # Errors
/// PVE's refusal: for want of a quorum, or because a fault holds the lock on the file.
pub(crate) fn call(
    world: &mut World,
    (method, path): (&str, &str),
    node: &str,
    vmid: Option<u32>,
) -> Result<(), Failure> {
    let file = FILES
        .iter()
        .find(|(of, begin, ..)| *of == method && path.starts_with(begin));
    if let Some((_, _, lock, failed)) = file {
        return world.cfs_lock(lock).map_err(|failure| Failure {
            message: format!("{failed}{}", failure.message),
            ..failure
        });
    }
    if world.quorate {
        return Ok(());
    }
    if AT_ONCE.contains(&(method, path)) {
        return Err(Failure::died(NOT_READY));
    }
    match vmid.filter(|_| IN_PLACE.contains(&(method, path))) {
        // A VM that is not there is told by the handler.
        Some(vmid) if world.vm(node, vmid).is_ok() => {
            world.config_writable(node, vmid).map_err(Failure::died)
        }
        _ => Ok(()),
    }
}

impl World {
    /// Refuses to write a VM's configuration without a quorum.
    ///
    /// # Errors
    /// PVE's text, with the temporary file that it could not make.
    pub(crate) fn config_writable(&mut self, node: &str, vmid: u32) -> Result<(), String> {
        if self.quorate {
            return Ok(());
        }
        let pid = self.pid();
        Err(format!(
            "unable to open file '/etc/pve/nodes/{node}/qemu-server/{vmid}.conf.tmp.{pid}' - Permission denied"
        ))
    }

    /// Why a task of a type cannot work without a quorum; none if it can.
    pub(crate) fn task_refusal(&mut self, node: &str, kind: &str, vmid: u32) -> Option<String> {
        if self.quorate {
            return None;
        }
        match kind {
            "qmstart" | "qmigrate" => Some(NOT_READY.to_owned()),
            _ if WRITING_TASKS.contains(&kind) => self.config_writable(node, vmid).err(),
            _ => None,
        }
    }
}
