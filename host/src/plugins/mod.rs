//! The installed plugins: from the provider's approvals to components that can be called.
//!
//! - [`Plugins`]: what is loaded, and keeping it in line with the approvals in the store;
//! - [`access`]: what the customers of a product may do with a plugin;
//! - [`components`]: the panel's own copies of components, and looking into a file before it is approved;
//! - [`call`]: building the context and the ports of a call;
//! - [`step`]: moving a job by a plugin, which is the engine's [`crate::jobs::Advance`].
//!
//! Not here: what a page looks like around a plugin's content (`web`), what capabilities do (`capability`).

pub mod access;
pub mod call;
pub mod components;
pub mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portico_runtime::breaker::BreakerState;
use portico_runtime::{Approval, Plugin, Runtime};

use self::components::Components;
use crate::admin::PluginHealth;
use crate::domain::{PluginApproval, PluginId, Records};
use crate::store::StoreError;

/// A plugin that can be called.
#[derive(Debug, Clone)]
pub struct Installed {
    /// What the provider approved.
    pub approval: Arc<PluginApproval>,
    /// The component.
    pub plugin: Arc<Plugin>,
}

/// What is loaded at one moment. A request takes it once and sees no change while it runs.
#[derive(Debug, Default)]
pub struct Set {
    /// Plugins by id.
    pub plugins: BTreeMap<PluginId, Installed>,
    /// Approved plugins that could not be loaded, with the reason for the provider.
    pub broken: BTreeMap<PluginId, String>,
}

/// The plugins of the panel. Cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    runtime: Runtime,
    records: Records,
    components: Components,
    set: Arc<ArcSwap<Set>>,
    syncing: Arc<tokio::sync::Mutex<()>>,
}

impl Plugins {
    /// No plugin is loaded before [`Plugins::sync`].
    pub fn new(runtime: Runtime, records: Records, components: Components) -> Self {
        Self {
            runtime,
            records,
            components,
            set: Arc::default(),
            syncing: Arc::default(),
        }
    }

    /// The runtime that calls them.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What is loaded now.
    pub fn set(&self) -> Arc<Set> {
        self.set.load_full()
    }

    /// How a plugin is; none when it is not approved.
    pub fn health(&self, id: &PluginId) -> Option<PluginHealth> {
        let set = self.set();
        if let Some(reason) = set.broken.get(id) {
            return Some(PluginHealth::NotLoaded(reason.clone()));
        }
        let state = set
            .plugins
            .get(id)?
            .plugin
            .breaker_state(std::time::Instant::now());
        Some(match state {
            BreakerState::Closed => PluginHealth::Ready,
            BreakerState::Open => PluginHealth::Paused,
            BreakerState::HalfOpen => PluginHealth::Trying,
        })
    }

    /// Loads what the store approves and drops what it does not. A component that cannot be loaded leaves the one
    /// before in its place, if that is still approved, and is named in [`Set::broken`].
    pub async fn sync(&self) -> Result<(), StoreError> {
        let _only = self.syncing.lock().await;
        let approvals = match self.records.plugins().await {
            Ok(approvals) => approvals,
            Err(crate::domain::RecordError::Store(error)) => return Err(error),
            Err(_) => Vec::new(),
        };
        let before = self.set();
        let mut next = Set::default();
        for approval in approvals {
            let approval = Arc::new(approval.value);
            let id = approval.id.clone();
            let same = before
                .plugins
                .get(&id)
                .filter(|old| old.approval.digest == approval.digest);
            if let Some(old) = same.filter(|old| old.approval.imports == approval.imports) {
                next.plugins.insert(
                    id,
                    Installed {
                        approval,
                        plugin: Arc::clone(&old.plugin),
                    },
                );
                continue;
            }
            match self.load(&approval).await {
                Ok(plugin) => {
                    tracing::info!(plugin = %id, version = %plugin.version(), digest = %plugin.digest(), "loaded");
                    next.plugins.insert(id, Installed { approval, plugin });
                }
                Err(reason) => {
                    tracing::error!(plugin = %id, reason, "a plugin cannot be loaded");
                    if let Some(old) = before.plugins.get(&id) {
                        next.plugins.insert(id.clone(), old.clone());
                    }
                    next.broken.insert(id, reason);
                }
            }
        }
        self.set.store(Arc::new(next));
        Ok(())
    }

    async fn load(&self, approval: &PluginApproval) -> Result<Arc<Plugin>, String> {
        let bytes = self
            .components
            .read(&approval.digest, &approval.source)
            .await
            .map_err(|error| error.to_string())?;
        let digest = approval
            .digest
            .parse()
            .map_err(|_| "the approved digest is damaged".to_owned())?;
        let interfaces = approval
            .imports
            .iter()
            .map(|import| interface(import).to_owned())
            .collect();
        let approval_of_bytes = Approval {
            interfaces,
            digest: Some(digest),
        };
        let plugin = self
            .runtime
            .install(bytes, &approval_of_bytes)
            .await
            .map_err(|error| components::chain(&error))?;
        if plugin.id() != approval.id.as_str() {
            return Err(format!("the component calls itself `{}`", plugin.id()));
        }
        Ok(plugin)
    }
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins")
            .field("set", &self.set.load())
            .finish_non_exhaustive()
    }
}

/// `snapshots` of `portico:plugin/snapshots@0.1.0`.
pub(crate) fn interface(import: &str) -> &str {
    let name = import.rsplit_once('/').map_or(import, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}
