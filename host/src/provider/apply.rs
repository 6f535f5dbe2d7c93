//! From a parsed file to a plan, and from a plan to the store in one batch.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::file::ProviderFile;
use super::inspect::{ComponentInspector, InspectError};
use super::plan::{Plan, PlanOptions, plan};
use super::problem::Problems;
use super::state::State;
use crate::auth::PasswordHash;
use crate::domain::{CustomerId, RecordError, Records, SecretRef, SecretSource, ServiceId};
use crate::mail::EmailAddress;
use crate::secret::Secret;
use crate::store::{Batch, Key, StoreError, Table};

/// Turns a first password into the hash that is stored.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Checks the password against the rules and hashes it.
    ///
    /// # Errors
    /// Why the password is not taken, as a sentence without the password.
    async fn hash(&self, password: &Secret, email: &EmailAddress) -> Result<PasswordHash, String>;
}

/// Draws the ids of new services.
pub trait ServiceIds: Send + Sync {
    /// A new random id.
    fn draw(&self) -> ServiceId;
}

/// Why a file was not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file must not be applied as it is.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A component could not be kept.
    #[error("the component of plugin `{id}` cannot be kept: {source}")]
    Keep {
        /// The plugin.
        id: String,
        /// Why.
        #[source]
        source: InspectError,
    },
    /// A new customer's first password is not there, or is not taken.
    #[error("the first password of customer `{id}`, from `{place}`, is not taken: {reason}")]
    Password {
        /// The customer.
        id: CustomerId,
        /// Where it should be.
        place: SecretRef,
        /// What is wrong.
        reason: String,
    },
    /// Records were changed between plan and apply.
    #[error("records were changed since the plan was made: look at the plan again")]
    Stale,
    /// The store takes no batch of this size.
    #[error(
        "the file changes more at once than the store takes ({size} of at most {limit} {what}): apply it in parts, growing the file"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The records could not be read or written.
    #[error("the records cannot be read or written")]
    Records(#[from] RecordError),
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Stale,
            StoreError::TooLarge { what, size, limit } => Self::TooLarge { what, size, limit },
            other => Self::Records(other.into()),
        }
    }
}

/// Plans and applies provider files.
#[derive(Clone)]
pub struct Applier {
    /// The records it plans over and writes.
    pub records: Records,
    /// Looks into components.
    pub inspector: Arc<dyn ComponentInspector>,
    /// Hashes first passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Draws ids of new services.
    pub ids: Arc<dyn ServiceIds>,
}

impl fmt::Debug for Applier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Applier")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Applier {
    /// Makes the plan for `file` over what the store has now. Changes nothing.
    pub async fn plan(&self, file: &ProviderFile, options: PlanOptions) -> Result<Plan, ApplyError> {
        let mut components = BTreeMap::new();
        let mut problems = Vec::new();
        for entry in &file.plugins {
            match self.inspector.inspect(&entry.value.file).await {
                Ok(component) => {
                    components.insert(entry.value.id.clone(), component);
                }
                Err(error) => {
                    let message = format!("names `{}`: {}", entry.value.file.display(), error.message);
                    problems.push(entry.problem("file", message, error.hint));
                }
            }
        }
        let state = State::load(&self.records).await?;
        let planned = plan(file, &components, state, options, &mut || self.ids.draw());
        match (planned, problems.is_empty()) {
            (Ok(plan), true) => Ok(plan),
            (planned, _) => {
                problems.extend(planned.err().into_iter().flat_map(|found| found.list().to_vec()));
                // There is at least one: either the inspection or the plan failed.
                Err(Problems::of(&file.name, problems).map_or(ApplyError::Stale, ApplyError::Problems))
            }
        }
    }

    /// Applies a plan: keeps the components, then writes all records in one batch.
    ///
    /// # Errors
    /// [`ApplyError::Stale`] when anything was written since the plan was made.
    pub async fn apply(&self, mut plan: Plan, secrets: &dyn SecretSource) -> Result<(), ApplyError> {
        if plan.changes.is_empty() {
            return Ok(());
        }
        for (id, place) in std::mem::take(&mut plan.target.passwords) {
            let refused = |reason| ApplyError::Password {
                id: id.clone(),
                place: place.clone(),
                reason,
            };
            let password = secrets.read(&place).map_err(|error| refused(error.to_string()))?;
            if let Some(customer) = plan.target.customers.get_mut(&id) {
                let hash = self
                    .hasher
                    .hash(&password, &customer.email)
                    .await
                    .map_err(refused)?;
                customer.password_hash = Some(hash);
            }
        }
        for (file, digest) in &plan.target.components {
            let kept = self.inspector.keep(file, digest).await;
            kept.map_err(|source| ApplyError::Keep {
                id: file.display().to_string(),
                source,
            })?;
        }
        let batch = batch(&plan)?;
        self.records.store().apply(batch).await?;
        Ok(())
    }
}

/// The batch of a plan: removals first, so that what one record gives up another can take.
fn batch(plan: &Plan) -> Result<Batch, StoreError> {
    let (state, target) = (&plan.state, &plan.target);
    let mut batch = Batch::new();
    Records::require_guard(&mut batch, state.guard);
    Records::touch_guard(&mut batch);

    for id in state
        .clusters
        .keys()
        .filter(|id| !target.clusters.contains_key(*id))
    {
        batch.delete(Table::Clusters, Key::text(id.as_str()));
    }
    for id in state
        .plugins
        .keys()
        .filter(|id| !target.plugins.contains_key(*id))
    {
        batch.delete(Table::PluginApprovals, Key::text(id.as_str()));
    }
    for id in state
        .products
        .keys()
        .filter(|id| !target.products.contains_key(*id))
    {
        batch.delete(Table::Products, Key::text(id.as_str()));
    }
    for (id, record) in &state.customers {
        let after = target.customers.get(id);
        if after == Some(&record.value) {
            continue;
        }
        // He may change his own record meanwhile, which does not touch the guard.
        batch.require_version(Table::Accounts, Key::text(id.as_str()), record.version);
        Records::unindex_customer(&mut batch, &record.value);
    }
    for service in state
        .services
        .values()
        .filter(|service| target.services.get(&service.id) != Some(*service))
    {
        Records::unindex_service(&mut batch, service);
        if !target.services.contains_key(&service.id) {
            Records::stage_removed_service(&mut batch, service.id);
        }
    }

    for cluster in target
        .clusters
        .values()
        .filter(|cluster| state.clusters.get(&cluster.id) != Some(*cluster))
    {
        Records::stage_cluster(&mut batch, cluster)?;
    }
    for plugin in target
        .plugins
        .values()
        .filter(|plugin| state.plugins.get(&plugin.id) != Some(*plugin))
    {
        Records::stage_plugin(&mut batch, plugin)?;
    }
    for product in target
        .products
        .values()
        .filter(|product| state.products.get(&product.id) != Some(*product))
    {
        Records::stage_product(&mut batch, product)?;
    }
    for customer in target.customers.values() {
        if state.customers.get(&customer.id).map(|record| &record.value) != Some(customer) {
            Records::index_customer(&mut batch, customer)?;
        }
    }
    for service in target
        .services
        .values()
        .filter(|service| state.services.get(&service.id) != Some(*service))
    {
        Records::index_service(&mut batch, service)?;
    }
    Ok(batch)
}
