//! The provider's world as records: clusters, products, plugins, customers, services, and what happened to them.
//!
//! - One file a kind of record, with the checked types its fields are made of ([`cluster`], [`product`],
//!   [`plugin`] with [`mod@http_origin`], [`customer`], [`service`], [`activity`]); identities are in [`id`].
//! - [`permission`] computes what the customers of a product may do with a plugin.
//! - [`records`] reads and writes them in the store, with their indexes.
//! - [`secret_ref`] and [`settings`] say how records speak of secrets without holding them.
//!
//! A value that exists is valid: every text field with a form has a type that checks it, when a record is read
//! back from the store too.
//!
//! To add a kind of record: its file here, a line in [`crate::store::Table`], and, when the provider
//! writes it, its section in [`crate::provider`].
//!
//! Deliberately not here: how records come about ([`crate::provider`] from the file, [`crate::cli`] by command),
//! live state of VMs, jobs, sessions.

pub mod activity;
pub mod cluster;
pub mod customer;
pub mod http_origin;
pub mod id;
pub mod permission;
pub mod plugin;
pub mod product;
pub mod records;
pub mod secret_ref;
pub mod service;
pub mod settings;

use serde::{Deserialize, Serialize};

pub use self::activity::{ActionName, ActivityEntry, Actor, Outcome};
pub use self::cluster::{Cluster, ClusterTuning, Fingerprint, TokenId, Trust};
pub use self::customer::{Customer, Locale, TimeZoneName};
pub use self::http_origin::{HTTP_SEND, HttpOrigin, http_origin};
pub use self::id::{ClusterId, CustomerId, IdError, PluginId, ProductId, ServiceId, Vmid};
pub use self::permission::{Grants, Permission, PermissionDecl, What};
pub use self::plugin::{PluginApproval, PluginFacts};
pub use self::product::{DiskPlan, NetworkPlan, Plan, Product};
pub use self::records::{ActivityPage, RecordError, Records};
pub use self::secret_ref::{ProcessSecrets, SecretReadError, SecretRef, SecretSource, StoredSecret};
pub use self::service::{Addresses, MacAddress, Service, is_dns_name};
pub use self::settings::Settings;

/// Who made a record, and so who may take it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The provider's file: what is no longer in the file is removed.
    File,
    /// A command or a page of the panel: the file does not touch it unless it names it.
    Panel,
}
