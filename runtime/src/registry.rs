//! The installed plugins by id. Reading takes no lock; a swap is one atomic step.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::plugin::Plugin;

/// The installed plugins. A call holds the plugin it began with, so a swap or removal never touches a call under way.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: ArcSwap<BTreeMap<String, Arc<Plugin>>>,
}

impl Registry {
    /// A registry without plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plugin of an id.
    pub fn get(&self, id: &str) -> Option<Arc<Plugin>> {
        self.plugins.load().get(id).cloned()
    }

    /// All plugins in the order of their ids, as they are at this moment.
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        self.plugins.load().values().cloned().collect()
    }

    /// Puts a plugin in the place of the one with its id and returns that one. New calls get the new plugin at once.
    pub fn swap(&self, plugin: &Arc<Plugin>) -> Option<Arc<Plugin>> {
        let before = self.plugins.rcu(|plugins| {
            let mut plugins = BTreeMap::clone(plugins);
            plugins.insert(plugin.id().to_owned(), Arc::clone(plugin));
            plugins
        });
        before.get(plugin.id()).cloned()
    }

    /// Takes a plugin out and returns it. Its settings and data are the host's and stay.
    pub fn remove(&self, id: &str) -> Option<Arc<Plugin>> {
        let before = self.plugins.rcu(|plugins| {
            let mut plugins = BTreeMap::clone(plugins);
            plugins.remove(id);
            plugins
        });
        before.get(id).cloned()
    }
}
