//! Who may call at a time: semaphores in front of the instance pool, so that a full pool is a wait and then a clear
//! refusal, never an error of the allocator.
//!
//! The order is customer, plugin, pool. A customer's calls over its share wait without holding anything of the plugin's or
//! the pool's, and a plugin's without holding slots of the pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::{PluginError, Queue};
use crate::limits::Limits;

/// Number of customers from which the map of their semaphores is swept of those that call nothing.
const SWEEP_FROM: usize = 1_024;

/// The permits of all calls.
#[derive(Debug)]
pub(crate) struct Pool {
    slots: Arc<Semaphore>,
    customers: Mutex<HashMap<String, Weak<Semaphore>>>,
    customer_concurrency: usize,
    wait: Duration,
}

/// Room for one call; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _pool: OwnedSemaphorePermit,
    _plugin: OwnedSemaphorePermit,
    _customer: Option<(OwnedSemaphorePermit, Arc<Semaphore>)>,
}

impl Pool {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.pool_size as usize)),
            customers: Mutex::default(),
            customer_concurrency: limits.customer_concurrency as usize,
            wait: limits.queue(),
        }
    }

    /// Slots that are free now.
    pub(crate) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// Waits for room, in all at most the time of the limits. Without a customer (install) only plugin and pool count.
    ///
    /// # Errors
    /// [`PluginError::Overloaded`] with the queue that was full.
    pub(crate) async fn enter(
        &self,
        plugin: &Arc<Semaphore>,
        customer: Option<&str>,
    ) -> Result<Permit, PluginError> {
        let deadline = Instant::now() + self.wait;
        let customer = match customer {
            Some(key) => {
                let semaphore = self.customer(key);
                let permit = self.take(&semaphore, deadline, Queue::Customer).await?;
                Some((permit, semaphore))
            }
            None => None,
        };
        Ok(Permit {
            _customer: customer,
            _plugin: self.take(plugin, deadline, Queue::Plugin).await?,
            _pool: self.take(&self.slots, deadline, Queue::Pool).await?,
        })
    }

    async fn take(
        &self,
        semaphore: &Arc<Semaphore>,
        deadline: Instant,
        queue: Queue,
    ) -> Result<OwnedSemaphorePermit, PluginError> {
        let permit = timeout_at(deadline, Arc::clone(semaphore).acquire_owned()).await;
        // No semaphore of this module is ever closed; if one were, there would be no room either.
        let Ok(Ok(permit)) = permit else {
            let retry_after = self.wait.max(Duration::from_secs(1));
            return Err(PluginError::Overloaded { queue, retry_after });
        };
        Ok(permit)
    }

    fn customer(&self, key: &str) -> Arc<Semaphore> {
        let mut customers = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = customers.get(key).and_then(Weak::upgrade) {
            return semaphore;
        }
        if customers.len() >= SWEEP_FROM {
            customers.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let semaphore = Arc::new(Semaphore::new(self.customer_concurrency));
        customers.insert(key.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn pool(pool_size: u32, customer_concurrency: u32) -> Pool {
        Pool::new(&Limits {
            pool_size,
            customer_concurrency,
            queue_ms: 20,
            ..Limits::default()
        })
    }

    fn queue(result: Result<Permit, PluginError>) -> Queue {
        match result {
            Err(PluginError::Overloaded { queue, .. }) => queue,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_bound_that_is_full_is_named_after_the_wait() {
        let pool = pool(3, 2);
        let (one, other) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(9)));
        let first = pool.enter(&one, Some("a")).await.unwrap();
        let before = Instant::now();
        assert_eq!(queue(pool.enter(&one, Some("b")).await), Queue::Plugin);
        assert!(before.elapsed() >= Duration::from_millis(20));
        let _second = pool.enter(&other, Some("a")).await.unwrap();
        assert_eq!(queue(pool.enter(&other, Some("a")).await), Queue::Customer);
        let _third = pool.enter(&other, Some("b")).await.unwrap();
        assert_eq!(queue(pool.enter(&other, Some("c")).await), Queue::Pool);
        drop(first);
        assert!(pool.enter(&one, Some("c")).await.is_ok());
    }

    #[tokio::test]
    async fn one_customer_that_floods_holds_no_slot_that_another_waits_for() {
        let pool = Arc::new(pool(2, 1));
        let plugin = Arc::new(Semaphore::new(9));
        let _held = pool.enter(&plugin, Some("flood")).await.unwrap();
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let (pool, plugin) = (Arc::clone(&pool), Arc::clone(&plugin));
                tokio::spawn(async move { pool.enter(&plugin, Some("flood")).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(pool.enter(&plugin, Some("other")).await.is_ok());
        for task in waiting {
            assert_eq!(queue(task.await.unwrap()), Queue::Customer);
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_taken() {
        let pool = pool(1, 1);
        let plugin = Arc::new(Semaphore::new(1));
        let held = pool.enter(&plugin, Some("a")).await.unwrap();
        {
            let mut waiting = std::pin::pin!(pool.enter(&plugin, Some("b")));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(held);
        drop(pool.enter(&plugin, Some("b")).await.unwrap());
        assert_eq!(pool.free_slots(), 1);
    }
}
