//! Scopes: what a product can grant to a plugin, one bit each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A right that a product grants to a plugin, `interface.verb` as the contract writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scope {
    /// Calling approved HTTP origins.
    HttpSend,
    /// Starting, listing and cancelling jobs.
    JobsUse,
    /// Sending an e-mail to the ticket department of the product.
    MailDepartment,
    /// Sending an e-mail to the owner of the service.
    MailOwner,
    /// Asking the guest to restart.
    PowerReboot,
    /// Resetting the VM at once.
    PowerReset,
    /// Asking the guest to shut down.
    PowerShutdown,
    /// Starting the VM.
    PowerStart,
    /// Switching the VM off at once.
    PowerStop,
    /// Bringing the VM in line with the plan.
    ProvisionApplyPlan,
    /// Taking snapshots.
    SnapshotsCreate,
    /// Listing snapshots.
    SnapshotsRead,
    /// Removing snapshots.
    SnapshotsRemove,
    /// Going back to a snapshot.
    SnapshotsRollback,
    /// The key-value store.
    StorageUse,
    /// Reading state, hardware and network of the VM.
    VmRead,
}

/// A name that is no scope of this version of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope")]
pub struct UnknownScope(pub String);

impl Scope {
    /// Every scope there is, in the order of their names.
    pub const ALL: [Self; 16] = [
        Self::HttpSend,
        Self::JobsUse,
        Self::MailDepartment,
        Self::MailOwner,
        Self::PowerReboot,
        Self::PowerReset,
        Self::PowerShutdown,
        Self::PowerStart,
        Self::PowerStop,
        Self::ProvisionApplyPlan,
        Self::SnapshotsCreate,
        Self::SnapshotsRead,
        Self::SnapshotsRemove,
        Self::SnapshotsRollback,
        Self::StorageUse,
        Self::VmRead,
    ];

    /// The name as the contract writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpSend => "http.send",
            Self::JobsUse => "jobs.use",
            Self::MailDepartment => "mail.department",
            Self::MailOwner => "mail.owner",
            Self::PowerReboot => "power.reboot",
            Self::PowerReset => "power.reset",
            Self::PowerShutdown => "power.shutdown",
            Self::PowerStart => "power.start",
            Self::PowerStop => "power.stop",
            Self::ProvisionApplyPlan => "provision.apply-plan",
            Self::SnapshotsCreate => "snapshots.create",
            Self::SnapshotsRead => "snapshots.read",
            Self::SnapshotsRemove => "snapshots.remove",
            Self::SnapshotsRollback => "snapshots.rollback",
            Self::StorageUse => "storage.use",
            Self::VmRead => "vm.read",
        }
    }

    /// The interface whose functions it opens: `vm` for `vm.read`.
    pub fn interface(self) -> &'static str {
        self.as_str()
            .split_once('.')
            .map_or(self.as_str(), |(interface, _)| interface)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == name)
            .ok_or_else(|| UnknownScope(name.to_owned()))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(name: String) -> Result<Self, UnknownScope> {
        name.parse()
    }
}

/// A set of scopes. Empty by default: nothing is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u32);

impl ScopeSet {
    /// No scope at all.
    pub const EMPTY: Self = Self(0);

    /// Every scope there is. For tests and for a product that grants `*`.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Adds a scope.
    pub const fn insert(&mut self, scope: Scope) {
        self.0 |= scope.bit();
    }

    /// Whether the scope is in the set.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is granted.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::EMPTY;
        for scope in scopes {
            set.insert(scope);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_from_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!("vm.write".parse::<Scope>(), Err(UnknownScope("vm.write".into())));
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: ScopeSet = [Scope::VmRead, Scope::MailOwner].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Scope::MailOwner, Scope::VmRead]);
        assert!(!set.contains(Scope::MailDepartment));
    }
}
