//! What the provider does by command: apply the file, users, lists, the check of a cluster.
//!
//! The store belongs to one process. While the panel runs, a command therefore asks the panel, over a socket in
//! the store's directory; while it does not, the command opens the store itself. Both ways end in the same
//! [`Admin::handle`], so there is one logic and one set of answers.
//!
//! - [`protocol`]: requests, answers, failures, as JSON;
//! - [`Admin`]: does what they ask (`service`, with `users`, `plugins`, `jobs` and `check` beside it);
//! - [`socket`]: the way to a running panel, for the panel's own user and root only;
//! - [`privileges`]: which privilege each feature needs, by PVE major version.
//!
//! To add a command: a request and an answer in [`protocol`], a method on [`Admin`], and the command in
//! [`crate::cli`].
//!
//! Deliberately not here: printing and asking, which is [`crate::cli`]'s; anything a customer can reach.

mod check;
mod jobs;
mod plugins;
pub mod privileges;
pub mod protocol;
mod service;
pub mod socket;
mod users;

#[cfg(test)]
mod tests;

pub use self::protocol::{AdminAnswer, AdminFailure, AdminRequest, PluginHealth};
pub use self::service::{Admin, AdminParts, NoReload, RandomServiceIds, Reload, RuledPasswords};
