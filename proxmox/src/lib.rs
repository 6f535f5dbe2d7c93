//! A typed client of the Proxmox VE API, as far as a panel for single virtual machines needs it.
//!
//! # A tour
//! A client of one cluster, a VM on it, a snapshot, and the task that takes it:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use portico_proxmox::{
//!     ApiToken, Client, ClusterConfig, NewSnapshot, NoObserver, Secret, SnapshotName, TaskState, TaskWait, Trust,
//! };
//!
//! # async fn tour() -> Result<(), Box<dyn std::error::Error>> {
//! // Exactly the certificate with this fingerprint is trusted, as `pvenode cert info` shows it.
//! let pin = "AB:CD:…".parse()?;
//! let token = ApiToken::new("panel@pve!portico", Secret::new("7f0a3c52-…"))?;
//! let endpoints = vec!["https://pve1.example:8006".parse()?];
//! let config = ClusterConfig::new("prod", endpoints, token, Trust::Fingerprints(vec![pin]));
//! let client = Client::new(config, Arc::new(NoObserver))?;
//!
//! // One cheap call lists all VMs; a `Vm` is called where it is, also after it has moved.
//! let vms = client.vm_resources().await?;
//! let found = vms.iter().find(|vm| vm.name.as_deref() == Some("web1")).ok_or("no such VM")?;
//! let vm = client.vm(found.vmid);
//!
//! // What takes long is a task. Its id says that it began, its state how it goes, its log what it does.
//! let new = NewSnapshot { name: SnapshotName::new("before-update")?, description: None, with_memory: false };
//! let task = vm.create_snapshot(&new).await?;
//! let wait = TaskWait { limit: Duration::from_mins(30), ..TaskWait::default() };
//! match client.task_end(&task, &wait).await? {
//!     TaskState::Failed { reason, text } => println!("{reason}: {text}"),
//!     TaskState::Running => println!("not ended yet"),
//!     end => println!("{}", if end.is_success() { "taken" } else { "lost" }),
//! }
//! let mut seen = 0;
//! loop {
//!     let log = client.task_log(&task, seen, 500).await?;
//!     if log.lines.is_empty() {
//!         break;
//!     }
//!     for line in log.lines {
//!         println!("{}", line.t);
//!         seen += 1;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/snapshot.rs` is the same as a program that shows the log while the task runs. Progress of backups and restores is read from
//! their logs by [`TaskProgress`], and why one failed by [`BackupFailure`] and [`RestoreFailure`].
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
//! data or an error, `reason` tells what PVE's sentences mean, `lenient` reads the numbers that PVE sends in
//! several shapes.
//!
//! # Rules
//! - A **read** is repeated when it fails in a way that passes by itself, at the next endpoint first; questions to the
//!   guest agent only when there was no answer.
//! - A **write** is sent once. Only if no connection came about, to the endpoint or from there to the node, is the next
//!   endpoint tried. When it fails, [`Error::may_have_happened`] tells whether it may have been done.
//! - A call ends with its time-out, waiting and other attempts included, with the error that says most.
//! - An answer of a task's id ([`Upid`]) only means that the task began. [`Client::task_end`] tells how it went.
//! - Whatever PVE sends is taken for hostile: sizes, types and texts are checked before they are used.
//! - PVE's texts are for the provider, not for customers. Secrets that were sent are cut out of them. Of an answer that
//!   cannot be read errors and logs say what was expected, and nothing of its content.
//!
//! # Deliberately not here
//! Nothing of the panel: no services, owners, products, caching of states, jobs. No ticket login: a panel
//! uses an API token. No way to trust just any certificate. Nothing of containers.

mod answer;
mod api;
mod client;
mod cluster;
pub mod console;
mod entries;
mod error;
mod foreign;
mod id;
mod lenient;
mod log;
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
pub use api::clone::{CloneOptions, DiskFormat, Removal};
pub use api::cloudinit::CloudinitData;
pub use api::cluster::{NodeResource, NodeState, Resources, StorageResource, VmResource};
pub use api::config::{ConfigUpdate, InvalidUpdate, VmConfig};
pub use api::console::VncProxy;
pub use api::firewall::{
    ClusterFirewall, FirewallDirection, FirewallLogLevel, FirewallMacro, FirewallOptions,
    FirewallOptionsUpdate, FirewallPolicy, FirewallReference, FirewallRule, FirewallRules, FirewallSet,
    FirewallSetEntry, Membership, RuleAction, RuleComment, RuleDraft, RulePlace, RuleText,
};
pub use api::pending::PendingValue;
pub use api::restore::{InvalidRestore, Restore};
pub use api::rrd::{Consolidation, SeriesPoint, Timeframe};
pub use api::snapshots::{Feature, FeatureAnswer, NewSnapshot, Snapshot, SnapshotState, Snapshots};
pub use api::status::{DriveCounters, HaStatus, VmStatus};
pub use api::storage::{ContentKind, NodeStorage, Verification, Volume};
pub use api::task_end::TaskWait;
pub use api::tasks::{TaskEntry, TaskFilter, TaskLog, TaskSource, TaskState};
pub use api::volume::{VolumeDetails, VolumeEdit};
pub use client::{Client, Vm};
pub use cluster::{ApiToken, ClusterConfig, Fingerprint, Limits, Timeouts, Trust};
pub use error::{Cause, ConfigError, Error, Target};
pub use id::{FirewallName, InvalidId, NodeName, SetMember, SnapshotName, StorageId, VmId, VolumeId};
pub use log::LogLine;
pub use notes::{InvalidNotes, Notes};
pub use observe::{NoObserver, Observer, Outcome};
pub use progress::{BackupFailure, RestoreFailure, TaskProgress};
pub use reason::{Lock, Reason};
pub use secret::Secret;
pub use upid::Upid;
