//! Snapshots: take one, go back to one, remove one; by hand and every week.
//!
//! - `settings`: what the product allows.
//! - `names`: how a snapshot of the panel is known again. Proxmox keeps the only list of snapshots; nothing of it is
//!   stored a second time.
//! - `page`: the page and its live part, and what its buttons start.
//! - `schedule`: the weekly schedule, the one thing that Proxmox does not know.
//! - `work`: the jobs.

mod names;
mod page;
mod schedule;
mod settings;
mod work;

use portico_sdk::prelude::*;
use portico_sdk::settings::NoSettings;

/// The feature.
#[derive(Debug)]
pub struct Snapshots;

portico_sdk::export!(Snapshots);

impl Feature for Snapshots {
    fn describe() -> Description {
        Description::new("snapshots", env!("CARGO_PKG_VERSION"), "Snapshots")
            .summary("Takes snapshots of the VM, goes back to them and removes them when their time is over.")
            .menu("Snapshots", "camera", 40)
            .button(
                Button::page("Snapshots", "camera", "")
                    .order(40)
                    .permission("use"),
            )
            .permission(
                "use",
                "Take, roll back and remove snapshots",
                &[
                    "snapshots.read",
                    "snapshots.create",
                    "snapshots.rollback",
                    "snapshots.remove",
                    "provision.apply-plan",
                    "power.start",
                ],
            )
            .permission(
                "schedule",
                "Take snapshots on a weekly schedule",
                &[
                    "storage.use",
                    "snapshots.read",
                    "snapshots.create",
                    "snapshots.remove",
                ],
            )
            .settings::<NoSettings, settings::Product>()
            .background(
                "take",
                "Takes a snapshot, by hand or by schedule; a scheduled one removes the oldest at full quota.",
            )
            .background(
                "rollback",
                "Goes back to a snapshot, applies today's plan and starts the VM if it was running.",
            )
            .background("remove", "Removes a snapshot.")
            .background("expire", "Removes a snapshot whose lifetime is over.")
            .background(
                "sweep",
                "Looks once a day whether every snapshot with a lifetime has its timer.",
            )
    }

    fn templates() -> Templates {
        Templates::new().with::<page::Page>().with::<page::Live>()
    }

    fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
        cx.require("use")?;
        Router::new()
            .get("", page::show)
            .get("live", page::live)
            .post("create", page::create)
            .post("rollback", page::rollback)
            .post("remove", page::remove)
            .post("schedule", schedule::save)
            .answer(cx, request)
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event)
            .kind::<work::Take>()
            .kind::<work::Rollback>()
            .kind::<work::Remove>()
            .kind::<work::Expire>()
            .kind::<work::Sweep>()
            .step()
    }
}

#[cfg(test)]
mod tests;
