//! The page, and what its buttons start.

use portico_sdk::prelude::*;
use portico_sdk::snapshots::{self, Ability, Phase, Snapshot};
use portico_sdk::{FieldErrors, FlashTone};
use serde::Serialize;

use crate::names;
use crate::schedule::Grid;
use crate::settings::Product;
use crate::work::{Order, Remove, Rollback, Take};

/// Longest description the form takes, in characters.
const LONGEST: usize = 200;

pub(crate) fn show(cx: &Context, _: &Request) -> Result<Response, Error> {
    let grid = Grid::read(cx, &Product::of(cx)?)?;
    Response::page(&Page {
        live: Live::read(cx)?,
        schedule: grid,
    })
}

pub(crate) fn live(cx: &Context, _: &Request) -> Result<Response, Error> {
    Response::fragment(&Live::read(cx)?)
}

/// The page with a schedule that needs correcting.
pub(crate) fn with_grid(cx: &Context, grid: Grid) -> Result<Response, Error> {
    Ok(Response::page(&Page {
        live: Live::read(cx)?,
        schedule: grid,
    })?
    .with_status(422))
}

pub(crate) fn create(cx: &Context, request: &Request) -> Result<Response, Error> {
    let mut form = request.form();
    let description = form.text("description", LONGEST);
    let memory = form.checked("memory");
    if let Some(refusal) = refusal(form.errors()) {
        return Ok(refusal);
    }
    // The job counts again under the VM's lease, and that count decides; this one spares the customer the wait.
    let product = Product::of(cx)?;
    if product.quota == 0 {
        return Err(Error::denied("the product's quota is 0"));
    }
    let used = snapshots::list()?.len();
    if used >= product.quota() {
        let text = format!("All {used} snapshots are in use. Remove one first.");
        return Ok(Response::redirect("").with_flash(FlashTone::Danger, text));
    }
    Take::spec(Order {
        description,
        memory,
        scheduled: false,
    })?
    .start()?;
    Ok(started("Taking a snapshot."))
}

pub(crate) fn rollback(_: &Context, request: &Request) -> Result<Response, Error> {
    let mut form = request.form();
    let name = form.required("name", 40);
    if let Some(refusal) = refusal(form.errors()) {
        return Ok(refusal);
    }
    Rollback::spec(name)?.start()?;
    Ok(started("Going back to the snapshot."))
}

pub(crate) fn remove(_: &Context, request: &Request) -> Result<Response, Error> {
    let mut form = request.form();
    let name = form.required("name", 40);
    if let Some(refusal) = refusal(form.errors()) {
        return Ok(refusal);
    }
    Remove::spec(name)?.start()?;
    Ok(started("Removing the snapshot."))
}

fn started(text: &str) -> Response {
    Response::redirect("").with_flash(FlashTone::Info, text)
}

/// Back to the page with what is wrong with a field.
fn refusal(errors: &FieldErrors) -> Option<Response> {
    let (field, message) = errors.iter().next()?;
    Some(Response::redirect("").with_flash(FlashTone::Danger, format!("{field}: {message}.")))
}

/// The whole page.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    #[serde(flatten)]
    live: Live,
    schedule: Grid,
}

/// The part that is read again every few seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Live {
    used: usize,
    quota: u32,
    /// Why none can be taken now.
    take_reason: Option<String>,
    /// Whether memory may be part of it, and why not.
    memory_allowed: bool,
    /// Seconds a snapshot is kept; none until it is removed.
    lifetime: Option<i64>,
    newest_only: bool,
    running: bool,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// The description, or the name where there is none.
    title: String,
    time: i64,
    /// Seconds until it is removed; none if it stays. Never below 0.
    remaining: Option<i64>,
    memory: bool,
    parent: Option<String>,
    /// `manual`, `scheduled` or `foreign`.
    origin: &'static str,
    /// `ready`, `creating` or `removing`.
    phase: &'static str,
    rollback_reason: Option<String>,
    remove_reason: Option<String>,
}

impl Live {
    fn read(cx: &Context) -> Result<Self, Error> {
        let product = Product::of(cx)?;
        let status = vm::status()?;
        let ability = snapshots::ability()?;
        let all = snapshots::list()?;
        Ok(Self::new(cx.now, &product, &status, &ability, &all))
    }

    fn new(now: i64, product: &Product, status: &vm::Status, ability: &Ability, all: &[Snapshot]) -> Self {
        let busy = status.busy_reason();
        Self {
            used: all.len(),
            quota: product.quota,
            take_reason: take_reason(product, ability, all.len(), busy.as_deref()),
            memory_allowed: product.include_ram && status.state == vm::State::Running,
            lifetime: product.lifetime.map(portico_sdk::settings::Duration::seconds),
            newest_only: ability.newest_only,
            running: status.state == vm::State::Running,
            // The newest first.
            rows: all
                .iter()
                .rev()
                .map(|one| Row::new(now, product, ability, busy.as_deref(), all, one))
                .collect(),
        }
    }
}

