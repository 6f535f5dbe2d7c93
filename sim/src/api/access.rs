//! Version, realms and rights.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::access::Privileges;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/version", Allow::User, &[], version),
    Endpoint::anywhere("GET", "/access/domains", Allow::World, &[], domains),
    Endpoint::anywhere("GET", "/access/ticket", Allow::World, &[], |_| {
        Ok(Value::Null.into())
    }),
    Endpoint::anywhere(
        "GET",
        "/access/permissions",
        Allow::User,
        PERMISSIONS,
        permissions,
    ),
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
