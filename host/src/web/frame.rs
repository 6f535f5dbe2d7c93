//! What stands around a plugin's page: sidebar, state, buttons, the job under way.
//!
//! Everything here comes from what plugins describe, what the product grants and what the VM does. A button that cannot
//! be used stays visible, with the reason.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use portico_runtime::bindings::guest::{Button, Needs, Placement, Target, Tone as ButtonTone};
use portico_runtime::bindings::vm::State as VmState;
use serde::Deserialize;

use super::error::{Failure, PageError, busy_reason};
use super::state::App;
use super::visit::Signed;
use crate::clock::span;
use crate::domain::{PluginId, Product, Service};
use crate::jobs::{Actor, Job, Phase};
use crate::plugins::access::{Access, OVERVIEW};
use crate::plugins::{Installed, Set};
use crate::view::frame::FrameHeadFragment;
use crate::view::page::Tone;
use crate::view::service::{Action, Head, Outcome, RunningJob, ServiceNav, Status};
use crate::view::urls::Url;

/// For how long the end of a job is news.
const NEWS: Duration = Duration::from_mins(1);
/// A state older than this is shown with its age.
const OLD: Duration = Duration::from_secs(12);
const NOT_INCLUDED: &str = "Not included in your plan";

/// A service and what belongs to it, as a page needs it.
#[derive(Debug, Clone)]
pub struct Room {
    /// The service.
    pub service: Service,
    /// Its product.
    pub product: Product,
    /// The plugins at this moment.
    pub set: Arc<Set>,
}

impl Room {
    /// The customer's service.
    pub async fn open(app: &App, signed: &Signed, id: &str) -> Result<Self, Failure> {
        let missing = || signed.failure(app, PageError::NotFound);
        let id = id.parse().map_err(|_| missing())?;
        let service = app.records.service_of(&signed.customer.id, id).await;
        let service = service.map_err(|error| signed.failure(app, error.into()))?;
        let product = app.records.product(&service.product).await;
        let product = product.map_err(|error| signed.failure(app, error.into()))?.value;
        Ok(Self {
            service,
            product,
            set: app.plugins.set(),
        })
    }

    /// The sidebar.
    pub fn nav(&self, active: &str) -> ServiceNav {
        let mut entries: Vec<_> = self
            .set
            .plugins
            .iter()
            .filter_map(|(id, installed)| {
                Some((id, installed, installed.plugin.description().menu.as_ref()?))
            })
            .collect();
        entries.sort_by(|a, b| (a.2.order, &a.2.label).cmp(&(b.2.order, &b.2.label)));
        let entry = |(id, installed, menu): (&PluginId, &Installed, &_)| {
            let menu: &portico_runtime::bindings::guest::MenuEntry = menu;
            let access = Access::of(&self.product, installed);
            Action::link(
                &menu.label,
                &menu.icon,
                Url::plugin(&self.service.id, id.as_str()),
            )
            .dimmed((!access.enabled).then(|| NOT_INCLUDED.to_owned()))
            .active(id.as_str() == active)
        };
        let mut sidebar: Vec<Action> = entries.into_iter().map(entry).collect();
        sidebar.push(
            Action::link("Activity", "activity", Url::activity(&self.service.id, None))
                .active(active == "activity"),
        );
        ServiceNav {
            name: self.service.hostname.clone(),
            list_href: Url::services(),
            sidebar,
        }
    }

    /// A failure on a page of this service.
    pub fn failure(&self, app: &App, signed: &Signed, active: &str, error: PageError) -> Failure {
        Failure {
            service: Some(Box::new(self.nav(active))),
            ..signed.failure(app, error)
        }
    }

    /// State, buttons and jobs.
    pub async fn head(&self, app: &App, plugin: &str) -> Result<Head, PageError> {
        let (state, jobs) = tokio::join!(self.state(app), app.parts.jobs.of_service(self.service.id));
        let jobs = jobs?;
        let hold = app.parts.jobs.hold(self.service.id).await?;
        let busy = hold
            .as_ref()
            .map(|hold| hold.operation.clone())
            .or_else(|| state.lock.clone());
        let running = hold
            .as_ref()
            .and_then(|hold| jobs.iter().find(|job| job.id == hold.job))
            .or_else(|| {
                jobs.iter()
                    .find(|job| job.phase == Phase::Running && job.actor != Actor::System)
            });
        let now = app.parts.clock.now();
        let news = |job: &&Job| {
            job.phase.is_over()
                && matches!(job.actor, Actor::Customer { .. })
                && job.ended.is_some_and(|ended| span(ended, now) < NEWS)
        };
        let outcome = jobs.iter().filter(news).max_by_key(|job| job.ended);
        let overview = plugin == OVERVIEW;
        let hosts: Vec<String> = self
            .service
            .addresses
            .hosts()
            .take(3)
            .map(|host| host.to_string())
            .collect();
        let mut status = state.status;
        if let (None, Some(lock)) = (&running, &busy) {
            status = status.with_note(busy_reason(lock));
        }
        Ok(Head {
            name: self.service.hostname.clone(),
            addresses: hosts,
            product: self.product.title.clone(),
            status,
            actions: self.buttons(overview, Placement::ActionBar, state.vm, busy.as_deref()),
            management: self.buttons(overview, Placement::Management, state.vm, busy.as_deref()),
            job: running.map(running_job),
            outcome: outcome.filter(|_| running.is_none()).map(ended_job),
            live_href: Url::service_live(&self.service.id, plugin),
        })
    }

