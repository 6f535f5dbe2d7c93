//! Starting a Proxmox task so that a crash at any moment does not start it twice.
//!
//! Proxmox has no idempotency keys. What it has is a list of tasks per node with type, VMID and user. A request whose
//! answer was lost left a task there or not; since only one job of a service runs at a time, a task of the right type
//! for the VM, started by our token and not known before the intent, is the one. A request can still be on its way
//! when the panel is back (pveproxy gives a proxied call 30 s), so before an intent without a task is acted on again,
//! the list is watched until that time has passed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::journal::{Entry, Journal, Operation};
use super::record::TaskRef;
use crate::clock::{Clock, later};
use crate::store::StoreError;

/// The Proxmox side of an operation on one VM.
#[async_trait]
pub trait Starter: Send + Sync {
    /// Sends the request and returns the UPID.
    async fn start(&self, operation: &Operation) -> Result<String, StartFailure>;

    /// The UPIDs of the VM's tasks of these types by our token that the node lists, running ones included.
    async fn known(&self, types: &[&str]) -> Result<Vec<String>, StartFailure>;
}

/// Why a request gave no UPID.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// What happened, for the provider's log.
    pub message: String,
    /// Whether Proxmox may have acted all the same.
    pub may_have_happened: bool,
    /// What the plugin is told.
    pub kind: FailureKind,
}

/// The kinds of failure that a plugin tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// Another operation holds the VM.
    Busy(String),
    /// The VM or the snapshot is not there.
    NotFound,
    /// The name is taken.
    Conflict,
    /// A parameter was refused: field and message.
    Invalid(String, String),
    /// The cluster did not answer.
    Unavailable,
    /// Anything else.
    Failed(String),
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Proxmox refused or did not answer, and it is certain that nothing was started.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// The step was run again and asks for something else than before the crash.
    #[error("the step was run again after a crash and asked for something else than before")]
    Diverged,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often the list of tasks is looked at while it is not certain.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts `operation` as call number `call` of the journal's step, or finds the task that it started before a crash.
///
/// `grace` is how long a request whose answer nobody waits for any more may still take to arrive.
pub async fn once(
    journal: &Journal,
    clock: &Arc<dyn Clock>,
    starter: &dyn Starter,
    call: u32,
    operation: &Operation,
    grace: Duration,
) -> Result<TaskRef, OnceError> {
    let entry = match journal.entry(call).await? {
        Some(Entry {
            operation: before, ..
        }) if before != *operation => return Err(OnceError::Diverged),
        Some(Entry { task: Some(task), .. }) => return Ok(task),
        Some(entry) => {
            if let Some(upid) = find(clock, starter, &entry, grace).await? {
                tracing::info!(job = %journal.job(), %upid, intended = %entry.at, "adopted a task of before a restart");
                return Ok(journal.started(call, entry, upid).await?);
            }
            journal.intend(call, operation, entry.seen).await?
        }
        None => {
            let seen = starter.known(operation.task_types()).await?;
            journal.intend(call, operation, seen).await?
        }
    };
    match starter.start(operation).await {
        Ok(upid) => Ok(journal.started(call, entry, upid).await?),
        Err(failure) if !failure.may_have_happened => {
            journal.withdraw(call).await?;
            Err(failure.into())
        }
        Err(failure) => match find(clock, starter, &entry, grace).await {
            Ok(Some(upid)) => Ok(journal.started(call, entry, upid).await?),
            Ok(None) => {
                journal.withdraw(call).await?;
                Err(StartFailure {
                    may_have_happened: false,
                    ..failure
                }
                .into())
            }
            // Still not certain: the intent stays, and the step is run again later.
            Err(error) => Err(error),
        },
    }
}

/// The task of an intent, looked for until no request of it can arrive any more.
async fn find(
    clock: &Arc<dyn Clock>,
    starter: &dyn Starter,
    entry: &Entry,
    grace: Duration,
) -> Result<Option<String>, OnceError> {
    // Not from the intent: the request may have left the panel long after it, until the call failed or the panel ended.
    let until = later(clock.now(), grace);
    loop {
        // The time is read before the list, so that the last look is after the grace.
        let over = clock.now() >= until;
        match starter.known(entry.operation.task_types()).await {
            Ok(known) => {
                if let Some(upid) = known.into_iter().find(|upid| !entry.seen.contains(upid)) {
                    return Ok(Some(upid));
                }
                if over {
                    return Ok(None);
                }
            }
            Err(failure) if over => return Err(failure.into()),
            Err(_) => {}
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
