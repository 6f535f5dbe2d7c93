//! A VM's rules.

use serde_json::{Map, Value};

use super::{AUDIT, DIGEST, EDIT, LEVELS, change, unmodified};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::firewall::names;
use crate::world::firewall::rule::{FIELDS, Rule, Scope};
use crate::world::firewall::values;

const BASE: &str = "/nodes/{node}/qemu/{vmid}/firewall/rules";
const ONE: &str = "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", BASE, AUDIT, &[], list),
    Endpoint::anywhere("POST", BASE, EDIT, CREATE, create),
    Endpoint::anywhere("GET", ONE, AUDIT, &[], read),
    Endpoint::anywhere("PUT", ONE, EDIT, UPDATE, update),
    Endpoint::anywhere("DELETE", ONE, EDIT, &[DIGEST], delete),
];

const ACTION: Property = Property::text("action")
    .pattern(names::is_name)
    .no_shorter_than(2)
    .no_longer_than(20);
const TYPE: Property = Property::text("type").one_of(&["in", "out", "forward", "group"]);
const COMMENT: Property = Property::text("comment").optional();
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
    ACTION, TYPE, COMMENT, DEST, SOURCE, DPORT, SPORT, DIGEST, ENABLE, ICMP, IFACE, LOG, MACRO, POS, PROTO,
];
const UPDATE: &[Property] = &[
    ACTION.optional(),
    TYPE.optional(),
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
    let (name, number) = text.split_once([':', '.']).unwrap_or((text, "0"));
    let good = (2..=21).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit());
    if good {
        Ok(())
    } else {
        Err(format!("invalid network interface name '{text}'"))
    }
}

/// The rules as the API shows them, each with the digest of all.
fn shown(call: &Call<'_>) -> (Vec<Map<String, Value>>, String) {
    let (rules, digest) = call.world.firewall.rules(call.vmid());
    let items = rules.iter().map(|(rule, errors)| {
        let mut item = rule.shown(errors);
        item.insert("digest".to_owned(), Value::from(digest.as_str()));
        item
    });
    (items.collect(), digest)
}

fn position(call: &Call<'_>) -> usize {
    call.params.text("pos").parse().unwrap_or(usize::MAX)
}

fn no_rule(call: &Call<'_>) -> Failure {
    Failure::died(format!("no rule at position {}", call.params.text("pos")))
}

fn list(call: &mut Call<'_>) -> Answer {
    let (items, _) = shown(call);
    let numbered = items.into_iter().enumerate().map(|(pos, mut item)| {
        item.insert("pos".to_owned(), Value::from(pos));
        Value::Object(item)
    });
    Ok(numbered.collect::<Value>().into())
}

/// One rule; its position comes back as the text that stood in the path.
fn read(call: &mut Call<'_>) -> Answer {
    let (items, _) = shown(call);
    let mut item = items
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
fn verified(
    call: &Call<'_>,
    config: &crate::world::firewall::Config,
    rule: &mut Rule,
) -> Result<(), Failure> {
    let scope = Scope {
        own: config,
        datacenter: &call.world.firewall.datacenter,
    };
    match rule.verify(scope).into_iter().next() {
        Some((field, reason)) => Err(Failure::parameter(&field, reason)),
        None => Ok(()),
    }
}

/// The new rule goes to the top, switched off unless told otherwise; `pos` and `digest` are not looked at.
fn create(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let mut rule = Rule::default();
        take(call, &mut rule);
        verified(call, config, &mut rule)?;
        if call.params.get("enable").is_none() {
            rule.set("enable", "0");
        }
        config.rules.insert(0, rule);
        Ok(())
    })
}

fn update(call: &mut Call<'_>) -> Answer {
    let (_, digest) = call.world.firewall.rules(call.vmid());
    change(call, |call, config| {
        unmodified(call, &digest)?;
        let at = position(call);
        let mut rule = config.rules.get(at).cloned().ok_or_else(|| no_rule(call))?;
        let target = call
            .params
            .get("moveto")
            .map(|text| text.parse::<usize>().unwrap_or(usize::MAX));
        if let Some(target) = target.filter(|target| *target != at) {
            config.rules.remove(at);
            // The target is meant in the old list: what stood behind the rule has moved up by one.
            let target = if target > at { target - 1 } else { target };
            config.rules.insert(target.min(config.rules.len()), rule);
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
        verified(call, config, &mut rule)?;
        if let Some(place) = config.rules.get_mut(at) {
            *place = rule;
        }
        Ok(())
    })
}

fn delete(call: &mut Call<'_>) -> Answer {
    let (_, digest) = call.world.firewall.rules(call.vmid());
    change(call, |call, config| {
        unmodified(call, &digest)?;
        let at = position(call);
        if at >= config.rules.len() {
            return Err(no_rule(call));
        }
        config.rules.remove(at);
        Ok(())
    })
}
