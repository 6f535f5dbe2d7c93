//! Requests, answers and failures, as they go over the socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::domain::{ClusterId, CustomerId, Origin, PermissionDecl, PluginId};
use crate::jobs::JobId;
use crate::provider::Change;

/// A password on its way between command and panel. It does not print itself and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The content. Never put it into a message or a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// What a command asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Plans a provider file, and applies it when asked to.
    Apply(ApplyRequest),
    /// Makes a customer.
    AddUser(AddUser),
    /// Gives a customer a new password and ends his sessions.
    ResetUser {
        /// Id or e-mail address.
        user: String,
        /// The new password; none makes one.
        password: Option<Password>,
    },
    /// Lists the customers.
    ListUsers,
    /// Lists the services.
    ListServices,
    /// Lists the approved plugins.
    ListPlugins,
    /// Approves a plugin.
    InstallPlugin(InstallPlugin),
    /// Takes a plugin's approval away.
    RemovePlugin(PluginId),
    /// Lists the jobs that failed.
    ListFailedJobs,
    /// Runs a failed job again.
    RetryJob(JobId),
    /// Removes a failed job.
    DismissJob(JobId),
    /// Checks one cluster, or all.
    Check(Option<ClusterId>),
}

/// A provider file to be planned or applied.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The file's text.
    pub text: String,
    /// Its name in messages.
    pub name: String,
    /// The folder its relative paths start from, absolute.
    pub folder: PathBuf,
    /// Whether services that are no longer in the file may go.
    pub allow_remove_services: bool,
    /// First passwords that the command could read, by their place.
    pub passwords: BTreeMap<String, Password>,
    /// The fingerprint of the plan that was agreed to; none only plans.
    pub agreed: Option<String>,
}

/// A customer to be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct AddUser {
    /// His id; none draws one.
    pub id: Option<CustomerId>,
    /// His e-mail address.
    pub email: String,
    /// His name; none takes the part of the address before the `@`.
    pub name: Option<String>,
    /// His language.
    pub locale: Option<String>,
    /// His time zone.
    pub time_zone: Option<String>,
    /// His password; none makes one.
    pub password: Option<Password>,
}

/// A plugin to be approved.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstallPlugin {
    /// The component, absolute.
    pub file: PathBuf,
    /// The digest that was agreed to.
    pub digest: String,
    /// The imports that are approved.
    pub imports: BTreeSet<String>,
    /// The origins it may send HTTP requests to.
    pub http_origins: Vec<String>,
}

/// What came of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAnswer {
    /// A plan, and whether it was applied.
    Plan {
        /// What would be or was changed.
        changes: Vec<Change>,
        /// How many records stay as they are.
        unchanged: usize,
        /// The plan's fingerprint, to agree to it by.
        fingerprint: String,
        /// Whether it was applied.
        applied: bool,
        /// What the running panel could not take up, in sentences.
        notes: Vec<String>,
    },
    /// A customer was made or has a new password.
    User {
        /// Who.
        user: UserView,
        /// The password that was made for him, if none was given.
        password: Option<Password>,
    },
    /// The customers.
    Users(Vec<UserView>),
    /// The services.
    Services(Vec<ServiceView>),
    /// The plugins.
    Plugins(Vec<PluginView>),
    /// The jobs that failed, the newest first.
    FailedJobs(Vec<FailedJobView>),
    /// The job that was started.
    Started(JobId),
    /// Done, with what the running panel could not take up.
    Done {
        /// In sentences.
        notes: Vec<String>,
    },
    /// The clusters that were checked.
    Checks(Vec<CheckReport>),
}

/// A customer in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The id.
    pub id: CustomerId,
    /// The e-mail address.
    pub email: String,
    /// The name.
    pub name: String,
    /// How many services are his.
    pub services: usize,
    /// Whether he has a password.
    pub password: bool,
    /// Whether he is kept from signing in.
    pub disabled: bool,
    /// Who made the record.
    pub origin: Origin,
}

/// A service in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// The id in URLs.
    pub id: String,
    /// Whose it is.
    pub customer: String,
    /// What he bought.
    pub product: String,
    /// Where the VM is.
    pub cluster: String,
    /// Which VM it is.
    pub vmid: u32,
    /// Its host name.
    pub hostname: String,
    /// Its addresses, the primary one first.
    pub addresses: Vec<String>,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// A failed job in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJobView {
    /// The id.
    pub id: JobId,
    /// Where the VM is and its number, `cluster/vmid`; none when the service is gone.
    pub machine: Option<String>,
    /// The service's host name.
    pub hostname: String,
    /// Whose it is.
    pub customer: String,
    /// The plugin that moved it.
    pub plugin: PluginId,
    /// What the customer reads.
    pub title: String,
    /// Why it failed, in the customer's words.
    pub reason: String,
    /// The task of Proxmox that failed and what it said.
    pub detail: Option<String>,
    /// When it ended.
    pub ended: Option<jiff::Timestamp>,
}

/// A plugin in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginView {
    /// The id.
    pub id: PluginId,
    /// The version.
    pub version: String,
    /// The name for people.
    pub title: String,
    /// The digest of the component.
    pub digest: String,
    /// What is approved.
    pub imports: BTreeSet<String>,
    /// The scopes of these.
    pub scopes: BTreeSet<String>,
    /// The permissions a product can list.
    pub permissions: Vec<PermissionDecl>,
    /// The products that list it.
    pub products: Vec<String>,
    /// Who made the record.
    pub origin: Origin,
    /// How it is in the running panel; none when none runs.
    pub health: Option<PluginHealth>,
}

/// How a plugin is in the running panel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginHealth {
    /// It is loaded and answers.
    Ready,
    /// It failed again and again and is not called for a while.
    Paused,
    /// It was paused and the next call is a probe.
    Trying,
    /// It could not be loaded.
    NotLoaded(String),
}

/// What the check of a cluster found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The cluster.
    pub cluster: ClusterId,
    /// The version of Proxmox VE that answered; none when nothing did.
    pub version: Option<String>,
    /// What is wrong with the connection, in sentences with remedies.
    pub problems: Vec<String>,
    /// How many services the privileges were checked for.
    pub services: usize,
    /// The features, in the order of the client area.
    pub features: Vec<FeatureReport>,
}

impl CheckReport {
    /// Whether nothing is wrong that a customer could meet.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
            && self
                .features
                .iter()
                .all(|feature| !feature.in_use || feature.missing.is_empty())
    }
}

/// What the token lacks for a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureReport {
    /// The feature, named like its plugin.
    pub feature: String,
    /// Whether an approved plugin needs it.
    pub in_use: bool,
    /// What is missing.
    pub missing: Vec<MissingPrivilege>,
}

/// A privilege the token lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPrivilege {
    /// The privilege.
    pub privilege: String,
    /// Where it is missing: some of the places, for a start.
    pub places: Vec<String>,
    /// In how many places it is missing.
    pub count: usize,
    /// What it is needed for.
    pub purpose: String,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AdminFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, for the one who gave the command.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What kind of failure it is; decides the command's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// What was asked for must not be done, or names what there is not. Nothing was changed.
    Refused,
    /// It could not be done.
    Failed,
}

impl AdminFailure {
    /// A refusal.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Refused,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A failure, with the causes of `error`.
    pub fn failed(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self {
            kind: FailureKind::Failed,
            message,
            hint: String::new(),
        }
    }
}
