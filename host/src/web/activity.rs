//! What was done with a service.

use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::error::Failure;
use super::frame::Room;
use super::state::App;
use super::visit::Signed;
use crate::domain::{ActivityEntry, Actor, Outcome};
use crate::view::activity::{ActivityPage, Entry};
use crate::view::page::Tone;
use crate::view::service::Status;
use crate::view::urls::Url;

/// Entries of a page.
const PAGE: usize = 50;

/// The query.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    before: Option<String>,
}

/// The page.
pub(super) async fn page(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
    Query(from): Query<From>,
) -> Result<Response, Failure> {
    let room = Room::open(&app, &signed, &id).await?;
    let id = room.service.id;
    let page = app
        .records
        .activity_of(&signed.customer.id, id, from.before.as_deref(), PAGE)
        .await?;
    let context = ActivityPage {
        page: signed.page(&app),
        service: room.nav("activity"),
        entries: page.entries.iter().map(|entry| line(&signed, entry)).collect(),
        newer_href: from.before.is_some().then(|| Url::activity(&id, None)),
        older_href: page.next.map(|next| Url::activity(&id, Some(&next))),
    };
    Ok(Html(app.view.render(&context)?).into_response())
}

fn line(signed: &Signed, entry: &ActivityEntry) -> Entry {
    let who = match &entry.actor {
        Actor::Customer(id) if *id == signed.customer.id => signed.customer.name.clone(),
        Actor::Customer(_) => "A customer".to_owned(),
        Actor::Provider(_) => "Your provider".to_owned(),
        Actor::System => "The panel".to_owned(),
    };
    let outcome = match entry.outcome {
        Outcome::Requested => Status::new("Requested", Tone::Info),
        Outcome::Done => Status::new("Done", Tone::Success),
        Outcome::Failed => Status::new("Failed", Tone::Danger),
        Outcome::Denied => Status::new("Refused", Tone::Warning),
    };
    Entry {
        at: entry.at.as_second(),
        who,
        from: entry.ip.map(|ip| ip.to_string()),
        what: what(entry.action.as_str()),
        detail: entry
            .target
            .clone()
            .or_else(|| (!entry.text.is_empty()).then(|| entry.text.clone())),
        outcome,
    }
}

/// `snapshots.create` → `Snapshots: create`.
fn what(action: &str) -> String {
    let (area, verb) = action.split_once('.').unwrap_or((action, ""));
    let mut area = area.replace('-', " ");
    if let Some(first) = area.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{area}: {}", verb.replace(['-', '.'], " "))
}
