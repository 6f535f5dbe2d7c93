//! The background of a plugin: jobs as typed states.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use crate::bindings::exports::portico::plugin::guest::Failure;
use crate::bindings::exports::portico::plugin::guest::{Awaiting, Continuing, Progress, Sleeping};
use crate::{Context, Error, Event, Job, Outcome, Step, Task};

/// A kind of job: the states it goes through, and how it goes from one to the next.
///
/// Usually an enum with a variant for each state, holding what is known in it. The value is written by serde after each
/// step and read before the next; variants and fields stay readable for as long as jobs of an older version may be
/// waiting.
///
/// A step may run again after a crash, with the same state and event. So let one step look and decide, and keep the
/// decision in the state ([`Step::go_on`]); let the next one act on it.
pub trait JobKind: Serialize + DeserializeOwned {
    /// The name that [`Description::background`](crate::Description::background) declares.
    const KIND: &'static str;

    /// Moves the job by one step.
    ///
    /// # Errors
    /// Ends the job as failed with [`Error::sentence`]; `busy` and `unavailable` are tried again by the host first.
    fn advance(self, cx: &Context, job: &Job, event: &Event) -> Result<Step, Error>;
}

/// Finds the kind of a job and moves it.
///
/// ```
/// # use portico_sdk::prelude::*;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Tidy;
/// # impl JobKind for Tidy {
/// #     const KIND: &'static str = "tidy";
/// #     fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> { Ok(Step::done("Tidied.")) }
/// # }
/// fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
///     Background::new(cx, job, event).kind::<Tidy>().step()
/// }
/// ```
#[derive(Debug)]
pub struct Background<'a> {
    cx: &'a Context,
    job: &'a Job,
    event: &'a Event,
    step: Option<Step>,
}

impl<'a> Background<'a> {
    /// Starts looking.
    pub fn new(cx: &'a Context, job: &'a Job, event: &'a Event) -> Self {
        Self {
            cx,
            job,
            event,
            step: None,
        }
    }

    /// Moves the job if it is of this kind.
    #[must_use]
    pub fn kind<K: JobKind>(mut self) -> Self {
        if self.step.is_none() && self.job.kind == K::KIND {
            let state = serde_json::from_str::<K>(&self.job.state)
                .map_err(|error| Error::failed(format!("the job's state is unreadable: {error}")));
            let step = state.and_then(|state| state.advance(self.cx, self.job, self.event));
            self.step = Some(step.unwrap_or_else(|error| Step::error(self.job, &error)));
        }
        self
    }

    /// The next step.
    pub fn step(self) -> Step {
        self.step
            .unwrap_or_else(|| Step::fail(format!("this plugin has no work of the kind `{}`", self.job.kind)))
    }
}

impl Step {
    /// Waits for a task that was started in this step, then goes on with `next`. `text` tells the customer what happens;
    /// the bar follows the task's own progress.
    ///
    /// # Errors
    /// `failed` when the state cannot be written as JSON.
    pub fn wait_for(task: Task, next: &impl JobKind, text: &str) -> Result<Self, Error> {
        Ok(Self::AwaitTask(Awaiting {
            task,
            state: state(next)?,
            progress: progress(text, None),
        }))
    }

    /// Goes on with `next` at a time, seconds since the epoch.
    ///
    /// # Errors
    /// As [`Step::wait_for`].
    pub fn sleep_until(until: i64, next: &impl JobKind, text: &str) -> Result<Self, Error> {
        Ok(Self::SleepUntil(Sleeping {
            until,
            state: state(next)?,
            progress: progress(text, None),
        }))
    }

    /// Stores `next` and goes on with it at once.
    ///
    /// # Errors
    /// As [`Step::wait_for`].
    pub fn go_on(next: &impl JobKind, text: &str) -> Result<Self, Error> {
        Ok(Self::Continue(Continuing {
            state: state(next)?,
            progress: progress(text, None),
        }))
    }

    /// Ends well, with a sentence for the customer.
    pub fn done(result: impl Into<String>) -> Self {
        Self::Done(result.into())
    }

    /// Ends as failed, with a sentence for the customer.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self::Failed(Failure {
            reason: reason.into(),
            retryable: false,
        })
    }

    /// Fails for now: the host runs the same step again a few times, with growing pauses, before it gives up.
    pub fn try_again(reason: impl Into<String>) -> Self {
        Self::Failed(Failure {
            reason: reason.into(),
            retryable: true,
        })
    }

    /// Shows how far the job is, 0 to 1, where no task tells.
    #[must_use]
    pub fn at(mut self, fraction: f64) -> Self {
        let progress = match &mut self {
            Self::AwaitTask(step) => &mut step.progress,
            Self::SleepUntil(step) => &mut step.progress,
            Self::Continue(step) => &mut step.progress,
            Self::Done(_) | Self::Failed(_) => return self,
        };
        progress.fraction = Some(fraction.clamp(0.0, 1.0));
        self
    }

    fn error(job: &Job, error: &Error) -> Self {
        crate::warn!("job step failed: {error:?}"; job = job.id, kind = job.kind, step = job.step);
        if error.is_passing() {
            Self::try_again(error.sentence())
        } else {
            Self::fail(error.sentence())
        }
    }
}

impl Event {
    /// How the awaited task ended; none for any other event.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::TaskEnded(outcome) => Some(outcome),
            Self::Started | Self::Woke | Self::Continued => None,
        }
    }
}

fn state(next: &impl JobKind) -> Result<String, Error> {
    serde_json::to_string(next)
        .map_err(|error| Error::failed(format!("the job's state cannot be written: {error}")))
}

fn progress(text: &str, fraction: Option<f64>) -> Progress {
    Progress {
        text: text.into(),
        fraction,
    }
}
