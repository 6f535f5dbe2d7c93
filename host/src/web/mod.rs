//! The panel over HTTP: one page or endpoint a file, and what stands around all of them.
//!
//! The way of a request, in the order of the files: [`guard`] (id, headers, origin check) → [`rates`] (how often) and
//! [`visit`] (who asks, session) → the page: [`login`], [`services`], [`plugin`] with [`frame`], [`activity`], [`profile`] → [`error`] when it failed.
//! [`health`] and [`metrics`] are for machines.
//!
//! To add a page: its context in `crate::view`, its pattern in `crate::view::urls`, a file here, a line in [`router`].
//! Not here: what a plugin may do (`plugins`), templates (`view`), Proxmox.

mod activity;
mod error;
mod flash;
mod frame;
pub mod guard;
mod health;
mod login;
pub mod metrics;
mod plugin;
mod profile;
pub mod rates;
mod services;
pub mod site;
pub mod state;
mod visit;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

pub use self::error::{Failure, PageError};
pub use self::frame::Room;
pub use self::state::{App, AppParts};
pub use self::visit::{Peer, Signed, Visitor};
use crate::view::urls::{Url, pattern};

/// Bytes of a form: what the contract allows a plugin's form, and some for encoding.
const FORM: usize = 256 << 10;

/// All pages.
pub fn router(app: App) -> Router {
    router_with(app, Router::new())
}

/// All pages, and pages of the program that has the panel in it, which stand behind the same guards: what [`Signed`] and
/// [`Room`] let through, [`Failure`] turns away.
pub fn router_with(app: App, extra: Router<App>) -> Router {
    extra
        .route("/", get(async || Redirect::to(Url::services().as_str())))
        .route(pattern::LOGIN, get(login::form).post(login::submit))
        .route(pattern::LOGOUT, post(login::leave))
        .route(pattern::SERVICES, get(services::page))
        .route(pattern::SERVICES_LIVE, get(services::live))
        .route(pattern::SERVICE, get(plugin::first))
        .route(pattern::SERVICE_LIVE, get(frame::live))
        .route(pattern::ACTIVITY, get(activity::page))
        .route(pattern::PLUGIN, get(plugin::root_get).post(plugin::root_post))
        .route(
            pattern::PLUGIN_PATH,
            get(plugin::path_get).post(plugin::path_post),
        )
        .route(pattern::PROFILE, get(profile::page).post(profile::save))
        .route(pattern::PASSWORD, post(profile::password))
        .route(pattern::REVOKE_SESSION, post(profile::revoke))
        .route(pattern::REVOKE_OTHERS, post(profile::revoke_others))
        .fallback(async || error::PageError::NotFound)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(from_fn_with_state(app.clone(), rates::limited))
        .layer(from_fn_with_state(app.clone(), guard::same_origin))
        .route(pattern::ASSET, get(asset))
        .route(pattern::HEALTHZ, get(health::alive))
        .route(pattern::READYZ, get(health::ready))
        .layer(from_fn_with_state(app.clone(), guard::around))
        .layer(from_fn(guard::caught))
        .with_state(app)
}

async fn asset(State(app): State<App>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    app.assets.response(&file, &headers).into_response()
}
