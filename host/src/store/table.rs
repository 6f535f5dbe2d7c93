//! The closed list of tables.

/// Declares the tables. To add one: a line at the end with the next free tag; tags are on disk, so a tag once
/// given is never given to another table, not even after its table is gone.
macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $tag:literal $variant:ident $name:literal,)+) => {
        /// Every table of the project. Keys are ordered bytes, values are records; what a key is made of is
        /// documented where its record type lives.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Table {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Table {
            /// All tables, in the order of their tags.
            pub const ALL: &'static [Table] = &[$(Table::$variant),+];

            /// The name, for messages and for engines that name tables.
            pub const fn name(self) -> &'static str {
                match self { $(Table::$variant => $name),+ }
            }

            /// The number that stands for the table on disk.
            pub const fn tag(self) -> u8 {
                match self { $(Table::$variant => $tag),+ }
            }
        }
    };
}

tables! {
    /// What the store knows about itself and small single facts of the host.
    1 Meta "meta",
    /// People who sign in: customers and staff, by account id.
    2 Accounts "accounts",
    /// Account id by normalised e-mail address.
    3 AccountLogins "account_logins",
    /// Sessions by the hash of their cookie.
    4 Sessions "sessions",
    /// Session hashes by account, to list and revoke them.
    5 SessionOwners "session_owners",
    /// Proxmox clusters by name.
    6 Clusters "clusters",
    /// Products by name.
    7 Products "products",
    /// Installed plugins by id: digest, version, state.
    8 Plugins "plugins",
    /// Import approvals by plugin and digest.
    9 PluginApprovals "plugin_approvals",
    /// Provider settings by plugin.
    10 PluginSettings "plugin_settings",
    /// Services by id.
    11 Services "services",
    /// Service ids by owner account.
    12 ServiceOwners "service_owners",
    /// Service ids by cluster and VMID, so that no two services share a VM.
    13 ServiceMachines "service_machines",
    /// The activity log, by service and time.
    14 Activity "activity",
    /// Jobs by id.
    15 Jobs "jobs",
    /// Job ids by service.
    16 JobOwners "job_owners",
    /// Intents and outcomes of mutating host calls, by job, step and call number.
    17 JobJournal "job_journal",
    /// Calendar schedules of plugins, by service and plugin.
    18 Schedules "schedules",
    /// Leases and their fences.
    19 Leases "leases",
    /// Due queues: queue, due time, id. The order is the schedule.
    20 DueIndex "due_index",
    /// Due queues: where an id stands in the index and who has claimed it.
    21 DueEntries "due_entries",
    /// Mails that wait, were sent or were given up, by their stable id.
    22 Outbox "outbox",
    /// The ids of the mails that were given up, to list them.
    23 OutboxDead "outbox_dead",
    /// Values of plugins, by plugin, service and key.
    24 PluginStorage "plugin_storage",
    /// How much of its quota a plugin has used, by plugin and service.
    25 PluginStorageUse "plugin_storage_use",
    /// One-time console links by the hash of their id.
    26 ConsoleLinks "console_links",
    /// Secrets at rest, sealed, by name.
    27 Secrets "secrets",
    /// The activity of the provider's side (apply, install, sign-ins), by time.
    28 Audit "audit",
    /// Free indexes of the domain: the first key part names the index.
    29 Indexes "indexes",
    /// Which job holds a service, by service.
    40 JobHolds "job_holds",
    /// Unfinished jobs by service, plugin and the plugin's key.
    41 JobKeys "job_keys",
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_tables_share_a_tag_or_a_name() {
        let tags: HashSet<_> = Table::ALL.iter().map(|t| t.tag()).collect();
        let names: HashSet<_> = Table::ALL.iter().map(|t| t.name()).collect();
        assert_eq!(tags.len(), Table::ALL.len());
        assert_eq!(names.len(), Table::ALL.len());
    }

    #[test]
    fn tag_zero_stays_free_for_the_store_itself() {
        assert!(Table::ALL.iter().all(|t| t.tag() != 0));
    }
}
