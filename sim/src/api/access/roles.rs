//! Roles: what a name on the access control list stands for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint, failed};
use crate::failure::Failure;
use crate::schema::{Params, Property, format};
use crate::world::access::names;
use crate::world::access::roles::{BUILT_IN, built_in, privilege_of_8, privilege_of_9};

const PATH: &str = "/access/roles/{roleid}";
const MODIFY: Allow = Allow::On("/access", &["Sys.Modify"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/access/roles", Allow::User, &[], list),
    Endpoint::anywhere("POST", "/access/roles", MODIFY, CREATE, create),
    Endpoint::anywhere("GET", PATH, Allow::User, &[], read),
    Endpoint::anywhere("PUT", PATH, MODIFY, UPDATE, update),
    Endpoint::anywhere("DELETE", PATH, MODIFY, &[], remove),
];

const CREATE: &[Property] = &[Property::text("roleid").format(names::role_id), OF_9, OF_8];

const UPDATE: &[Property] = &[
    OF_9,
    OF_8,
    Property::boolean("append").optional().requires("privs"),
];

/// Privileges of 9, which is asked for first; see [`OF_8`].
pub(super) const OF_9: Property = Property::text("privs")
    .optional()
    .list_of(privilege_of_9)
    .new_in_9();

/// Privileges of 8.
pub(super) const OF_8: Property = Property::text("privs").optional().list_of(privilege_of_8);

fn given(params: &Params) -> BTreeSet<String> {
    let privileges = params.get("privs").unwrap_or_default();
    format::items(privileges).map(str::to_owned).collect()
}

fn missing(role: &str) -> String {
    format!("role '{role}' does not exist")
}

fn list(call: &mut Call<'_>) -> Answer {
    let access = &call.world.access;
    let entry = |name: &str, special: bool| {
        let mut privileges = access.role(name).into_iter().collect::<Vec<_>>();
        privileges.sort();
        json!({ "roleid": name, "privs": privileges.join(","), "special": u8::from(special) })
    };
    let built_in = BUILT_IN.iter().map(|name| entry(name, true));
    let made = access.roles.keys().map(|name| entry(name, false));
    Ok(built_in.chain(made).collect::<Value>().into())
}

fn create(call: &mut Call<'_>) -> Answer {
    let role = call.params.text("roleid").to_owned();
    if role
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("PVE"))
    {
        return Err(Failure::parameter(
            "roleid",
            "cannot use role ID starting with the (case-insensitive) 'PVE' namespace",
        ));
    }
    if call.world.access.has_role(&role) {
        return Err(failed("create role", &format!("role '{role}' already exists")));
    }
    let privileges = given(&call.params);
    call.world.access.roles.insert(role, privileges);
    Ok(Value::Null.into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let role = call.params.text("roleid");
    if !call.world.access.has_role(role) {
        return Err(Failure::died(missing(role)));
    }
    let privileges = call.world.access.role(role).into_iter();
    Ok(privileges
        .map(|privilege| (privilege, Value::from(1)))
        .collect::<Value>()
        .into())
}

fn update(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("roleid").to_owned();
    changeable(call, &name, "modified")?;
    let Some(role) = call.world.access.roles.get_mut(&name) else {
        return Err(failed("update role", &missing(&name)));
    };
    if !call.params.flag("append") {
        role.clear();
    }
    role.extend(given(&call.params));
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("roleid").to_owned();
    changeable(call, &name, "deleted")?;
    if !call.world.access.has_role(&name) {
        return Err(failed("delete role", &missing(&name)));
    }
    call.world.access.remove_role(&name);
    Ok(Value::Null.into())
}

/// Refuses to touch a role that PVE has by itself.
fn changeable(call: &Call<'_>, role: &str, how: &str) -> Result<(), Failure> {
    match built_in(role, call.major()) {
        Some(_) => Err(Failure::died(format!(
            "auto-generated role '{role}' cannot be {how}"
        ))),
        None => Ok(()),
    }
}
