//! Switching the VM.

use std::time::Duration;

use async_trait::async_trait;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::types::Task;
use portico_runtime::capability::{CallNumber, PowerPort};

use super::Binding;
use crate::jobs::Operation;

fn seconds(patience: Duration) -> u32 {
    u32::try_from(patience.as_secs()).unwrap_or(u32::MAX)
}

#[async_trait]
impl PowerPort for Binding {
    async fn start(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.task(number, Operation::Start).await
    }

    async fn shutdown(&self, number: CallNumber, patience: Duration) -> Result<Task, CapabilityError> {
        self.task(
            number,
            Operation::Shutdown {
                timeout: seconds(patience),
            },
        )
        .await
    }

    async fn stop(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.task(number, Operation::Stop).await
    }

    async fn reboot(&self, number: CallNumber, patience: Duration) -> Result<Task, CapabilityError> {
        self.task(
            number,
            Operation::Reboot {
                timeout: seconds(patience),
            },
        )
        .await
    }

    async fn reset(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.task(number, Operation::Reset).await
    }
}
