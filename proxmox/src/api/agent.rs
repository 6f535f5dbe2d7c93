//! The QEMU guest agent.

use http::Method;
use serde::de::IgnoredAny;

use crate::client::Vm;
use crate::error::Error;
use crate::reason::Reason;
use crate::route::Params;
use crate::transport::Class;

/// Whether the guest agent can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It answers.
    Answers,
    /// It is enabled and does not answer: not installed, not started yet, or the guest is busy.
    Silent,
    /// The VM's config does not enable it.
    NotConfigured,
}

impl Vm {
    /// `POST agent/ping`: whether the guest agent answers. Takes up to 5 s when it does not.
    ///
    /// Changes nothing and is therefore repeated like a read, although it is a POST.
    ///
    /// # Errors
    /// A stopped VM is [`Reason::NotRunning`]; a missing right and faults of the way are errors too.
    pub async fn agent_ping(&self) -> Result<AgentState, Error> {
        let ping = self.call::<IgnoredAny>(
            Class::Read,
            Method::POST,
            |vm| vm.word("/agent/ping"),
            Params::new(),
        );
        match ping.await {
            Ok(_) => Ok(AgentState::Answers),
            Err(error) => match error.reason() {
                Some(Reason::AgentNotConfigured) => Ok(AgentState::NotConfigured),
                Some(Reason::AgentNotRunning | Reason::Timeout) => Ok(AgentState::Silent),
                _ => Err(error),
            },
        }
    }
}