fn take_reason(product: &Product, ability: &Ability, used: usize, busy: Option<&str>) -> Option<String> {
    if product.quota == 0 {
        return Some("Not included in your plan".into());
    }
    if let Some(busy) = busy {
        return Some(busy.into());
    }
    if !ability.possible {
        let reason = ability.reason.clone();
        return Some(reason.unwrap_or_else(|| "The storage of this VM cannot take snapshots".into()));
    }
    (used >= product.quota()).then(|| "All snapshots of your plan are in use: remove one first".into())
}

impl Row {
    fn new(
        now: i64,
        product: &Product,
        ability: &Ability,
        busy: Option<&str>,
        all: &[Snapshot],
        snapshot: &Snapshot,
    ) -> Self {
        let newest = all.last().is_some_and(|last| last.name == snapshot.name);
        let busy = busy.map(str::to_owned);
        let rollback_reason = busy.clone().or_else(|| {
            if snapshot.phase != Phase::Ready {
                Some("It is not complete".into())
            } else if ability.newest_only && !newest {
                Some("This storage can only go back to the newest snapshot".into())
            } else {
                None
            }
        });
        let remove_reason = busy
            .or_else(|| (snapshot.phase == Phase::Creating).then(|| "It is still being taken".to_owned()));
        Self {
            name: snapshot.name.clone(),
            title: title(snapshot).into(),
            time: snapshot.time,
            remaining: product.expiry(snapshot).map(|expiry| (expiry - now).max(0)),
            memory: snapshot.with_memory,
            parent: snapshot.parent.as_ref().map(|parent| {
                let known = all.iter().find(|other| other.name == *parent);
                known.map_or(parent.as_str(), title).to_owned()
            }),
            origin: if names::is_manual(&snapshot.name) {
                "manual"
            } else if names::is_scheduled(&snapshot.name) {
                "scheduled"
            } else {
                "foreign"
            },
            phase: match snapshot.phase {
                Phase::Ready => "ready",
                Phase::Creating => "creating",
                Phase::Removing => "removing",
            },
            rollback_reason,
            remove_reason,
        }
    }
}

fn title(snapshot: &Snapshot) -> &str {
    let first = snapshot.description.lines().next().unwrap_or_default().trim();
    if first.is_empty() { &snapshot.name } else { first }
}

/// What the schedule takes.
pub(crate) fn scheduled_order() -> Order {
    Order {
        description: "Weekly schedule".into(),
        memory: false,
        scheduled: true,
    }
}

impl Template for Live {
    const NAME: &'static str = "live.html";
    const SOURCE: &'static str = include_str!("../templates/live.html");

    fn samples() -> Vec<Self> {
        samples::all()
    }
}

impl Template for Page {
    const NAME: &'static str = "page.html";
    const SOURCE: &'static str = include_str!("../templates/page.html");

    fn samples() -> Vec<Self> {
        let [one, other] = Grid::samples();
        let grids = [one.clone(), other.clone(), one, other];
        samples::all()
            .into_iter()
            .zip(grids)
            .map(|(live, schedule)| Self { live, schedule })
            .collect()
    }
}

mod samples {
    use portico_sdk::settings::Duration;

    use super::{Ability, Live, Phase, Product, Snapshot, vm};

    /// With everything, with nothing, full, and not in the plan.
    pub(super) fn all() -> Vec<Live> {
        const NOW: i64 = 1_795_521_600;
        let product = |quota, lifetime: Option<i64>| Product {
            quota,
            lifetime: lifetime.map(Duration::from_seconds),
            include_ram: lifetime.is_some(),
            schedule: true,
        };
        let status = vm::Status {
            state: vm::State::Running,
            uptime: 125,
            cpu: 0.3,
            cores: 2,
            memory_used: 1 << 30,
            memory_total: 4 << 30,
            rates: None,
            busy: None,
            age: 1,
        };
        let busy = vm::Status {
            busy: Some("backup".into()),
            state: vm::State::Stopped,
            ..status.clone()
        };
        let able = Ability {
            possible: true,
            reason: None,
            newest_only: false,
        };
        let poor = Ability {
            possible: false,
            reason: Some("The storage cannot".into()),
            newest_only: true,
        };
        let snapshot = |name: &str, description: &str, phase, parent: Option<&str>| Snapshot {
            name: name.into(),
            description: description.into(),
            time: NOW - 3_600,
            with_memory: parent.is_some(),
            parent: parent.map(Into::into),
            phase,
            current: false,
        };
        let some = [
            snapshot("by-provider", "", Phase::Removing, None),
            snapshot(
                "s20261124T110000",
                "Weekly schedule",
                Phase::Ready,
                Some("by-provider"),
            ),
            snapshot(
                "p20261124T112300",
                "Before the upgrade",
                Phase::Creating,
                Some("s20261124T110000"),
            ),
        ];
        vec![
            Live::new(NOW, &product(5, Some(86_400)), &status, &able, &some),
            Live::new(NOW, &product(3, None), &status, &able, &[]),
            Live::new(NOW, &product(3, Some(60)), &busy, &poor, &some),
            Live::new(NOW, &product(0, None), &busy, &poor, &[]),
        ]
    }
}
