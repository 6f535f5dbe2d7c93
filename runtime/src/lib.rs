//! Runs the plugins of Portico: sandboxed WebAssembly components of the world `feature` (`wit/`).
//!
//! This crate knows the contract and wasmtime. It knows no HTTP server, no Proxmox and no store: the host hands each call
//! a set of [`capability::Ports`], and whatever a plugin does outside its memory goes through them.
//!
//! # The way of a call
//!
//! [`Runtime::handle`] and [`Runtime::advance`] go, in this order, through the [`breaker`] of the plugin, the queues of
//! customer, plugin and pool, a fresh store and instance under all [`Limits`], and a check of the answer. Host functions
//! that the guest calls meanwhile go through one gate (`capability/gate.rs`). Nothing of a call is left after it.
//!
//! # The way of a component
//!
//! [`Runtime::install`] compiles it (or takes it from the authenticated [`cache`]), links exactly the interfaces that it
//! imports and the provider approved, asks it for description and templates without any capability, checks both, and
//! returns a [`Plugin`]. A [`Registry`] swaps plugins in atomically.
//!
//! # Rooms
//!
//! - [`bindings`]: types generated from `wit/`.
//! - [`capability`]: one file an interface: its functions and scopes, its port, its implementation.
//! - [`template`], [`markup`]: the sandbox for a plugin's templates and the policy for what they render.
//! - `engine`, `state`, `tally`: configuration of wasmtime, what a store holds, what a call uses.
//!
//! # Adding a limit
//!
//! A field with its default in [`Limits`], its check in [`Limits::validate`], its kind in [`LimitKind`], and a test in
//! `tests/` with a guest that runs into it.

mod answer;
pub mod bindings;
pub mod breaker;
pub mod cache;
pub mod capability;
mod description;
mod digest;
mod engine;
mod error;
mod inspect;
mod install;
pub mod json;
mod limits;
mod linking;
pub mod markup;
mod observe;
mod path;
mod plugin;
mod pool;
mod registry;
mod runtime;
mod scope;
mod settings;
mod state;
mod tally;
pub mod template;
mod wasi;

pub use bindings::CapabilityError;
pub use cache::{CacheConfig, CacheError};
pub use capability::{CallNumber, Ports};
pub use description::Problem;
pub use digest::{Digest, DigestError};
pub use error::{Blame, LimitKind, PluginError, Queue};
pub use inspect::{ImportedInterface, Inspection, Resources};
pub use install::{Approval, InstallError};
pub use limits::{BreakerLimits, Limits, LimitsError, TimeLimits};
pub use observe::{CallReport, NoObserver, Observer};
pub use plugin::Plugin;
pub use registry::Registry;
pub use runtime::{Call, JobStep, Runtime, RuntimeConfig, StartError};
pub use scope::{Scope, ScopeSet, UnknownScope};
pub use settings::{SchemaError, SettingsError, SettingsSchema};
