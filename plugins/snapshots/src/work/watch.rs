//! Timers of snapshots, and the look whether they are all there.
//!
//! Every snapshot with a lifetime has a timer: a waiting job `expire:NAME`. Timers can be missing: the product got a
//! lifetime after the snapshot was taken, or a removal failed for good. So once a day, and a while after a removal that
//! failed, a sweep reads the list from Proxmox and sets them all. Setting one that is there changes nothing.

use portico_sdk::jobs::{Calendar, Weekday};
use portico_sdk::prelude::*;
use portico_sdk::snapshots::{self, Phase, Snapshot};
use serde::{Deserialize, Serialize};

use super::Expire;
use crate::names;
use crate::settings::Product;

/// Key of the daily calendar.
const DAILY: &str = "sweep";
/// Key of a single look in between.
const SOON: &str = "sweep-soon";
/// How long after a failed removal to look again, in seconds.
const PAUSE: i64 = 900;

const DAYS: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// Sets the timer of a snapshot, if it has a lifetime.
pub(super) fn start_timer(product: &Product, snapshot: &Snapshot) -> Result<(), Error> {
    if let Some(due) = product.expiry(snapshot) {
        Expire::spec(&snapshot.name)?.at(due)?;
    }
    Ok(())
}

/// Starts the daily look.
pub(super) fn start_sweep(cx: &Context) -> Result<(), Error> {
    // Services are spread over the day, so that they do not all ask at once.
    let minute = cx
        .service
        .id
        .bytes()
        .fold(7_u16, |sum, byte| (sum * 31 + u16::from(byte)) % 1_440);
    let calendar = Calendar {
        time_zone: "Etc/UTC".into(),
        entries: DAYS.into_iter().map(|day| (day, minute)).collect(),
    };
    spec()?.key(DAILY).every(&calendar)
}

/// Looks once more in a while.
pub(super) fn look_again(cx: &Context) -> Result<(), Error> {
    look_at(cx.now + PAUSE)
}

/// Looks at a time, seconds since the epoch.
pub(super) fn look_at(due: i64) -> Result<(), Error> {
    match spec()?.key(SOON).at(due) {
        // One is looking at this moment. Should it miss something, the daily look finds it.
        Err(Error::Busy(_) | Error::Conflict) => Ok(()),
        other => other.map(drop),
    }
}

fn spec() -> Result<jobs::Spec, Error> {
    Ok(jobs::Spec::new(&Sweep::Look, "Checking the lifetime of snapshots")?.deadline(600))
}

/// The job that looks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sweep {
    Look,
    /// Set timers: names of snapshots and when each is due.
    Set {
        timers: Vec<(String, i64)>,
    },
}

impl JobKind for Sweep {
    const KIND: &'static str = "sweep";

    fn advance(self, cx: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        match self {
            Self::Look => look(cx),
            Self::Set { timers } => {
                for (name, due) in timers {
                    match Expire::spec(&name)?.at(due) {
                        // It has just gone off: the job is at work.
                        Err(Error::Busy(_) | Error::Conflict) => {}
                        other => drop(other?),
                    }
                }
                Ok(Step::done("The snapshots' timers are set."))
            }
        }
    }
}

fn look(cx: &Context) -> Result<Step, Error> {
    let product = Product::of(cx)?;
    let all = snapshots::list()?;
    if !all.iter().any(|snapshot| names::is_ours(&snapshot.name)) {
        // Nothing to watch: the next snapshot starts it again. If it cannot be ended it only costs a look a day.
        if let Err(error) = jobs::cancel(DAILY) {
            debug!("the daily look goes on: {error:?}");
        }
        return Ok(Step::done("There are no snapshots to watch."));
    }
    let ready = all.iter().filter(|snapshot| snapshot.phase != Phase::Creating);
    let timers = ready
        .filter_map(|snapshot| Some((snapshot.name.clone(), product.expiry(snapshot)?)))
        .collect();
    Step::go_on(&Sweep::Set { timers }, "Setting timers")
}
