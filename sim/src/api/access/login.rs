//! Tickets: login with a password, with a second factor, by an old ticket; and whether a console's ticket is good.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::roles::{OF_8, OF_9};
use super::{Allow, Answer, Call, Endpoint};
use crate::api::Takes;
use crate::console::ticket::{self, Claim};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{Property, format};
use crate::world::access::names;
use crate::world::access::roles::privilege_of_9;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint {
        token: false,
        takes: Takes::Only(LOGIN),
        ..Endpoint::anywhere("POST", "/access/ticket", Allow::World, &[], login)
    },
    Endpoint::anywhere("GET", "/access/ticket", Allow::World, &[], |_| {
        Ok(Value::Null.into())
    }),
    Endpoint::anywhere("POST", "/access/vncticket", Allow::World, VNC, vnc_ticket),
];

const VNC: &[Property] = &[
    Property::text("authid").no_longer_than(64),
    Property::text("path").no_longer_than(64),
    Property::text("privs").list_of(privilege_of_9).no_longer_than(64),
    Property::text("vncticket"),
    Property::integer("port").optional(),
];

const LOGIN: &[Property] = &[
    Property::text("username").no_longer_than(64),
    Property::text("password"),
    Property::text("realm").optional().no_longer_than(32),
    Property::text("otp").optional(),
    Property::text("tfa-challenge").optional(),
    Property::boolean("new-format").optional(),
    Property::text("path")
        .optional()
        .no_longer_than(64)
        .requires("privs"),
    OF_9.no_longer_than(64).requires("path"),
    OF_8.no_longer_than(64).requires("path"),
];

/// Whatever is wrong, PVE says no more than this.
fn refused() -> Failure {
    Failure::new(401, "authentication failure")
}

/// How far somebody has come.
enum Stage {
    LoggedIn,
    NeedsSecondFactor,
}

fn login(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("username");
    let user = match call.params.get("realm") {
        Some(realm) if !name.contains('@') => format!("{name}@{realm}"),
        _ => name.to_owned(),
    };
    if !call.world.access.active(&user, call.sim.clock.seconds()) {
        return Err(refused());
    }
    let mut answer = Map::new();
    answer.insert("username".to_owned(), Value::from(user.as_str()));
    if let (Some(path), Some(privileges)) = (call.params.get("path"), call.params.get("privs")) {
        // Who asks about rights gets no ticket.
        let (path, privileges) = (path.to_owned(), privileges.to_owned());
        let known = matches!(proven(call, &user)?, Stage::LoggedIn);
        let had = format::items(&privileges).all(|p| call.world.access.may(&user, &path, p));
        if !known || !had || format::items(&privileges).next().is_none() {
            return Err(refused());
        }
        answer.insert("cap".to_owned(), capabilities(call, &user));
    } else {
        let stage = proven(call, &user)?;
        let now = call.sim.clock.seconds();
        let access = &call.world.access;
        answer.insert(
            "CSRFPreventionToken".to_owned(),
            Value::from(access.csrf(&user, now)),
        );
        match stage {
            Stage::LoggedIn => {
                answer.insert("ticket".to_owned(), Value::from(access.ticket(&user, now)));
                answer.insert("cap".to_owned(), capabilities(call, &user));
            }
            Stage::NeedsSecondFactor => {
                answer.insert("ticket".to_owned(), Value::from(access.half_ticket(&user, now)));
                answer.insert("NeedTFA".to_owned(), Value::from(1));
            }
        }
    }
    if call.world.access.may(&user, "/", "Sys.Audit") {
        answer.insert("clustername".to_owned(), Value::from(call.world.cluster.as_str()));
    }
    Ok(Value::Object(answer).into())
}

