//! The firewall of VMs and of the datacenter.
//!
//! [`rules`], [`sets`] and [`aliases`] serve any firewall file: a VM's, the datacenter's, and the rules of its security
//! groups; the path of a call says which. [`options`] serves a VM's options, [`cluster`] what only the datacenter has.
//! As in PVE only a VM's options and log are forwarded to its node; the rest is files that every node has, and a VM's is
//! there whether the VM exists or not. Every change takes the file's cluster-wide lock, which a fault can hold.

mod aliases;
mod cluster;
mod options;
mod rules;
mod sets;

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Reply};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::firewall::names::{self, LONGEST};
use crate::world::firewall::{Config, File, digest};

pub(super) const AREAS: &[&[Endpoint]] = &[
    ROUTES,
    &aliases::OF_VM,
    &aliases::OF_DATACENTER,
    cluster::ROUTES,
    options::ROUTES,
    &rules::OF_VM,
    &rules::OF_DATACENTER,
    &rules::OF_GROUP,
    &sets::OF_VM,
    &sets::OF_DATACENTER,
];

/// Who may look at a file and who may change it.
#[derive(Debug, Clone, Copy)]
struct Rights {
    see: Allow,
    change: Allow,
}

const VM: Rights = Rights {
    see: Allow::On("/vms/{vmid}", &["VM.Audit"]),
    change: Allow::On("/vms/{vmid}", &["VM.Config.Network"]),
};
const DATACENTER: Rights = Rights {
    see: Allow::On("/", &["Sys.Audit"]),
    change: Allow::On("/", &["Sys.Modify"]),
};

const DIGEST: Property = Property::text("digest").optional().no_longer_than(64);
const COMMENT: Property = Property::text("comment").optional();
const TYPE: Property = Property::text("type").optional().one_of(&["alias", "ipset"]);
const LEVELS: &[&str] = &[
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
];

/// The name of something in a file.
pub(super) const fn name(parameter: &'static str, longest: usize) -> Property {
    Property::text(parameter)
        .pattern(names::is_name)
        .no_shorter_than(2)
        .no_longer_than(longest)
}

/// The name of a set or an alias, and the one it had when it is renamed.
const NAME: Property = name("name", LONGEST);
const RENAME: Property = name("rename", LONGEST).optional();

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
        VM.see,
        &[TYPE],
        refs,
    ),
];

/// The file that a call is about: that of the VM in its path, or the datacenter's.
fn file(call: &Call<'_>) -> File {
    match call.params.get("vmid") {
        Some(_) => File::Vm(call.vmid()),
        None => File::Datacenter,
    }
}

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
    out.extend(references(call.world.firewall.file(file(call)), "guest", wanted));
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

/// Changes a file under its lock.
fn change(
    call: &mut Call<'_>,
    edit: impl FnOnce(&mut Call<'_>, &mut Config) -> Result<(), Failure>,
) -> Answer {
    let file = file(call);
    call.world.cfs_lock(&file.lock())?;
    let mut config = call.world.firewall.file(file).clone();
    edit(call, &mut config)?;
    call.world.firewall.write(file, config);
    Ok(changed(call, file))
}

/// Counts the change of a file.
fn changed(call: &mut Call<'_>, file: File) -> Reply {
    let effect = crate::world::counters::Effect::FirewallChanged;
    call.world.counters.effect(effect, file.vmid(), None);
    Value::Null.into()
}

/// Something in a file as PVE shows it.
fn item<const N: usize>(fields: [(&str, Value); N], comment: Option<&String>) -> Map<String, Value> {
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    let comment = comment.map(|text| ("comment".to_owned(), Value::from(text.as_str())));
    fields.into_iter().chain(comment).collect()
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
