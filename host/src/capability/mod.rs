//! Capabilities: what the runtime's ports do in this panel, one file an interface of `wit/`.
//!
//! A [`Binding`] is made for one call: it knows the service, the product, the plugin and, in a job, the step. Every port
//! is implemented for it, so there is no way for a guest to name another service, VM or plugin. Scopes, bounds and
//! counts were checked by the runtime before a port is asked.
//!
//! - [`vm`], [`snapshots`] (reading), [`jobs`], [`storage`], [`mail`], [`http`], [`log`]: as in the contract;
//! - [`power`], [`snapshots`] (changing), [`provision`]: through [`task`], which never starts a task twice;
//! - [`task`]: one VM's side of [`crate::jobs::once`].
//!
//! To add an interface: its port in `portico_runtime::capability`, a file here, a line in [`Binding::ports`].

pub mod http;
mod jobs;
mod log;
mod mail;
mod power;
mod provision;
mod snapshots;
pub mod storage;
pub mod task;
mod vm;

pub(crate) use self::vm::state as vm_state;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portico_runtime::Plugin;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::capability::Ports;

use crate::clock::Clock;
use crate::domain::{Customer, PluginApproval, PluginId, Product, Service};
use crate::jobs::{Job, Jobs, Journal, schedule::Schedules};
use crate::live::{Live, Problem, VmLive};
use crate::mail::Outbox;
use crate::secret::Vault;
use crate::store::{SharedStore, StoreError};

/// What all bindings share.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub store: SharedStore,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Live state of VMs.
    pub live: Live,
    /// Jobs.
    pub jobs: Jobs,
    /// Calendars.
    pub schedules: Schedules,
    /// Mails to be sent.
    pub outbox: Outbox,
    /// HTTP towards approved origins.
    pub http: http::Sender,
    /// Secrets.
    pub vault: Vault,
    /// How long after a request to Proxmox was lost its effect may still come.
    pub grace: Duration,
}

/// From where a call comes.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A page that the customer asked for from this address.
    Page {
        /// From which address.
        address: Option<IpAddr>,
    },
    /// A step of a job.
    Job {
        /// The job.
        job: Box<Job>,
        /// The step's journal.
        journal: Journal,
    },
}

/// The capabilities of one call.
pub struct Binding {
    parts: Parts,
    service: Service,
    product: Product,
    customer: Customer,
    plugin: PluginId,
    approval: Arc<PluginApproval>,
    component: Arc<Plugin>,
    request_id: String,
    origin: Origin,
}

impl Binding {
    /// Binds a call.
    #[expect(
        clippy::too_many_arguments,
        reason = "a binding is these nine things and nothing between them"
    )]
    pub fn new(
        parts: Parts,
        service: Service,
        product: Product,
        customer: Customer,
        approval: Arc<PluginApproval>,
        component: Arc<Plugin>,
        request_id: String,
        origin: Origin,
    ) -> Self {
        let plugin = approval.id.clone();
        Self {
            parts,
            service,
            product,
            customer,
            plugin,
            approval,
            component,
            request_id,
            origin,
        }
    }

    /// The ports of the call.
    pub fn ports(self) -> Ports {
        let this = Arc::new(self);
        Ports {
            vm: this.clone(),
            power: this.clone(),
            snapshots: this.clone(),
            provision: this.clone(),
            storage: this.clone(),
            mail: this.clone(),
            http: this.clone(),
            jobs: this.clone(),
            log: this,
        }
    }

    async fn live(&self) -> Result<Arc<VmLive>, CapabilityError> {
        self.parts.live.vm(&self.service).await.map_err(problem)
    }

    /// The step's journal, in a job.
    fn journal(&self) -> Option<&Journal> {
        match &self.origin {
            Origin::Job { journal, .. } => Some(journal),
            Origin::Page { .. } => None,
        }
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding")
            .field("service", &self.service.id)
            .field("plugin", &self.plugin)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What trouble with a cluster is called in the contract. Its text never names anything of the provider's.
fn problem(problem: Problem) -> CapabilityError {
    match problem {
        Problem::Unreachable | Problem::Refused | Problem::Gone => CapabilityError::Unavailable,
        Problem::Busy(operation) => CapabilityError::Busy(operation),
        Problem::Failed => CapabilityError::Failed("Proxmox refused the operation".to_owned()),
    }
}

/// A store that fails is logged here, once, and is `unavailable` for the plugin.
#[expect(clippy::needless_pass_by_value, reason = "made to be handed to map_err")]
fn store_failed(error: StoreError) -> CapabilityError {
    if error.is_conflict() {
        return CapabilityError::Conflict;
    }
    tracing::error!(%error, "the store failed in a capability");
    CapabilityError::Unavailable
}
