//! A VM's sets of addresses, such as `ipfilter-net0`.
//!
//! Names of sets become lower-case when PVE reads its file back, so a rule that names one otherwise finds none.

use serde_json::{Map, Value};

use super::{AUDIT, DIGEST, EDIT, change, comment, unmodified, with_digest};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::rule::Scope;
use crate::world::firewall::values::{alias_reference, cleaned};
use crate::world::firewall::{Config, Entry, Set, names};

const LIST: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset";
const SET: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}";
const ENTRY: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", LIST, AUDIT, &[], list),
    Endpoint::anywhere("POST", LIST, EDIT, CREATE, create),
    Endpoint::anywhere("GET", SET, AUDIT, &[], entries),
    Endpoint::anywhere("POST", SET, EDIT, ADD, add),
    Endpoint::anywhere(
        "DELETE",
        SET,
        EDIT,
        &[Property::boolean("force").optional()],
        delete,
    ),
    Endpoint::anywhere("GET", ENTRY, AUDIT, &[], read),
    Endpoint::anywhere("PUT", ENTRY, EDIT, UPDATE, update),
    Endpoint::anywhere("DELETE", ENTRY, EDIT, &[DIGEST], remove),
];

const NAME: Property = Property::text("name")
    .pattern(names::is_name)
    .no_shorter_than(2)
    .no_longer_than(64);
const COMMENT: Property = Property::text("comment").optional();
const NOMATCH: Property = Property::boolean("nomatch").optional();

const CREATE: &[Property] = &[
    NAME,
    COMMENT,
    DIGEST,
    Property::text("rename")
        .optional()
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(64),
];
const ADD: &[Property] = &[
    Property::text("cidr").format(crate::api::cidr_or_alias),
    COMMENT,
    NOMATCH,
];
const UPDATE: &[Property] = &[COMMENT, NOMATCH, DIGEST];

fn sets_of(config: &Config) -> (Value, String) {
    let items = config.sets.iter().map(|(name, set)| {
        let mut item = Map::new();
        if let Some(comment) = &set.comment {
            item.insert("comment".to_owned(), Value::from(comment.as_str()));
        }
        item.insert("name".to_owned(), Value::from(name.as_str()));
        item
    });
    with_digest(items.collect())
}

fn entries_of(set: &Set) -> (Value, String) {
    let items = set.entries.iter().map(|entry| {
        let mut item = Map::new();
        item.insert("cidr".to_owned(), Value::from(entry.cidr.as_str()));
        if let Some(comment) = &entry.comment {
            item.insert("comment".to_owned(), Value::from(comment.as_str()));
        }
        if entry.nomatch {
            item.insert("nomatch".to_owned(), Value::from(1));
        }
        item
    });
    with_digest(items.collect())
}

fn no_set(name: &str) -> Failure {
    Failure::died(format!("no such IPSet '{name}'"))
}

fn set_in_path(call: &Call<'_>) -> Result<Set, Failure> {
    let name = call.params.text("name");
    let config = call.world.firewall.get(call.vmid());
    config.sets.get(name).cloned().ok_or_else(|| no_set(name))
}

fn list(call: &mut Call<'_>) -> Answer {
    Ok(sets_of(&call.world.firewall.get(call.vmid())).0.into())
}

fn create(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let name = call.params.text("name").to_owned();
        let refused = |reason: String| Err(Failure::parameter("name", reason));
        if let Some(old) = call.params.get("rename") {
            unmodified(call, &sets_of(config).1)?;
            if config.sets.contains_key(&name) && name != old {
                return refused(format!("IPSet '{name}' does already exist"));
            }
            let Some(mut set) = config.sets.remove(old) else {
                return refused(format!("IPSet '{old}' does not exist"));
            };
            if call.params.get("comment").is_some() {
                set.comment = comment(call);
            }
            config.sets.insert(name.to_ascii_lowercase(), set);
            return Ok(());
        }
        if config.sets.contains_key(&name) {
            return refused(format!("IPSet '{name}' already exists"));
        }
        let set = Set {
            comment: comment(call),
            entries: Vec::new(),
        };
        config.sets.insert(name.to_ascii_lowercase(), set);
        Ok(())
    })
}

fn delete(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let name = call.params.text("name");
        let set = config.sets.get(name).ok_or_else(|| no_set(name))?;
        if !set.entries.is_empty() && !call.params.flag("force") {
            return Err(Failure::died(format!("IPSet '{name}' is not empty")));
        }
        config.sets.remove(name);
        Ok(())
    })
}

fn entries(call: &mut Call<'_>) -> Answer {
    Ok(entries_of(&set_in_path(call)?).0.into())
}

fn add(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let (name, given) = (call.params.text("name"), call.params.text("cidr"));
        if !config.sets.contains_key(name) {
            return Err(no_set(name));
        }
        let cidr = match alias_reference(given) {
            Some((level, alias)) => {
                let scope = Scope {
                    own: config,
                    datacenter: &call.world.firewall.datacenter,
                };
                if scope.alias(level, alias).is_none() {
                    return Err(Failure::died(format!("no such alias '{alias}'")));
                }
                given.to_owned()
            }
            None => cleaned(given),
        };
        let set = config.sets.get_mut(name).ok_or_else(|| no_set(name))?;
        if set.entries.iter().any(|entry| entry.cidr == cidr) {
            return Err(Failure::parameter(
                "cidr",
                format!("address '{cidr}' already exists"),
            ));
        }
        if cidr
            .rsplit_once('/')
            .is_some_and(|(_, prefix)| prefix.bytes().all(|b| b == b'0'))
        {
            let reason = "a zero prefix is not allowed in ipset entries";
            return Err(Failure::parameter("cidr", reason));
        }
        set.entries.push(Entry {
            cidr,
            nomatch: call.params.flag("nomatch"),
            comment: comment(call),
        });
        Ok(())
    })
}

fn no_entry() -> Failure {
    Failure::parameter("cidr", "no such IP/Network")
}

fn read(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.text("cidr");
    let (items, _) = entries_of(&set_in_path(call)?);
    let mut items = items.as_array().cloned().unwrap_or_default();
    items.retain(|item| item.get("cidr").is_some_and(|cidr| cidr == wanted));
    Ok(items.pop().ok_or_else(no_entry)?.into())
}

fn update(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let (name, cidr) = (call.params.text("name"), call.params.text("cidr"));
        let set = config.sets.get_mut(name).ok_or_else(|| no_set(name))?;
        unmodified(call, &entries_of(set).1)?;
        let entry = set.entries.iter_mut().find(|entry| entry.cidr == cidr);
        let entry = entry.ok_or_else(no_entry)?;
        entry.nomatch = call.params.flag("nomatch");
        entry.comment = comment(call);
        Ok(())
    })
}

/// As in PVE, taking out what is not in the set is no error.
fn remove(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let (name, cidr) = (call.params.text("name"), call.params.text("cidr"));
        let set = config.sets.get_mut(name).ok_or_else(|| no_set(name))?;
        unmodified(call, &entries_of(set).1)?;
        set.entries.retain(|entry| entry.cidr != cidr);
        Ok(())
    })
}