    async fn state(&self, app: &App) -> Seen {
        let unknown = |note: &str| Seen {
            vm: VmState::Unknown,
            status: Status::new("Unknown", Tone::Warning).with_note(note),
            lock: None,
        };
        let Ok(live) = app.parts.live.vm(&self.service).await else {
            return unknown("The state is not known");
        };
        let Ok(sample) = live.status().await else {
            return unknown("The state is not known at the moment");
        };
        let raw = &sample.value.status;
        let vm = crate::capability::vm_state(raw.state(), raw.lock.as_ref());
        let status = status_of(vm, sample.age());
        let lock = raw
            .lock
            .as_ref()
            .filter(|lock| **lock != portico_proxmox::Lock::Suspended);
        Seen {
            vm,
            status,
            lock: lock.map(|lock| crate::live::problem::operation(lock.as_str()).to_owned()),
        }
    }

    fn buttons(&self, overview: bool, placement: Placement, vm: VmState, busy: Option<&str>) -> Vec<Action> {
        if !overview {
            return Vec::new();
        }
        let mut found: Vec<(&PluginId, &Installed, &Button)> = self
            .set
            .plugins
            .iter()
            .flat_map(|(id, installed)| {
                installed
                    .plugin
                    .description()
                    .buttons
                    .iter()
                    .map(move |button| (id, installed, button))
            })
            .filter(|(_, _, button)| button.placement == placement)
            .collect();
        found.sort_by(|a, b| (a.2.order, &a.2.label).cmp(&(b.2.order, &b.2.label)));
        found
            .into_iter()
            .map(|(id, installed, button)| {
                let access = Access::of(&self.product, installed);
                let reason = if self.service.suspended {
                    Some("The service is suspended".to_owned())
                } else {
                    dimmed(&access, button, vm, busy)
                };
                self.action(id, button).dimmed(reason)
            })
            .collect()
    }

    fn action(&self, plugin: &PluginId, button: &Button) -> Action {
        let url = |path: &str| Url::plugin_path(&self.service.id, plugin.as_str(), path);
        let mut action = match &button.target {
            Target::Page(path) => Action::link(&button.label, &button.icon, url(path)),
            Target::Action(path) => Action::post(&button.label, &button.icon, Tone::Muted, url(path)),
        };
        action.tone = match button.tone {
            ButtonTone::Neutral => Tone::Muted,
            ButtonTone::Primary => Tone::Primary,
            ButtonTone::Success => Tone::Success,
            ButtonTone::Warning => Tone::Warning,
            ButtonTone::Danger => Tone::Danger,
        };
        match &button.confirm {
            Some((title, message)) => action.confirmed(title, message),
            None => action,
        }
    }
}

struct Seen {
    vm: VmState,
    status: Status,
    lock: Option<String>,
}

/// Why a button cannot be used; the first reason that would still be there if the others were gone.
fn dimmed(access: &Access, button: &Button, vm: VmState, busy: Option<&str>) -> Option<String> {
    let granted = access.enabled
        && button
            .permission
            .as_ref()
            .is_none_or(|permission| access.permissions.contains(permission));
    if !granted {
        return Some(NOT_INCLUDED.to_owned());
    }
    if let Some(operation) = busy.filter(|_| button.idle) {
        return Some(busy_reason(operation));
    }
    let is = match vm {
        VmState::Running => "The VM is running",
        VmState::Stopped => "The VM is stopped",
        VmState::Paused => "The VM is paused",
        VmState::Suspended => "The VM is suspended",
        VmState::Unknown => "The state of the VM is not known",
    };
    let fits = match button.needs {
        Needs::Any => true,
        Needs::Running => vm == VmState::Running,
        Needs::Stopped => matches!(vm, VmState::Stopped | VmState::Suspended),
        Needs::RunningOrPaused => matches!(vm, VmState::Running | VmState::Paused),
    };
    (!fits).then(|| is.to_owned())
}

/// A state in words, with its age when it is an old one.
pub(super) fn status_of(state: VmState, age: Duration) -> Status {
    let status = match state {
        VmState::Running => Status::new("Running", Tone::Success),
        VmState::Stopped => Status::new("Stopped", Tone::Muted),
        VmState::Paused => Status::new("Paused", Tone::Info),
        VmState::Suspended => Status::new("Suspended", Tone::Info),
        VmState::Unknown => Status::new("Unknown", Tone::Warning),
    };
    if age > OLD {
        status.with_note(format!("as of {} seconds ago", age.as_secs()))
    } else {
        status
    }
}

fn running_job(job: &Job) -> RunningJob {
    RunningJob {
        title: job.title.clone(),
        step: (!job.progress.text.is_empty()).then(|| job.progress.text.clone()),
        fraction: job.progress.fraction,
        started_at: job.started.unwrap_or(job.created).as_second(),
        note: None,
    }
}

fn ended_job(job: &Job) -> Outcome {
    Outcome {
        title: job.title.clone(),
        succeeded: job.phase == Phase::Done,
        text: job.outcome.clone(),
        finished_at: job.ended.unwrap_or(job.created).as_second(),
    }
}

/// The query of [`live`].
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// The plugin whose page is open.
    #[serde(default)]
    plugin: String,
}

/// What changes above a plugin's page, for the script that asks for it again and again.
pub(super) async fn live(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Failure> {
    let room = Room::open(&app, &signed, &id).await?;
    let head = room.head(&app, &which.plugin).await?;
    let fast = head.job.is_some();
    let time_zone = signed.customer.time_zone.as_str().to_owned();
    let mut response = Html(app.view.render(&FrameHeadFragment { time_zone, head })?).into_response();
    if fast {
        let name = HeaderName::from_static("hx-trigger");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("portico:fast"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_how_old_it_is_once_it_should_have_been_asked_for_again() {
        let note = |seconds| status_of(VmState::Running, Duration::from_secs(seconds)).note;
        assert_eq!(note(12), None);
        assert_eq!(note(13), Some("as of 13 seconds ago".to_owned()));
    }
}
