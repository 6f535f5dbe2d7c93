//! What the store has, read once for a plan.

use std::collections::BTreeMap;

use crate::domain::{
    Cluster, ClusterId, Customer, CustomerId, PluginApproval, PluginId, Product, ProductId, RecordError,
    Records, Service, ServiceId, Vmid,
};
use crate::store::Versioned;

/// All records that the file can name.
#[derive(Debug, Default)]
pub struct State {
    /// The guard's version from before anything was read.
    pub guard: Option<u64>,
    /// The clusters.
    pub clusters: BTreeMap<ClusterId, Cluster>,
    /// The plugin approvals.
    pub plugins: BTreeMap<PluginId, PluginApproval>,
    /// The products.
    pub products: BTreeMap<ProductId, Product>,
    /// The customers, with versions: they change their own records.
    pub customers: BTreeMap<CustomerId, Versioned<Customer>>,
    /// The services.
    pub services: BTreeMap<ServiceId, Service>,
    /// The services by their VM.
    pub machines: BTreeMap<(ClusterId, Vmid), ServiceId>,
}

impl State {
    /// Reads everything.
    pub async fn load(records: &Records) -> Result<Self, RecordError> {
        // The guard first: a write in between then makes the batch conflict instead of going unseen.
        let guard = records.guard().await?;
        let clusters = records.clusters().await?.into_iter().map(|record| record.value);
        let plugins = records.plugins().await?.into_iter().map(|record| record.value);
        let products = records.products().await?.into_iter().map(|record| record.value);
        let customers = records.customers().await?;
        let services: Vec<Service> = records
            .services()
            .await?
            .into_iter()
            .map(|record| record.value)
            .collect();
        Ok(Self {
            guard,
            clusters: clusters.map(|cluster| (cluster.id.clone(), cluster)).collect(),
            plugins: plugins.map(|plugin| (plugin.id.clone(), plugin)).collect(),
            products: products.map(|product| (product.id.clone(), product)).collect(),
            customers: customers
                .into_iter()
                .map(|record| (record.value.id.clone(), record))
                .collect(),
            machines: services
                .iter()
                .map(|service| ((service.cluster.clone(), service.vmid), service.id))
                .collect(),
            services: services
                .into_iter()
                .map(|service| (service.id, service))
                .collect(),
        })
    }
}
