//! Snapshots of the VM of the service (`wit/snapshots.wit`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallNumber, Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::snapshots::{Ability, Host, Snapshot};
use crate::bindings::types::Task;
use crate::scope::Scope;
use crate::state::CallState;

const READ: &[Scope] = &[Scope::SnapshotsRead];
const LIST: Function = Function::new("snapshots", "snapshots.list", READ, Effect::Read);
const FEATURE: Function = Function::new("snapshots", "snapshots.feature", READ, Effect::Read);
const CREATE: Function = Function::new(
    "snapshots",
    "snapshots.create",
    &[Scope::SnapshotsCreate],
    Effect::Vm,
);
const ROLLBACK: Function = Function::new(
    "snapshots",
    "snapshots.rollback",
    &[Scope::SnapshotsRollback],
    Effect::Vm,
);
const REMOVE: Function = Function::new(
    "snapshots",
    "snapshots.remove",
    &[Scope::SnapshotsRemove],
    Effect::Vm,
);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[LIST, FEATURE, CREATE, ROLLBACK, REMOVE];

/// Most snapshots a list holds.
const MAX_LIST: usize = 200;
/// Longest description a list shows, bytes.
const MAX_SHOWN: usize = 8 << 10;
/// Longest description of a new snapshot, characters.
const MAX_DESCRIPTION: usize = 1024;

/// Reads, takes, restores and removes snapshots of the VM of the service.
///
/// `create`, `rollback` and `remove` start work: what [`PowerPort`](super::PowerPort) says of journal, repetition and
/// dropped futures holds here.
#[async_trait]
pub trait SnapshotsPort: Send + Sync {
    /// All snapshots, the oldest first, fresh from Proxmox. What is over 200 is left out.
    ///
    /// # Errors
    /// `unavailable`.
    async fn list(&self) -> Result<Vec<Snapshot>, CapabilityError>;

    /// Whether snapshots can be taken on this VM's storage.
    ///
    /// # Errors
    /// `unavailable`.
    async fn feature(&self) -> Result<Ability, CapabilityError>;

    /// Takes a snapshot. `name` has the form that Proxmox wants, `description` at most 1,024 characters.
    ///
    /// # Errors
    /// `conflict` when the name is taken; else as for power.
    async fn create(
        &self,
        number: CallNumber,
        name: String,
        description: String,
        with_memory: bool,
    ) -> Result<Task, CapabilityError>;

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// `not-found`; else as for power.
    async fn rollback(&self, number: CallNumber, name: String) -> Result<Task, CapabilityError>;

    /// Removes a snapshot.
    ///
    /// # Errors
    /// `not-found` when it is already gone; else as for power.
    async fn remove(&self, number: CallNumber, name: String) -> Result<Task, CapabilityError>;
}

impl Host for CallState {
    async fn list(&mut self) -> wasmtime::Result<Result<Vec<Snapshot>, CapabilityError>> {
        let port = Arc::clone(&self.ports.snapshots);
        let answer = self.gate(&LIST, Scope::SnapshotsRead, Ok(()), move |_| async move {
            port.list().await
        });
        Ok(answer.await?.map(|mut snapshots| {
            snapshots.truncate(MAX_LIST);
            for snapshot in &mut snapshots {
                bounds::cut(&mut snapshot.description, MAX_SHOWN);
            }
            snapshots
        }))
    }

    async fn feature(&mut self) -> wasmtime::Result<Result<Ability, CapabilityError>> {
        let port = Arc::clone(&self.ports.snapshots);
        self.gate(&FEATURE, Scope::SnapshotsRead, Ok(()), move |_| async move {
            port.feature().await
        })
        .await
    }

    async fn create(
        &mut self,
        name: String,
        description: String,
        with_memory: bool,
    ) -> wasmtime::Result<Result<Task, CapabilityError>> {
        let port = Arc::clone(&self.ports.snapshots);
        let checked = bounds::snapshot_name("name", &name)
            .and_then(|()| bounds::text("description", &description, 0..=MAX_DESCRIPTION));
        self.gate(&CREATE, Scope::SnapshotsCreate, checked, move |n| async move {
            port.create(n, name, description, with_memory).await
        })
        .await
    }

    async fn rollback(&mut self, name: String) -> wasmtime::Result<Result<Task, CapabilityError>> {
        let port = Arc::clone(&self.ports.snapshots);
        let checked = bounds::snapshot_name("name", &name);
        self.gate(
            &ROLLBACK,
            Scope::SnapshotsRollback,
            checked,
            move |n| async move { port.rollback(n, name).await },
        )
        .await
    }

    async fn remove(&mut self, name: String) -> wasmtime::Result<Result<Task, CapabilityError>> {
        let port = Arc::clone(&self.ports.snapshots);
        let checked = bounds::snapshot_name("name", &name);
        self.gate(&REMOVE, Scope::SnapshotsRemove, checked, move |n| async move {
            port.remove(n, name).await
        })
        .await
    }
}
