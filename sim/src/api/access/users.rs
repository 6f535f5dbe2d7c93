//! Users.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint, failed, judges, password};
use crate::api::Takes;
use crate::failure::Failure;
use crate::schema::{Params, Property, format};
use crate::world::access::{Access, Token, User, names};

const PATH: &str = "/access/users/{userid}";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/access/users", Allow::User, LIST, list),
    Endpoint {
        takes: Takes::And(CREATE, ABOUT),
        ..Endpoint::anywhere(
            "POST",
            "/access/users",
            Allow::Judged(judges::create_user),
            &[],
            create,
        )
    },
    Endpoint::anywhere("GET", PATH, Allow::Judged(judges::read_user), &[], read),
    Endpoint {
        takes: Takes::And(UPDATE, ABOUT),
        ..Endpoint::anywhere("PUT", PATH, Allow::Judged(judges::update_user), &[], update)
    },
    Endpoint::anywhere("DELETE", PATH, Allow::Judged(judges::remove_user), &[], remove),
];

const LIST: &[Property] = &[
    Property::boolean("enabled").optional(),
    Property::boolean("full").optional(),
];

/// What is said of a user who is made or changed.
const ABOUT: &[Property] = &[
    Property::boolean("enable").optional(),
    Property::integer("expire").optional().at_least(0),
    Property::text("firstname").optional().no_longer_than(1024),
    Property::text("lastname").optional().no_longer_than(1024),
    Property::text("email")
        .optional()
        .format(format::email_or_nothing)
        .no_longer_than(254),
    Property::text("comment").optional().no_longer_than(2048),
    Property::text("keys").optional().pattern(are_keys),
    Property::text("groups").optional().list_of(names::group_id),
];

const CREATE: &[Property] = &[
    Property::text("userid").format(names::user_id).no_longer_than(64),
    Property::text("password")
        .optional()
        .no_shorter_than(8)
        .no_longer_than(64),
];

const UPDATE: &[Property] = &[Property::boolean("append").optional().requires("groups")];

/// The details of a user that requests set and answers show.
const DETAILS: [&str; 5] = ["firstname", "lastname", "email", "comment", "keys"];

/// `[0-9a-zA-Z!=]{0,4096}`.
fn are_keys(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'!' || b == b'=';
    text.len() <= 4096 && text.bytes().all(good)
}

/// A user as both list and single answer show one.
fn shown(user: &User) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("enable".to_owned(), Value::from(u8::from(user.enabled)));
    out.insert("expire".to_owned(), Value::from(user.expire));
    for (name, value) in &user.details {
        out.insert(name.clone(), Value::from(value.as_str()));
    }
    // In PVE's file the address stands before comment and keys; it is read as empty only when one of them follows.
    let follows = ["comment", "keys"]
        .iter()
        .any(|name| user.details.contains_key(*name));
    if follows {
        out.entry("email").or_insert_with(|| Value::from(""));
    }
    out
}

/// What an answer says of a token.
pub(super) fn token_info(token: &Token) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("privsep".to_owned(), Value::from(u8::from(token.separate)));
    out.insert("expire".to_owned(), Value::from(token.expire));
    if let Some(comment) = &token.comment {
        out.insert("comment".to_owned(), Value::from(comment.as_str()));
    }
    out
}

/// The groups of a user, in order.
fn groups_of<'a>(access: &'a Access, user: &'a str) -> impl Iterator<Item = &'a str> {
    let all = access.groups.iter();
    all.filter(move |(_, group)| group.members.contains(user))
        .map(|(name, _)| name.as_str())
}

