//! What a call can fail with, and whose fault it is.
//!
//! [`PluginError`] is for the host. [`Fault`] travels inside a `wasmtime::Error` through the guest's frames and is found
//! again by its type.

use std::any::Any;
use std::time::Duration;

use serde::Serialize;
use wasmtime::{Trap, WasmBacktrace};

use crate::bindings::CapabilityError;

/// A bound of [`Limits`](crate::Limits) that a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// Processor time.
    Cpu,
    /// Bytes of linear memory, all memories together.
    Memory,
    /// Elements of tables, all tables together.
    Tables,
    /// Depth of calls inside the guest.
    Stack,
    /// Handles and resources of WASI.
    Handles,
    /// Bytes handed to the host in one call.
    HostcallFuel,
    /// Calls to the host.
    HostCalls,
    /// Bytes of the answer.
    ResponseBytes,
    /// Bytes of the context that the host made.
    ContextBytes,
    /// Bytes or fields of the request.
    RequestBytes,
    /// Bytes of a job's state.
    StateBytes,
}

impl LimitKind {
    /// The name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Stack => "stack",
            Self::Handles => "handles",
            Self::HostcallFuel => "hostcall-fuel",
            Self::HostCalls => "host-calls",
            Self::ResponseBytes => "response-bytes",
            Self::ContextBytes => "context-bytes",
            Self::RequestBytes => "request-bytes",
            Self::StateBytes => "state-bytes",
        }
    }
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose fault an error is. Only the plugin's count for its breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The plugin broke a limit, trapped or answered nonsense.
    Plugin,
    /// The host, or something it waited for.
    Host,
    /// Nobody: the plugin answered with an error value, as it may.
    Nobody,
}

/// Why a call of a plugin gave no answer.
///
/// `Display` is for the provider's log; a customer sees none of it but the texts of `Denied` and `Guest`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The plugin answered `denied`: the product does not grant what was asked.
    #[error("denied: {0}")]
    Denied(String),
    /// The plugin answered with another error.
    #[error("the plugin answered with an error")]
    Guest(#[source] CapabilityError),
    /// The call ran into a limit.
    #[error("over the limit `{0}`")]
    Limit(LimitKind),
    /// The guest trapped.
    #[error("trapped: {message}")]
    Trap {
        /// What kind of trap.
        message: String,
        /// Functions of the guest, the innermost first, one a line. Empty when there were no frames.
        backtrace: String,
    },
    /// The call took longer than it may.
    #[error("no answer within {} ms{}", after.as_millis(), waiting(*waiting_on))]
    Timeout {
        /// How long it was given.
        after: Duration,
        /// The function of the host that it was waiting for at the end, if any.
        waiting_on: Option<&'static str>,
    },
    /// The plugin's answer breaks the contract.
    #[error("invalid answer: {0}")]
    Invalid(String),
    /// The component does not fit this version of the contract.
    #[error("incompatible: {0}")]
    Incompatible(String),
    /// No room for another call within the time that a caller may wait.
    #[error("overloaded: {queue} calls at a time, all in use")]
    Overloaded {
        /// Which bound was in the way.
        queue: Queue,
        /// When trying again is sensible.
        retry_after: Duration,
    },
    /// The plugin failed so often that it is left alone for a while.
    #[error("suspended after repeated failures")]
    Suspended {
        /// When it is tried again.
        retry_after: Duration,
    },
    /// A function of the host panicked.
    #[error("the host failed in `{function}`: {message}")]
    Host {
        /// Which function.
        function: &'static str,
        /// The text of the panic. For the log only.
        message: String,
    },
}

fn waiting(function: Option<&'static str>) -> String {
    function.map_or_else(String::new, |function| format!(", waiting for `{function}`"))
}

