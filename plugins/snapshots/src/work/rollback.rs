//! Going back to a snapshot.
//!
//! The configuration of that time comes back with it: cores, memory, rate and addresses of a plan that may have changed
//! since. So today's plan is applied before the VM runs again.

use portico_sdk::prelude::*;
use portico_sdk::snapshots::{self, Phase};
use portico_sdk::{power, provision};
use serde::{Deserialize, Serialize};

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rollback {
    /// See what it is and whether the VM runs.
    Look {
        name: String,
    },
    Back {
        name: String,
        start: bool,
    },
    Arrived {
        start: bool,
    },
    ApplyPlan {
        start: bool,
    },
    Start {
        pending: Vec<String>,
    },
    Started {
        pending: Vec<String>,
    },
}

impl Rollback {
    pub(crate) fn spec(name: String) -> Result<jobs::Spec, Error> {
        let spec = jobs::Spec::new(&Self::Look { name }, "Going back to a snapshot")?;
        Ok(spec.exclusive("rollback").deadline(4 * 3_600))
    }
}

impl JobKind for Rollback {
    const KIND: &'static str = "rollback";

    fn advance(self, _: &Context, _: &Job, event: &Event) -> Result<Step, Error> {
        match self {
            Self::Look { name } => look(name),
            Self::Back { name, start } => {
                let task = snapshots::rollback(&name)?;
                Step::wait_for(task, &Self::Arrived { start }, "Going back to the snapshot")
            }
            Self::Arrived { start } => match event.outcome() {
                Some(outcome) if outcome.ok => Step::go_on(&Self::ApplyPlan { start }, "Applying your plan"),
                Some(outcome) if outcome.reason == "not-newest" => Ok(Step::fail(
                    "The storage of this VM can only go back to the newest snapshot.",
                )),
                Some(outcome) => Ok(Step::fail(outcome.message.clone())),
                None => Ok(Step::fail("The result of going back was lost.")),
            },
            Self::ApplyPlan { start } => {
                let pending = provision::apply_plan()?.pending;
                if start {
                    Step::go_on(&Self::Start { pending }, "Starting the VM")
                } else {
                    Ok(Step::done(arrived(&pending)))
                }
            }
            Self::Start { pending } => {
                Step::wait_for(power::start()?, &Self::Started { pending }, "Starting the VM")
            }
            Self::Started { pending } => Ok(match event.outcome() {
                // What was pending took effect with this start.
                Some(outcome) if outcome.ok => Step::done(arrived(&[])),
                Some(outcome) => Step::fail(format!(
                    "The VM is back at the snapshot but did not start: {}",
                    outcome.message
                )),
                None => Step::fail(format!(
                    "{} Whether it was started is not known.",
                    arrived(&pending)
                )),
            }),
        }
    }
}

fn look(name: String) -> Result<Step, Error> {
    let Some(snapshot) = snapshots::list()?
        .into_iter()
        .find(|snapshot| snapshot.name == name)
    else {
        return Ok(Step::fail("The snapshot does not exist any more."));
    };
    if snapshot.phase != Phase::Ready {
        return Ok(Step::fail("The snapshot is not complete."));
    }
    let running = matches!(vm::status()?.state, vm::State::Running | vm::State::Paused);
    // A snapshot with memory comes back running by itself.
    let start = running && !snapshot.with_memory;
    Step::go_on(&Rollback::Back { name, start }, "Going back to the snapshot")
}

fn arrived(pending: &[String]) -> String {
    let text = "The VM is back at the snapshot.";
    if pending.is_empty() {
        text.into()
    } else {
        format!("{text} At its next start: {}.", pending.join(", "))
    }
}
