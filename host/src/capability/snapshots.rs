//! Snapshots of the VM.

use async_trait::async_trait;
use portico_proxmox::{SnapshotState, Snapshots};
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::snapshots::{Ability, Phase, Snapshot};
use portico_runtime::bindings::types::Task;
use portico_runtime::capability::{CallNumber, SnapshotsPort};

use super::{Binding, Origin, problem};
use crate::jobs::Operation;

/// Bytes of a description that are passed on; Proxmox has no limit.
const DESCRIPTION: usize = 8 << 10;
/// Snapshots that are passed on.
const MOST: usize = 200;

#[async_trait]
impl SnapshotsPort for Binding {
    async fn list(&self) -> Result<Vec<Snapshot>, CapabilityError> {
        let live = self.live().await?;
        let snapshots = match self.origin {
            // A decision (how many are there?) must not rest on a copy.
            Origin::Job { .. } => live.snapshots_now().await.map(std::sync::Arc::new),
            Origin::Page { .. } => live.snapshots().await,
        };
        let snapshots = snapshots.map_err(problem)?;
        Ok(list(&snapshots))
    }

    async fn feature(&self) -> Result<Ability, CapabilityError> {
        let live = self.live().await?;
        let possible = live.can_snapshot().await.map_err(problem)?;
        let newest_only = live.rolls_back_to_newest_only().await.map_err(problem)?;
        let reason = (!possible).then(|| "The storage of this VM cannot take snapshots".to_owned());
        Ok(Ability {
            possible,
            reason,
            newest_only,
        })
    }

    async fn create(
        &self,
        number: CallNumber,
        name: String,
        description: String,
        with_memory: bool,
    ) -> Result<Task, CapabilityError> {
        self.task(
            number,
            Operation::SnapshotCreate {
                name,
                description,
                with_memory,
            },
        )
        .await
    }

    async fn rollback(&self, number: CallNumber, name: String) -> Result<Task, CapabilityError> {
        self.task(number, Operation::SnapshotRollback { name }).await
    }

    async fn remove(&self, number: CallNumber, name: String) -> Result<Task, CapabilityError> {
        self.task(number, Operation::SnapshotRemove { name }).await
    }
}

fn list(snapshots: &Snapshots) -> Vec<Snapshot> {
    let one = |snapshot: &portico_proxmox::Snapshot| {
        let mut description = snapshot.description.clone();
        description.truncate(description.floor_char_boundary(DESCRIPTION));
        Snapshot {
            name: snapshot.name.to_string(),
            description,
            time: snapshot
                .created
                .and_then(|time| i64::try_from(time).ok())
                .unwrap_or(0),
            with_memory: snapshot.with_memory,
            parent: snapshot.parent.as_ref().map(ToString::to_string),
            phase: match snapshot.state {
                None => Phase::Ready,
                Some(SnapshotState::Preparing) => Phase::Creating,
                Some(SnapshotState::Deleting | SnapshotState::Other(_)) => Phase::Removing,
            },
            current: snapshots.current_parent.as_ref() == Some(&snapshot.name),
        }
    };
    snapshots.list.iter().take(MOST).map(one).collect()
}
