//! The one way from a guest's call to a port.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::{CallNumber, Effect, Function};
use crate::bindings::CapabilityError;
use crate::error::{Fault, LimitKind};
use crate::scope::Scope;
use crate::state::CallState;

/// Why the guest is being called; decides which effects it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `describe` and `templates`: no capability.
    Describe,
    /// `handle` for a GET: nothing that lasts.
    Get,
    /// `handle` for a POST.
    Post,
    /// `advance`.
    Job {
        /// Whether the job holds the VM.
        exclusive: bool,
    },
}

impl Phase {
    fn refusal(self, effect: Effect) -> Option<&'static str> {
        match (self, effect) {
            (Self::Describe, _) => Some("there is no capability while the plugin describes itself"),
            (Self::Get, Effect::Write) => Some("the answer to a GET changes nothing"),
            (Self::Get | Self::Post | Self::Job { exclusive: false }, Effect::Vm) => {
                Some("work on the VM is started only by an exclusive job")
            }
            (Self::Get, Effect::Read)
            | (Self::Post | Self::Job { exclusive: false }, Effect::Read | Effect::Write)
            | (Self::Job { exclusive: true }, _) => None,
        }
    }
}

impl CallState {
    /// Leads a call to a port: scope, phase, arguments (`checked`), number of calls, then the port under the time limit.
    ///
    /// `scope` is the one of `function.scopes` that the arguments ask for. A refusal is a value for the guest. Traps, with
    /// a [`Fault`], are: a port that panics; a call with an effect that runs out of time, as nobody can tell the guest
    /// whether it happened; and a guest that goes on calling after as many refusals as it may make calls.
    pub(super) async fn gate<T, P, F>(
        &mut self,
        function: &'static Function,
        scope: Scope,
        checked: Result<(), CapabilityError>,
        port: P,
    ) -> wasmtime::Result<Result<T, CapabilityError>>
    where
        P: FnOnce(CallNumber) -> F + Send,
        F: Future<Output = Result<T, CapabilityError>> + Send,
    {
        debug_assert!(function.scopes.contains(&scope));
        if let Err(refusal) = self.admit(function, scope, checked) {
            self.refused += 1;
            if self.refused > self.limits.host_calls {
                return Err(Fault::Limit(LimitKind::HostCalls).into());
            }
            return Ok(Err(refusal));
        }
        let number = self.next_number(function);
        let waiting = self.tally.wait_on(function.path);
        // `port` itself runs inside the caught future: it may panic as well.
        let answer = AssertUnwindSafe(async move { port(number).await }).catch_unwind();
        let answer = tokio::time::timeout(self.hostcall_time, answer).await;
        drop(waiting);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(panic)) => Err(Fault::panicked(function.path, &*panic).into()),
            Err(_) if function.effect == Effect::Read => Ok(Err(CapabilityError::Unavailable)),
            Err(_) => Err(Fault::HostTimeout {
                function: function.path,
                after: self.hostcall_time,
            }
            .into()),
        }
    }

    fn admit(
        &mut self,
        function: &Function,
        scope: Scope,
        checked: Result<(), CapabilityError>,
    ) -> Result<(), CapabilityError> {
        if !self.scopes.contains(scope) {
            return Err(CapabilityError::Denied(format!(
                "the product does not grant `{scope}`"
            )));
        }
        if let Some(reason) = self.phase.refusal(function.effect) {
            return Err(CapabilityError::Denied(reason.to_owned()));
        }
        checked?;
        if self.tally.host_calls() >= self.limits.host_calls {
            let most = self.limits.host_calls;
            return Err(CapabilityError::Quota(format!(
                "calls to the host in one call: {most} at most"
            )));
        }
        self.tally.count_host_call();
        Ok(())
    }

    /// The number of a call that the host may have to recognise when the step is run again; others get one they ignore.
    fn next_number(&mut self, function: &Function) -> CallNumber {
        let number = CallNumber(self.numbered);
        let numbered = match function.effect {
            Effect::Read => false,
            Effect::Write => function.interface != "storage",
            Effect::Vm => true,
        };
        if numbered {
            self.numbered += 1;
        }
        number
    }
}
