//! What a call was about, and what of it can be there after it failed.

use std::fmt;

use crate::id::{NodeName, SnapshotName, StorageId, VmId, VolumeId};
use crate::upid::Upid;

/// What a failed call was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The configured name of the cluster.
    pub cluster: String,
    /// Method and route template, such as `GET /nodes/{node}/qemu/{vmid}/config`.
    pub call: String,
    /// The node that was addressed.
    pub node: Option<NodeName>,
    /// The VM that was addressed.
    pub vmid: Option<VmId>,
    /// The task that was asked about.
    pub upid: Option<Upid>,
    /// The snapshot that was addressed.
    pub snapshot: Option<SnapshotName>,
    /// The storage that was addressed.
    pub storage: Option<StorageId>,
    /// The volume that was addressed.
    pub volume: Option<VolumeId>,
    pub(crate) effect: Effect,
}

/// What of a call can be there although it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it changes nothing.
    None,
    /// All or nothing: it makes one change.
    Whole,
    /// Any part: PVE makes its changes one after the other and keeps those before the one that fails.
    Parts,
    /// A part for certain: a call before this one, which belongs to it, did what it should.
    Begun,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on cluster `{}`", self.call, self.cluster)?;
        if let Some(node) = &self.node {
            write!(f, ", node `{node}`")?;
        }
        if let Some(vmid) = self.vmid {
            write!(f, ", VM {vmid}")?;
        }
        if let Some(snapshot) = &self.snapshot {
            write!(f, ", snapshot `{snapshot}`")?;
        }
        if let Some(storage) = &self.storage {
            write!(f, ", storage `{storage}`")?;
        }
        if let Some(volume) = &self.volume {
            write!(f, ", volume `{volume}`")?;
        }
        if let Some(upid) = &self.upid {
            write!(f, ", task `{upid}`")?;
        }
        Ok(())
    }
}
