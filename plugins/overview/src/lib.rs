//! The overview: what the VM does, its network settings, and the switches.
//!
//! - `page`: the page and its live part.
//! - `power`: what the buttons start.
//!
//! The buttons themselves are drawn by the host, from what [`Feature::describe`] says here: on every page in the same
//! place, dimmed with the reason where the plan or the VM's state forbids them.

mod page;
mod power;

use portico_sdk::prelude::*;
use portico_sdk::settings::NoSettings;

/// The feature.
#[derive(Debug)]
pub struct Overview;

portico_sdk::export!(Overview);

impl Feature for Overview {
    fn describe() -> Description {
        Description::new("overview", env!("CARGO_PKG_VERSION"), "Information")
            .summary("Shows the VM's state and network settings and switches it on and off.")
            .menu("Information", "info-circle", 0)
            .button(
                Button::action("Start", "player-play", "start")
                    .order(10)
                    .tone(Tone::Success)
                    .permission("start")
                    .needs(Needs::Stopped)
                    .idle(),
            )
            .button(
                Button::action("Stop", "player-stop", "stop")
                    .order(20)
                    .tone(Tone::Danger)
                    .permission("stop")
                    .needs(Needs::Running)
                    .idle()
                    .confirm("Shut the VM down?", "Everything that runs on it ends, and its services cannot be reached."),
            )
            .button(
                Button::action("Reboot", "refresh", "reboot")
                    .order(30)
                    .tone(Tone::Neutral)
                    .permission("reboot")
                    .needs(Needs::Running)
                    .idle()
                    .confirm("Reboot the VM?", "Its services cannot be reached until it has started again."),
            )
            .button(
                Button::action("Reset", "bolt", "reset")
                    .order(40)
                    .tone(Tone::Danger)
                    .permission("reset")
                    .needs(Needs::RunningOrPaused)
                    .idle()
                    .confirm(
                        "Reset the VM at once?",
                        "This is the reset button of a computer: what has not been written to disk is lost. Use Reboot \
                         if the VM still reacts.",
                    ),
            )
            .permission("start", "Start the VM", &["power.start"])
            .permission("stop", "Shut the VM down, and force it when that fails", &["power.shutdown", "power.stop"])
            .permission("reboot", "Reboot the VM", &["power.reboot"])
            .permission("reset", "Reset the VM at once", &["power.reset"])
            .settings::<power::Settings, NoSettings>()
            .background("power", "Starts, shuts down, stops, reboots or resets the VM and waits for the result.")
    }

    fn templates() -> Templates {
        Templates::new().with::<page::Page>().with::<page::Live>()
    }

    fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
        Router::new()
            .get("", page::show)
            .get("live", page::live)
            .post("start", power::start)
            .post("stop", power::stop)
            .post("force-stop", power::force_stop)
            .post("reboot", power::reboot)
            .post("reset", power::reset)
            .answer(cx, request)
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<power::Power>().step()
    }
}

#[cfg(test)]
mod tests;
