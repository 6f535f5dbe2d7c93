//! What the buttons start.

use portico_sdk::prelude::*;
use portico_sdk::{FlashTone, jobs, power, settings::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a failed shutdown says when the guest did nothing about it. The page knows it by this.
pub(crate) const NO_REACTION: &str = "The VM did not react to the request to shut down. It is still running.";

/// The provider's settings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// How long a guest may take to shut down, 10s to 10m. Windows installs updates meanwhile.
    #[serde(default = "three_minutes")]
    shutdown_timeout: Duration,
}

fn three_minutes() -> Duration {
    Duration::from_seconds(180)
}

impl Settings {
    fn timeout(self) -> u32 {
        u32::try_from(self.shutdown_timeout.seconds().clamp(10, 600)).unwrap_or(600)
    }
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Switch {
    Start,
    Stop,
    ForceStop,
    Reboot,
    Reset,
}

impl Switch {
    /// The permission for it.
    fn permission(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop | Self::ForceStop => "stop",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
        }
    }

    /// The job's key, by which the page knows a job again, and what other pages call it while they wait.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "shutdown",
            Self::ForceStop => "stop",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Start => "Starting the VM",
            Self::Stop => "Shutting the VM down",
            Self::ForceStop => "Switching the VM off",
            Self::Reboot => "Rebooting the VM",
            Self::Reset => "Resetting the VM",
        }
    }

    fn result(self) -> &'static str {
        match self {
            Self::Start => "The VM was started.",
            Self::Stop => "The VM was shut down.",
            Self::ForceStop => "The VM was switched off.",
            Self::Reboot => "The VM was rebooted.",
            Self::Reset => "The VM was reset.",
        }
    }
}

pub(crate) fn start(cx: &Context, _: &Request) -> Result<Response, Error> {
    press(cx, Switch::Start)
}

pub(crate) fn stop(cx: &Context, _: &Request) -> Result<Response, Error> {
    press(cx, Switch::Stop)
}

pub(crate) fn force_stop(cx: &Context, _: &Request) -> Result<Response, Error> {
    press(cx, Switch::ForceStop)
}

pub(crate) fn reboot(cx: &Context, _: &Request) -> Result<Response, Error> {
    press(cx, Switch::Reboot)
}

pub(crate) fn reset(cx: &Context, _: &Request) -> Result<Response, Error> {
    press(cx, Switch::Reset)
}

fn press(cx: &Context, switch: Switch) -> Result<Response, Error> {
    cx.require(switch.permission())?;
    let timeout = cx.settings::<Settings>()?.timeout();
    jobs::Spec::new(&Power::Begin { switch, timeout }, switch.title())?
        .key(switch.name())
        .exclusive(switch.name())
        .deadline(timeout + 600)
        .start()?;
    Ok(Response::redirect("").with_flash(FlashTone::Info, format!("{}.", switch.title())))
}

/// The job of every switch: begin, wait for the task, say how it went.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Power {
    Begin { switch: Switch, timeout: u32 },
    Wait { switch: Switch },
}

impl JobKind for Power {
    const KIND: &'static str = "power";

    fn advance(self, _: &Context, _: &Job, event: &Event) -> Result<Step, Error> {
        match self {
            Self::Begin { switch, timeout } => {
                let task = match switch {
                    Switch::Start => power::start(),
                    Switch::Stop => power::shutdown(timeout),
                    Switch::ForceStop => power::stop(),
                    Switch::Reboot => power::reboot(timeout),
                    Switch::Reset => power::reset(),
                }?;
                let text = match switch {
                    Switch::Stop | Switch::Reboot => "Waiting for the VM to shut down",
                    Switch::Start | Switch::ForceStop | Switch::Reset => "Waiting for the result",
                };
                Step::wait_for(task, &Self::Wait { switch }, text)
            }
            Self::Wait { switch } => Ok(match event.outcome() {
                Some(outcome) if outcome.ok => Step::done(switch.result()),
                Some(outcome) if switch == Switch::Stop && outcome.reason == "timeout" => {
                    Step::fail(NO_REACTION)
                }
                Some(outcome) => Step::fail(outcome.message.clone()),
                None => Step::fail("The result of the operation was lost."),
            }),
        }
    }
}
