//! For load balancers and supervisors.

use axum::extract::State;
use axum::http::StatusCode;

use super::state::App;
use crate::store::{Key, Table};

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The panel can serve customers: the store answers and every approved plugin is loaded. Proxmox is not asked: a panel
/// whose cluster is down still shows pages that say so.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, String) {
    let mut problems = Vec::new();
    if app
        .parts
        .store
        .get(Table::Meta, &Key::text("ready"))
        .await
        .is_err()
    {
        problems.push("the store does not answer".to_owned());
    }
    problems.extend(
        app.plugins
            .set()
            .broken
            .keys()
            .map(|id| format!("plugin `{id}` is not loaded")),
    );
    if problems.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", problems.join("\n")),
        )
    }
}
