//! Moving a job by a plugin, and waiting for its tasks: what the job engine asks for.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use portico_proxmox::{Reason, TaskState, Upid};
use portico_runtime::bindings::guest;
use portico_runtime::bindings::types::Task;
use portico_runtime::{JobStep, PluginError};

use super::Plugins;
use super::call::{Subject, build};
use super::components::chain;
use crate::capability::{Origin, Parts};
use crate::domain::{Records, Service};
use crate::jobs::{
    Advance, AdvanceError, Advanced, Event, Job, Journal, Progress, Step, TaskOutcome, TaskRef, Tasks,
};

/// The plugins as the job engine uses them.
#[derive(Debug, Clone)]
pub struct Stepper {
    /// The plugins.
    pub plugins: Plugins,
    /// The records.
    pub records: Records,
    /// What capabilities need.
    pub parts: Parts,
}

#[async_trait]
impl Advance for Stepper {
    async fn advance(&self, job: &Job, journal: Journal) -> Result<Advanced, AdvanceError> {
        let subject = self.subject(job).await?;
        let set = self.plugins.set();
        let Some(installed) = set.plugins.get(&job.plugin) else {
            // It may come back: an upgrade that failed is mended, a file is found again.
            return Err(later("The feature is not available at the moment."));
        };
        let origin = Origin::Job {
            job: Box::new(job.clone()),
            journal: journal.clone(),
        };
        let request_id = format!("{}-{}", job.id, job.step);
        let call = build(&self.parts, &subject, installed, &request_id, origin);
        let step = JobStep {
            job: guest::Job {
                id: job.id.to_string(),
                kind: job.kind.clone(),
                state: job.state.clone(),
                step: job.step,
                started: job.started.unwrap_or(job.created).as_second(),
                attempt: job.attempt,
            },
            event: event(&job.event),
            exclusive: job.exclusive,
        };
        match self
            .plugins
            .runtime()
            .advance(&installed.plugin, call, step)
            .await
        {
            Ok(step) => Ok(Advanced {
                step: read(step),
                batch: journal.take_batch(),
            }),
            Err(error) => Err(Self::failed(job, &error)),
        }
    }

    fn committed(&self) {
        self.parts.outbox.wake();
    }
}

impl Stepper {
    async fn subject(&self, job: &Job) -> Result<Subject, AdvanceError> {
        let gone = |error: crate::domain::RecordError| {
            if error.is_not_found() {
                AdvanceError {
                    reason: "The service does not exist any more.".to_owned(),
                    retryable: false,
                }
            } else {
                tracing::error!(job = %job.id, %error, "the records of a job cannot be read");
                later("The panel could not read its records.")
            }
        };
        let service = self.records.service(job.service).await.map_err(gone)?.value;
        let product = self.records.product(&service.product).await.map_err(gone)?.value;
        let customer = self
            .records
            .customer(&service.customer)
            .await
            .map_err(gone)?
            .value;
        Ok(Subject {
            service,
            product,
            customer,
        })
    }

    fn failed(job: &Job, error: &PluginError) -> AdvanceError {
        tracing::error!(
            job = %job.id, step = job.step, plugin = %job.plugin, kind = job.kind,
            error = %chain(error), outcome = error.outcome(), "a step of a job failed"
        );
        if let PluginError::Trap { backtrace, .. } = error {
            tracing::error!(job = %job.id, plugin = %job.plugin, backtrace, "where the plugin trapped");
        }
        AdvanceError {
            reason: "The feature failed; the provider has been told.".to_owned(),
            // A call that was cut off may have been about to start something; the journal knows, and a later run asks it.
            retryable: error.is_transient() || matches!(error, PluginError::Timeout { .. }),
        }
    }

    async fn service(&self, job: &Job) -> Option<Service> {
        self.records
            .service(job.service)
            .await
            .ok()
            .map(|service| service.value)
    }
}

fn later(reason: &str) -> AdvanceError {
    AdvanceError {
        reason: reason.to_owned(),
        retryable: true,
    }
}

fn event(event: &Event) -> guest::Event {
    match event {
        Event::Started => guest::Event::Started,
        Event::Woke => guest::Event::Woke,
        Event::Continued => guest::Event::Continued,
        Event::TaskEnded { task, outcome } => guest::Event::TaskEnded(guest::Outcome {
            task: Task { id: task.clone() },
            ok: outcome.ok,
            warnings: outcome.warnings,
            message: outcome.message.clone(),
            reason: outcome.reason.clone(),
        }),
    }
}

