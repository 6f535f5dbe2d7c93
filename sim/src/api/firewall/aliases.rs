//! Aliases: networks with names.

use serde_json::{Map, Value};

use super::{
    COMMENT, DATACENTER, DIGEST, NAME, RENAME, Rights, VM, change, comment, file, item, unmodified,
    with_digest,
};
use crate::api::{Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::values::{ip_or_cidr, version_of};
use crate::world::firewall::{Alias, Config};

const fn endpoints(list_path: &'static str, one_path: &'static str, rights: Rights) -> [Endpoint; 5] {
    [
        Endpoint::anywhere("GET", list_path, rights.see, &[], list),
        Endpoint::anywhere("POST", list_path, rights.change, &[NAME, CIDR, COMMENT], create),
        Endpoint::anywhere("GET", one_path, rights.see, &[], read),
        Endpoint::anywhere(
            "PUT",
            one_path,
            rights.change,
            &[CIDR, COMMENT, DIGEST, RENAME],
            update,
        ),
        Endpoint::anywhere("DELETE", one_path, rights.change, &[DIGEST], delete),
    ]
}

pub(super) const OF_VM: [Endpoint; 5] = endpoints(
    "/nodes/{node}/qemu/{vmid}/firewall/aliases",
    "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}",
    VM,
);
pub(super) const OF_DATACENTER: [Endpoint; 5] = endpoints(
    "/cluster/firewall/aliases",
    "/cluster/firewall/aliases/{name}",
    DATACENTER,
);

const CIDR: Property = Property::text("cidr").format(cidr);

fn cidr(_: &str, text: &str) -> Result<(), String> {
    ip_or_cidr(text)
}

fn shown(alias: &Alias) -> Map<String, Value> {
    let fields = [
        ("cidr", Value::from(alias.cidr.as_str())),
        ("ipversion", version_of(&alias.cidr).into()),
        ("name", Value::from(alias.name.as_str())),
    ];
    item(fields, alias.comment.as_ref())
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
    Ok(all(call.world.firewall.file(file(call))).0.into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let config = call.world.firewall.file(file(call));
    let alias = config.aliases.get(&lower(call)).ok_or_else(no_alias)?;
    Ok(Value::Object(shown(alias)).into())
}

/// Puts what a call says under a name that nobody else has.
fn put(call: &Call<'_>, config: &mut Config, name: &str) -> Result<(), Failure> {
    let key = name.to_ascii_lowercase();
    if config.aliases.contains_key(&key) {
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
    config.aliases.insert(key, alias);
    Ok(())
}

fn create(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| put(call, config, call.params.text("name")))
}

fn update(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| {
        unmodified(call, &all(config).1)?;
        config.aliases.remove(&lower(call)).ok_or_else(no_alias)?;
        let name = call.params.get("rename").unwrap_or(call.params.text("name"));
        put(call, config, name)
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
