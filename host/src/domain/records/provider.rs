//! What the provider sets up: clusters, products, plugin approvals.

use super::{RecordError, Records};
use crate::domain::{Cluster, ClusterId, PluginApproval, PluginId, Product, ProductId};
use crate::store::{Batch, Key, StoreError, Stored, Table, Versioned};

impl Stored for Cluster {
    const TABLE: Table = Table::Clusters;
    const KIND: &'static str = "cluster";
    const SCHEMA: u16 = 1;
}

impl Stored for Product {
    const TABLE: Table = Table::Products;
    const KIND: &'static str = "product";
    const SCHEMA: u16 = 1;
}

impl Stored for PluginApproval {
    const TABLE: Table = Table::PluginApprovals;
    const KIND: &'static str = "plugin";
    const SCHEMA: u16 = 1;
}

impl Records {
    /// A cluster.
    pub async fn cluster(&self, id: &ClusterId) -> Result<Versioned<Cluster>, RecordError> {
        self.load(id.as_str()).await
    }

    /// All clusters, by id.
    pub async fn clusters(&self) -> Result<Vec<Versioned<Cluster>>, RecordError> {
        self.all().await
    }

    /// A product.
    pub async fn product(&self, id: &ProductId) -> Result<Versioned<Product>, RecordError> {
        self.load(id.as_str()).await
    }

    /// All products, by id.
    pub async fn products(&self) -> Result<Vec<Versioned<Product>>, RecordError> {
        self.all().await
    }

    /// A plugin's approval.
    pub async fn plugin(&self, id: &PluginId) -> Result<Versioned<PluginApproval>, RecordError> {
        self.load(id.as_str()).await
    }

    /// All plugin approvals, by id.
    pub async fn plugins(&self) -> Result<Vec<Versioned<PluginApproval>>, RecordError> {
        self.all().await
    }

    /// Stages a plugin's approval in `batch`.
    pub fn stage_plugin(batch: &mut Batch, plugin: &PluginApproval) -> Result<(), StoreError> {
        batch.save(Key::text(plugin.id.as_str()), plugin)?;
        Ok(())
    }

    /// Stages a cluster in `batch`.
    pub fn stage_cluster(batch: &mut Batch, cluster: &Cluster) -> Result<(), StoreError> {
        batch.save(Key::text(cluster.id.as_str()), cluster)?;
        Ok(())
    }

    /// Stages a product in `batch`.
    pub fn stage_product(batch: &mut Batch, product: &Product) -> Result<(), StoreError> {
        batch.save(Key::text(product.id.as_str()), product)?;
        Ok(())
    }

    /// Writes a plugin's approval by itself, as `plugin install` does.
    pub async fn put_plugin(&self, plugin: &PluginApproval) -> Result<(), RecordError> {
        let mut batch = Batch::new();
        Self::stage_plugin(&mut batch, plugin)?;
        Self::touch_guard(&mut batch);
        self.store.apply(batch).await?;
        Ok(())
    }

    /// Takes a plugin's approval away; its data stays.
    ///
    /// # Errors
    /// [`RecordError::InUse`] while a product lists it.
    pub async fn remove_plugin(&self, id: &PluginId) -> Result<(), RecordError> {
        let guard = self.guard().await?;
        self.plugin(id).await?;
        let products = self.products().await?;
        let user = products
            .iter()
            .find(|product| product.value.permissions.iter().any(|entry| entry.plugin == *id));
        if let Some(product) = user {
            let by = format!("product `{}`", product.value.id);
            return Err(RecordError::InUse {
                kind: "plugin",
                id: id.to_string(),
                by,
            });
        }
        let mut batch = Batch::new();
        batch.delete(Table::PluginApprovals, Key::text(id.as_str()));
        Self::require_guard(&mut batch, guard);
        Self::touch_guard(&mut batch);
        self.store.apply(batch).await?;
        Ok(())
    }
}
