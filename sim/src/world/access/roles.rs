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
            "Mapping.Modify",
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
        "PVEMappingAdmin" => privilege.starts_with("Mapping."),
        "PVEMappingUser" => privilege == "Mapping.Audit" || privilege == "Mapping.Use",
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

/// The roles that PVE has by itself.
pub(crate) const BUILT_IN: &[&str] = &[
    "Administrator",
    "NoAccess",
    "PVEAdmin",
    "PVEAuditor",
    "PVEDatastoreAdmin",
    "PVEDatastoreUser",
    "PVEMappingAdmin",
    "PVEMappingUser",
    "PVEPoolAdmin",
    "PVEPoolUser",
    "PVESDNAdmin",
    "PVESDNUser",
    "PVESysAdmin",
    "PVETemplateUser",
    "PVEUserAdmin",
    "PVEVMAdmin",
    "PVEVMUser",
];

/// A privilege of PVE 8, as a parameter.
pub(crate) fn privilege_of_8(_: &str, text: &str) -> Result<(), String> {
    known(text, Major::V8)
}

/// A privilege of PVE 9, as a parameter.
pub(crate) fn privilege_of_9(_: &str, text: &str) -> Result<(), String> {
    known(text, Major::V9)
}

fn known(text: &str, major: Major) -> Result<(), String> {
    if privileges(major).any(|privilege| privilege == text) {
        Ok(())
    } else {
        Err(format!("invalid privilege '{text}'"))
    }
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
        assert!(privilege_of_8("", "VM.Monitor").is_ok());
        assert_eq!(
            privilege_of_9("", "VM.Monitor").unwrap_err(),
            "invalid privilege 'VM.Monitor'"
        );
    }

    #[test]
    fn every_built_in_role_has_its_privileges_and_other_names_have_none() {
        for role in BUILT_IN {
            let list = built_in(role, Major::V9).unwrap();
            assert_eq!(list.is_empty(), *role == "NoAccess", "{role}");
        }
        assert!(built_in("mine", Major::V9).is_none());
        let admin = built_in("PVEAdmin", Major::V9).unwrap();
        assert!(admin.contains(&"Mapping.Use") && !admin.contains(&"Mapping.Modify"));
    }
}
