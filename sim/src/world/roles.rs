//! The privileges and built-in roles of each PVE major version.

use crate::options::Major;

const SHARED: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

const ONLY_8: &[&str] = &["VM.Monitor"];

const ONLY_9: &[&str] = &[
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Replicate",
];

const VM_USER: &[&str] = &[
    "VM.Audit",
    "VM.Backup",
    "VM.Config.CDROM",
    "VM.Config.Cloudinit",
    "VM.Console",
    "VM.PowerMgmt",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
];

/// All privileges of a major version.
pub(crate) fn privileges(major: Major) -> impl Iterator<Item = &'static str> {
    let own = match major {
        Major::V8 => ONLY_8,
        Major::V9 => ONLY_9,
    };
    SHARED.iter().chain(own).copied()
}

/// The privileges of a built-in role; `None` for a role that PVE does not have.
pub(crate) fn built_in(role: &str, major: Major) -> Option<Vec<&'static str>> {
    let chosen: &dyn Fn(&str) -> bool = match role {
        "Administrator" => &|_| true,
        "NoAccess" => &|_| false,
        "PVEAdmin" => &|p| {
            ![
                "Permissions.Modify",
                "Realm.Allocate",
                "Sys.AccessNetwork",
                "Sys.Incoming",
                "Sys.Modify",
                "Sys.PowerMgmt",
            ]
            .contains(&p)
        },
        "PVEAuditor" => &|p| p.ends_with(".Audit"),
        "PVEDatastoreAdmin" => &|p| p.starts_with("Datastore."),
        "PVEDatastoreUser" => &|p| p == "Datastore.AllocateSpace" || p == "Datastore.Audit",
        "PVEPoolAdmin" => &|p| p.starts_with("Pool."),
        "PVEPoolUser" => &|p| p == "Pool.Audit",
        "PVESDNAdmin" => &|p| p.starts_with("SDN."),
        "PVESDNUser" => &|p| p == "SDN.Audit" || p == "SDN.Use",
        "PVESysAdmin" => &|p| ["Sys.Audit", "Sys.Console", "Sys.Syslog"].contains(&p),
        "PVETemplateUser" => &|p| p == "VM.Audit" || p == "VM.Clone",
        "PVEUserAdmin" => &|p| ["Group.Allocate", "Realm.AllocateUser", "User.Modify"].contains(&p),
        "PVEVMAdmin" => &|p| p.starts_with("VM."),
        "PVEVMUser" => &|p| VM_USER.contains(&p),
        _ => return None,
    };
    Some(privileges(major).filter(|p| chosen(p)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_privilege_exists_only_before_9() {
        assert!(privileges(Major::V8).any(|p| p == "VM.Monitor"));
        assert!(!privileges(Major::V9).any(|p| p == "VM.Monitor"));
        let user = built_in("PVEVMUser", Major::V9).unwrap();
        assert!(user.contains(&"VM.GuestAgent.Audit") && !user.contains(&"VM.GuestAgent.Unrestricted"));
    }
}
