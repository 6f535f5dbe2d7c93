//! Ports that grant nothing.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    CallNumber, HttpPort, JobsPort, LogLine, LogPort, MailPort, PowerPort, ProvisionPort, SnapshotsPort,
    StoragePort, VmPort,
};
use crate::bindings::types::Task;
use crate::bindings::{CapabilityError, http, jobs, mail, provision, snapshots, storage, vm};

/// Answers `denied` to everything and drops log lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeniedPorts;

fn denied<T>() -> Result<T, CapabilityError> {
    Err(CapabilityError::Denied(
        "there is no capability in this call".to_owned(),
    ))
}

#[async_trait]
impl VmPort for DeniedPorts {
    async fn status(&self) -> Result<vm::StatusView, CapabilityError> {
        denied()
    }

    async fn hardware(&self) -> Result<vm::HardwareView, CapabilityError> {
        denied()
    }

    async fn network(&self) -> Result<vm::NetworkView, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl PowerPort for DeniedPorts {
    async fn start(&self, _: CallNumber) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn shutdown(&self, _: CallNumber, _: Duration) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn stop(&self, _: CallNumber) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn reboot(&self, _: CallNumber, _: Duration) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn reset(&self, _: CallNumber) -> Result<Task, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl SnapshotsPort for DeniedPorts {
    async fn list(&self) -> Result<Vec<snapshots::Snapshot>, CapabilityError> {
        denied()
    }

    async fn feature(&self) -> Result<snapshots::Ability, CapabilityError> {
        denied()
    }

    async fn create(&self, _: CallNumber, _: String, _: String, _: bool) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn rollback(&self, _: CallNumber, _: String) -> Result<Task, CapabilityError> {
        denied()
    }

    async fn remove(&self, _: CallNumber, _: String) -> Result<Task, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl ProvisionPort for DeniedPorts {
    async fn apply_plan(&self, _: CallNumber) -> Result<provision::Applied, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl StoragePort for DeniedPorts {
    async fn get(&self, _: storage::Scope, _: String) -> Result<Option<storage::Entry>, CapabilityError> {
        denied()
    }

    async fn set(&self, _: storage::Scope, _: String, _: Vec<u8>) -> Result<u64, CapabilityError> {
        denied()
    }

    async fn delete(&self, _: storage::Scope, _: String) -> Result<(), CapabilityError> {
        denied()
    }

    async fn list(
        &self,
        _: storage::Scope,
        _: String,
        _: Option<String>,
        _: u32,
    ) -> Result<Vec<storage::Entry>, CapabilityError> {
        denied()
    }

    async fn compare_and_swap(
        &self,
        _: storage::Scope,
        _: String,
        _: Option<u64>,
        _: Vec<u8>,
    ) -> Result<u64, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl MailPort for DeniedPorts {
    async fn send(
        &self,
        _: CallNumber,
        _: mail::Recipient,
        _: String,
        _: String,
    ) -> Result<(), CapabilityError> {
        denied()
    }
}

#[async_trait]
impl HttpPort for DeniedPorts {
    async fn send(&self, _: http::Request, _: Duration) -> Result<http::Response, CapabilityError> {
        denied()
    }
}

#[async_trait]
impl JobsPort for DeniedPorts {
    async fn start(&self, _: CallNumber, _: jobs::JobSpec) -> Result<String, CapabilityError> {
        denied()
    }

    async fn at(&self, _: CallNumber, _: jobs::JobSpec, _: i64) -> Result<String, CapabilityError> {
        denied()
    }

    async fn every(&self, _: CallNumber, _: jobs::JobSpec, _: jobs::Calendar) -> Result<(), CapabilityError> {
        denied()
    }

    async fn list(&self) -> Result<Vec<jobs::JobView>, CapabilityError> {
        denied()
    }

    async fn cancel(&self, _: CallNumber, _: String) -> Result<(), CapabilityError> {
        denied()
    }
}

impl LogPort for DeniedPorts {
    fn write(&self, _: LogLine) {}
}
