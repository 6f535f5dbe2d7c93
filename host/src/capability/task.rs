//! One VM's side of [`crate::jobs::once`]: sending an operation to Proxmox, and finding its task again.

use std::time::Duration;

use async_trait::async_trait;
use portico_proxmox::{Error, NewSnapshot, Reason, SnapshotName, TaskFilter, TaskSource, Vm};
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::types::{FieldError, Task};
use portico_runtime::capability::CallNumber;

use super::{Binding, store_failed};
use crate::jobs::Operation;
use crate::jobs::once::{FailureKind, OnceError, StartFailure, Starter, once};
use crate::live::problem::operation as operation_of_lock;

/// Tasks of one VM that are looked through, the newest first. A VM has one of ours at a time.
const LOOKED_AT: u32 = 50;

impl Binding {
    /// Starts the task of an operation, or returns the one that this call started before a crash.
    pub(super) async fn task(
        &self,
        number: CallNumber,
        operation: Operation,
    ) -> Result<Task, CapabilityError> {
        let Some(journal) = self.journal() else {
            return Err(CapabilityError::Denied("only in a job".to_owned()));
        };
        let live = self.live().await?;
        let starter = OneVm {
            vm: live.handle().clone(),
        };
        let task = once(
            journal,
            &self.parts.clock,
            &starter,
            number.0,
            &operation,
            self.parts.grace,
        )
        .await;
        live.touched();
        match task {
            Ok(task) => Ok(Task { id: task.id }),
            Err(OnceError::Store(error)) => Err(store_failed(error)),
            Err(OnceError::Diverged) => {
                tracing::error!(service = %self.service.id, plugin = %self.plugin, "{}", OnceError::Diverged);
                Err(CapabilityError::Failed(
                    "the step asked for something else than before".to_owned(),
                ))
            }
            Err(OnceError::Start(failure)) => {
                tracing::warn!(service = %self.service.id, plugin = %self.plugin, %failure, "nothing was started");
                Err(match failure.kind {
                    FailureKind::Busy(operation) => CapabilityError::Busy(operation),
                    FailureKind::NotFound => CapabilityError::NotFound,
                    FailureKind::Conflict => CapabilityError::Conflict,
                    FailureKind::Invalid(field, message) => {
                        CapabilityError::Invalid(FieldError { field, message })
                    }
                    FailureKind::Unavailable => CapabilityError::Unavailable,
                    FailureKind::Failed(text) => CapabilityError::Failed(text),
                })
            }
        }
    }
}

struct OneVm {
    vm: Vm,
}

#[async_trait]
impl Starter for OneVm {
    async fn start(&self, operation: &Operation) -> Result<String, StartFailure> {
        let seconds = |timeout: u32| Some(Duration::from_secs(u64::from(timeout)));
        let upid = match operation {
            Operation::Start => self.vm.start().await,
            Operation::Shutdown { timeout } => self.vm.shutdown(seconds(*timeout), false).await,
            Operation::Stop => self.vm.stop(false).await,
            Operation::Reboot { timeout } => self.vm.reboot(seconds(*timeout)).await,
            Operation::Reset => self.vm.reset().await,
            Operation::SnapshotCreate {
                name,
                description,
                with_memory,
            } => {
                let new = NewSnapshot {
                    name: snapshot(name)?,
                    description: (!description.is_empty()).then(|| description.clone()),
                    with_memory: *with_memory,
                };
                self.vm.create_snapshot(&new).await
            }
            Operation::SnapshotRollback { name } => self.vm.rollback_snapshot(&snapshot(name)?, false).await,
            Operation::SnapshotRemove { name } => self.vm.remove_snapshot(&snapshot(name)?).await,
        };
        upid.map(|upid| upid.as_str().to_owned())
            .map_err(|error| failure(&error))
    }

    async fn known(&self, types: &[&str]) -> Result<Vec<String>, StartFailure> {
        let node = self.vm.node().await.map_err(|error| failure(&error))?;
        let filter = TaskFilter {
            vmid: Some(self.vm.vmid()),
            // One type can be asked for; of several, all are listed and sorted out here.
            kind: if let [only] = types {
                Some((*only).to_owned())
            } else {
                None
            },
            source: TaskSource::All,
            limit: Some(LOOKED_AT),
            ..TaskFilter::default()
        };
        let tasks = self
            .vm
            .client()
            .tasks(&node, &filter)
            .await
            .map_err(|error| failure(&error))?;
        let ours = self.vm.client().token_id();
        Ok(tasks
            .into_iter()
            .filter(|task| types.contains(&task.upid.kind()) && task.upid.user() == ours)
            .map(|task| task.upid.as_str().to_owned())
            .collect())
    }
}

fn snapshot(name: &str) -> Result<SnapshotName, StartFailure> {
    SnapshotName::new(name).map_err(|error| StartFailure {
        message: error.to_string(),
        may_have_happened: false,
        kind: FailureKind::Invalid("name".to_owned(), "not a name of a snapshot".to_owned()),
    })
}

fn failure(error: &Error) -> StartFailure {
    let kind = match error {
        Error::Refused { reason, .. } => match reason {
            Reason::Locked(lock) => FailureKind::Busy(operation_of_lock(lock.as_str()).to_owned()),
            Reason::LockTimeout | Reason::Timeout | Reason::NoQuorum | Reason::WorkerLost => {
                FailureKind::Unavailable
            }
            Reason::SnapshotNameUsed => FailureKind::Conflict,
            Reason::SnapshotNotFound => FailureKind::NotFound,
            Reason::SnapshotNameReserved => {
                FailureKind::Invalid("name".to_owned(), "Proxmox keeps this name for itself".to_owned())
            }
            Reason::NotRunning => FailureKind::Failed("the VM is not running".to_owned()),
            Reason::Paused => FailureKind::Failed("the VM is paused".to_owned()),
            Reason::StateUnsupported => {
                FailureKind::Failed("the memory of this VM cannot be saved".to_owned())
            }
            Reason::SnapshotsUnsupported => {
                FailureKind::Failed("the storage of this VM cannot take snapshots".to_owned())
            }
            _ => FailureKind::Failed("Proxmox refused the operation".to_owned()),
        },
        error if error.is_transient_read() => FailureKind::Unavailable,
        Error::Unauthorized { .. }
        | Error::PermissionDenied { .. }
        | Error::VmUnknown { .. }
        | Error::Tls { .. }
        | Error::Malformed { .. } => FailureKind::Unavailable,
        _ => FailureKind::Failed("Proxmox refused the operation".to_owned()),
    };
    StartFailure {
        message: error.to_string(),
        may_have_happened: error.may_have_happened(),
        kind,
    }
}
