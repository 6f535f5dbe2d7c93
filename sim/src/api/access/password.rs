//! Passwords.

use serde_json::Value;

use super::users::existing;
use super::{Allow, Answer, Call, Endpoint, judges};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::access::{Access, names};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint {
    token: false,
    ..Endpoint::anywhere(
        "PUT",
        "/access/password",
        Allow::Judged(judges::password),
        CHANGE,
        change,
    )
}];

const CHANGE: &[Property] = &[
    Property::text("userid").format(names::user_id).no_longer_than(64),
    Property::text("password").no_shorter_than(8).no_longer_than(64),
    Property::text("confirmation-password")
        .optional()
        .no_shorter_than(5)
        .no_longer_than(64),
];

/// Whether a user's password can be set, or PVE's text: the realm must be there, and in `pam` the system's user. The
/// system's users are those who have a password already.
pub(super) fn settable(access: &Access, user: &str) -> Result<(), String> {
    let realm = names::realm(user);
    if !super::REALMS.contains(&realm) {
        return Err(format!("auth domain '{realm}' does not exist"));
    }
    let known = access.users.get(user);
    let on_system = known.is_some_and(|user| user.password.is_some());
    match user.strip_suffix("@pam") {
        Some(name) if !on_system => Err(format!("change password failed: user '{name}' does not exist")),
        _ => Ok(()),
    }
}

/// Sets a password; all but root confirm it with their own.
fn change(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("userid").to_owned();
    let access = &mut call.world.access;
    existing(access, &id)?;
    if call.who != "root@pam" {
        if id == "root@pam" {
            return Err(Failure::forbidden(""));
        }
        let Some(confirmation) = call.params.get("confirmation-password") else {
            return Err(Failure::parameter(
                "confirmation-password",
                "password is required to modify user",
            ));
        };
        let own = access
            .users
            .get(call.who)
            .and_then(|user| user.password.as_deref());
        if own != Some(confirmation) {
            let pam = names::realm(call.who) == "pam";
            return Err(Failure::died(match own {
                _ if pam => "Authentication failure",
                None => "no password set",
                Some(_) => "invalid credentials",
            }));
        }
        if call.who != id && names::realm(&id) == "pam" {
            return Err(Failure::forbidden(""));
        }
    }
    settable(access, &id).map_err(Failure::died)?;
    if let Some(user) = access.users.get_mut(&id) {
        user.password = Some(call.params.text("password").to_owned());
    }
    Ok(Value::Null.into())
}
