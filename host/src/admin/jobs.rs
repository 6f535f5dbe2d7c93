//! Failed jobs by command.

use std::collections::HashMap;

use super::protocol::{AdminAnswer, AdminFailure, FailedJobView};
use super::service::{Admin, record_failure};
use crate::domain::Service;
use crate::jobs::{Job, JobId, RetryError, StartError};

/// Jobs a list shows.
const LISTED: usize = 1_000;

impl Admin {
    pub(super) async fn failed_jobs(&self) -> Result<AdminAnswer, AdminFailure> {
        let jobs = self.parts.jobs.failed(LISTED).await;
        let jobs = jobs.map_err(|error| AdminFailure::failed(&error))?;
        let services = self.parts.records.services().await;
        let services = services.map_err(|error| record_failure(&error))?;
        let services: HashMap<_, _> = services
            .into_iter()
            .map(|service| (service.value.id, service.value))
            .collect();
        let views = jobs.into_iter().map(|job| {
            let service = services.get(&job.service);
            view(job, service)
        });
        Ok(AdminAnswer::FailedJobs(views.collect()))
    }

    pub(super) async fn retry_job(&self, id: &JobId) -> Result<AdminAnswer, AdminFailure> {
        let new = self.parts.jobs.retry(id).await.map_err(|error| failure(&error))?;
        self.log("job.retry", Some(id.to_string()), format!("runs again as {new}"))
            .await;
        Ok(AdminAnswer::Started(new))
    }

    pub(super) async fn dismiss_job(&self, id: &JobId) -> Result<AdminAnswer, AdminFailure> {
        let job = self.parts.jobs.dismiss(id).await;
        let job = job.map_err(|error| failure(&error))?;
        self.log(
            "job.dismiss",
            Some(id.to_string()),
            format!("{}: {}", job.title, job.outcome),
        )
        .await;
        Ok(AdminAnswer::Done { notes: Vec::new() })
    }
}

fn view(job: Job, service: Option<&Service>) -> FailedJobView {
    FailedJobView {
        machine: service.map(|service| format!("{}/{}", service.cluster, service.vmid)),
        hostname: service
            .map(|service| service.hostname.clone())
            .unwrap_or_default(),
        customer: service
            .map(|service| service.customer.to_string())
            .unwrap_or_default(),
        id: job.id,
        plugin: job.plugin,
        title: job.title,
        reason: job.outcome,
        detail: job.detail,
        ended: job.ended,
    }
}

fn failure(error: &RetryError) -> AdminFailure {
    let hint = match error {
        RetryError::Start(StartError::Store(error)) => return AdminFailure::failed(error),
        RetryError::Start(StartError::Busy(_)) => "retry it when that has ended",
        RetryError::Start(StartError::KeyTaken(_)) => "the same work is under way already: dismiss this job",
        RetryError::Start(_) => "",
        RetryError::NotFound(_) | RetryError::NotFailed => "`portico job list` shows what failed",
        RetryError::NoState => "let the customer do it again, and dismiss this job",
    };
    AdminFailure::refused(error.to_string(), hint)
}