fn read(step: guest::Step) -> Step {
    let progress = |progress: guest::Progress| Progress {
        text: progress.text,
        fraction: progress.fraction,
    };
    match step {
        guest::Step::AwaitTask(awaiting) => Step::AwaitTask {
            task: awaiting.task.id,
            state: awaiting.state,
            progress: progress(awaiting.progress),
        },
        guest::Step::SleepUntil(sleeping) => Step::SleepUntil {
            until: Timestamp::from_second(sleeping.until).unwrap_or(Timestamp::MAX),
            state: sleeping.state,
            progress: progress(sleeping.progress),
        },
        guest::Step::Continue(continuing) => Step::Continue {
            state: continuing.state,
            progress: progress(continuing.progress),
        },
        guest::Step::Done(text) => Step::Done(text),
        guest::Step::Failed(failure) => Step::Failed {
            reason: failure.reason,
            retryable: failure.retryable,
        },
    }
}

/// How long a task whose cluster has no usable record is left alone before it is looked for again.
const WITHOUT_CLUSTER: Duration = Duration::from_secs(30);

#[async_trait]
impl Tasks for Stepper {
    async fn node(&self, job: &Job) -> Option<String> {
        let service = self.service(job).await?;
        let live = self.parts.live.vm(&service).await.ok()?;
        let node = live.handle().node().await.ok()?;
        Some(format!("{}/{node}", service.cluster))
    }

    async fn ended(&self, job: &Job, task: &TaskRef) -> TaskOutcome {
        let Ok(upid) = task.upid.parse::<Upid>() else {
            return outcome(&TaskState::Lost);
        };
        loop {
            if let Some(service) = self.service(job).await
                && let Ok(client) = self.parts.live.clusters().client(&service.cluster).await
            {
                let state = self.parts.live.tasks().ended(&client, &upid).await;
                if let TaskState::Failed { text, .. } = &state {
                    tracing::warn!(job = %job.id, %upid, text, "a task of Proxmox failed");
                }
                if let Ok(live) = self.parts.live.vm(&service).await {
                    live.touched();
                }
                return match state {
                    TaskState::Failed { ref text, .. } => TaskOutcome {
                        detail: Some(format!("{upid} {text}")),
                        ..outcome(&state)
                    },
                    state => outcome(&state),
                };
            }
            self.parts.clock.sleep(WITHOUT_CLUSTER).await;
        }
    }

    async fn job_ended(&self, job: &Job) {
        if let Some(service) = self.service(job).await
            && let Ok(live) = self.parts.live.vm(&service).await
        {
            live.touched();
        }
    }
}

/// What the end of a task means for a customer. Proxmox's own text stays in the provider's log.
fn outcome(state: &TaskState) -> TaskOutcome {
    let failed = |message: &str, reason: &str| TaskOutcome {
        ok: false,
        warnings: false,
        message: message.to_owned(),
        reason: reason.to_owned(),
        detail: None,
    };
    match state {
        TaskState::Succeeded | TaskState::SucceededWithWarnings(_) => TaskOutcome {
            ok: true,
            warnings: matches!(state, TaskState::SucceededWithWarnings(_)),
            message: String::new(),
            reason: String::new(),
            detail: None,
        },
        TaskState::Lost | TaskState::Running => failed("It was broken off.", "other"),
        TaskState::Failed { reason, .. } => match reason {
            Reason::ShutdownTimeout => failed("The VM did not shut down in time.", "timeout"),
            Reason::Locked(_) | Reason::LockTimeout => failed("Another operation held the VM.", "locked"),
            Reason::SnapshotsUnsupported => {
                failed("The storage of this VM cannot take snapshots.", "unsupported")
            }
            Reason::StateUnsupported => failed("The memory of this VM cannot be saved.", "unsupported"),
            Reason::SnapshotNotMostRecent => failed(
                "The storage can only go back to the newest snapshot.",
                "not-newest",
            ),
            Reason::SnapshotIncomplete => failed("The snapshot was never completed.", "missing"),
            Reason::SnapshotNameUsed => failed("A snapshot of this name exists.", "exists"),
            Reason::SnapshotNotFound => failed("The snapshot does not exist any more.", "missing"),
            Reason::NotRunning => failed("The VM is not running.", "not-running"),
            Reason::AlreadyRunning => failed("The VM is running already.", "exists"),
            Reason::Interrupted => failed("It was broken off.", "other"),
            Reason::NoQuorum | Reason::Timeout => failed("The cluster did not answer in time.", "timeout"),
            _ => failed("It failed; the provider can see the reason.", "other"),
        },
    }
}
