//! Groups of users.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint, failed};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::access::{Access, Group, names};

const PATH: &str = "/access/groups/{groupid}";
const ALLOCATE: Allow = Allow::On("/access/groups", &["Group.Allocate"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/access/groups", Allow::User, &[], list),
    Endpoint::anywhere("POST", "/access/groups", ALLOCATE, CREATE, create),
    Endpoint::anywhere(
        "GET",
        PATH,
        Allow::On("/access/groups", &["Sys.Audit", "Group.Allocate"]),
        &[],
        read,
    ),
    Endpoint::anywhere("PUT", PATH, ALLOCATE, &[COMMENT], update),
    Endpoint::anywhere("DELETE", PATH, ALLOCATE, &[], remove),
];

const COMMENT: Property = Property::text("comment").optional();

const CREATE: &[Property] = &[Property::text("groupid").format(names::group_id), COMMENT];

/// A group, or PVE's text.
fn found<'a>(access: &'a Access, name: &str) -> Result<&'a Group, String> {
    let known = access.groups.get(name);
    known.ok_or_else(|| format!("group '{name}' does not exist"))
}

fn comment(call: &Call<'_>) -> Option<String> {
    call.params.get("comment").and_then(names::kept)
}

fn list(call: &mut Call<'_>) -> Answer {
    let any = ["User.Modify", "Sys.Audit", "Group.Allocate"];
    let all = call.world.access.groups.iter();
    let seen = all.filter(|(name, _)| call.may_any(&format!("/access/groups/{name}"), &any));
    let entries = seen.map(|(name, group)| {
        let mut entry = Map::new();
        let users = group.members.iter().map(String::as_str);
        entry.insert("groupid".to_owned(), Value::from(name.as_str()));
        entry.insert(
            "users".to_owned(),
            Value::from(users.collect::<Vec<_>>().join(",")),
        );
        if let Some(comment) = &group.comment {
            entry.insert("comment".to_owned(), Value::from(comment.as_str()));
        }
        Value::Object(entry)
    });
    Ok(entries.collect::<Value>().into())
}

fn create(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("groupid").to_owned();
    if call.world.access.groups.contains_key(&name) {
        return Err(failed("create group", &format!("group '{name}' already exists")));
    }
    let group = Group {
        comment: comment(call),
        ..Group::default()
    };
    call.world.access.groups.insert(name, group);
    Ok(Value::Null.into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("groupid");
    let group = found(&call.world.access, name).map_err(Failure::died)?;
    let mut out = Map::new();
    out.insert("members".to_owned(), group.members.iter().cloned().collect());
    if let Some(comment) = &group.comment {
        out.insert("comment".to_owned(), Value::from(comment.as_str()));
    }
    Ok(Value::Object(out).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("groupid").to_owned();
    found(&call.world.access, &name).map_err(|text| failed("update group", &text))?;
    let new = comment(call);
    if let Some(group) = call.world.access.groups.get_mut(&name)
        && call.params.get("comment").is_some()
    {
        group.comment = new;
    }
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("groupid").to_owned();
    found(&call.world.access, &name).map_err(|text| failed("delete group", &text))?;
    call.world.access.remove_group(&name);
    Ok(Value::Null.into())
}
