//! The datacenter's firewall: its switch and policies, macros, security groups, references.

use serde_json::{Map, Value, json};

use super::options;
use super::{DIGEST, references, unmodified, with_digest};
use crate::api::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::property_string::Layout;
use crate::schema::{Property, format};
use crate::world::firewall::CLUSTER_OPTIONS;
use crate::world::firewall::names::{self, MACROS};

const READ: Allow = Allow::On("/", &["Sys.Audit"]);
const WRITE: Allow = Allow::On("/", &["Sys.Modify"]);
const POLICIES: &[&str] = &["ACCEPT", "REJECT", "DROP"];

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/firewall/options", READ, &[], read),
    Endpoint::anywhere("PUT", "/cluster/firewall/options", WRITE, UPDATE, update),
    Endpoint::anywhere("GET", "/cluster/firewall/macros", Allow::User, &[], macros),
    Endpoint::anywhere(
        "GET",
        "/cluster/firewall/refs",
        READ,
        &[Property::text("type").optional().one_of(&["alias", "ipset"])],
        refs,
    ),
    Endpoint::anywhere("GET", "/cluster/firewall/groups", Allow::User, &[], groups),
    Endpoint::anywhere("POST", "/cluster/firewall/groups", WRITE, GROUP, create_group),
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
    Property::text("group")
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(18),
    Property::text("comment").optional(),
    DIGEST,
    Property::text("rename")
        .optional()
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(18),
];

const RATE_LIMIT: Layout = Layout {
    default_key: Some("enable"),
    parts: &[
        Property::integer("burst").optional().at_least(0),
        Property::boolean("enable"),
        Property::text("rate").optional().pattern(is_rate),
    ],
    aliases: &[],
};

/// `1`, `enable=1,burst=5,rate=1/second`…
fn rate_limit(name: &str, text: &str) -> Result<(), String> {
    RATE_LIMIT.parse(name, text).map(drop)
}

fn is_rate(text: &str) -> bool {
    text.split_once('/').is_some_and(|(count, unit)| {
        !count.starts_with('0')
            && count.parse::<u32>().is_ok()
            && ["second", "minute", "hour", "day"].contains(&unit)
    })
}

fn read(call: &mut Call<'_>) -> Answer {
    Ok(options::shown(&call.world.firewall.datacenter.config).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    call.world.cfs_lock("firewall-cluster")?;
    let mut config = call.world.firewall.datacenter.config.clone();
    options::set(call, &mut config, CLUSTER_OPTIONS)?;
    // A larger number asks PVE to switch on only for a while; it then keeps the time at which it was asked.
    if call.params.integer("enable").is_some_and(|number| number > 1) {
        let now = call.sim.clock.seconds();
        config.options.insert("enable".to_owned(), now.to_string());
    }
    call.world.firewall.datacenter.config = config;
    Ok(Value::Null.into())
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
    let groups = &call.world.firewall.datacenter.groups;
    let items = groups.iter().map(|(name, comment)| {
        let mut item = Map::new();
        if let Some(comment) = comment {
            item.insert("comment".to_owned(), Value::from(comment.as_str()));
        }
        item.insert("group".to_owned(), Value::from(name.as_str()));
        item
    });
    with_digest(items.collect())
}

fn groups(call: &mut Call<'_>) -> Answer {
    Ok(all_groups(call).0.into())
}

fn create_group(call: &mut Call<'_>) -> Answer {
    call.world.cfs_lock("firewall-cluster")?;
    let digest = all_groups(call).1;
    let name = call.params.text("group").to_owned();
    let comment = call.params.get("comment").map(str::to_owned);
    let refused = |reason: String| Err(Failure::parameter("group", reason));
    let exists = call.world.firewall.datacenter.groups.contains_key(&name);
    let Some(old) = call.params.get("rename").map(str::to_owned) else {
        if exists {
            return refused(format!("Security group '{name}' already exists"));
        }
        call.world.firewall.datacenter.groups.insert(name, comment);
        return Ok(Value::Null.into());
    };
    unmodified(call, &digest)?;
    let groups = &mut call.world.firewall.datacenter.groups;
    let Some(kept) = groups.get(&old).cloned() else {
        return refused(format!("Security group '{old}' does not exist"));
    };
    if exists && name != old {
        return refused(format!("Security group '{name}' does already exist"));
    }
    groups.remove(&old);
    groups.insert(name.clone(), comment.or(kept));
    call.world.firewall.rename_group(&old, &name);
    Ok(Value::Null.into())
}
