//! What the panel knows of the clusters right now, fetched once for all who look.
//!
//! The load on Proxmox must not grow with the number of viewers. So nothing outside this folder reads a VM's state from
//! Proxmox: pages and plugins ask here, and here each value has one fetch at a time, a short time to live, and an age.
//!
//! - [`cached`]: one value, fetched once for all who ask;
//! - [`clusters`]: the client of each cluster, made from its record;
//! - [`vm`]: status, rates, hardware and snapshots of one VM;
//! - [`tasks`]: the end of Proxmox tasks, watched per node and not per job;
//! - [`problem`]: what a failed call means for a customer.
//!
//! Not here: anything that changes a VM (`capability`).

pub mod cached;
pub mod clusters;
pub mod problem;
pub mod tasks;
pub mod vm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_proxmox::VmResource;

pub use self::cached::{Aged, Patience};
pub use self::clusters::Clusters;
pub use self::problem::Problem;
pub use self::tasks::TaskWatch;
pub use self::vm::VmLive;
use crate::domain::{ClusterId, Service, Vmid};

/// How fresh and how patient.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// For a VM's status, while nothing happens to it.
    pub calm: Patience,
    /// For a VM's status, shortly after an action.
    pub hot: Patience,
    /// For hardware and the storage's abilities, which change seldom.
    pub slow: Patience,
    /// For lists of many VMs.
    pub list: Patience,
    /// How long after an action a VM counts as hot.
    pub hot_for: Duration,
    /// How often a node with running tasks is asked for them.
    pub task_poll: Duration,
}

impl Default for LiveConfig {
    fn default() -> Self {
        let patience = |fresh: u64, stale| Patience {
            fresh: Duration::from_millis(fresh),
            budget: Duration::from_millis(1_500),
            first: Duration::from_secs(6),
            stale: Duration::from_secs(stale),
        };
        Self {
            // A viewer asks every 7 s; many viewers together then cost 7/5 of what one costs.
            calm: patience(5_000, 20),
            hot: patience(900, 20),
            slow: patience(30_000, 120),
            list: patience(5_000, 30),
            hot_for: Duration::from_secs(15),
            task_poll: Duration::from_secs(1),
        }
    }
}

/// The live state of all clusters. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    config: LiveConfig,
    clusters: Clusters,
    tasks: TaskWatch,
    vms: Mutex<HashMap<(ClusterId, Vmid), Arc<VmLive>>>,
    lists: Mutex<HashMap<ClusterId, Arc<List>>>,
}

type List = cached::Cached<Arc<HashMap<u32, VmResource>>, portico_proxmox::Error>;

impl Live {
    /// Nothing is asked yet.
    pub fn new(config: LiveConfig, clusters: Clusters) -> Self {
        let tasks = TaskWatch::new(config.task_poll);
        let inner = Inner {
            config,
            clusters,
            tasks,
            vms: Mutex::default(),
            lists: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The VM of a service.
    ///
    /// # Errors
    /// When the cluster's record or secret cannot be used.
    pub async fn vm(&self, service: &Service) -> Result<Arc<VmLive>, Problem> {
        let client = self.inner.clusters.client(&service.cluster).await?;
        let key = (service.cluster.clone(), service.vmid);
        let mut vms = self.inner.vms.lock().unwrap_or_else(PoisonError::into_inner);
        let known = vms.get(&key).filter(|vm| vm.is_of(&client));
        if let Some(vm) = known {
            return Ok(Arc::clone(vm));
        }
        let vm = Arc::new(VmLive::new(&client, service.vmid, self.inner.config.clone())?);
        vms.insert(key, Arc::clone(&vm));
        Ok(vm)
    }

    /// What the cluster's list says of its VMs, by VMID, and when it said so.
    pub async fn list(&self, cluster: &ClusterId) -> Result<Aged<Arc<HashMap<u32, VmResource>>>, Problem> {
        let client = self.inner.clusters.client(cluster).await?;
        let list = {
            let mut lists = self.inner.lists.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lists.entry(cluster.clone()).or_default())
        };
        let fetch = move |_| async move {
            let vms = client.vm_resources().await?;
            Ok(Arc::new(vms.into_iter().map(|vm| (vm.vmid.get(), vm)).collect()))
        };
        list.get(self.inner.config.list, fetch).await.map_err(Problem::of)
    }

    /// The watcher of tasks.
    pub fn tasks(&self) -> &TaskWatch {
        &self.inner.tasks
    }

    /// The clusters.
    pub fn clusters(&self) -> &Clusters {
        &self.inner.clusters
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
