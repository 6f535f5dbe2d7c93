//! The client of each cluster, made from its record when it is first needed and again when the record has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_proxmox::{ApiToken, Client, ClusterConfig, Observer, Trust};

use super::Problem;
use crate::domain::{self, Cluster, ClusterId, Records};
use crate::secret::Vault;
use crate::store::{Key, Table};

/// The clients.
#[derive(Clone)]
pub struct Clusters {
    records: Records,
    vault: Vault,
    observer: Arc<dyn Observer>,
    clients: Arc<Mutex<HashMap<ClusterId, (u64, Client)>>>,
}

impl Clusters {
    /// Clients of the clusters in `records`, whose secrets `vault` opens.
    pub fn new(records: Records, vault: Vault, observer: Arc<dyn Observer>) -> Self {
        Self {
            records,
            vault,
            observer,
            clients: Arc::default(),
        }
    }

    /// The client of a cluster.
    pub async fn client(&self, id: &ClusterId) -> Result<Client, Problem> {
        let record = self.records.cluster(id).await.map_err(|error| {
            tracing::error!(cluster = %id, %error, "the record of a cluster cannot be read");
            Problem::Failed
        })?;
        let known = self
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some((_, client)) = known.filter(|(version, _)| *version == record.version) {
            return Ok(client);
        }
        let client = self.connect(&record.value).await.map_err(|error| {
            tracing::error!(cluster = %id, error = %format!("{error:#}"), "a cluster cannot be used");
            Problem::Refused
        })?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(id.clone(), (record.version, client.clone()));
        Ok(client)
    }

    /// A client of its own for a record, as the check of a cluster needs it.
    pub async fn connect(&self, cluster: &Cluster) -> anyhow::Result<Client> {
        let secret = self
            .vault
            .open(
                Table::Clusters,
                &Key::text(cluster.id.as_str()),
                &cluster.token_secret,
            )
            .await?;
        let token = ApiToken::new(
            cluster.token_id.as_str(),
            portico_proxmox::Secret::new(secret.expose()),
        )?;
        let trust = match &cluster.trust {
            domain::Trust::System => Trust::SystemRoots,
            domain::Trust::CaFile(path) => Trust::CaPem(tokio::fs::read(path).await?),
            domain::Trust::Fingerprints(pins) => Trust::Fingerprints(
                pins.iter()
                    .map(|pin| pin.as_str().parse())
                    .collect::<Result<_, _>>()?,
            ),
        };
        let mut config = ClusterConfig::new(cluster.id.as_str(), cluster.endpoints.clone(), token, trust);
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        config.timeouts.connect = seconds(cluster.tuning.connect_timeout_secs);
        config.timeouts.read = seconds(cluster.tuning.read_timeout_secs);
        config.timeouts.write = seconds(cluster.tuning.write_timeout_secs);
        config.limits.per_node = usize::try_from(cluster.tuning.per_node)?;
        config.limits.per_endpoint = usize::try_from(cluster.tuning.per_endpoint)?;
        Ok(Client::new(config, Arc::clone(&self.observer))?)
    }
}

impl std::fmt::Debug for Clusters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}
