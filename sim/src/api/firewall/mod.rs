//! The firewall of VMs and what they share of the datacenter's.
//!
//! [`rules`], [`sets`], [`aliases`] and [`options`] serve a VM's file, [`cluster`] the datacenter's. As in PVE only
//! the options and the log are forwarded to the VM's node; the rest is a file that every node has, and is there
//! whether the VM exists or not. Every change takes the file's cluster-wide lock, which a fault can hold.

mod aliases;
mod cluster;
mod options;
mod rules;
mod sets;

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::{Config, digest};

pub(super) const AREAS: &[&[Endpoint]] = &[
    ROUTES,
    aliases::ROUTES,
    cluster::ROUTES,
    options::ROUTES,
    rules::ROUTES,
    sets::ROUTES,
];

const AUDIT: Allow = Allow::On("/vms/{vmid}", &["VM.Audit"]);
const EDIT: Allow = Allow::On("/vms/{vmid}", &["VM.Config.Network"]);

const DIGEST: Property = Property::text("digest").optional().no_longer_than(64);
const LEVELS: &[&str] = &[
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
];

const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall",
        Allow::User,
        &[],
        index,
    ),
    Endpoint::anywhere(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/refs",
        AUDIT,
        &[Property::text("type").optional().one_of(&["alias", "ipset"])],
        refs,
    ),
];

fn index(_: &mut Call<'_>) -> Answer {
    let names = ["aliases", "ipset", "log", "options", "refs", "rules"];
    Ok(names
        .iter()
        .map(|name| json!({ "name": name }))
        .collect::<Value>()
        .into())
}

/// What a rule may refer to, of one file.
fn references(config: &Config, scope: &str, wanted: Option<&str>) -> Vec<Value> {
    let entry = |kind: &str, name: &str, reference: String, comment: Option<&String>| {
        let mut entry = json!({ "type": kind, "name": name, "ref": reference, "scope": scope });
        if let (Some(comment), Some(map)) = (comment, entry.as_object_mut()) {
            map.insert("comment".to_owned(), Value::from(comment.as_str()));
        }
        entry
    };
    let mut out = Vec::new();
    if wanted.is_none_or(|kind| kind == "ipset") {
        for (name, set) in &config.sets {
            out.push(entry("ipset", name, format!("+{name}"), set.comment.as_ref()));
        }
    }
    if wanted.is_none_or(|kind| kind == "alias") {
        for (name, alias) in &config.aliases {
            out.push(entry("alias", name, name.clone(), alias.comment.as_ref()));
        }
    }
    out
}

fn refs(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.get("type");
    let mut out = references(&call.world.firewall.datacenter.config, "dc", wanted);
    out.extend(references(&call.world.firewall.get(call.vmid()), "guest", wanted));
    Ok(Value::from(out).into())
}

/// Refuses a change that was made against another state.
fn unmodified(call: &Call<'_>, now: &str) -> Result<(), Failure> {
    match call.params.get("digest") {
        Some(digest) if !digest.is_empty() && digest != now => Err(Failure::died(
            "detected modified configuration - file changed by other user? Try again.",
        )),
        _ => Ok(()),
    }
}

/// Changes a VM's file under its lock.
fn change(
    call: &mut Call<'_>,
    edit: impl FnOnce(&mut Call<'_>, &mut Config) -> Result<(), Failure>,
) -> Answer {
    let vmid = call.vmid();
    call.world.cfs_lock(&format!("firewall-vm-{vmid}"))?;
    let mut config = call.world.firewall.get(vmid);
    edit(call, &mut config)?;
    call.world.firewall.put(vmid, config);
    call.world
        .counters
        .effect(crate::world::counters::Effect::FirewallChanged, vmid, None);
    Ok(Value::Null.into())
}

/// A list as PVE answers it: each item with the digest of all.
fn with_digest(items: Vec<Map<String, Value>>) -> (Value, String) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines = items
        .iter()
        .flat_map(|item| item.iter().map(|(key, value)| format!("{key}:{}\n", text(value))));
    let digest = digest(&lines.collect::<String>());
    let items = items.into_iter().map(|mut item| {
        item.insert("digest".to_owned(), Value::from(digest.as_str()));
        Value::Object(item)
    });
    (items.collect(), digest)
}

/// The comment, where there is one.
fn comment(call: &Call<'_>) -> Option<String> {
    call.params
        .get("comment")
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}