/// Everybody whom the caller may see, and always the caller.
fn list(call: &mut Call<'_>) -> Answer {
    let any = ["User.Modify", "Sys.Audit"];
    let access = &call.world.access;
    let all = call.may_any("/access/groups", &any);
    let seen = |user: &str| {
        let by_group = |group: &str| call.may_any(&format!("/access/groups/{group}"), &any);
        all || user == call.who || groups_of(access, user).any(by_group)
    };
    let enabled = call.params.get("enabled").map(|flag| flag == "1");
    let users = access
        .users
        .iter()
        .filter(|(id, user)| seen(id) && enabled.is_none_or(|enabled| user.enabled == enabled));
    let entries = users.map(|(id, user)| {
        let mut entry = shown(user);
        entry.insert("userid".to_owned(), Value::from(id.as_str()));
        let realm = names::realm(id);
        if super::REALMS.contains(&realm) {
            entry.insert("realm-type".to_owned(), Value::from(realm));
        }
        if call.params.flag("full") {
            let groups = groups_of(access, id).collect::<Vec<_>>().join(",");
            entry.insert("groups".to_owned(), Value::from(groups));
            let tokens = access.tokens_of(id).map(|(name, token)| {
                let mut info = token_info(token);
                info.insert("tokenid".to_owned(), Value::from(name));
                Value::Object(info)
            });
            let tokens = tokens.collect::<Vec<_>>();
            if !tokens.is_empty() {
                entry.insert("tokens".to_owned(), Value::from(tokens));
            }
        }
        Value::Object(entry)
    });
    Ok(entries.collect::<Value>().into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("userid");
    let access = &call.world.access;
    let mut out = shown(existing(access, id)?);
    out.insert("groups".to_owned(), groups_of(access, id).collect());
    let tokens = access.tokens_of(id);
    let tokens = tokens
        .map(|(name, token)| (name.to_owned(), Value::Object(token_info(token))))
        .collect::<Map<_, _>>();
    // PVE's schema has an object or nothing here; what it answers is null.
    let tokens = if tokens.is_empty() {
        Value::Null
    } else {
        Value::Object(tokens)
    };
    out.insert("tokens".to_owned(), tokens);
    Ok(Value::Object(out).into())
}

/// A user, or PVE's text.
pub(super) fn existing<'a>(access: &'a Access, user: &str) -> Result<&'a User, Failure> {
    let known = access.users.get(user);
    known.ok_or_else(|| Failure::died(format!("no such user ('{user}')")))
}

/// The groups that a request names, if they are there.
fn wanted_groups(access: &Access, params: &Params, what: &str) -> Result<Vec<String>, Failure> {
    let named = params.get("groups").unwrap_or_default();
    format::items(named)
        .map(|name| {
            if access.groups.contains_key(name) {
                Ok(name.to_owned())
            } else {
                Err(failed(what, &format!("no such group '{name}'")))
            }
        })
        .collect()
}

fn join(access: &mut Access, user: &str, groups: &[String]) {
    for group in groups {
        if let Some(group) = access.groups.get_mut(group) {
            group.members.insert(user.to_owned());
        }
    }
}

/// Sets what a request says of a user.
fn fill(user: &mut User, params: &Params) {
    if let Some(enable) = params.get("enable") {
        user.enabled = enable == "1";
    }
    user.expire = params.integer("expire").unwrap_or(user.expire);
    for name in DETAILS {
        if let Some(value) = params.get(name) {
            user.detail(name, value);
        }
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    const WHAT: &str = "create user";
    let id = call.params.text("userid").to_owned();
    let access = &mut call.world.access;
    if access.users.contains_key(&id) {
        return Err(failed(WHAT, &format!("user '{id}' already exists")));
    }
    let secret = call.params.get("password").map(str::to_owned);
    if secret.is_some() {
        password::settable(access, &id).map_err(|text| failed(WHAT, &text))?;
    }
    let groups = wanted_groups(access, &call.params, WHAT)?;
    let mut user = User::new(secret);
    fill(&mut user, &call.params);
    access.users.insert(id.clone(), user);
    join(access, &id, &groups);
    Ok(Value::Null.into())
}

fn update(call: &mut Call<'_>) -> Answer {
    const WHAT: &str = "update user";
    let id = call.params.text("userid").to_owned();
    let access = &mut call.world.access;
    if let Err(refusal) = existing(access, &id) {
        return Err(failed(WHAT, &refusal.message));
    }
    let groups = wanted_groups(access, &call.params, WHAT)?;
    if let Some(user) = access.users.get_mut(&id) {
        fill(user, &call.params);
    }
    if call.params.get("groups").is_some() && !call.params.flag("append") {
        for group in access.groups.values_mut() {
            group.members.remove(&id);
        }
    }
    join(access, &id, &groups);
    Ok(Value::Null.into())
}

/// Removes a user. `root@pam` is back at once, with nothing; who is not there is no mistake.
fn remove(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("userid").to_owned();
    let access = &mut call.world.access;
    let secret = access.users.get(&id).and_then(|user| user.password.clone());
    access.remove_user(&id);
    if id == "root@pam" {
        access.users.insert(id, User::new(secret));
    }
    Ok(Value::Null.into())
}
