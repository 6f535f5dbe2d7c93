//! A typed client of the Proxmox VE API, as far as a panel for single virtual machines needs it.
//!
//! # What lives here
//! - [`Client`] talks to one cluster, [`Vm`] to one VM on it, wherever it is just now. Their methods are in
//!   `api`, one module for each area of PVE's API.
//! - [`ClusterConfig`] says how the cluster is reached and trusted; [`Observer`] sees every request.
//! - [`Error`] has a variant for each way PVE and the network fail, [`Reason`] the meaning of PVE's texts.
//! - [`console`] relays a VM's screen between a browser and PVE.
//! - [`property`] reads and writes the property strings of configs without losing a byte.
//! - Identifiers ([`VmId`], [`NodeName`], [`StorageId`], [`SnapshotName`], [`VolumeId`], [`Upid`]) are
//!   checked when they are made; only they get into URLs.
//!
//! # How the parts meet
//! A method of `api` builds a `Route` and `Params`, `client` finds the VM's node by `nodes`, `transport`
//! takes turns, sends, fails over and decides what may be sent twice, `answer` turns what comes back into
//! data or an error, `lenient` reads the numbers that PVE sends in several shapes.
//!
//! # Rules
//! - A **read** is repeated when it fails in a way that passes by itself, at the next endpoint first.
//! - A **write** is sent once. Only if no connection came about is the next endpoint tried. When it fails,
//!   [`Error::may_have_happened`] tells whether it may have been done.
//! - An answer of a task's id ([`Upid`]) only means that the task began. [`Client::task_status`] tells how
//!   it went.
//! - Whatever PVE sends is taken for hostile: sizes, types and texts are checked before they are used.
//! - PVE's texts are for the provider, not for customers. Secrets that were sent are cut out of them.
//!
//! # Deliberately not here
//! Nothing of the panel: no services, owners, products, caching of states, jobs. No ticket login: a panel
//! uses an API token. No way to trust just any certificate. Nothing of containers.

mod answer;
mod api;
mod client;
mod cluster;
pub mod console;
mod error;
mod id;
mod lenient;
mod nodes;
mod notes;
mod observe;
mod progress;
pub mod property;
mod reason;
mod route;
mod secret;
mod tls;
mod transport;
mod upid;

pub use api::PowerState;
pub use api::access::{Permissions, Version};
pub use api::agent::{AgentState, ExecStatus, GuestAddress, GuestFileSystem, GuestInterface, GuestOs};
pub use api::backup::{BackupMode, Compression, NewBackup, Retention};
pub use api::change::{CloudinitData, PendingValue};
pub use api::clone::{CloneOptions, DiskFormat};
pub use api::cluster::{NodeResource, Resources, StorageResource, VmResource};
pub use api::config::{ConfigUpdate, InvalidUpdate, VmConfig};
pub use api::console::VncProxy;
pub use api::firewall::{
    ClusterFirewall, FirewallDirection, FirewallLogLevel, FirewallMacro, FirewallName, FirewallOptions,
    FirewallOptionsUpdate, FirewallPolicy, FirewallReference, FirewallRule, FirewallRules, FirewallSet,
    FirewallSetEntry, RuleAction, RuleComment, RuleDraft, RulePlace, RuleText, SetMember,
};
pub use api::restore::{InvalidRestore, Restore};
pub use api::rrd::{Consolidation, SeriesPoint, Timeframe};
pub use api::snapshots::{Feature, FeatureAnswer, NewSnapshot, Snapshot, SnapshotState, Snapshots};
pub use api::status::{HaStatus, VmStatus};
pub use api::storage::{ContentKind, NodeStorage, Verification, Volume};
pub use api::tasks::{LogLine, TaskEntry, TaskFilter, TaskLog, TaskSource, TaskState};
pub use api::volume::{VolumeDetails, VolumeEdit};
pub use client::{Client, Vm};
pub use cluster::{ApiToken, ClusterConfig, Fingerprint, Limits, Timeouts, Trust};
pub use error::{Cause, ConfigError, Error, Target};
pub use id::{InvalidId, NodeName, SnapshotName, StorageId, VmId, VolumeId};
pub use notes::{InvalidNotes, Notes};
pub use observe::{NoObserver, Observer, Outcome};
pub use progress::{BackupFailure, RestoreFailure, TaskProgress};
pub use reason::{Lock, Reason};
pub use secret::Secret;
pub use upid::Upid;
