//! Who may come in and do what: `/access`, and the version.
//!
//! Each file serves one kind of object; [`judges`] decides who may deal with which. What is kept, and what follows
//! from it for every other endpoint, is `world::access`. PVE changes all of it under one lock, whose holder's name
//! stands before each refusal (`create user failed: …`), also before those that would be of parameters otherwise.
//!
//! Not here: realms other than `pam` and `pve`, OpenID, and second factors, which only a scenario gives.

mod acl;
mod groups;
pub(super) mod judges;
mod login;
mod password;
mod permissions;
mod roles;
mod tokens;
mod users;

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;

/// The endpoints of this folder.
pub(super) const AREAS: &[&[Endpoint]] = &[
    ROUTES,
    acl::ROUTES,
    groups::ROUTES,
    login::ROUTES,
    password::ROUTES,
    permissions::ROUTES,
    roles::ROUTES,
    tokens::ROUTES,
    users::ROUTES,
];

const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/version", Allow::User, &[], |call| {
        Ok(version(call).into())
    }),
    Endpoint::anywhere("GET", "/access", Allow::User, &[], index),
    Endpoint::anywhere("GET", "/access/domains", Allow::World, &[], domains),
];

/// The realms.
const REALMS: &[&str] = &["pam", "pve"];

/// Which PVE it is.
pub(super) fn version(call: &Call<'_>) -> Value {
    let (version, release, repoid) = match call.major() {
        crate::options::Major::V8 => ("8.4.14", "8.4", "b502d23c55afcba1"),
        crate::options::Major::V9 => ("9.1.4", "9.1", "5ac30304265fbd8e"),
    };
    json!({ "version": version, "release": release, "repoid": repoid })
}

fn index(_: &mut Call<'_>) -> Answer {
    let names = [
        "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
    ];
    Ok(super::subdirectories(&names))
}

fn domains(_: &mut Call<'_>) -> Answer {
    Ok(json!([
        { "realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication", "default": 1 },
        { "realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server" },
    ])
    .into())
}

/// A refusal under the lock on `user.cfg`: what was being done stands before it.
fn failed(what: &str, text: &str) -> Failure {
    Failure::died(format!("{what} failed: {text}"))
}

/// The refusal of a parameter under that lock: PVE makes one text of it.
fn parameter_failed(what: &str, name: &str, text: &str) -> Failure {
    failed(
        what,
        &format!("400 Parameter verification failed.\n{name}: {text}"),
    )
}
