//! What all parts share: the world behind its lock, the clock, and the bookkeeping of what runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::http::answer::Errors;
use crate::http::tls::Identity;
use crate::world::World;

/// One running simulator.
#[derive(Debug)]
pub(crate) struct Simulation {
    world: Mutex<World>,
    /// The time.
    pub(crate) clock: Clock,
    /// Where the texts of refusals stand.
    pub(crate) errors: Errors,
    /// Everything that was spawned.
    pub(crate) tracker: TaskTracker,
    /// Cancelled at shutdown.
    pub(crate) stop: CancellationToken,
    /// Rung whenever a task ends or stuck tasks are released.
    pub(crate) changed: Notify,
    /// Whether every connection is dropped.
    pub(crate) down: watch::Sender<bool>,
    /// The certificate; a new one ends the connections of the old one.
    pub(crate) identity: watch::Sender<Identity>,
}

impl Simulation {
    /// A simulation of a world.
    pub(crate) fn new(world: World, clock: Clock, identity: Identity, errors: Errors) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            clock,
            errors,
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            changed: Notify::new(),
            down: watch::Sender::new(false),
            identity: watch::Sender::new(identity),
        })
    }

    /// The world; hold it shortly and never across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the VMs' numbers every ten seconds, as pvestatd does, until shutdown.
    pub(crate) async fn publish(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.clock.real(10.0)) => {}
            }
            let now = self.clock.now();
            self.world().publish_all(now);
        }
    }
}
