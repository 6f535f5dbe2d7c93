//! A VM's aliases: networks with names.

use serde_json::{Map, Value};

use super::{AUDIT, DIGEST, EDIT, change, comment, unmodified, with_digest};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::values::{ip_or_cidr, version_of};
use crate::world::firewall::{Alias, Config, names};

const LIST: &str = "/nodes/{node}/qemu/{vmid}/firewall/aliases";
const ONE: &str = "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", LIST, AUDIT, &[], list),
    Endpoint::anywhere("POST", LIST, EDIT, CREATE, create),
    Endpoint::anywhere("GET", ONE, AUDIT, &[], read),
    Endpoint::anywhere("PUT", ONE, EDIT, UPDATE, update),
    Endpoint::anywhere("DELETE", ONE, EDIT, &[DIGEST], delete),
];

const CIDR: Property = Property::text("cidr").format(cidr);
const COMMENT: Property = Property::text("comment").optional();

const CREATE: &[Property] = &[
    Property::text("name")
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(64),
    CIDR,
    COMMENT,
];
const UPDATE: &[Property] = &[
    CIDR,
    COMMENT,
    DIGEST,
    Property::text("rename")
        .optional()
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(64),
];

fn cidr(_: &str, text: &str) -> Result<(), String> {
    ip_or_cidr(text)
}

fn shown(alias: &Alias) -> Map<String, Value> {
    let mut item = Map::new();
    item.insert("cidr".to_owned(), Value::from(alias.cidr.as_str()));
    if let Some(comment) = &alias.comment {
        item.insert("comment".to_owned(), Value::from(comment.as_str()));
    }
    if let Some(version) = version_of(&alias.cidr) {
        item.insert("ipversion".to_owned(), Value::from(version));
    }
    item.insert("name".to_owned(), Value::from(alias.name.as_str()));
    item
}

fn all(config: &Config) -> (Value, String) {
    with_digest(config.aliases.values().map(shown).collect())
}

fn lower(call: &Call<'_>) -> String {
    call.params.text("name").to_ascii_lowercase()
}

fn no_alias() -> Failure {
    Failure::parameter("name", "no such alias")
}

/// Addresses lose the prefix that says nothing, as in PVE's file.
fn stored(text: &str) -> String {
    let full = match version_of(text) {
        Some(4) => "/32",
        _ => "/128",
    };
    text.strip_suffix(full).unwrap_or(text).to_owned()
}

fn list(call: &mut Call<'_>) -> Answer {
    Ok(all(&call.world.firewall.get(call.vmid())).0.into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let config = call.world.firewall.get(call.vmid());
    let alias = config.aliases.get(&lower(call)).ok_or_else(no_alias)?;
    Ok(Value::Object(shown(alias)).into())
}

fn create(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        let name = call.params.text("name");
        if config.aliases.contains_key(&lower(call)) {
            return Err(Failure::parameter(
                "name",
                format!("alias '{name}' already exists"),
            ));
        }
        let alias = Alias {
            name: name.to_owned(),
            cidr: stored(call.params.text("cidr")),
            comment: comment(call),
        };
        config.aliases.insert(lower(call), alias);
        Ok(())
    })
}

fn update(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        unmodified(call, &all(config).1)?;
        let name = lower(call);
        if !config.aliases.contains_key(&name) {
            return Err(no_alias());
        }
        let shown = call.params.get("rename").unwrap_or(call.params.text("name"));
        let new = shown.to_ascii_lowercase();
        if new != name && config.aliases.contains_key(&new) {
            return Err(Failure::parameter(
                "name",
                format!("alias '{shown}' already exists"),
            ));
        }
        let alias = Alias {
            name: shown.to_owned(),
            cidr: stored(call.params.text("cidr")),
            comment: comment(call),
        };
        config.aliases.remove(&name);
        config.aliases.insert(new, alias);
        Ok(())
    })
}

/// As in PVE, removing what is not there is no error.
fn delete(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        unmodified(call, &all(config).1)?;
        config.aliases.remove(&lower(call));
        Ok(())
    })
}
