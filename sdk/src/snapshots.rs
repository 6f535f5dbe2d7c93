//! Snapshots of the VM. Scopes: `snapshots.read` for [`list`] and [`ability`], then `snapshots.create`, `.rollback`,
//! `.remove`.
//!
//! [`create`], [`rollback`] and [`remove`] start work and are allowed only in a step of an exclusive job, as in
//! [`power`](crate::power).

use crate::bindings::portico::plugin::snapshots as contract;
use crate::import::snapshots as import;
use crate::{Error, Task};

pub use contract::{Ability, Phase, Snapshot};

/// All snapshots, the oldest first, fresh from Proxmox.
///
/// # Errors
/// `unavailable` when Proxmox does not answer.
pub fn list() -> Result<Vec<Snapshot>, Error> {
    import::list()
}

/// Whether snapshots can be taken on this VM's storage, and what rolling back means there.
///
/// # Errors
/// As [`list`].
pub fn ability() -> Result<Ability, Error> {
    import::feature()
}

/// Takes a snapshot. `name` has 2…40 characters: a letter, then letters, digits, `_` or `-`. `description` has at most
/// 1,024 characters.
///
/// # Errors
/// `conflict` when the name is taken, `busy` when another operation holds the VM.
pub fn create(name: &str, description: &str, with_memory: bool) -> Result<Task, Error> {
    import::create(name, description, with_memory)
}

/// Goes back to a snapshot. A running VM is stopped hard, and its configuration of that time comes back: call
/// [`provision::apply_plan`](crate::provision::apply_plan) when the task has ended.
///
/// # Errors
/// `not-found` when it does not exist, `busy` when another operation holds the VM.
pub fn rollback(name: &str) -> Result<Task, Error> {
    import::rollback(name)
}

/// Removes a snapshot.
///
/// # Errors
/// `not-found` when it is already gone, `busy` when another operation holds the VM.
pub fn remove(name: &str) -> Result<Task, Error> {
    import::remove(name)
}
