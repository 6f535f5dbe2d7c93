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

/// Whether a built-in role grants a privilege; `None` for a role that PVE does not have by itself.
pub(crate) fn grants(role: &str, privilege: &str, major: Major) -> Option<bool> {
    let chosen = match role {
        "Administrator" => true,
        "NoAccess" => false,
        "PVEAdmin" => ![
            "Permissions.Modify",
            "Realm.Allocate",
            "Sys.AccessNetwork",
            "Sys.Incoming",
            "Sys.Modify",
            "Sys.PowerMgmt",
        ]
        .contains(&privilege),
        "PVEAuditor" => privilege.ends_with(".Audit"),
        "PVEDatastoreAdmin" => privilege.starts_with("Datastore."),
        "PVEDatastoreUser" => privilege == "Datastore.AllocateSpace" || privilege == "Datastore.Audit",
        "PVEPoolAdmin" => privilege.starts_with("Pool."),
        "PVEPoolUser" => privilege == "Pool.Audit",
        "PVESDNAdmin" => privilege.starts_with("SDN."),
        "PVESDNUser" => privilege == "SDN.Audit" || privilege == "SDN.Use",
        "PVESysAdmin" => ["Sys.Audit", "Sys.Console", "Sys.Syslog"].contains(&privilege),
        "PVETemplateUser" => privilege == "VM.Audit" || privilege == "VM.Clone",
        "PVEUserAdmin" => ["Group.Allocate", "Realm.AllocateUser", "User.Modify"].contains(&privilege),
        "PVEVMAdmin" => privilege.starts_with("VM."),
        "PVEVMUser" => VM_USER.contains(&privilege),
        _ => return None,
    };
    Some(chosen && privileges(major).any(|known| known == privilege))
}

/// The privileges of a built-in role; `None` for a role that PVE does not have by itself.
pub(crate) fn built_in(role: &str, major: Major) -> Option<Vec<&'static str>> {
    grants(role, "", major)?;
    Some(
        privileges(major)
            .filter(|privilege| grants(role, privilege, major) == Some(true))
            .collect(),
    )
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
