//! The native page: what a panel without components would have in place of the plugin.
//!
//! It is the plugin's page to the byte: the plugin's own code, compiled into this program, works on what the same ports
//! read from the same store and live cache, and the same compiled template, markup policy and layout make the page of
//! it. What it does not have is the instance: no queue, no store of wasmtime, no values copied into and out of a guest's
//! memory.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use portico_host::capability::{Binding, Origin};
use portico_host::domain::Settings;
use portico_host::plugins::Installed;
use portico_host::plugins::access::Access;
use portico_host::view::CheckedHtml;
use portico_host::view::frame::FramePage;
use portico_host::view::urls::Url;
use portico_host::web::{App, Failure, PageError, Room, Signed};
use portico_plugin_snapshots::Snapshots;
use portico_runtime::CapabilityError;
use portico_runtime::bindings::storage::Scope as Space;
use portico_runtime::capability::{SnapshotsPort, StoragePort as _, VmPort as _};
use portico_runtime::markup::Policy;
use portico_runtime::template::RenderContext;
use portico_sdk::testing::{self, Host};
use portico_sdk::{Context, Feature as _, Method, Request, Response as Answer, ServiceView};

use crate::convert;
use crate::stages::{Stage, Stages};

/// The plugin that is measured.
pub(crate) const PLUGIN: &str = "snapshots";

/// The native page at `/native/{service}`.
pub(crate) fn routes(stages: Arc<Stages>) -> Router<App> {
    Router::new()
        .route("/native/{service}", get(page))
        .layer(Extension(stages))
}

async fn page(
    State(app): State<App>,
    Extension(stages): Extension<Arc<Stages>>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let start = Instant::now();
    let room = Room::open(&app, &signed, &id).await?;
    let fail = |error| room.failure(&app, &signed, PLUGIN, error);
    let installed = PLUGIN.parse().ok().and_then(|id| room.set.plugins.get(&id));
    let installed = installed.ok_or_else(|| fail(PageError::NotFound))?;
    let access = Access::of(&room.product, installed);
    if !access.enabled {
        let back = Url::plugin(&room.service.id, "overview");
        return Err(fail(PageError::Denied { back }));
    }
    let opened = stages.note(Stage::Open, start);

    let ((answer, worked), head) = tokio::join!(
        async {
            let start = Instant::now();
            (
                answer(&app, &signed, &room, installed, access).await,
                start.elapsed(),
            )
        },
        room.head(&app, PLUGIN)
    );
    stages.add(Stage::Work, worked);
    stages.add(Stage::Head, opened.elapsed().saturating_sub(worked));
    let (Ok(Answer::Page(answer)), head) = (answer, head.map_err(fail)?) else {
        return Err(fail(wrong()));
    };

    let start = Instant::now();
    let context = RenderContext::new(
        signed.customer.time_zone.as_str(),
        signed.customer.locale.as_str(),
    );
    let templates = installed.plugin.templates();
    let html = templates.render(&answer.view.template, &answer.view.data, &context);
    let html = html.map_err(|_| fail(wrong()))?;
    let start = stages.note(Stage::Template, start);
    let policy = Policy::new(format!("{}/", Url::plugin(&room.service.id, PLUGIN)));
    let cleaned = policy.apply(&html).map_err(|_| fail(wrong()))?;
    let start = stages.note(Stage::Policy, start);
    let context = FramePage {
        page: signed.page(&app),
        title: answer
            .title
            .unwrap_or_else(|| installed.plugin.description().title.clone()),
        service: room.nav(PLUGIN),
        head,
        content: CheckedHtml::assume_checked(cleaned.html),
    };
    let body = app.view.render(&context).map_err(|error| fail(error.into()))?;
    stages.note(Stage::Layout, start);
    Ok(Html(body).into_response())
}

fn wrong() -> PageError {
    PageError::Wrong {
        retry: None,
        behind: false,
    }
}

/// The plugin's answer, from its native code.
async fn answer(
    app: &App,
    signed: &Signed,
    room: &Room,
    installed: &Installed,
    access: Access,
) -> Result<Answer, CapabilityError> {
    let ports = Binding::new(
        app.parts.clone(),
        room.service.clone(),
        room.product.clone(),
        signed.customer.clone(),
        Arc::clone(&installed.approval),
        Arc::clone(&installed.plugin),
        signed.visitor.request_id.clone(),
        Origin::Page {
            address: Some(signed.visitor.address),
        },
    );
    let mut host = Host::default();
    host.vm.status = convert::status(ports.status().await?);
    host.ability = convert::ability(ports.feature().await?);
    host.snapshots = SnapshotsPort::list(&ports)
        .await?
        .into_iter()
        .map(convert::snapshot)
        .collect();
    if ports.get(Space::Service, "schedule".to_owned()).await?.is_some() {
        return Err(CapabilityError::Failed(
            "the services of this benchmark have no schedule".to_owned(),
        ));
    }
    let settings = room
        .product
        .settings
        .get(&installed.approval.id)
        .map(Settings::without_secrets);
    let context = Context {
        service: ServiceView {
            id: room.service.id.to_string(),
            hostname: room.service.hostname.clone(),
            product: room.product.title.clone(),
            addresses: Vec::new(),
        },
        permissions: access.permissions.into_iter().collect(),
        scopes: Vec::new(),
        settings: settings.unwrap_or_default().to_string(),
        locale: signed.customer.locale.as_str().to_owned(),
        time_zone: signed.customer.time_zone.as_str().to_owned(),
        now: app.parts.clock.now().as_second(),
        request_id: signed.visitor.request_id.clone(),
    };
    let request = Request {
        method: Method::Get,
        path: String::new(),
        query: Vec::new(),
        form: Vec::new(),
    };
    let (_, answer) = testing::with(host, || Snapshots::handle(&context, &request));
    answer.map_err(|error| CapabilityError::Failed(error.to_string()))
}
