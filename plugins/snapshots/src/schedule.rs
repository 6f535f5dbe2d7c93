//! The weekly schedule.

use portico_sdk::jobs::{self, Calendar, Weekday};
use portico_sdk::prelude::*;
use portico_sdk::{FlashTone, storage};
use serde::{Deserialize, Serialize};

use crate::settings::Product;
use crate::work::Take;

/// Key of the calendar, and of what the customer set in the store: the host tells what is due, not what was entered.
const KEY: &str = "schedule";

/// Sunday first, as the customer's grid has it.
const DAYS: [(&str, &str, Weekday); 7] = [
    ("sunday", "Sunday", Weekday::Sunday),
    ("monday", "Monday", Weekday::Monday),
    ("tuesday", "Tuesday", Weekday::Tuesday),
    ("wednesday", "Wednesday", Weekday::Wednesday),
    ("thursday", "Thursday", Weekday::Thursday),
    ("friday", "Friday", Weekday::Friday),
    ("saturday", "Saturday", Weekday::Saturday),
];

/// The time a day is offered with before the customer chose one.
const USUAL: u16 = 3 * 60;

/// What the customer set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Schedule {
    time_zone: String,
    /// Name of the day and minute of the day.
    days: Vec<(String, u16)>,
}

/// The schedule as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Grid {
    time_zone: String,
    active: bool,
    days: Vec<Day>,
    /// Why it cannot be saved.
    disabled_reason: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Day {
    id: &'static str,
    label: &'static str,
    on: bool,
    /// `HH:MM`.
    time: String,
    error: Option<String>,
}

impl Grid {
    /// The schedule of the service; dimmed when the plan does not have it.
    pub(crate) fn read(cx: &Context, product: &Product) -> Result<Self, Error> {
        if !product.schedules(cx) {
            return Ok(Self::new(&cx.time_zone, &[], Some("Not included in your plan")));
        }
        let stored = storage::service()
            .get::<Schedule>(KEY)?
            .map(|stored| stored.value);
        Ok(stored.map_or_else(
            || Self::new(&cx.time_zone, &[], None),
            |schedule| Self::new(&schedule.time_zone, &schedule.days, None),
        ))
    }

    fn new(time_zone: &str, days: &[(String, u16)], disabled_reason: Option<&'static str>) -> Self {
        let day = |(id, label, _): (&'static str, &'static str, Weekday)| {
            let minute = days
                .iter()
                .find(|(name, _)| name == id)
                .map(|(_, minute)| *minute);
            let shown = minute.unwrap_or(USUAL);
            Day {
                id,
                label,
                on: minute.is_some(),
                time: format!("{:02}:{:02}", shown / 60, shown % 60),
                error: None,
            }
        };
        Self {
            time_zone: time_zone.into(),
            active: !days.is_empty(),
            days: DAYS.into_iter().map(day).collect(),
            disabled_reason,
        }
    }

    /// For the template's samples.
    pub(crate) fn samples() -> [Self; 2] {
        let mut wrong = Self::new("Europe/Berlin", &[("monday".into(), 225)], None);
        if let Some(day) = wrong.days.first_mut() {
            day.error = Some("Enter a time from 00:00 to 23:59".into());
        }
        [
            wrong,
            Self::new("Etc/UTC", &[], Some("Not included in your plan")),
        ]
    }
}

pub(crate) fn save(cx: &Context, request: &Request) -> Result<Response, Error> {
    cx.require("schedule")?;
    let product = Product::of(cx)?;
    if !product.schedules(cx) {
        return Err(Error::denied("the product has no weekly schedule"));
    }
    let mut form = request.form();
    let mut days = Vec::new();
    for (id, _, _) in DAYS {
        if form.checked(&format!("on-{id}")) {
            let field = format!("at-{id}");
            match form.time_of_day(&field) {
                Some(minute) => days.push((id.to_owned(), minute)),
                None => form.refuse(&field, "Enter a time from 00:00 to 23:59"),
            }
        }
    }
    if !form.errors().is_empty() {
        let mut grid = Grid::new(&cx.time_zone, &days, None);
        for day in &mut grid.days {
            day.on = form.checked(&format!("on-{}", day.id));
            if let Some(sent) = form.raw(&format!("at-{}", day.id)) {
                day.time = sent.chars().take(16).collect();
            }
            day.error = form.errors().get(&format!("at-{}", day.id)).cloned();
        }
        return crate::page::with_grid(cx, grid);
    }
    if days.is_empty() {
        jobs::cancel(KEY)?;
        storage::service().delete(KEY)?;
        return Ok(Response::redirect("").with_flash(FlashTone::Info, "The schedule was switched off."));
    }
    let weekday = |(name, minute): &(String, u16)| {
        DAYS.iter()
            .find(|(id, _, _)| id == name)
            .map(|(_, _, weekday)| (*weekday, *minute))
    };
    let calendar = Calendar {
        time_zone: cx.time_zone.clone(),
        entries: days.iter().filter_map(weekday).collect(),
    };
    let order = crate::page::scheduled_order();
    Take::spec(order)?.key(KEY).every(&calendar)?;
    storage::service().set(
        KEY,
        &Schedule {
            time_zone: cx.time_zone.clone(),
            days,
        },
    )?;
    Ok(Response::redirect("").with_flash(FlashTone::Success, "The schedule was saved."))
}
