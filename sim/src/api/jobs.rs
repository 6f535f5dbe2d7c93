//! Backups that the datacenter makes by a schedule: `/cluster/backup`.
//!
//! There are none, and none can be added: the simulator knows backups that somebody asks for.

use serde_json::json;

use super::{Allow, Answer, Call, Endpoint};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::anywhere(
    "GET",
    "/cluster/backup",
    Allow::On("/", &["Sys.Audit"]),
    &[],
    list,
)];

fn list(_: &mut Call<'_>) -> Answer {
    Ok(json!([]).into())
}
