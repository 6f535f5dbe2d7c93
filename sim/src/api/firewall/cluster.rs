//! What only the datacenter's firewall has: its switch and policies, macros, security groups, references. The rules of
//! groups are in [`super::rules`].

use serde_json::{Value, json};

use super::options;
use super::{
    COMMENT, DATACENTER, DIGEST, TYPE, change, changed, comment, item, name, references, unmodified,
    with_digest,
};
use crate::api::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::firewall::names::{LONGEST_GROUP, MACROS};
use crate::world::firewall::{CLUSTER_OPTIONS, File, Group, Place};

const READ: Allow = DATACENTER.see;
const WRITE: Allow = DATACENTER.change;
const POLICIES: &[&str] = &["ACCEPT", "REJECT", "DROP"];

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/firewall", Allow::User, &[], index),
    Endpoint::anywhere("GET", "/cluster/firewall/options", READ, &[], read),
    Endpoint::anywhere("PUT", "/cluster/firewall/options", WRITE, UPDATE, update),
    Endpoint::anywhere("GET", "/cluster/firewall/macros", Allow::User, &[], macros),
    Endpoint::anywhere("GET", "/cluster/firewall/refs", READ, &[TYPE], refs),
    Endpoint::anywhere("GET", "/cluster/firewall/groups", Allow::User, &[], groups),
    Endpoint::anywhere("POST", "/cluster/firewall/groups", WRITE, GROUP, put_group),
    Endpoint::anywhere(
        "DELETE",
        "/cluster/firewall/groups/{group}",
        WRITE,
        &[],
        delete_group,
    ),
];

const UPDATE: &[Property] = &[
    Property::boolean("ebtables").optional(),
    Property::integer("enable").optional().at_least(0),
    Property::text("log_ratelimit").optional().format(rate_limit),
    Property::text("policy_forward")
        .optional()
        .one_of(&["ACCEPT", "DROP"]),
    Property::text("policy_in").optional().one_of(POLICIES),
    Property::text("policy_out").optional().one_of(POLICIES),
    DIGEST,
    Property::text("delete").optional().list_of(format::config_id),
];

const GROUP: &[Property] = &[
    name("group", LONGEST_GROUP),
    COMMENT,
    DIGEST,
    name("rename", LONGEST_GROUP).optional(),
];

/// `1`, `enable=1,burst=5,rate=1/second`…
fn rate_limit(_: &str, text: &str) -> Result<(), String> {
    let flag = |value: &str| ["0", "1", "on", "off", "yes", "no", "true", "false"].contains(&value);
    let rate = |value: &str| {
        value.split_once('/').is_some_and(|(count, unit)| {
            count.parse::<u32>().is_ok_and(|n| n > 0) && ["second", "minute", "hour", "day"].contains(&unit)
        })
    };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let good = match part.split_once('=') {
            Some(("enable", value)) => flag(value),
            Some(("burst", value)) => value.parse::<u32>().is_ok(),
            Some(("rate", value)) => rate(value),
            Some(_) => false,
            None => flag(part),
        };
        if !good {
            return Err(format!(
                "format error\n{part}: property is not defined in schema or has a wrong value"
            ));
        }
    }
    Ok(())
}

fn read(call: &mut Call<'_>) -> Answer {
    Ok(options::shown(&call.world.firewall.datacenter.config).into())
}

fn index(_: &mut Call<'_>) -> Answer {
    let names = ["aliases", "rules", "options", "groups", "ipset", "macros", "refs"];
    let items = names.iter().map(|name| json!({ "name": name }));
    Ok(items.collect::<Value>().into())
}

fn update(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        options::set(call, config, CLUSTER_OPTIONS)?;
        // A larger number asks PVE to switch on only for a while; it then keeps the time at which it was asked.
        if call.params.integer("enable").is_some_and(|number| number > 1) {
            let now = call.sim.clock.seconds();
            config.options.insert("enable".to_owned(), now.to_string());
        }
        Ok(())
    })
}

fn macros(_: &mut Call<'_>) -> Answer {
    let list = MACROS
        .iter()
        .map(|known| json!({ "macro": known.name, "descr": known.about }));
    Ok(list.collect::<Value>().into())
}

fn refs(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.get("type");
    Ok(Value::from(references(&call.world.firewall.datacenter.config, "dc", wanted)).into())
}

fn all_groups(call: &Call<'_>) -> (Value, String) {
    let groups = call.world.firewall.datacenter.groups.iter();
    let items =
        groups.map(|(name, group)| item([("group", Value::from(name.as_str()))], group.comment.as_ref()));
    with_digest(items.collect())
}

fn groups(call: &mut Call<'_>) -> Answer {
    Ok(all_groups(call).0.into())
}

/// Makes a group, or renames one with its rules and lets all rules that use it follow.
fn put_group(call: &mut Call<'_>) -> Answer {
    call.world.cfs_lock(&File::Datacenter.lock())?;
    let digest = all_groups(call).1;
    let name = call.params.text("group").to_owned();
    let refused = |reason: String| Err(Failure::parameter("group", reason));
    let exists = call.world.firewall.datacenter.groups.contains_key(&name);
    let Some(old) = call.params.get("rename").map(str::to_owned) else {
        if exists {
            return refused(format!("Security group '{name}' already exists"));
        }
        let group = Group {
            comment: comment(call),
            rules: Vec::new(),
        };
        call.world.firewall.datacenter.groups.insert(name, group);
        return Ok(changed(call, File::Datacenter));
    };
    unmodified(call, &digest)?;
    let given = call.params.get("comment").map(str::to_owned);
    let groups = &mut call.world.firewall.datacenter.groups;
    let Some(mut group) = groups.get(&old).cloned() else {
        return refused(format!("Security group '{old}' does not exist"));
    };
    if exists && name != old {
        return refused(format!("Security group '{name}' does already exist"));
    }
    if let Some(comment) = given {
        group.comment = Some(comment).filter(|text| !text.is_empty());
    }
    groups.remove(&old);
    groups.insert(name.clone(), group);
    call.world.firewall.rename_group(&old, &name);
    Ok(changed(call, File::Datacenter))
}

/// As in PVE a group goes when it has no rules, whoever uses it.
fn delete_group(call: &mut Call<'_>) -> Answer {
    call.world.cfs_lock(&File::Datacenter.lock())?;
    let name = call.params.text("group").to_owned();
    let place = Place::Group(name.clone());
    if !call.world.firewall.rules(&place)?.is_empty() {
        return Err(Failure::died(format!("Security group '{name}' is not empty")));
    }
    call.world.firewall.datacenter.groups.remove(&name);
    Ok(changed(call, File::Datacenter))
}
