//! The end of everything that jobs and schedules know about a service that was removed.

use super::journal::Journal;
use super::record::{JobId, owner_prefix};
use super::schedule::Schedules;
use super::start::{Jobs, hold_key};
use crate::domain::ServiceId;
use crate::store::{Batch, Scan, StoreError, Table};

/// Jobs removed in one transaction.
const AT_ONCE: usize = 50;

impl Schedules {
    /// Removes the jobs, schedules, keys and the hold of a service, in several transactions. Saying it again after a crash
    /// removes what is left.
    ///
    /// A job that runs just then loses its record and stops at its next step; a task it has started in Proxmox goes on.
    ///
    /// # Errors
    /// When the store fails, or others write the same records just now: say it again.
    pub async fn forget_service(&self, service: ServiceId) -> Result<(), StoreError> {
        let prefix = owner_prefix(service);
        let schedules = Scan::prefix(Table::Schedules, &prefix);
        // Schedules first, so that none starts a job behind the removal of jobs.
        loop {
            let page = self.jobs().store.scan(&schedules).await?;
            for entry in &page.entries {
                self.remove_at(entry.key.clone()).await?;
            }
            if !page.more {
                break;
            }
        }
        self.jobs().forget_jobs(service).await
    }
}

impl Jobs {
    async fn forget_jobs(&self, service: ServiceId) -> Result<(), StoreError> {
        let prefix = owner_prefix(service);
        let owners = Scan::prefix(Table::JobOwners, &prefix).limit(AT_ONCE);
        loop {
            let page = self.store.scan(&owners).await?;
            let mut batch = Batch::new();
            for entry in &page.entries {
                let mut parts = entry.key.parts();
                let id = (parts.text(), parts.text());
                if let (_, Some(Ok(id))) = (&id.0, id.1.map(|id| id.parse::<JobId>())) {
                    self.due.cancel(&mut batch, id.as_str()).await?;
                    self.purge.cancel(&mut batch, id.as_str()).await?;
                    Journal::clear(&self.store, &id, &mut batch).await?;
                    batch.delete(Table::Jobs, id.key());
                }
                batch.delete(Table::JobOwners, entry.key.clone());
            }
            self.store.apply(batch).await?;
            if !page.more {
                break;
            }
        }
        loop {
            let page = self.store.scan(&Scan::prefix(Table::JobKeys, &prefix)).await?;
            let mut batch = Batch::new();
            for entry in page.entries {
                batch.delete(Table::JobKeys, entry.key);
            }
            batch.delete(Table::JobHolds, hold_key(service));
            self.store.apply(batch).await?;
            if !page.more {
                return Ok(());
            }
        }
    }
}
