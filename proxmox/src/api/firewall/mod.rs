//! A VM's firewall: rules, options, sets; and of the datacenter's what VMs depend on.
//!
//! [`rules`] knows where PVE puts and moves rules, [`options`] the three switches and what unset means, [`sets`] the
//! sets of addresses; [`words`] has the types whose texts cannot become other lines of PVE's firewall file.
//!
//! Changes are in force about ten seconds after PVE took them. Not here: editing the datacenter's or a node's
//! firewall, and security groups.

mod options;
mod rules;
mod sets;
mod words;

pub use self::options::{ClusterFirewall, FirewallMacro, FirewallOptions, FirewallOptionsUpdate};
pub use self::rules::{FirewallRule, FirewallRules, RuleAction, RuleDraft, RulePlace};
pub use self::sets::{FirewallReference, FirewallSet, FirewallSetEntry, Membership};
pub use self::words::{FirewallDirection, FirewallLogLevel, FirewallPolicy, RuleComment, RuleText};
