//! Login and rights.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Takes};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::access::Privileges;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/version", Allow::User, &[], version),
    Endpoint::anywhere("GET", "/access/domains", Allow::World, &[], domains),
    Endpoint::anywhere("GET", "/access/ticket", Allow::World, &[], |_| {
        Ok(Value::Null.into())
    }),
    Endpoint {
        token: false,
        takes: Takes::Only(LOGIN),
        ..Endpoint::anywhere("POST", "/access/ticket", Allow::World, &[], login)
    },
    Endpoint::anywhere(
        "GET",
        "/access/permissions",
        Allow::User,
        PERMISSIONS,
        permissions,
    ),
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
    Property::text("privs")
        .optional()
        .no_longer_than(64)
        .requires("path"),
];

const PERMISSIONS: &[Property] = &[
    Property::text("path").optional(),
    Property::text("userid").optional(),
];

fn version(call: &mut Call<'_>) -> Answer {
    let (version, release, repoid) = match call.major() {
        crate::options::Major::V8 => ("8.4.14", "8.4", "b502d23c55afcba1"),
        crate::options::Major::V9 => ("9.1.4", "9.1", "5ac30304265fbd8e"),
    };
    Ok(json!({ "version": version, "release": release, "repoid": repoid }).into())
}

fn domains(_: &mut Call<'_>) -> Answer {
    Ok(json!([
        { "realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication", "default": 1 },
        { "realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server" },
    ])
    .into())
}

fn login(call: &mut Call<'_>) -> Answer {
    let refused = || Failure::new(401, "authentication failure");
    let name = call.params.text("username");
    let user = match call.params.get("realm") {
        Some(realm) if !name.contains('@') => format!("{name}@{realm}"),
        _ => name.to_owned(),
    };
    let now = call.sim.clock.seconds();
    let access = &call.world.access;
    let password = call.params.text("password");
    let known = access
        .users
        .get(&user)
        .filter(|known| known.enabled)
        .ok_or_else(refused)?;
    let by_ticket = access.ticket_user(password, now).as_deref() == Some(user.as_str());
    if !by_ticket && known.password.as_deref() != Some(password) {
        return Err(refused());
    }
    let mut cap = Map::new();
    let roots = [
        ("vms", "/vms"),
        ("storage", "/storage"),
        ("access", "/access"),
        ("nodes", "/nodes"),
        ("dc", "/"),
        ("sdn", "/sdn"),
        ("mapping", "/mapping"),
    ];
    for (name, path) in roots {
        let had = access
            .privileges(&user, path)
            .keys()
            .map(|p| (p.clone(), Value::from(1)))
            .collect();
        cap.insert(name.to_owned(), Value::Object(had));
    }
    Ok(json!({
        "username": user,
        "ticket": access.ticket(&user, now),
        "CSRFPreventionToken": access.csrf(&user, now),
        "clustername": call.world.cluster,
        "cap": cap,
    })
    .into())
}

fn shown(privileges: &Privileges) -> Value {
    privileges
        .iter()
        .map(|(name, propagate)| (name.clone(), Value::from(u8::from(*propagate))))
        .collect()
}

fn permissions(call: &mut Call<'_>) -> Answer {
    let subject = call.params.get("userid").unwrap_or(call.who);
    let own = subject == call.who || subject.split('!').next() == Some(call.who);
    if !own && !call.may("/access", "Sys.Audit") {
        return Err(Failure::forbidden("/access, Sys.Audit"));
    }
    let access = &call.world.access;
    if !access.users.contains_key(subject) && !access.tokens.contains_key(subject) {
        return Err(Failure::parameter(
            "userid",
            format!("no such user or token '{subject}'"),
        ));
    }
    let mut out = Map::new();
    if let Some(path) = call.params.get("path") {
        out.insert(path.to_owned(), shown(&access.privileges(subject, path)));
    } else {
        for path in access.known_paths() {
            let had = access.privileges(subject, &path);
            if !had.is_empty() {
                out.insert(path, shown(&had));
            }
        }
    }
    Ok(Value::Object(out).into())
}
