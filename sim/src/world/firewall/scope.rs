//! Which firewall file, which rules in it, and what rules may be and refer to there.

use super::{Config, Datacenter};

/// One of the firewall files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// A VM's.
    Vm(u32),
    /// The cluster's.
    Datacenter,
}

impl File {
    /// The cluster-wide lock that guards it.
    pub(crate) fn lock(self) -> String {
        match self {
            Self::Vm(vmid) => format!("firewall-vm-{vmid}"),
            Self::Datacenter => "firewall-cluster".to_owned(),
        }
    }

    /// The VM whose it is; 0 for the cluster.
    pub(crate) fn vmid(self) -> u32 {
        match self {
            Self::Vm(vmid) => vmid,
            Self::Datacenter => 0,
        }
    }
}

/// A list of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The rules of a file.
    File(File),
    /// Those of a security group, which are in the cluster's file.
    Group(String),
}

impl Place {
    /// The file that has them.
    pub(crate) fn file(&self) -> File {
        match self {
            Self::File(file) => *file,
            Self::Group(_) => File::Datacenter,
        }
    }

    pub(super) fn environment(&self) -> Environment {
        match self {
            Self::File(File::Vm(_)) => Environment::Vm,
            Self::File(File::Datacenter) => Environment::Cluster,
            Self::Group(_) => Environment::Group,
        }
    }
}

/// Where a rule stands, which decides what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// In a VM's file.
    Vm,
    /// In the cluster's file.
    Cluster,
    /// In a security group.
    Group,
}

impl Environment {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Cluster => "cluster",
            Self::Group => "group",
        }
    }

    pub(super) fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Vm => &["in", "out", "group"],
            Self::Cluster => &["in", "out", "forward", "group"],
            Self::Group => &["in", "out", "forward"],
        }
    }
}

/// What a rule may refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Where the rule stands.
    pub(crate) environment: Environment,
    /// The configuration that the rule belongs to.
    pub(crate) own: &'a Config,
    /// What the whole datacenter has.
    pub(crate) datacenter: &'a Datacenter,
}

impl Scope<'_> {
    pub(super) fn has_set(&self, name: &str) -> bool {
        self.own.sets.contains_key(name) || self.datacenter.config.sets.contains_key(name)
    }

    /// The network that an alias stands for.
    pub(crate) fn alias(&self, scope: &str, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let own = (scope != "dc").then(|| self.own.aliases.get(&name)).flatten();
        let shared = (scope != "guest")
            .then(|| self.datacenter.config.aliases.get(&name))
            .flatten();
        own.or(shared).map(|alias| alias.cidr.as_str())
    }
}
