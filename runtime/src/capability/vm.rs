//! Reading the VM of the service (`wit/vm.wit`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{Effect, Function};
use crate::bindings::CapabilityError;
use crate::bindings::vm::{HardwareView, Host, NetworkView, StatusView};
use crate::scope::Scope;
use crate::state::CallState;

const READ: &[Scope] = &[Scope::VmRead];
const STATUS: Function = Function::new("vm", "vm.status", READ, Effect::Read);
const HARDWARE: Function = Function::new("vm", "vm.hardware", READ, Effect::Read);
const NETWORK: Function = Function::new("vm", "vm.network", READ, Effect::Read);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[STATUS, HARDWARE, NETWORK];

/// Answers about the VM of the service.
///
/// Called by pages many times a second; the implementation answers from a cache that all viewers share, and the load on
/// Proxmox must not grow with their number. Dropping a future half way must be harmless.
#[async_trait]
pub trait VmPort: Send + Sync {
    /// The present state and load.
    ///
    /// # Errors
    /// `unavailable` when Proxmox does not answer and nothing is known yet.
    async fn status(&self) -> Result<StatusView, CapabilityError>;

    /// Cores, memory, disks (at most 52) and adapters (at most 32).
    ///
    /// # Errors
    /// `unavailable` when Proxmox does not answer and nothing is known yet.
    async fn hardware(&self) -> Result<HardwareView, CapabilityError>;

    /// Addresses, gateways, resolvers and domain, from the panel's own records: never asks Proxmox.
    ///
    /// # Errors
    /// `unavailable` when the store does not answer.
    async fn network(&self) -> Result<NetworkView, CapabilityError>;
}

impl Host for CallState {
    async fn status(&mut self) -> wasmtime::Result<Result<StatusView, CapabilityError>> {
        let port = Arc::clone(&self.ports.vm);
        self.gate(&STATUS, Scope::VmRead, Ok(()), move |_| async move {
            port.status().await
        })
        .await
    }

    async fn hardware(&mut self) -> wasmtime::Result<Result<HardwareView, CapabilityError>> {
        let port = Arc::clone(&self.ports.vm);
        let answer = self
            .gate(&HARDWARE, Scope::VmRead, Ok(()), move |_| async move {
                port.hardware().await
            })
            .await?;
        Ok(answer.map(|mut hardware| {
            hardware.disks.truncate(52);
            hardware.adapters.truncate(32);
            hardware
        }))
    }

    async fn network(&mut self) -> wasmtime::Result<Result<NetworkView, CapabilityError>> {
        let port = Arc::clone(&self.ports.vm);
        self.gate(&NETWORK, Scope::VmRead, Ok(()), move |_| async move {
            port.network().await
        })
        .await
    }
}
