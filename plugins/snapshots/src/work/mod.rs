//! The jobs.
//!
//! - [`take`]: a snapshot, by hand or by schedule.
//! - [`rollback`]: back to one, then today's plan, then on again.
//! - [`remove`]: away with one, because the customer wants it or its time is over.
//! - [`watch`]: timers, and the daily look whether they are all there.
//!
//! Each first looks and decides, stores what it decided, and acts on it in the next step: a step that is run again after
//! a crash then does the same thing, whatever the world looks like meanwhile.

mod remove;
mod rollback;
mod take;
mod watch;

pub(crate) use remove::{Expire, Remove};
pub(crate) use rollback::Rollback;
pub(crate) use take::{Order, Take};
pub(crate) use watch::Sweep;
