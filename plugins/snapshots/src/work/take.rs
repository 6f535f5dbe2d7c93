//! Taking a snapshot.

use portico_sdk::prelude::*;
use portico_sdk::snapshots::{self, Phase, Snapshot};
use serde::{Deserialize, Serialize};

use super::watch;
use crate::names;
use crate::settings::Product;

/// What is to be taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) description: String,
    pub(crate) memory: bool,
    /// By the schedule: the oldest one makes room at full quota, and no lifetime applies.
    pub(crate) scheduled: bool,
}

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Take {
    /// Count, and find a name.
    Decide {
        order: Order,
        removed: u32,
    },
    /// Remove the oldest one.
    MakeRoom {
        order: Order,
        removed: u32,
        oldest: String,
    },
    RoomMade {
        order: Order,
        removed: u32,
    },
    Create {
        order: Order,
        name: String,
    },
    Created {
        name: String,
    },
    /// Start its timer.
    Watch {
        name: String,
    },
}

/// One more than the largest quota: a scheduled run that removed so many is not making progress.
const MOST_REMOVALS: u32 = 101;

impl Take {
    pub(crate) fn new(order: Order) -> Self {
        Self::Decide { order, removed: 0 }
    }

    pub(crate) fn spec(order: Order) -> Result<jobs::Spec, Error> {
        let spec = jobs::Spec::new(&Self::new(order), "Taking a snapshot")?;
        Ok(spec.exclusive("snapshot").deadline(2 * 3_600))
    }
}

impl JobKind for Take {
    const KIND: &'static str = "take";

    fn advance(self, cx: &Context, job: &Job, event: &Event) -> Result<Step, Error> {
        match self {
            Self::Decide { order, removed } => decide(cx, job, order, removed),
            Self::MakeRoom {
                order,
                removed,
                oldest,
            } => match snapshots::remove(&oldest) {
                Ok(task) => Step::wait_for(
                    task,
                    &Self::RoomMade {
                        order,
                        removed: removed + 1,
                    },
                    "Removing the oldest snapshot",
                ),
                Err(Error::NotFound) => Step::go_on(
                    &Self::Decide {
                        order,
                        removed: removed + 1,
                    },
                    "Counting",
                ),
                Err(error) => Err(error),
            },
            Self::RoomMade { order, removed } => match event.outcome() {
                Some(outcome) if outcome.ok || outcome.reason == "missing" => {
                    Step::go_on(&Self::Decide { order, removed }, "Counting")
                }
                Some(outcome) => Ok(Step::fail(format!(
                    "The oldest snapshot could not be removed: {}",
                    outcome.message
                ))),
                None => Ok(Step::fail("The result of removing the oldest snapshot was lost.")),
            },
            Self::Create { order, name } => {
                let task = snapshots::create(&name, &order.description, order.memory)?;
                Step::wait_for(task, &Self::Created { name }, "Taking the snapshot")
            }
            Self::Created { name } => match event.outcome() {
                Some(outcome) if outcome.ok => Step::go_on(&Self::Watch { name }, "Finishing"),
                Some(outcome) => Ok(Step::fail(outcome.message.clone())),
                None => Ok(Step::fail("The result of the snapshot was lost.")),
            },
            Self::Watch { name } => {
                let product = Product::of(cx)?;
                if let Some(snapshot) = snapshots::list()?.iter().find(|snapshot| snapshot.name == name) {
                    watch::start_timer(&product, snapshot)?;
                }
                Ok(Step::done("The snapshot was taken."))
            }
        }
    }
}

fn decide(cx: &Context, job: &Job, order: Order, removed: u32) -> Result<Step, Error> {
    let product = Product::of(cx)?;
    if order.scheduled && !product.schedules(cx) {
        return Ok(Step::done(
            "Left out: the weekly schedule is not included in your plan.",
        ));
    }
    if product.quota == 0 {
        return Ok(Step::fail("Snapshots are not included in your plan."));
    }
    let ability = snapshots::ability()?;
    if !ability.possible {
        let reason = ability
            .reason
            .unwrap_or_else(|| "The storage of this VM cannot take snapshots".into());
        return Ok(Step::fail(format!("{}.", reason.trim_end_matches('.'))));
    }
    let existing = snapshots::list()?;
    if existing.len() >= product.quota() {
        return make_room(order, removed, &existing);
    }
    // Before there is anything to watch, so that no crash can leave a snapshot without.
    watch::start_sweep(cx)?;
    let order = Order {
        memory: order.memory && product.include_ram,
        ..order
    };
    let name = names::new(order.scheduled, job.started, &existing);
    Step::go_on(&Take::Create { order, name }, "Taking the snapshot")
}

fn make_room(order: Order, removed: u32, existing: &[Snapshot]) -> Result<Step, Error> {
    if !order.scheduled {
        return Ok(Step::fail(format!(
            "All {} snapshots are in use. Remove one first.",
            existing.len()
        )));
    }
    // What was made outside the panel is not the schedule's to remove.
    let oldest = existing
        .iter()
        .find(|snapshot| names::is_ours(&snapshot.name) && snapshot.phase != Phase::Creating);
    match oldest {
        Some(oldest) if removed < MOST_REMOVALS => {
            let oldest = oldest.name.clone();
            Step::go_on(
                &Take::MakeRoom {
                    order,
                    removed,
                    oldest,
                },
                "Removing the oldest snapshot",
            )
        }
        _ => Ok(Step::fail(
            "There is no room for a scheduled snapshot, and none that the schedule may remove.",
        )),
    }
}
