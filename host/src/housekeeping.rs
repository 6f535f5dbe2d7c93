//! Removes what nobody needs any more: ended sessions, old activity, what was kept about services that are gone.
//!
//! It runs at the start, every hour, and when a provider file was applied. Each part goes on where it was cut off.
//!
//! Not here: ended jobs and mails, whose queues remove them at their time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auth::Sessions;
use crate::capability::storage;
use crate::clock::{Clock, earlier};
use crate::domain::Records;
use crate::jobs::schedule::Schedules;
use crate::store::StoreError;

/// How often it runs.
const EVERY: Duration = Duration::from_hours(1);
/// How soon it tries again after a failure: mostly, others wrote the same records.
const AGAIN: Duration = Duration::from_secs(30);

/// What it works on.
pub struct Housekeeping {
    /// Services that are gone, and activity.
    pub records: Records,
    /// Jobs and schedules.
    pub schedules: Schedules,
    /// Sessions.
    pub sessions: Sessions,
    /// The time.
    pub clock: std::sync::Arc<dyn Clock>,
    /// How long activity is kept.
    pub keep_activity: Duration,
    /// Wakes it before its time.
    pub wake: std::sync::Arc<Notify>,
}

impl Housekeeping {
    /// Runs until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = match self.once().await {
                Ok(()) => EVERY,
                Err(error) => {
                    tracing::warn!(%error, "old records could not be removed; it is tried again");
                    AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Removes what is to be removed now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn once(&self) -> Result<(), StoreError> {
        self.sessions.purge().await?;
        self.removed_services().await?;
        self.old_activity(earlier(self.clock.now(), self.keep_activity))
            .await
    }

    async fn removed_services(&self) -> Result<(), StoreError> {
        loop {
            let removed = self.records.removed_services().await?;
            if removed.is_empty() {
                return Ok(());
            }
            for id in removed {
                self.schedules.forget_service(id).await?;
                storage::forget_service(self.records.store(), id).await?;
                self.records.service_is_forgotten(id).await?;
                tracing::info!(service = %id, "what was kept about a removed service is gone");
            }
        }
    }

    async fn old_activity(&self, cutoff: Timestamp) -> Result<(), StoreError> {
        while self.records.forget_activity_before(cutoff).await? > 0 {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