impl PluginError {
    /// Whose fault it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Denied(_) | Self::Guest(_) => Blame::Nobody,
            Self::Limit(LimitKind::ContextBytes | LimitKind::RequestBytes)
            | Self::Timeout {
                waiting_on: Some(_), ..
            }
            | Self::Overloaded { .. }
            | Self::Suspended { .. }
            | Self::Host { .. } => Blame::Host,
            Self::Limit(_)
            | Self::Trap { .. }
            | Self::Timeout { waiting_on: None, .. }
            | Self::Invalid(_)
            | Self::Incompatible(_) => Blame::Plugin,
        }
    }

    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::Suspended { .. }
                | Self::Timeout {
                    waiting_on: Some(_),
                    ..
                }
        ) || matches!(
            self,
            Self::Guest(CapabilityError::Unavailable | CapabilityError::Busy(_))
        )
    }

    /// When trying again is sensible, for `Retry-After`.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::Suspended { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The outcome's name for logs and metrics.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Guest(_) => "guest-error",
            Self::Limit(_) => "limit",
            Self::Trap { .. } => "trap",
            Self::Timeout { .. } => "timeout",
            Self::Invalid(_) => "invalid",
            Self::Incompatible(_) => "incompatible",
            Self::Overloaded { .. } => "overloaded",
            Self::Suspended { .. } => "suspended",
            Self::Host { .. } => "host",
        }
    }

    /// Reads the type of an error that came out of making an instance. What is neither a trap nor a limit is a component
    /// whose exports or imports do not have the types of the contract.
    pub(crate) fn from_instantiation(error: &wasmtime::Error) -> Self {
        match Self::from_wasmtime(error) {
            Self::Trap { message, .. } if error.downcast_ref::<Trap>().is_none() => {
                Self::Incompatible(message)
            }
            other => other,
        }
    }

    /// Reads the type of an error that came out of the guest.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error) -> Self {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return fault.clone().into();
        }
        if error
            .downcast_ref::<wasmtime::component::ResourceTableError>()
            .is_some()
        {
            return Self::Limit(LimitKind::Handles);
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return Self::Trap {
                message: exit.to_string(),
                backtrace: backtrace(error),
            };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::StackOverflow => Self::Limit(LimitKind::Stack),
                Trap::Interrupt => Self::Limit(LimitKind::Cpu),
                trap => Self::Trap {
                    message: trap.to_string(),
                    backtrace: backtrace(error),
                },
            };
        }
        let message = format!("{error:#}");
        // wasmtime 48 has no public type for these two.
        if message.contains("fuel allocated for hostcalls has been exhausted") {
            return Self::Limit(LimitKind::HostcallFuel);
        }
        if message.contains("store handle limit exceeded") {
            return Self::Limit(LimitKind::Handles);
        }
        Self::Trap {
            message,
            backtrace: backtrace(error),
        }
    }
}

fn backtrace(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let names = trace.frames().iter().map(|frame| {
        let name = frame
            .symbols()
            .iter()
            .find_map(wasmtime::FrameSymbol::name)
            .or_else(|| frame.func_name());
        name.map_or_else(|| format!("function {}", frame.func_index()), str::to_owned)
    });
    names.collect::<Vec<_>>().join("\n")
}

/// A bound on calls at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queue {
    /// Of one customer.
    Customer,
    /// Of one plugin.
    Plugin,
    /// Of the whole runtime: slots of the instance pool.
    Pool,
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Customer => "this customer's",
            Self::Plugin => "this plugin's",
            Self::Pool => "the pool's",
        })
    }
}

/// Why the host ended a guest, as it travels through the guest's frames.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    #[error("over the limit `{0}`")]
    Limit(LimitKind),
    #[error("`{function}` panicked: {message}")]
    HostPanic { function: &'static str, message: String },
    #[error("`{function}` did not answer within {} ms", after.as_millis())]
    HostTimeout { function: &'static str, after: Duration },
}

impl Fault {
    /// A panic of a host function, from what `catch_unwind` returned.
    pub(crate) fn panicked(function: &'static str, panic: &(dyn Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::HostPanic { function, message }
    }
}

impl From<Fault> for PluginError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Limit(kind) => Self::Limit(kind),
            Fault::HostPanic { function, message } => Self::Host { function, message },
            Fault::HostTimeout { function, after } => Self::Timeout {
                after,
                waiting_on: Some(function),
            },
        }
    }
}
