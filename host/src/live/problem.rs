//! What a failed call to Proxmox means for a customer.
//!
//! The provider's log gets Proxmox's own words, here, once; the customer gets a kind of problem, from which pages make
//! their sentences.

use std::sync::Arc;

use portico_proxmox::{Error, Reason};

/// The kinds of trouble with a cluster that pages and plugins tell apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The cluster or the VM's node did not answer in time, or the connection failed.
    #[error("Proxmox cannot be reached")]
    Unreachable,
    /// The token is wrong or lacks a privilege.
    #[error("Proxmox refuses the panel's token")]
    Refused,
    /// The VM is not on the cluster.
    #[error("the VM does not exist")]
    Gone,
    /// Another operation holds the VM.
    #[error("the VM is busy: {0}")]
    Busy(String),
    /// Anything else.
    #[error("Proxmox refused the operation")]
    Failed,
}

impl Problem {
    /// Reads the failure of a shared fetch; none means that the time was over.
    pub fn of(failure: Option<Arc<Error>>) -> Self {
        failure.map_or(Self::Unreachable, |error| Self::from(&*error))
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        tracing::warn!(error = %chain(error), "a call to Proxmox failed");
        match error {
            Error::Unauthorized { .. } | Error::PermissionDenied { .. } => Self::Refused,
            error if error.is_vm_missing() => Self::Gone,
            Error::Refused {
                reason: Reason::Locked(lock),
                ..
            } => Self::Busy(operation(lock.as_str()).to_owned()),
            Error::Refused {
                reason: Reason::NodeUnknown,
                ..
            } => Self::Unreachable,
            error if error.is_transient_read() => Self::Unreachable,
            Error::Tls { .. } | Error::Malformed { .. } => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// What pages call the operation behind a lock of Proxmox.
pub fn operation(lock: &str) -> &str {
    match lock {
        "snapshot-delete" => "snapshot removal",
        "create" => "restore",
        "suspending" | "suspended" => "suspend",
        other => other,
    }
}
