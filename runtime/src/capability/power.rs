//! Switching the VM of the service (`wit/power.wit`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{CallNumber, Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::power::Host;
use crate::bindings::types::Task;
use crate::scope::Scope;
use crate::state::CallState;

const START: Function = Function::new("power", "power.start", &[Scope::PowerStart], Effect::Vm);
const SHUTDOWN: Function = Function::new("power", "power.shutdown", &[Scope::PowerShutdown], Effect::Vm);
const STOP: Function = Function::new("power", "power.stop", &[Scope::PowerStop], Effect::Vm);
const REBOOT: Function = Function::new("power", "power.reboot", &[Scope::PowerReboot], Effect::Vm);
const RESET: Function = Function::new("power", "power.reset", &[Scope::PowerReset], Effect::Vm);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[START, SHUTDOWN, STOP, REBOOT, RESET];

/// How long the guest is given to obey, seconds.
const PATIENCE: std::ops::RangeInclusive<u32> = 10..=600;

/// Switches the VM of the service. Every function starts work.
///
/// Called only in a step of an exclusive job. The implementation notes its intent under (job, step, `number`) before it
/// asks Proxmox and the task after; called again with the same number it returns that task and starts nothing. A future
/// may be dropped between the two: the step then fails as a whole and is run again.
#[async_trait]
pub trait PowerPort: Send + Sync {
    /// Starts the VM.
    ///
    /// # Errors
    /// `busy`, `unavailable` (only when certainly nothing was started), `failed`.
    async fn start(&self, number: CallNumber) -> Result<Task, CapabilityError>;

    /// Asks the guest to shut down and waits up to `patience` (10…600 s) for it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    async fn shutdown(&self, number: CallNumber, patience: Duration) -> Result<Task, CapabilityError>;

    /// Switches the VM off at once.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    async fn stop(&self, number: CallNumber) -> Result<Task, CapabilityError>;

    /// Asks the guest to shut down, waits up to `patience` (10…600 s), and starts it again.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    async fn reboot(&self, number: CallNumber, patience: Duration) -> Result<Task, CapabilityError>;

    /// Resets the VM at once.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    async fn reset(&self, number: CallNumber) -> Result<Task, CapabilityError>;
}

type Answer = wasmtime::Result<Result<Task, CapabilityError>>;

impl Host for CallState {
    async fn start(&mut self) -> Answer {
        let port = Arc::clone(&self.ports.power);
        self.gate(&START, Scope::PowerStart, Ok(()), move |n| async move {
            port.start(n).await
        })
        .await
    }

    async fn shutdown(&mut self, timeout: u32) -> Answer {
        let port = Arc::clone(&self.ports.power);
        let patience = Duration::from_secs(timeout.into());
        let checked = bounds::number("timeout", timeout, PATIENCE);
        self.gate(&SHUTDOWN, Scope::PowerShutdown, checked, move |n| async move {
            port.shutdown(n, patience).await
        })
        .await
    }

    async fn stop(&mut self) -> Answer {
        let port = Arc::clone(&self.ports.power);
        self.gate(&STOP, Scope::PowerStop, Ok(()), move |n| async move {
            port.stop(n).await
        })
        .await
    }

    async fn reboot(&mut self, timeout: u32) -> Answer {
        let port = Arc::clone(&self.ports.power);
        let patience = Duration::from_secs(timeout.into());
        let checked = bounds::number("timeout", timeout, PATIENCE);
        self.gate(&REBOOT, Scope::PowerReboot, checked, move |n| async move {
            port.reboot(n, patience).await
        })
        .await
    }

    async fn reset(&mut self) -> Answer {
        let port = Arc::clone(&self.ports.power);
        self.gate(&RESET, Scope::PowerReset, Ok(()), move |n| async move {
            port.reset(n).await
        })
        .await
    }
}
