//! The customer's services.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};

use super::error::Failure;
use super::frame::status_of;
use super::state::App;
use super::visit::Signed;
use crate::domain::Service;
use crate::view::page::Tone;
use crate::view::service::Status;
use crate::view::services::{ServiceRow, ServicesFragment, ServicesPage};
use crate::view::urls::Url;

/// Addresses shown in a row.
const SHOWN: usize = 2;

/// The list.
pub(super) async fn page(State(app): State<App>, signed: Signed) -> Result<Response, Failure> {
    let services = rows(&app, &signed).await?;
    let html = app.view.render(&ServicesPage {
        page: signed.page(&app),
        services,
    })?;
    let mut response = Html(html).into_response();
    if let Ok(value) = super::flash::clear(&app.site).parse() {
        response
            .headers_mut()
            .append(axum::http::header::SET_COOKIE, value);
    }
    Ok(response)
}

/// The list alone, for the script that asks for it again.
pub(super) async fn live(State(app): State<App>, signed: Signed) -> Result<Response, Failure> {
    let services = rows(&app, &signed).await?;
    Ok(Html(app.view.render(&ServicesFragment { services })?).into_response())
}

async fn rows(app: &App, signed: &Signed) -> Result<Vec<ServiceRow>, Failure> {
    let mut services = app.records.services_of(&signed.customer.id).await?;
    services.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    let mut rows = Vec::with_capacity(services.len());
    for service in services {
        let product = app.records.product(&service.product).await?.value.title;
        let hosts: Vec<String> = service.addresses.hosts().map(|host| host.to_string()).collect();
        rows.push(ServiceRow {
            href: Url::service(&service.id),
            status: status(app, &service).await,
            more_addresses: hosts.len().saturating_sub(SHOWN),
            addresses: hosts.into_iter().take(SHOWN).collect(),
            name: service.hostname,
            product,
        });
    }
    Ok(rows)
}

/// The state from the cluster's list: one request for all services of a cluster.
async fn status(app: &App, service: &Service) -> Status {
    if service.suspended {
        return Status::new("Suspended", Tone::Danger).with_note("Please contact your provider");
    }
    match app.parts.live.list(&service.cluster).await {
        Ok(list) => match list.value.get(&service.vmid.get()) {
            Some(vm) => {
                let state = crate::capability::vm_state(&vm.state, vm.lock.as_ref());
                status_of(state, list.age())
            }
            None => Status::new("Unknown", Tone::Warning).with_note("The VM was not found"),
        },
        Err(_) => Status::new("Unknown", Tone::Warning).with_note("The state is not known at the moment"),
    }
}
