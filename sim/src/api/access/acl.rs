//! The access control list.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint, failed, judges, parameter_failed};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::access::{Access, Grant, Privileges, names};

const WHAT: &str = "ACL update";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/access/acl", Allow::User, &[], list),
    Endpoint::anywhere(
        "PUT",
        "/access/acl",
        Allow::Judged(judges::give_rights),
        UPDATE,
        update,
    ),
];

const UPDATE: &[Property] = &[
    Property::text("path"),
    Property::text("roles").list_of(names::role_id),
    Property::text("users").optional().list_of(names::user_id),
    Property::text("groups").optional().list_of(names::group_id),
    Property::text("tokens").optional().list_of(names::token_id),
    Property::boolean("propagate").optional(),
    Property::boolean("delete").optional(),
];

/// The lines that the caller could change, or all for auditors; by path, then users, groups, tokens.
fn list(call: &mut Call<'_>) -> Answer {
    let audit = call.may("/access", "Sys.Audit");
    let all = call.world.access.grants.iter();
    let seen = all.filter(|grant| audit || judges::rights_on(call.world, call.who, &grant.path).is_ok());
    let mut lines = seen.map(line).collect::<Vec<_>>();
    lines.sort_by(|(a, ..), (b, ..)| a.split('/').cmp(b.split('/')));
    let entries = lines.into_iter().map(|(path, kind, subject, grant)| {
        json!({
            "path": path, "type": kind, "ugid": subject, "roleid": grant.role,
            "propagate": u8::from(grant.propagate),
        })
    });
    Ok(entries.collect::<Value>().into())
}

fn line(grant: &Grant) -> (&str, &'static str, &str, &Grant) {
    let (kind, subject) = match names::group(&grant.subject) {
        Some(group) => ("group", group),
        None if names::split(&grant.subject).1.is_some() => ("token", grant.subject.as_str()),
        None => ("user", grant.subject.as_str()),
    };
    (&grant.path, kind, subject, grant)
}

fn update(call: &mut Call<'_>) -> Answer {
    let params = &call.params;
    let named = ["users", "groups", "tokens"];
    if named.iter().all(|name| params.text(name).is_empty()) {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        let errors = named.map(|name| (name.to_owned(), text.to_owned()));
        return Err(Failure::invalid(IndexMap::from(errors)));
    }
    let remove = params.flag("delete");
    let given = params.text("path");
    let path = names::normal_path(given).filter(|path| remove || names::is_acl_path(path));
    let Some(path) = path else {
        return Err(Failure::parameter("path", format!("invalid ACL path '{given}'")));
    };
    let propagate = params.get("propagate") != Some("0");
    let access = &call.world.access;
    let own = access.privileges(call.who, &path);
    let mut lines = Vec::new();
    for role in format::items(params.text("roles")) {
        if !access.has_role(role) {
            return Err(failed(WHAT, &format!("role '{role}' does not exist")));
        }
        may_hand_out(access, &own, role, propagate, remove)?;
        for subject in subjects(call)? {
            lines.push(Grant {
                path: path.clone(),
                subject,
                role: role.to_owned(),
                propagate,
            });
        }
    }
    for line in lines {
        if remove {
            call.world.access.grants.retain(|other| !line.is_like(other));
        } else if line.subject != "root@pam" {
            // PVE does not even write down rights of root, who has all.
            call.world.access.grant(line);
        }
    }
    Ok(Value::Null.into())
}

/// Whoever may only give away objects of a kind (`VM.Allocate`…) can hand out nothing that goes beyond the own rights.
fn may_hand_out(
    access: &Access,
    own: &Privileges,
    role: &str,
    propagate: bool,
    remove: bool,
) -> Result<(), Failure> {
    if own.contains_key("Permissions.Modify") {
        return Ok(());
    }
    let verb = if remove { "remove" } else { "add" };
    let refuse = |rest: &str| {
        let text = format!("Cannot {verb} role '{role}'{rest}");
        Err(parameter_failed(WHAT, "role", &text))
    };
    for privilege in access.role(role) {
        match own.get(&privilege) {
            None => return refuse(" - requires 'Permissions.Modify' or superset of privileges."),
            Some(false) if propagate && !remove => {
                return refuse(
                    " with propagation - requires 'Permissions.Modify' or propagated superset of privileges.",
                );
            }
            Some(_) => {}
        }
    }
    if role == "NoAccess" {
        return refuse(" - requires 'Permissions.Modify'");
    }
    Ok(())
}

/// Everybody whom the request names, if they are there.
fn subjects(call: &Call<'_>) -> Result<Vec<String>, Failure> {
    let access = &call.world.access;
    let mut out = Vec::new();
    for name in format::items(call.params.text("groups")) {
        if !access.groups.contains_key(name) {
            return Err(failed(WHAT, &format!("group '{name}' does not exist")));
        }
        out.push(format!("@{name}"));
    }
    for user in format::items(call.params.text("users")) {
        if !access.users.contains_key(user) {
            return Err(failed(WHAT, &format!("user '{user}' does not exist")));
        }
        out.push(user.to_owned());
    }
    for token in format::items(call.params.text("tokens")) {
        if !access.tokens.contains_key(token) {
            let (user, name) = names::split(token);
            let text = if access.users.contains_key(user) {
                format!("no such token '{}' for user '{user}'", name.unwrap_or_default())
            } else {
                format!("no such user ('{user}')")
            };
            return Err(failed(WHAT, &text));
        }
        out.push(token.to_owned());
    }
    Ok(out)
}
