//! Jobs that failed. They wait for the provider, who looks at the reason, removes the cause, and retries or dismisses.
//!
//! A retry is a new job with the state that the failed one began with: it runs from its first step, and takes the failed
//! one's place in the same transaction, so that nobody retries twice.

use super::record::{Actor, Job, JobId, Phase, owner_key};
use super::start::{Jobs, NewJob, StartError, Way};
use crate::store::{Batch, Scan, StoreError, StoreExt, Table, Versioned};

/// Why a failed job was not retried or dismissed.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such job, or not any more.
    #[error("there is no job `{0}`")]
    NotFound(JobId),
    /// The job has not failed.
    #[error("the job has not failed: only a failed one can be retried or dismissed")]
    NotFailed,
    /// The record does not have the state it began with.
    #[error("the job was made before retries were possible")]
    NoState,
    /// The new job was not started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<StoreError> for RetryError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Jobs {
    /// Jobs that failed and wait for the provider, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn failed(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        let mut failed = Vec::new();
        let mut next = Some(Scan::table(Table::Jobs).reverse());
        while let Some(scan) = next.filter(|_| failed.len() < limit) {
            let page = self.store.list::<Job>(&scan).await?;
            failed.extend(
                page.entries
                    .into_iter()
                    .map(|(_, job)| job.value)
                    .filter(|job| job.phase == Phase::Failed),
            );
            next = page.next;
        }
        failed.truncate(limit);
        Ok(failed)
    }

    /// Runs a failed job again, as a new one from its first step.
    ///
    /// # Errors
    /// [`RetryError`]; the failed job is then still there.
    pub async fn retry(&self, id: &JobId) -> Result<JobId, RetryError> {
        let failed = self.ended_badly(id).await?;
        let job = &failed.value;
        let new = NewJob {
            service: job.service,
            plugin: job.plugin.clone(),
            kind: job.kind.clone(),
            title: job.title.clone(),
            operation: job.operation.clone(),
            state: job.initial.clone().ok_or(RetryError::NoState)?,
            key: job.key.clone(),
            exclusive: job.exclusive,
            deadline_secs: job.deadline_secs,
            // The customer did not ask a second time: his request stands in the log already.
            actor: Actor::System,
        };
        match self.add(self.new_id(), new, Way::InsteadOf(&failed)).await {
            // Somebody else was quicker.
            Err(StartError::Store(error)) if error.is_conflict() => Err(RetryError::NotFound(id.clone())),
            other => Ok(other?),
        }
    }

    /// Removes a failed job. What happened stays in the activity log.
    ///
    /// # Errors
    /// [`RetryError`].
    pub async fn dismiss(&self, id: &JobId) -> Result<Job, RetryError> {
        let failed = self.ended_badly(id).await?;
        let mut batch = Batch::new();
        self.drop_ended(&mut batch, &failed).await?;
        match self.store.apply(batch).await {
            Err(error) if error.is_conflict() => Err(RetryError::NotFound(id.clone())),
            other => other.map(|_| failed.value).map_err(RetryError::from),
        }
    }

    async fn ended_badly(&self, id: &JobId) -> Result<Versioned<Job>, RetryError> {
        let job = self.store.load::<Job>(&id.key()).await?;
        let job = job.ok_or_else(|| RetryError::NotFound(id.clone()))?;
        match job.value.phase {
            Phase::Failed => Ok(job),
            Phase::Waiting | Phase::Running | Phase::Done => Err(RetryError::NotFailed),
        }
    }

    /// Adds the removal of an ended job to `batch`.
    pub(super) async fn drop_ended(&self, batch: &mut Batch, job: &Versioned<Job>) -> Result<(), StoreError> {
        let id = &job.value.id;
        self.purge.cancel(batch, id.as_str()).await?;
        batch
            .remove(Table::Jobs, id.key(), job.version)
            .delete(Table::JobOwners, owner_key(job.value.service, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
