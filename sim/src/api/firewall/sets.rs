//! Sets of addresses, such as `ipfilter-net0` of a VM.
//!
//! Names of sets become lower-case when PVE reads its file back, so a rule that names one otherwise finds none.

use serde_json::{Map, Value};

use super::{
    COMMENT, DATACENTER, DIGEST, NAME, RENAME, Rights, VM, change, comment, file, item, unmodified,
    with_digest,
};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::values::{alias_reference, cleaned};
use crate::world::firewall::{Config, Entry, Place, Set};

const fn endpoints(
    list_path: &'static str,
    set_path: &'static str,
    entry_path: &'static str,
    Rights { see, change }: Rights,
) -> [Endpoint; 8] {
    const FORCE: Property = Property::boolean("force").optional();
    [
        Endpoint::anywhere("GET", list_path, see, &[], list),
        Endpoint::anywhere(
            "POST",
            list_path,
            change,
            &[NAME, COMMENT, DIGEST, RENAME],
            create,
        ),
        Endpoint::anywhere("GET", set_path, see, &[], entries),
        Endpoint::anywhere("POST", set_path, change, &[CIDR, COMMENT, NOMATCH], add),
        Endpoint::anywhere("DELETE", set_path, change, &[FORCE], delete),
        Endpoint::anywhere("GET", entry_path, see, &[], read),
        Endpoint::anywhere("PUT", entry_path, change, &[COMMENT, NOMATCH, DIGEST], update),
        Endpoint::anywhere("DELETE", entry_path, change, &[DIGEST], remove),
    ]
}

pub(super) const OF_VM: [Endpoint; 8] = endpoints(
    "/nodes/{node}/qemu/{vmid}/firewall/ipset",
    "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
    VM,
);
pub(super) const OF_DATACENTER: [Endpoint; 8] = endpoints(
    "/cluster/firewall/ipset",
    "/cluster/firewall/ipset/{name}",
    "/cluster/firewall/ipset/{name}/{cidr}",
    DATACENTER,
);

const CIDR: Property = Property::text("cidr").format(crate::api::cidr_or_alias);
const NOMATCH: Property = Property::boolean("nomatch").optional();

fn sets_of(config: &Config) -> (Value, String) {
    let items = config.sets.iter();
    let items = items.map(|(name, set)| item([("name", Value::from(name.as_str()))], set.comment.as_ref()));
    with_digest(items.collect())
}

fn entries_of(set: &Set) -> (Value, String) {
    let items = set.entries.iter().map(|entry| {
        let cidr = [("cidr", Value::from(entry.cidr.as_str()))];
        let mut shown: Map<_, _> = item(cidr, entry.comment.as_ref());
        if entry.nomatch {
            shown.insert("nomatch".to_owned(), Value::from(1));
        }
        shown
    });
    with_digest(items.collect())
}

fn no_set(name: &str) -> Failure {
    Failure::died(format!("no such IPSet '{name}'"))
}

fn set_in_path(call: &Call<'_>) -> Result<Set, Failure> {
    let name = call.params.text("name");
    let config = call.world.firewall.file(file(call));
    config.sets.get(name).cloned().ok_or_else(|| no_set(name))
}

fn list(call: &mut Call<'_>) -> Answer {
    Ok(sets_of(call.world.firewall.file(file(call))).0.into())
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
                let scope = call.world.firewall.scope(&Place::File(file(call)));
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

/// Changes the entries of the set in the path, unless somebody else has.
fn change_entries(
    call: &mut Call<'_>,
    edit: impl FnOnce(&Call<'_>, &mut Vec<Entry>) -> Result<(), Failure>,
) -> Answer {
    change(call, |call, config| {
        let name = call.params.text("name");
        let set = config.sets.get_mut(name).ok_or_else(|| no_set(name))?;
        unmodified(call, &entries_of(set).1)?;
        edit(call, &mut set.entries)
    })
}

fn update(call: &mut Call<'_>) -> Answer {
    change_entries(call, |call, entries| {
        let cidr = call.params.text("cidr");
        let entry = entries.iter_mut().find(|entry| entry.cidr == cidr);
        let entry = entry.ok_or_else(no_entry)?;
        entry.nomatch = call.params.flag("nomatch");
        entry.comment = comment(call);
        Ok(())
    })
}

/// As in PVE, taking out what is not in the set is no error.
fn remove(call: &mut Call<'_>) -> Answer {
    change_entries(call, |call, entries| {
        entries.retain(|entry| entry.cidr != call.params.text("cidr"));
        Ok(())
    })
}
