//! The rights that somebody has in effect.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::access::{Privileges, names};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::anywhere(
    "GET",
    "/access/permissions",
    Allow::User,
    PERMISSIONS,
    permissions,
)];

const PERMISSIONS: &[Property] = &[
    Property::text("path").optional(),
    Property::text("userid").optional().pattern(is_user_or_token),
];

fn is_user_or_token(text: &str) -> bool {
    let (user, name) = names::split(text);
    names::user_id("", user).is_ok() && name.is_none_or(names::is_realm)
}

fn shown(privileges: &Privileges) -> Value {
    privileges
        .iter()
        .map(|(name, propagate)| (name.clone(), Value::from(u8::from(*propagate))))
        .collect()
}

/// Who is not there has no rights: that is an answer, not an error.
fn permissions(call: &mut Call<'_>) -> Answer {
    let subject = call.params.get("userid").unwrap_or(call.who);
    let own = subject == call.who || names::split(subject).0 == call.who;
    if !own && !call.may("/access", "Sys.Audit") {
        return Err(Failure::forbidden("/access, Sys.Audit"));
    }
    let access = &call.world.access;
    let mut out = Map::new();
    if let Some(path) = call.params.get("path").filter(|path| !path.is_empty()) {
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
