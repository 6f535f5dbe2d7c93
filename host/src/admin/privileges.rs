//! Which privileges the panel's token needs, for which feature, by PVE major version.
//!
//! From PVE's API schema: the permission checks of the calls each feature makes. The one difference between the
//! majors: PVE 9 replaced `VM.Monitor` by `VM.GuestAgent.*`; a role with the old name is refused there.

/// Where a privilege is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On every service's VM.
    Vm,
    /// On some storage: which one is a setting of the plugin.
    Storage,
    /// On the bridge, and VLAN, of every product that names one.
    Bridge,
}

/// One privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its name in PVE.
    pub privilege: &'static str,
    /// Where it is needed.
    pub place: Place,
    /// What for.
    pub purpose: &'static str,
    /// The PVE major versions that know it, from and to.
    pub majors: (u32, u32),
}

/// A feature, named like its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureNeeds {
    /// The plugin's id.
    pub feature: &'static str,
    /// What it needs.
    pub needs: &'static [Need],
}

const ALL: (u32, u32) = (8, u32::MAX);
const EIGHT: (u32, u32) = (8, 8);
const SINCE_NINE: (u32, u32) = (9, u32::MAX);

const fn vm(privilege: &'static str, purpose: &'static str) -> Need {
    Need {
        privilege,
        place: Place::Vm,
        purpose,
        majors: ALL,
    }
}

const AUDIT: Need = vm("VM.Audit", "read status and configuration");
const POWER: Need = vm("VM.PowerMgmt", "start and stop");
const CPU: Need = vm("VM.Config.CPU", "put back the plan's cores");
const MEMORY: Need = vm("VM.Config.Memory", "put back the plan's memory");
const NETWORK: Need = vm("VM.Config.Network", "put back the plan's network settings");
const DISK: Need = vm("VM.Config.Disk", "put back the plan's disk size and limits");
const CLOUD_INIT: Need = vm("VM.Config.Cloudinit", "write addresses and passwords");
const SPACE: Need = Need {
    privilege: "Datastore.AllocateSpace",
    place: Place::Storage,
    purpose: "use space on storages",
    majors: ALL,
};
const STORAGE_AUDIT: Need = Need {
    privilege: "Datastore.Audit",
    place: Place::Storage,
    purpose: "list the content of storages",
    majors: ALL,
};
const BRIDGE: Need = Need {
    privilege: "SDN.Use",
    place: Place::Bridge,
    purpose: "connect network adapters",
    majors: ALL,
};

/// Every feature's needs, in the order of the client area.
pub const FEATURES: &[FeatureNeeds] = &[
    FeatureNeeds {
        feature: "overview",
        needs: &[AUDIT, POWER],
    },
    FeatureNeeds {
        feature: "console",
        needs: &[AUDIT, vm("VM.Console", "open the console")],
    },
    FeatureNeeds {
        feature: "charts",
        needs: &[AUDIT],
    },
    FeatureNeeds {
        feature: "reinstall",
        needs: &[
            AUDIT,
            POWER,
            vm("VM.Snapshot", "remove snapshots"),
            CPU,
            MEMORY,
            NETWORK,
            DISK,
            CLOUD_INIT,
            vm("VM.Config.Options", "set the boot order"),
            vm("VM.Config.HWType", "set hardware the template needs"),
            SPACE,
            BRIDGE,
        ],
    },
    FeatureNeeds {
        feature: "snapshots",
        needs: &[
            AUDIT,
            POWER,
            vm("VM.Snapshot", "take and remove snapshots"),
            vm("VM.Snapshot.Rollback", "roll back"),
            CPU,
            MEMORY,
            NETWORK,
            DISK,
        ],
    },
    FeatureNeeds {
        feature: "backups",
        needs: &[
            AUDIT,
            POWER,
            vm("VM.Backup", "make, list and restore backups"),
            vm("VM.Allocate", "restore over the VM"),
            CPU,
            MEMORY,
            NETWORK,
            DISK,
            CLOUD_INIT,
            SPACE,
            STORAGE_AUDIT,
            BRIDGE,
        ],
    },
    FeatureNeeds {
        feature: "reset-password",
        needs: &[
            AUDIT,
            CLOUD_INIT,
            Need {
                privilege: "VM.Monitor",
                place: Place::Vm,
                purpose: "set passwords through the guest agent",
                majors: EIGHT,
            },
            Need {
                privilege: "VM.GuestAgent.Unrestricted",
                place: Place::Vm,
                purpose: "set passwords through the guest agent",
                majors: SINCE_NINE,
            },
            Need {
                privilege: "VM.GuestAgent.Audit",
                place: Place::Vm,
                purpose: "see whether the guest agent answers",
                majors: SINCE_NINE,
            },
        ],
    },
    FeatureNeeds {
        feature: "rdns",
        needs: &[],
    },
    FeatureNeeds {
        feature: "iso",
        needs: &[
            AUDIT,
            vm("VM.Config.CDROM", "mount and unmount"),
            vm("VM.Config.Options", "boot from the mounted image"),
            STORAGE_AUDIT,
        ],
    },
    FeatureNeeds {
        feature: "firewall",
        needs: &[
            AUDIT,
            vm(
                "VM.Config.Network",
                "change rules, policies and the adapter's flag",
            ),
        ],
    },
];

impl FeatureNeeds {
    /// What the feature needs on a PVE of this major version.
    pub fn on(&self, major: u32) -> impl Iterator<Item = &'static Need> {
        self.needs
            .iter()
            .filter(move |need| (need.majors.0..=need.majors.1).contains(&major))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(feature: &str, major: u32) -> Vec<&'static str> {
        let feature = FEATURES.iter().find(|needs| needs.feature == feature).unwrap();
        feature.on(major).map(|need| need.privilege).collect()
    }

    #[test]
    fn the_guest_agent_needs_other_privileges_on_eight_than_on_nine() {
        assert_eq!(
            names("reset-password", 8),
            ["VM.Audit", "VM.Config.Cloudinit", "VM.Monitor"]
        );
        assert_eq!(
            names("reset-password", 9),
            [
                "VM.Audit",
                "VM.Config.Cloudinit",
                "VM.GuestAgent.Unrestricted",
                "VM.GuestAgent.Audit"
            ]
        );
        assert_eq!(
            names("reset-password", 10),
            names("reset-password", 9),
            "a later major is taken for the last known"
        );
    }

    #[test]
    fn no_feature_names_a_privilege_twice() {
        for feature in FEATURES {
            let mut seen = std::collections::BTreeSet::new();
            for need in feature.on(9) {
                assert!(
                    seen.insert((need.privilege, need.place as u8)),
                    "{} {}",
                    feature.feature,
                    need.privilege
                );
            }
        }
    }
}
