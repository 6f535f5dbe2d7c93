//! Rules: of VMs, of the datacenter, of security groups.

use serde_json::{Map, Value};

use super::{COMMENT, DATACENTER, DIGEST, LEVELS, Rights, VM, changed, file, unmodified};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::firewall::rule::{FIELDS, Rule};
use crate::world::firewall::{Place, names, values};

const fn endpoints(list_path: &'static str, one_path: &'static str, rights: Rights) -> [Endpoint; 5] {
    [
        Endpoint::anywhere("GET", list_path, rights.see, &[], list),
        Endpoint::anywhere("POST", list_path, rights.change, CREATE, create),
        Endpoint::anywhere("GET", one_path, rights.see, &[], read),
        Endpoint::anywhere("PUT", one_path, rights.change, UPDATE, update),
        Endpoint::anywhere("DELETE", one_path, rights.change, &[DIGEST], delete),
    ]
}

pub(super) const OF_VM: [Endpoint; 5] = endpoints(
    "/nodes/{node}/qemu/{vmid}/firewall/rules",
    "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    VM,
);
pub(super) const OF_DATACENTER: [Endpoint; 5] = endpoints(
    "/cluster/firewall/rules",
    "/cluster/firewall/rules/{pos}",
    DATACENTER,
);
pub(super) const OF_GROUP: [Endpoint; 5] = endpoints(
    "/cluster/firewall/groups/{group}",
    "/cluster/firewall/groups/{group}/{pos}",
    DATACENTER,
);

const ACTION: Property = super::name("action", 20);
const KIND: Property = Property::text("type").one_of(&["in", "out", "forward", "group"]);
const DEST: Property = Property::text("dest")
    .optional()
    .format(address_list)
    .no_longer_than(512);
const SOURCE: Property = Property::text("source")
    .optional()
    .format(address_list)
    .no_longer_than(512);
const DPORT: Property = Property::text("dport").optional().format(destination_ports);
const SPORT: Property = Property::text("sport").optional().format(source_ports);
const ENABLE: Property = Property::integer("enable").optional().at_least(0);
const ICMP: Property = Property::text("icmp-type").optional().format(icmp_type);
const IFACE: Property = Property::text("iface")
    .optional()
    .format(iface)
    .no_shorter_than(2)
    .no_longer_than(20);
const LOG: Property = Property::text("log").optional().one_of(LEVELS);
const MACRO: Property = Property::text("macro").optional().no_longer_than(128);
const POS: Property = Property::integer("pos").optional().at_least(0);
const PROTO: Property = Property::text("proto").optional().format(protocol);

const CREATE: &[Property] = &[
    ACTION, KIND, COMMENT, DEST, SOURCE, DPORT, SPORT, DIGEST, ENABLE, ICMP, IFACE, LOG, MACRO, POS, PROTO,
];
const UPDATE: &[Property] = &[
    ACTION.optional(),
    KIND.optional(),
    COMMENT,
    DEST,
    SOURCE,
    DPORT,
    SPORT,
    DIGEST,
    ENABLE,
    ICMP,
    IFACE,
    LOG,
    MACRO,
    PROTO,
    Property::integer("moveto").optional().at_least(0),
    Property::text("delete").optional().list_of(format::config_id),
];

fn address_list(_: &str, text: &str) -> Result<(), String> {
    values::address_list(text).map(drop)
}

fn destination_ports(_: &str, text: &str) -> Result<(), String> {
    values::ports(text, true)
}

fn source_ports(_: &str, text: &str) -> Result<(), String> {
    values::ports(text, false)
}

fn protocol(_: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || names::is_protocol(text) {
        Ok(())
    } else {
        Err(format!("unknown protocol '{text}'"))
    }
}

fn icmp_type(_: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || names::is_icmp_type(text) || names::is_icmpv6_type(text) {
        Ok(())
    } else {
        Err(format!("invalid icmp-type value '{text}'"))
    }
}

fn iface(_: &str, text: &str) -> Result<(), String> {
    let good = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'));
    if good {
        Ok(())
    } else {
        Err(format!("invalid network interface name '{text}'"))
    }
}

/// The rules that a call is about.
fn place(call: &Call<'_>) -> Place {
    match call.params.get("group") {
        Some(group) => Place::Group(group.to_owned()),
        None => Place::File(file(call)),
    }
}

/// The rules as the API shows them, each with the digest of all.
fn shown(call: &Call<'_>) -> Result<Vec<Map<String, Value>>, Failure> {
    let (rules, digest) = call.world.firewall.checked(&place(call))?;
    let items = rules.iter().map(|(rule, errors)| {
        let mut item = rule.shown(errors);
        item.insert("digest".to_owned(), Value::from(digest.as_str()));
        item
    });
    Ok(items.collect())
}

