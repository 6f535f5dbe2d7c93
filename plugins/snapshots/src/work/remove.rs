//! Removing a snapshot.

use portico_sdk::prelude::*;
use portico_sdk::snapshots;
use serde::{Deserialize, Serialize};

use super::watch;
use crate::settings::Product;

/// The job that the customer starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Remove {
    Begin { name: String },
    Wait,
}

impl Remove {
    pub(crate) fn spec(name: String) -> Result<jobs::Spec, Error> {
        let spec = jobs::Spec::new(&Self::Begin { name }, "Removing a snapshot")?;
        Ok(spec.exclusive("snapshot removal").deadline(2 * 3_600))
    }
}

impl JobKind for Remove {
    const KIND: &'static str = "remove";

    fn advance(self, _: &Context, _: &Job, event: &Event) -> Result<Step, Error> {
        match self {
            Self::Begin { name } => match snapshots::remove(&name) {
                Ok(task) => Step::wait_for(task, &Self::Wait, "Removing the snapshot"),
                Err(Error::NotFound) => Ok(Step::done("The snapshot was already gone.")),
                Err(error) => Err(error),
            },
            Self::Wait => Ok(match event.outcome() {
                Some(outcome) if outcome.ok || outcome.reason == "missing" => {
                    Step::done("The snapshot was removed.")
                }
                Some(outcome) => Step::fail(outcome.message.clone()),
                None => Step::fail("The result of the removal was lost."),
            }),
        }
    }
}

/// The job of a snapshot's timer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expire {
    /// See whether it is due: the product's lifetime may have changed since the timer was set.
    Look {
        name: String,
    },
    Begin {
        name: String,
    },
    Wait,
}

impl Expire {
    pub(crate) fn spec(name: &str) -> Result<jobs::Spec, Error> {
        let spec = jobs::Spec::new(
            &Self::Look { name: name.into() },
            "Removing a snapshot whose time is over",
        )?;
        Ok(spec
            .key(format!("expire:{name}"))
            .exclusive("snapshot removal")
            .deadline(2 * 3_600))
    }
}

impl JobKind for Expire {
    const KIND: &'static str = "expire";

    fn advance(self, cx: &Context, _: &Job, event: &Event) -> Result<Step, Error> {
        match self {
            Self::Look { name } => look(cx, name),
            Self::Begin { name } => match snapshots::remove(&name) {
                Ok(task) => Step::wait_for(task, &Self::Wait, "Removing the snapshot"),
                Err(Error::NotFound) => Ok(Step::done("The snapshot was already gone.")),
                Err(error) => {
                    // The host tries a few times; should that not be enough, the look after a while sets a new timer.
                    watch::look_again(cx)?;
                    Err(error)
                }
            },
            Self::Wait => match event.outcome() {
                Some(outcome) if outcome.ok || outcome.reason == "missing" => {
                    Ok(Step::done("The snapshot's time was over, it was removed."))
                }
                Some(outcome) => {
                    warn!("an expired snapshot could not be removed: {}", outcome.reason);
                    watch::look_again(cx)?;
                    Ok(Step::fail(format!("{} It is tried again.", outcome.message)))
                }
                None => Ok(Step::fail("The result of the removal was lost.")),
            },
        }
    }
}

fn look(cx: &Context, name: String) -> Result<Step, Error> {
    let product = Product::of(cx)?;
    let Some(snapshot) = snapshots::list()?
        .into_iter()
        .find(|snapshot| snapshot.name == name)
    else {
        return Ok(Step::done("The snapshot was already gone."));
    };
    match product.expiry(&snapshot) {
        None => Ok(Step::done(
            "The snapshot stays: your plan has no lifetime for it any more.",
        )),
        Some(due) if due > cx.now => {
            watch::look_at(due)?;
            Ok(Step::done(
                "The snapshot stays for now: your plan keeps snapshots longer than before.",
            ))
        }
        Some(_) => Step::go_on(&Expire::Begin { name }, "Removing the snapshot"),
    }
}
