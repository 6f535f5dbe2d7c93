//! The shape of a scenario file.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::world::Durations;
use crate::world::ha::Wanted;
use crate::world::vm::GuestAgent;

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) cluster: Cluster,
    #[serde(default)]
    pub(super) durations: Durations,
    #[serde(default)]
    pub(super) firewall: Firewall,
    #[serde(default, rename = "node")]
    pub(super) nodes: Vec<Node>,
    #[serde(default, rename = "storage")]
    pub(super) storages: Vec<Storage>,
    #[serde(default, rename = "role")]
    pub(super) roles: Vec<Role>,
    #[serde(default, rename = "user")]
    pub(super) users: Vec<User>,
    #[serde(default, rename = "group")]
    pub(super) groups: Vec<Group>,
    #[serde(default, rename = "acl")]
    pub(super) grants: Vec<Grant>,
    #[serde(default, rename = "pool")]
    pub(super) pools: Vec<Pool>,
    #[serde(default, rename = "vm")]
    pub(super) vms: Vec<Vm>,
    #[serde(default, rename = "fleet")]
    pub(super) fleets: Vec<Fleet>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) name: String,
    /// How long ago a cluster of PVE 9 was still one of PVE 8; charts have mixed steps then.
    #[serde(default)]
    pub(super) upgraded_seconds_ago: Option<u32>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "sim".to_owned(),
            upgraded_seconds_ago: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) name: String,
    #[serde(default = "sixteen")]
    pub(super) cpus: u64,
    #[serde(default = "sixty_four")]
    pub(super) memory_gib: u64,
    #[serde(default = "sixty_four")]
    pub(super) disk_gib: u64,
    #[serde(default = "month")]
    pub(super) uptime_seconds: u64,
    #[serde(default = "yes")]
    pub(super) online: bool,
}

fn sixteen() -> u64 {
    16
}

fn sixty_four() -> u64 {
    64
}

fn month() -> u64 {
    30 * 86_400
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Storage {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) content: Vec<String>,
    #[serde(default)]
    pub(super) shared: bool,
    #[serde(default)]
    pub(super) nodes: Vec<String>,
    pub(super) size_gib: u64,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Retention, such as `keep-last=3`.
    #[serde(default, rename = "prune-backups")]
    pub(super) prune_backups: Option<String>,
    #[serde(default, rename = "max-protected-backups")]
    pub(super) max_protected_backups: Option<i64>,
    #[serde(default, rename = "volume")]
    pub(super) volumes: Vec<Volume>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) content: String,
    pub(super) format: String,
    pub(super) size: String,
    #[serde(default)]
    pub(super) vmid: Option<u32>,
    #[serde(default)]
    pub(super) notes: Option<String>,
    #[serde(default)]
    pub(super) protected: bool,
    /// On a backup server: the fingerprint of the key that encrypted it.
    #[serde(default)]
    pub(super) encrypted: Option<String>,
    /// On a backup server: what came of the last look at it.
    #[serde(default)]
    pub(super) verification: Option<Verification>,
    #[serde(default)]
    pub(super) age_seconds: u32,
    #[serde(default)]
    pub(super) node: Option<String>,
    /// Of a backup: what the VM's configuration had instead at that time.
    #[serde(default)]
    pub(super) config: BTreeMap<String, Scalar>,
}

/// What a backup server found when it looked at a backup.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verification {
    Ok,
    Failed,
}

impl Verification {
    pub(super) fn text(self) -> String {
        match self {
            Self::Ok => "ok".to_owned(),
            Self::Failed => "failed".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) privileges: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// The secret of one-time passwords, in base32.
    #[serde(default)]
    pub(super) totp: Option<String>,
    #[serde(default, rename = "token")]
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) secret: String,
    #[serde(default = "yes")]
    pub(super) privsep: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) path: String,
    pub(super) subject: String,
    pub(super) role: String,
    #[serde(default = "yes")]
    pub(super) propagate: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: String,
    #[serde(default)]
    pub(super) comment: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) name: String,
    #[serde(default)]
    pub(super) comment: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<u32>,
    #[serde(default)]
    pub(super) storages: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    #[default]
    Running,
    Stopped,
    Paused,
}

/// A configuration value as TOML lets one write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl Scalar {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Boolean(value) => u8::from(*value).to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vm {
    pub(super) vmid: u32,
    pub(super) node: String,
    #[serde(default)]
    pub(super) status: Status,
    #[serde(default = "day")]
    pub(super) uptime_seconds: u32,
    #[serde(default = "medium")]
    pub(super) load: f64,
    #[serde(default)]
    pub(super) ignores_acpi: bool,
    #[serde(default = "six")]
    pub(super) shutdown_seconds: f64,
    #[serde(default)]
    pub(super) guest_agent: GuestAgent,
    /// How long after a start the agent is silent, in seconds.
    #[serde(default)]
    pub(super) agent_boot_seconds: f64,
    /// Managed by high availability, and in which state it shall be.
    #[serde(default)]
    pub(super) ha: Option<Wanted>,
    pub(super) config: BTreeMap<String, Scalar>,
    #[serde(default, rename = "snapshot")]
    pub(super) snapshots: Vec<Snapshot>,
    #[serde(default)]
    pub(super) firewall: Option<Firewall>,
}

/// A firewall file; rules are lines of PVE's own file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Firewall {
    pub(super) options: BTreeMap<String, Scalar>,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) ipset: BTreeMap<String, Vec<String>>,
    pub(super) rules: Vec<String>,
    /// Security groups: names and rules.
    pub(super) groups: BTreeMap<String, Vec<String>>,
}

fn day() -> u32 {
    86_400
}

fn medium() -> f64 {
    0.3
}

fn six() -> f64 {
    6.0
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) age_seconds: u32,
    /// The parent; the one listed before if absent.
    #[serde(default)]
    pub(super) parent: Option<String>,
    #[serde(default)]
    pub(super) vmstate: bool,
    /// What the configuration had instead at that time.
    #[serde(default)]
    pub(super) config: BTreeMap<String, Scalar>,
}

/// Many VMs of one kind, numbered upwards and spread over the nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fleet {
    pub(super) first_vmid: u32,
    pub(super) count: u32,
    pub(super) name_prefix: String,
    pub(super) storage: String,
    #[serde(default = "one")]
    pub(super) cores: u32,
    #[serde(default = "two_thousand")]
    pub(super) memory_mib: u32,
    #[serde(default = "thirty_two")]
    pub(super) disk_gib: u32,
    #[serde(default)]
    pub(super) status: Status,
    /// The VM whose firewall file each has a copy of.
    #[serde(default)]
    pub(super) firewall_of: Option<u32>,
}

fn one() -> u32 {
    1
}

fn two_thousand() -> u32 {
    2048
}

fn thirty_two() -> u32 {
    32
}
