//! Bringing the VM in line with the service's plan (`wit/provision.wit`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallNumber, Effect, Function};
use crate::bindings::CapabilityError;
use crate::bindings::provision::{Applied, Host};
use crate::scope::Scope;
use crate::state::CallState;

const APPLY_PLAN: Function = Function::new(
    "provision",
    "provision.apply-plan",
    &[Scope::ProvisionApplyPlan],
    Effect::Vm,
);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[APPLY_PLAN];

/// Sets the VM to what product and service say.
#[async_trait]
pub trait ProvisionPort: Send + Sync {
    /// Changes what differs from the plan. Called only in a step of an exclusive job, and possibly again after a crash
    /// or a dropped future: it must lead to the same end however often it runs.
    ///
    /// # Errors
    /// `busy`, `unavailable`, `failed`.
    async fn apply_plan(&self, number: CallNumber) -> Result<Applied, CapabilityError>;
}

impl Host for CallState {
    async fn apply_plan(&mut self) -> wasmtime::Result<Result<Applied, CapabilityError>> {
        let port = Arc::clone(&self.ports.provision);
        self.gate(
            &APPLY_PLAN,
            Scope::ProvisionApplyPlan,
            Ok(()),
            move |n| async move { port.apply_plan(n).await },
        )
        .await
    }
}
