//! The firewall files: one of the datacenter, one of each VM that has one.
//!
//! [`Config`] is a VM's file: options, aliases, sets, rules; [`Datacenter`] is the cluster's, of which VMs see the
//! switch, aliases and sets. [`rule`] checks rules, [`values`] addresses and ports, [`names`] knows macros and
//! protocols. As in PVE a VM's file is not bound to the VM: it can exist without it, and whoever destroys, clones
//! or restores a VM calls [`Firewall::remove`], [`Firewall::copy`] or [`Firewall::put`].
//!
//! Not here: filtering. No packets flow in the simulator; the switches only have to read back right.

pub(crate) mod names;
pub(crate) mod rule;
pub(crate) mod values;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use sha1::{Digest as _, Sha1};

use self::rule::{Rule, Scope};

/// The options of a VM's file.
pub(crate) const OPTIONS: &[&str] = &[
    "dhcp",
    "enable",
    "ipfilter",
    "log_level_in",
    "log_level_out",
    "macfilter",
    "ndp",
    "policy_in",
    "policy_out",
    "radv",
];

/// The options of the cluster's file.
pub(crate) const CLUSTER_OPTIONS: &[&str] = &[
    "ebtables",
    "enable",
    "log_ratelimit",
    "policy_forward",
    "policy_in",
    "policy_out",
];

/// A network with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    /// Its name as it was given; it is found without regard to case.
    pub(crate) name: String,
    /// Address or network.
    pub(crate) cidr: String,
    /// What it is for.
    pub(crate) comment: Option<String>,
}

/// One address or network of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Address, network or alias.
    pub(crate) cidr: String,
    /// Whether it is taken out of the set.
    pub(crate) nomatch: bool,
    /// What it is for.
    pub(crate) comment: Option<String>,
}

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// What it is for.
    pub(crate) comment: Option<String>,
    /// What is in it, in the order of the file.
    pub(crate) entries: Vec<Entry>,
}

/// A firewall file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// The options that are set.
    pub(crate) options: BTreeMap<String, String>,
    /// By lower-case name.
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// By lower-case name.
    pub(crate) sets: BTreeMap<String, Set>,
    /// First match first.
    pub(crate) rules: Vec<Rule>,
}

/// The cluster's firewall file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Datacenter {
    /// Options, aliases and sets; its rules are not simulated.
    pub(crate) config: Config,
    /// Security groups by name, with their comments.
    pub(crate) groups: BTreeMap<String, Option<String>>,
}

/// A rule, and what is wrong with it by parameter.
pub(crate) type Checked = (Rule, IndexMap<String, String>);

/// All firewall files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Firewall {
    /// The cluster's.
    pub(crate) datacenter: Datacenter,
    vms: BTreeMap<u32, Config>,
}

impl Firewall {
    /// A VM's file; an empty one if it has none.
    pub(crate) fn get(&self, vmid: u32) -> Config {
        self.vms.get(&vmid).cloned().unwrap_or_default()
    }

    /// Writes a VM's file and reads it back, as PVE does between two calls; an empty one is no file.
    pub(crate) fn put(&mut self, vmid: u32, config: Config) {
        let config = config.written();
        if config == Config::default() {
            self.vms.remove(&vmid);
        } else {
            self.vms.insert(vmid, config);
        }
    }

    /// Removes a VM's file, as destroying the VM does.
    pub(crate) fn remove(&mut self, vmid: u32) {
        self.vms.remove(&vmid);
    }

    /// Gives a VM the file of another, as cloning does: it replaces what was there.
    pub(crate) fn copy(&mut self, from: u32, to: u32) {
        match self.vms.get(&from).cloned() {
            Some(config) => self.vms.insert(to, config),
            None => self.vms.remove(&to),
        };
    }

    /// Lets all rules that use a security group use it under its new name.
    pub(crate) fn rename_group(&mut self, old: &str, new: &str) {
        let rules = self.vms.values_mut().flat_map(|config| &mut config.rules);
        for rule in rules.filter(|rule| rule.get("type") == Some("group") && rule.get("action") == Some(old))
        {
            rule.set("action", new);
        }
    }

    /// A VM's rules with what is wrong with each by now, and the digest of them all.
    pub(crate) fn rules(&self, vmid: u32) -> (Vec<Checked>, String) {
        let own = self.get(vmid);
        let scope = Scope {
            own: &own,
            datacenter: &self.datacenter,
        };
        let rules = own
            .rules
            .iter()
            .map(|rule| {
                let mut rule = rule.clone();
                let errors = rule.verify(scope);
                (rule, errors)
            })
            .collect::<Vec<_>>();
        let texts = rules.iter().map(|(rule, _)| rule.digest_text());
        let digest = digest(&texts.collect::<String>());
        (rules, digest)
    }
}

impl Config {
    /// What is left after writing the file and reading it: lines are lines, whatever a comment holds.
    fn written(mut self) -> Self {
        let text = self
            .rules
            .iter()
            .map(|rule| rule.line() + "\n")
            .collect::<String>();
        self.rules = text.lines().filter_map(Rule::from_line).collect();
        for set in self.sets.values_mut() {
            set.entries.sort_by(|a, b| a.cidr.cmp(&b.cidr));
        }
        self
    }

    /// The digest of the options.
    pub(crate) fn options_digest(&self) -> String {
        let lines = self.options.iter().map(|(key, value)| format!("{key}:{value}\n"));
        digest(&lines.collect::<String>())
    }
}

/// The digest that PVE makes of lists and objects: SHA-1 over `key:value` lines.
pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_rules(lines: &[&str]) -> Config {
        Config {
            rules: lines.iter().filter_map(|line| Rule::from_line(line)).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn a_clone_has_the_same_file_and_a_destroyed_vm_none() {
        let mut firewall = Firewall::default();
        firewall.put(9000, with_rules(&["IN SSH(ACCEPT)"]));
        firewall.put(100, with_rules(&["IN DROP"]));
        firewall.copy(9000, 100);
        assert_eq!(firewall.get(100), firewall.get(9000));
        firewall.remove(100);
        assert_eq!(firewall.get(100), Config::default());
        firewall.copy(100, 9000);
        assert_eq!(
            firewall.get(9000),
            Config::default(),
            "the clone of a VM without a file"
        );
    }

    #[test]
    fn a_line_break_in_a_comment_becomes_a_rule_of_its_own() {
        let mut config = with_rules(&["IN DROP"]);
        if let Some(rule) = config.rules.first_mut() {
            rule.set("comment", "harmless\nIN ACCEPT");
        }
        let mut firewall = Firewall::default();
        firewall.put(100, config);
        assert_eq!(firewall.get(100).rules.len(), 2);
    }
}
