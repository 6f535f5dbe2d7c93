//! The turns that calls take, so that no more of them are under way than a host has workers for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many turns; more than the semaphore can count are no limit.
pub(super) fn turns(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

/// The turns of an endpoint.
///
/// One in four is for calls that no node has to answer: nodes that hang cannot take those, and the list that tells
/// where VMs are stays to be had.
#[derive(Debug)]
pub(super) struct EndpointTurns {
    all: Arc<Semaphore>,
    about_nodes: Arc<Semaphore>,
}

/// A turn at an endpoint. Dropping it gives it back.
pub(super) struct Turn {
    _one_of_all: OwnedSemaphorePermit,
    _about_a_node: Option<OwnedSemaphorePermit>,
}

impl EndpointTurns {
    pub(super) fn new(count: usize) -> Self {
        Self {
            all: turns(count),
            about_nodes: turns(count - count / 4),
        }
    }

    /// A turn that is free now.
    pub(super) fn at_once(&self, about_a_node: bool) -> Option<Turn> {
        let about_a_node = if about_a_node {
            Some(Arc::clone(&self.about_nodes).try_acquire_owned().ok()?)
        } else {
            None
        };
        Some(Turn {
            _one_of_all: Arc::clone(&self.all).try_acquire_owned().ok()?,
            _about_a_node: about_a_node,
        })
    }

    /// A turn, as soon as there is one. `None` never comes: the semaphores are not closed.
    pub(super) async fn wait(&self, about_a_node: bool) -> Option<Turn> {
        let about_a_node = if about_a_node {
            Some(Arc::clone(&self.about_nodes).acquire_owned().await.ok()?)
        } else {
            None
        };
        Some(Turn {
            _one_of_all: Arc::clone(&self.all).acquire_owned().await.ok()?,
            _about_a_node: about_a_node,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(turns: &EndpointTurns, about_a_node: bool) -> Vec<Turn> {
        std::iter::from_fn(|| turns.at_once(about_a_node)).collect()
    }

    #[test]
    fn calls_about_nodes_leave_some_turns_to_the_others() {
        for (count, about_nodes) in [(1, 1), (2, 2), (4, 3), (8, 6), (16, 12)] {
            let turns = EndpointTurns::new(count);
            let held = taken(&turns, true);
            assert_eq!(held.len(), about_nodes, "{count}");
            assert_eq!(taken(&turns, false).len(), count - about_nodes, "{count}");
        }
    }

    #[test]
    fn the_others_may_take_all_turns_and_give_them_back() {
        let turns = EndpointTurns::new(8);
        let held = taken(&turns, false);
        assert_eq!((held.len(), taken(&turns, true).len()), (8, 0));
        drop(held);
        assert_eq!(taken(&turns, true).len(), 6);
    }
}
