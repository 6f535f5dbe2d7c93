//! Status, rates, hardware and snapshots of one VM.

use std::sync::{Arc, Mutex, PoisonError};

use portico_proxmox::{
    Client, Error, Feature, FeatureAnswer, Snapshots, StorageResource, Vm, VmConfig, VmId, VmStatus,
};
use tokio::time::Instant;

use super::cached::{Aged, Cached};
use super::{LiveConfig, Patience, Problem};
use crate::domain::Vmid;

/// A VM's status and what its counters say together with the sample before.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What Proxmox said.
    pub status: VmStatus,
    /// None until there are two samples of one run of QEMU.
    pub rates: Option<Rates>,
}

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Read from disks.
    pub disk_read: f64,
    /// Written to disks.
    pub disk_write: f64,
    /// Received by the guest.
    pub net_in: f64,
    /// Sent by the guest.
    pub net_out: f64,
}

/// One VM.
#[derive(Debug)]
pub struct VmLive {
    vm: Vm,
    config: LiveConfig,
    status: Arc<Cached<Sample, Error>>,
    hardware: Arc<Cached<Arc<VmConfig>, Error>>,
    snapshots: Arc<Cached<Arc<Snapshots>, Error>>,
    feature: Arc<Cached<FeatureAnswer, Error>>,
    storages: Arc<Cached<Arc<Vec<StorageResource>>, Error>>,
    hot_until: Mutex<Option<Instant>>,
}

impl VmLive {
    pub(super) fn new(client: &Client, vmid: Vmid, config: LiveConfig) -> Result<Self, Problem> {
        let vmid = VmId::new(vmid.get()).map_err(|_| Problem::Gone)?;
        Ok(Self {
            vm: client.vm(vmid),
            config,
            status: Arc::default(),
            hardware: Arc::default(),
            snapshots: Arc::default(),
            feature: Arc::default(),
            storages: Arc::default(),
            hot_until: Mutex::default(),
        })
    }

    /// The handle, for calls that change the VM.
    pub fn handle(&self) -> &Vm {
        &self.vm
    }

    pub(super) fn is_of(&self, client: &Client) -> bool {
        self.vm.client().is_same(client)
    }

    /// State and load.
    pub async fn status(&self) -> Result<Aged<Sample>, Problem> {
        let vm = self.vm.clone();
        let fetch = move |before: Option<Aged<Sample>>| async move {
            let at = Instant::now();
            let status = vm.status().await?;
            let rates = before.and_then(|before| rates(&before, &status, at));
            Ok(Sample { status, rates })
        };
        self.status.get(self.patience(), fetch).await.map_err(Problem::of)
    }

    /// The configuration as it is on disk, pending changes applied.
    pub async fn hardware(&self) -> Result<Arc<VmConfig>, Problem> {
        let vm = self.vm.clone();
        let fetch = move |_| async move { Ok(Arc::new(vm.config().await?)) };
        self.hardware
            .get(self.config.slow, fetch)
            .await
            .map(|aged| aged.value)
            .map_err(Problem::of)
    }

    /// The snapshots, for a page.
    pub async fn snapshots(&self) -> Result<Arc<Snapshots>, Problem> {
        let vm = self.vm.clone();
        let fetch = move |_| async move { Ok(Arc::new(vm.snapshots().await?)) };
        self.snapshots
            .get(self.patience(), fetch)
            .await
            .map(|aged| aged.value)
            .map_err(Problem::of)
    }

    /// The snapshots, for a decision: asked for now.
    pub async fn snapshots_now(&self) -> Result<Snapshots, Problem> {
        self.vm.snapshots().await.map_err(|error| Problem::from(&error))
    }

    /// Whether the storages of the VM's disks can take snapshots.
    pub async fn can_snapshot(&self) -> Result<bool, Problem> {
        let vm = self.vm.clone();
        let fetch = move |_| async move { vm.feature(Feature::Snapshot, None).await };
        let answer = self
            .feature
            .get(self.config.slow, fetch)
            .await
            .map_err(Problem::of)?;
        Ok(answer.value.available)
    }

    /// Whether a disk is on a storage that only rolls back to the newest snapshot (ZFS volumes, and LVM volume chains).
    ///
    /// Read from the cluster's list of storages; a storage that is not listed counts as one that can.
    pub async fn rolls_back_to_newest_only(&self) -> Result<bool, Problem> {
        let config = self.hardware().await?;
        let client = self.vm.client().clone();
        let fetch = move |_| async move { Ok(Arc::new(client.resources().await?.storages)) };
        let storages = self
            .storages
            .get(self.config.slow, fetch)
            .await
            .map_err(Problem::of)?
            .value;
        let disks = config.disks();
        Ok(disks.iter().filter_map(|(_, disk)| disk.storage()).any(|id| {
            storages
                .iter()
                .any(|storage| storage.storage == id && storage.plugintype == "zfspool")
        }))
    }

    /// Says that something is being or was done to the VM: what is known is old, and for a while it is asked for more
    /// often.
    pub fn touched(&self) {
        *self.hot_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + self.config.hot_for);
        self.status.expire();
        self.hardware.expire();
        self.snapshots.expire();
        self.feature.expire();
    }

    /// Whether something was done to the VM a short while ago.
    pub fn is_hot(&self) -> bool {
        self.hot_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| Instant::now() < until)
    }

    fn patience(&self) -> Patience {
        if self.is_hot() {
            self.config.hot
        } else {
            self.config.calm
        }
    }
}

/// The rates between two samples; none when QEMU was started in between, which resets the counters.
fn rates(before: &Aged<Sample>, status: &VmStatus, at: Instant) -> Option<Rates> {
    let seconds = at.checked_duration_since(before.at)?.as_secs_f64();
    let earlier = &before.value.status;
    if seconds < 0.5 || !status.is_running() || status.uptime? < earlier.uptime? {
        return None;
    }
    let rate = |now: Option<u64>, then: Option<u64>| {
        let bytes = now?.checked_sub(then?)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate for people needs no more than 15 digits"
        )]
        Some(bytes as f64 / seconds)
    };
    Some(Rates {
        disk_read: rate(status.diskread, earlier.diskread)?,
        disk_write: rate(status.diskwrite, earlier.diskwrite)?,
        net_in: rate(status.netin, earlier.netin)?,
        net_out: rate(status.netout, earlier.netout)?,
    })
}
