//! The firewall files: one of the datacenter, one of each VM that has one.
//!
//! [`Config`] is a VM's file: options, aliases, sets, rules; [`Datacenter`] is the cluster's, which has security groups
//! besides and whose aliases and sets VMs see. [`File`] says which file is meant, [`Place`] which rules in it, [`scope`]
//! what those may be. [`rule`] checks rules, [`values`] addresses and ports, [`names`] knows macros and protocols. As in
//! PVE a VM's file is not bound to the VM: it can exist without it, and whoever destroys, clones or restores a VM calls
//! [`Firewall::remove`], [`Firewall::copy`] or [`Firewall::put`].
//!
//! Not here: filtering. No packets flow in the simulator; the switches only have to read back right.

pub(crate) mod names;
pub(crate) mod rule;
pub(crate) mod scope;
pub(crate) mod values;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use sha1::{Digest as _, Sha1};

use self::rule::Rule;
use self::scope::Scope;
pub(crate) use self::scope::{File, Place};

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

/// Rules with a name, which other rules use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// What it is for.
    pub(crate) comment: Option<String>,
    /// First match first.
    pub(crate) rules: Vec<Rule>,
}

/// The cluster's firewall file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Datacenter {
    /// Options, aliases, sets and rules.
    pub(crate) config: Config,
    /// Security groups by name.
    pub(crate) groups: BTreeMap<String, Group>,
}

/// The file of a VM that has none.
static NOTHING: Config = Config {
    options: BTreeMap::new(),
    aliases: BTreeMap::new(),
    sets: BTreeMap::new(),
    rules: Vec::new(),
};

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
        let own = std::iter::once(&mut self.datacenter.config);
        let rules = self.vms.values_mut().chain(own);
        let rules = rules.flat_map(|config| &mut config.rules);
        for rule in rules.filter(|rule| rule.get("type") == Some("group") && rule.get("action") == Some(old))
        {
            rule.set("action", new);
        }
    }

    /// A file; an empty one if there is none.
    pub(crate) fn file(&self, file: File) -> &Config {
        match file {
            File::Vm(vmid) => self.vms.get(&vmid).unwrap_or(&NOTHING),
            File::Datacenter => &self.datacenter.config,
        }
    }

    /// Writes a file.
    pub(crate) fn write(&mut self, file: File, config: Config) {
        match file {
            File::Vm(vmid) => self.put(vmid, config),
            File::Datacenter => self.datacenter.config = config.written(),
        }
    }

    /// What the rules of a place may refer to.
    pub(crate) fn scope(&self, place: &Place) -> Scope<'_> {
        Scope {
            own: self.file(place.file()),
            datacenter: &self.datacenter,
            environment: place.environment(),
        }
    }

    /// The rules of a place, or PVE's text when it is a group that does not exist.
    pub(crate) fn rules(&self, place: &Place) -> Result<&Vec<Rule>, String> {
        match place {
            Place::File(file) => Ok(&self.file(*file).rules),
            Place::Group(name) => match self.datacenter.groups.get(name) {
                Some(group) => Ok(&group.rules),
                None => Err(format!("no such security group '{name}'")),
            },
        }
    }

    /// Writes the rules of a place.
    pub(crate) fn write_rules(&mut self, place: &Place, rules: Vec<Rule>) {
        match place {
            Place::File(file) => {
                let mut config = self.file(*file).clone();
                config.rules = rules;
                self.write(*file, config);
            }
            Place::Group(name) => {
                if let Some(group) = self.datacenter.groups.get_mut(name) {
                    group.rules = read_back(&rules);
                }
            }
        }
    }

    /// The rules of a place with what is wrong with each by now, and the digest of them all.
    pub(crate) fn checked(&self, place: &Place) -> Result<(Vec<Checked>, String), String> {
        let scope = self.scope(place);
        let rules = self
            .rules(place)?
            .iter()
            .map(|rule| {
                let mut rule = rule.clone();
                let errors = rule.verify(scope);
                (rule, errors)
            })
            .collect::<Vec<_>>();
        let texts = rules.iter().map(|(rule, _)| rule.digest_text());
        let digest = digest(&texts.collect::<String>());
        Ok((rules, digest))
    }
}

/// What is left of rules after writing and reading them: lines are lines, whatever a comment holds.
fn read_back(rules: &[Rule]) -> Vec<Rule> {
    let lines = rules.iter().map(|rule| rule.line() + "\n");
    let text = lines.collect::<String>();
    text.lines().filter_map(Rule::from_line).collect()
}

impl Config {
    /// What is left after writing the file and reading it.
    fn written(mut self) -> Self {
        self.rules = read_back(&self.rules);
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
