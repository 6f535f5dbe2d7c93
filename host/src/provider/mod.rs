//! The provider's file: clusters, plugins, products, customers and services, declared in one TOML file that is
//! kept in version control and applied again after every change.
//!
//! The way of a file, one step a module:
//!
//! 1. [`parse`] reads it key by key ([`mod@file`], on the reader in `reader`) and reports every problem at once
//!    ([`Problems`]), each with line, key and remedy.
//! 2. [`Applier::plan`] inspects the plugins' components through a port ([`ComponentInspector`]), reads the
//!    store ([`State`]), checks names and uniqueness over everything (`check`, `settings`), and compares
//!    (`diff`). The [`Plan`] can be shown; nothing is changed yet.
//! 3. [`Applier::apply`] writes it in one batch, or nothing when anything was written meanwhile.
//!
//! What the file owns: clusters and products altogether; of plugins, customers and services those it named
//! once. What a command made stays until the file names it. What customers change themselves (password, locale,
//! time zone) and what staff may change (suspension, disabling) the file sets only where it says so and, for
//! the former, only on the first day.
//!
//! Secrets stand in it as references only, and stay references in the store.
//!
//! To add a key: the field in [`crate::domain`], a line in the section's `read` in `file/`. To add a section: a
//! file in `file/`, a line in [`ProviderFile`], [`State`] and the plan.
//!
//! Deliberately not here: asking whether to go on and printing ([`crate::cli`]), running components.

mod apply;
mod approval;
mod check;
mod diff;
pub mod file;
mod inspect;
mod plan;
mod problem;
mod reader;
pub mod settings;
mod state;

#[cfg(test)]
mod tests;

pub use self::apply::{Applier, ApplyError, PasswordHasher, ServiceIds};
pub use self::approval::approve;
pub use self::diff::{Action, Change, FieldChange};
pub use self::file::{Approve, ProviderFile, parse};
pub use self::inspect::{ComponentInspector, InspectError, Inspection};
pub use self::plan::{Plan, PlanOptions};
pub use self::problem::{Problem, Problems};
pub use self::state::State;
