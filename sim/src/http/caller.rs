//! Who asks, and whether they may.
//!
//! A cookie goes before a token, and refusals of both come before the route is looked up.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::params::Given;
use crate::api::{Allow, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::simulation::Simulation;
use crate::world::World;
use crate::world::access::tickets::Ticket;

/// The value of an API token's header: `PVEAPIToken=…` or `PVEAPIToken …`.
pub(super) fn token_header(asked: &Asked) -> Option<String> {
    let text = asked.header("authorization")?;
    let value = text
        .strip_prefix("PVEAPIToken=")
        .or_else(|| text.strip_prefix("PVEAPIToken "))?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

pub(super) fn cookie(asked: &Asked) -> Option<String> {
    let all = asked.header("cookie")?;
    let value = all
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("PVEAuthCookie="))?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

pub(super) fn authenticate(
    sim: &Simulation,
    asked: &Asked,
    cookie: Option<String>,
    token: Option<String>,
    unsafe_method: bool,
) -> Result<String, Failure> {
    let now = sim.clock.seconds();
    let world = sim.world();
    let failed = || Failure::bare(401, "Authentication failed!");
    if let Some(ticket) = cookie {
        let user = match world.access.read_ticket(&ticket, now) {
            Some(Ticket::Of(user)) => user,
            Some(Ticket::Half) => return Err(Failure::bare(401, "No ticket")),
            None => return Err(failed()),
        };
        let csrf = asked.header("csrfpreventiontoken").unwrap_or_default();
        if unsafe_method && !world.access.csrf_valid(csrf, &user, now) {
            return Err(Failure::bare(401, "Permission denied - invalid csrf token"));
        }
        return Ok(user);
    }
    match token {
        Some(token) => world.access.token(&token, now).ok_or_else(failed),
        None => Err(Failure::bare(401, "No ticket")),
    }
}

pub(super) fn permitted(
    world: &World,
    endpoint: &Endpoint,
    values: &BTreeMap<String, String>,
    given: &Given,
    who: &str,
) -> Result<(), Failure> {
    let (template, any) = match endpoint.allow {
        Allow::Judged(judge) => return judge(world, given, who),
        Allow::World | Allow::User => return Ok(()),
        Allow::On(path, any) => (path, any),
        Allow::ByMajor(path, eight, nine) => (path, if world.major == Major::V8 { eight } else { nine }),
    };
    let mut path = template.to_owned();
    for (name, value) in values {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    let had = world.access.privileges(who, &path);
    if any.iter().any(|privilege| had.contains_key(*privilege)) {
        Ok(())
    } else {
        Err(Failure::forbidden(&format!("{path}, {}", any.join("|"))))
    }
}