fn position(call: &Call<'_>) -> usize {
    call.params.text("pos").parse().unwrap_or(usize::MAX)
}

fn no_rule(call: &Call<'_>) -> Failure {
    Failure::died(format!("no rule at position {}", call.params.text("pos")))
}

fn list(call: &mut Call<'_>) -> Answer {
    let numbered = shown(call)?.into_iter().enumerate().map(|(pos, mut item)| {
        item.insert("pos".to_owned(), Value::from(pos));
        Value::Object(item)
    });
    Ok(numbered.collect::<Value>().into())
}

/// One rule; its position comes back as the text that stood in the path.
fn read(call: &mut Call<'_>) -> Answer {
    let mut item = shown(call)?
        .into_iter()
        .nth(position(call))
        .ok_or_else(|| no_rule(call))?;
    item.insert("pos".to_owned(), Value::from(call.params.text("pos")));
    Ok(Value::Object(item).into())
}

/// Takes the given fields over; an empty text or `-` unsets one.
fn take(call: &Call<'_>, rule: &mut Rule) {
    for field in FIELDS {
        if let Some(text) = call.params.get(field) {
            rule.set(field, text);
        }
    }
}

/// Refuses with the first thing that is wrong, as PVE does when it is asked to write.
fn verified(call: &Call<'_>, rule: &mut Rule) -> Result<(), Failure> {
    let scope = call.world.firewall.scope(&place(call));
    match rule.verify(scope).into_iter().next() {
        Some((field, reason)) => Err(Failure::parameter(&field, reason)),
        None => Ok(()),
    }
}

/// Changes a list of rules under the lock of its file.
fn change(
    call: &mut Call<'_>,
    edit: impl FnOnce(&Call<'_>, &mut Vec<Rule>) -> Result<(), Failure>,
) -> Answer {
    let place = place(call);
    call.world.cfs_lock(&place.file().lock())?;
    let mut rules = call.world.firewall.rules(&place)?.clone();
    edit(call, &mut rules)?;
    call.world.firewall.write_rules(&place, rules);
    Ok(changed(call, place.file()))
}

/// The same for a rule that is there, unless somebody else has changed the list.
fn change_one(
    call: &mut Call<'_>,
    edit: impl FnOnce(&Call<'_>, &mut Vec<Rule>, usize) -> Result<(), Failure>,
) -> Answer {
    change(call, |call, rules| {
        let (_, digest) = call.world.firewall.checked(&place(call))?;
        unmodified(call, &digest)?;
        let at = position(call);
        if at >= rules.len() {
            return Err(no_rule(call));
        }
        edit(call, rules, at)
    })
}

/// The new rule goes to the top, switched off unless told otherwise; `pos` and `digest` are not looked at.
fn create(call: &mut Call<'_>) -> Answer {
    change(call, |call, rules| {
        let mut rule = Rule::default();
        take(call, &mut rule);
        verified(call, &mut rule)?;
        if call.params.get("enable").is_none() {
            rule.set("enable", "0");
        }
        rules.insert(0, rule);
        Ok(())
    })
}

fn update(call: &mut Call<'_>) -> Answer {
    change_one(call, |call, rules, at| {
        let mut rule = rules.get(at).cloned().ok_or_else(|| no_rule(call))?;
        let target = call
            .params
            .get("moveto")
            .map(|text| text.parse::<usize>().unwrap_or(usize::MAX));
        if let Some(target) = target.filter(|target| *target != at) {
            rules.remove(at);
            // The target is meant in the old list: what stood behind the rule has moved up by one.
            let target = if target > at { target - 1 } else { target };
            rules.insert(target.min(rules.len()), rule);
            return Ok(());
        }
        take(call, &mut rule);
        for field in format::items(call.params.get("delete").unwrap_or_default()) {
            if !FIELDS.contains(&field) && !["pos", "digest"].contains(&field) {
                return Err(Failure::parameter(
                    "delete",
                    format!("no such property ('{field}')"),
                ));
            }
            if ["type", "action"].contains(&field) {
                let reason = format!("unable to delete required property '{field}'");
                return Err(Failure::parameter("delete", reason));
            }
            rule.unset(field);
        }
        verified(call, &mut rule)?;
        if let Some(place) = rules.get_mut(at) {
            *place = rule;
        }
        Ok(())
    })
}

fn delete(call: &mut Call<'_>) -> Answer {
    change_one(call, |_, rules, at| {
        rules.remove(at);
        Ok(())
    })
}
