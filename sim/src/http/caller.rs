//! Who asks, and whether they may.
//!
//! Refusals of tickets and tokens come before the route is looked up.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::credentials::Credentials;
use super::params::Given;
use crate::api::{Allow, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::simulation::Simulation;
use crate::world::World;
use crate::world::access::tickets::Ticket;

pub(super) fn authenticate(
    sim: &Simulation,
    asked: &Asked,
    credentials: Option<Credentials>,
    unsafe_method: bool,
) -> Result<String, Failure> {
    let now = sim.clock.seconds();
    let world = sim.world();
    let failed = || Failure::bare(401, "Authentication failed!");
    let ticket = match credentials {
        Some(Credentials::Ticket(ticket)) => ticket,
        Some(Credentials::Token(token)) => return world.access.token(&token, now).ok_or_else(failed),
        None => return Err(Failure::bare(401, "No ticket")),
    };
    let user = match world.access.read_ticket(&ticket, now) {
        Some(Ticket::Of(user)) => user,
        Some(Ticket::Half) => return Err(Failure::bare(401, "No ticket")),
        None => return Err(failed()),
    };
    let csrf = asked.header("csrfpreventiontoken").unwrap_or_default();
    if unsafe_method && !world.access.csrf_valid(csrf, &user, now) {
        return Err(Failure::bare(401, "Permission denied - invalid csrf token"));
    }
    Ok(user)
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