/// Tells programs on the node, such as the serial console, whether a console's ticket is good; new in 9.
fn vnc_ticket(call: &mut Call<'_>) -> Answer {
    if call.major() == Major::V8 {
        return Err(Failure::new(
            501,
            "Method 'POST /access/vncticket' not implemented",
        ));
    }
    let who = call.params.text("authid");
    let Some(path) = names::normal_path(call.params.text("path")) else {
        return Err(refused());
    };
    let vmid = path.strip_prefix("/vms/").and_then(|id| id.parse().ok());
    let port = call
        .params
        .integer("port")
        .and_then(|port| u16::try_from(port).ok());
    let privileges = call.params.text("privs");
    let good = vmid.is_some_and(|vmid| {
        let claim = Claim { who, vmid, port };
        let now = call.sim.clock.seconds();
        ticket::valid(&call.world.access, call.params.text("vncticket"), claim, now)
    });
    let mut wanted = format::items(privileges).peekable();
    let may = wanted.peek().is_some() && wanted.all(|p| call.world.access.may(who, &path, p));
    if good && may {
        Ok(Value::Null.into())
    } else {
        Err(refused())
    }
}

/// Looks at what the caller gave as proof of being the user.
fn proven(call: &mut Call<'_>, user: &str) -> Result<Stage, Failure> {
    let now = call.sim.clock.seconds();
    let password = call.params.text("password").to_owned();
    let otp = call.params.get("otp").map(str::to_owned);
    if let Some(challenge) = call.params.get("tfa-challenge") {
        // The second factor stands where the password stood.
        let good = otp.is_none()
            && call.world.access.half_ticket_valid(challenge, user, now)
            && call.world.access.second_factor(user, &password, now);
        return if good { Ok(Stage::LoggedIn) } else { Err(refused()) };
    }
    // root@pam may take tickets for others.
    let by_ticket = call.world.access.ticket_user(&password, now);
    if by_ticket.is_some_and(|owner| owner == user || owner == "root@pam") {
        return Ok(Stage::LoggedIn);
    }
    let known = call.world.access.users.get(user).ok_or_else(refused)?;
    if known.password.as_deref() != Some(password.as_str()) {
        return Err(refused());
    }
    match (known.second.is_some(), otp) {
        (false, _) => Ok(Stage::LoggedIn),
        (true, None) => Ok(Stage::NeedsSecondFactor),
        (true, Some(otp)) if call.world.access.second_factor(user, &otp, now) => Ok(Stage::LoggedIn),
        (true, Some(_)) => Err(refused()),
    }
}

/// What the web interface shows to a user: by the first part of a path, the privileges of its kind that the user has
/// there or on anything below.
fn capabilities(call: &Call<'_>, user: &str) -> Value {
    const ALL: &str = "Permissions.Modify";
    let kinds: [(&str, &[&str]); 7] = [
        ("vms", &["VM.", ALL]),
        ("access", &["User.", "Group.", ALL]),
        ("storage", &["Datastore.", ALL]),
        ("nodes", &["Sys.", ALL]),
        ("sdn", &["SDN.", ALL]),
        ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", &["Mapping.", ALL]),
    ];
    let access = &call.world.access;
    let mut paths = access
        .grants
        .iter()
        .map(|grant| grant.path.as_str())
        .collect::<BTreeSet<_>>();
    paths.extend([
        "/",
        "/nodes",
        "/access/groups",
        "/vms",
        "/storage",
        "/sdn",
        "/mapping",
    ]);
    let mut out = kinds
        .iter()
        .map(|(kind, _)| ((*kind).to_owned(), Map::new()))
        .collect::<BTreeMap<_, _>>();
    for path in paths {
        let top = path.split('/').nth(1).filter(|top| !top.is_empty());
        for privilege in access.privileges(user, path).into_keys() {
            let shown = kinds.iter().filter(|(kind, begins)| {
                let fits = begins.iter().any(|begin| privilege.starts_with(begin));
                fits && match top {
                    Some("pool") => ["vms", "storage"].contains(kind),
                    top => *kind == top.unwrap_or("dc"),
                }
            });
            for (kind, _) in shown {
                if let Some(map) = out.get_mut(*kind) {
                    map.insert(privilege.clone(), Value::from(1));
                }
            }
        }
    }
    json!(out)
}
