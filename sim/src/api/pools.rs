//! Pools.
//!
//! A pool that lies in another has slashes in its name, so the forms with the name in the path do not reach it; those
//! with `poolid` as a parameter do. PVE changes pools under the lock on `user.cfg`: each refusal there names what was
//! being done, and refusals of rights become part of that text.

use serde_json::{Map, Value, json};

use super::access::judges;
use super::{Allow, Answer, Call, Endpoint, Takes};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::access::names;
use crate::world::access::pools::Pool;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/pools", Allow::User, LIST, list),
    Endpoint::anywhere("POST", "/pools", ALLOCATE, CREATE, create),
    Endpoint {
        takes: Takes::And(&[NAME], UPDATE),
        ..Endpoint::anywhere("PUT", "/pools", ALLOCATE, &[], update)
    },
    Endpoint::anywhere("DELETE", "/pools", ALLOCATE, &[NAME], remove),
    Endpoint::anywhere(
        "GET",
        "/pools/{poolid}",
        Allow::On("/pool/{poolid}", &["Pool.Audit"]),
        &[KIND],
        |call| Ok(found(call)?.into()),
    ),
    Endpoint::anywhere("PUT", "/pools/{poolid}", ALLOCATE, UPDATE, update),
    Endpoint::anywhere("DELETE", "/pools/{poolid}", ALLOCATE, &[], remove),
];

const ALLOCATE: Allow = Allow::Judged(|world, given, who| {
    let path = format!("/pool/{}", judges::text(given, "poolid"));
    world.require(who, path.trim_end_matches('/'), &["Pool.Allocate"])
});

const NAME: Property = Property::text("poolid").format(format::pool_id);
const COMMENT: Property = Property::text("comment").optional();
const KIND: Property = Property::text("type")
    .optional()
    .one_of(&["qemu", "lxc", "storage"]);

const LIST: &[Property] = &[NAME.optional(), KIND.requires("poolid")];
const CREATE: &[Property] = &[NAME, COMMENT];
const UPDATE: &[Property] = &[
    COMMENT,
    Property::text("vms").optional().list_of(format::vmid),
    Property::text("storage").optional().list_of(format::storage_id),
    Property::boolean("allow-move").optional(),
    Property::boolean("delete").optional(),
];

/// The pools that the caller may see; or one that is named, which PVE shows to everybody, since it looks at the right
/// and then forgets what it saw.
fn list(call: &mut Call<'_>) -> Answer {
    if call.params.get("poolid").is_some_and(|name| !name.is_empty()) {
        return Ok(Value::from(vec![found(call)?]).into());
    }
    let pools = call.world.access.pools.iter();
    let seen = pools.filter(|(name, _)| call.may(&format!("/pool/{name}"), "Pool.Audit"));
    let entries = seen.map(|(name, pool)| Value::Object(head(name, pool)));
    Ok(entries.collect::<Value>().into())
}

fn head(name: &str, pool: &Pool) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("poolid".to_owned(), Value::from(name));
    if let Some(comment) = &pool.comment {
        out.insert("comment".to_owned(), Value::from(comment.as_str()));
    }
    out
}

fn missing(name: &str) -> String {
    format!("pool '{name}' does not exist")
}

/// The pool that is named, with its members.
fn found(call: &Call<'_>) -> Result<Value, Failure> {
    let name = call.params.text("poolid");
    let pool = call.world.access.pools.get(name).ok_or_else(|| missing(name))?;
    let wants = |kind: &str| call.params.get("type").is_none_or(|wanted| wanted == kind);
    let mut members = Vec::new();
    if wants("qemu") {
        // PVE sorts the numbers as texts.
        let mut vms = pool.vms.iter().map(u32::to_string).collect::<Vec<_>>();
        vms.sort();
        let known = vms
            .iter()
            .filter_map(|vmid| call.world.vms.get(&vmid.parse().ok()?));
        members.extend(known.map(|vm| member(call, vm)));
    }
    if wants("storage") {
        members.extend(pool.storages.iter().filter_map(|id| storage(call, id)));
    }
    let mut out = head(name, pool);
    out.insert("members".to_owned(), Value::from(members));
    Ok(Value::Object(out))
}

/// A VM as a member: what nodes tell each other of it, without what its configuration says.
fn member(call: &Call<'_>, vm: &Vm) -> Value {
    let mut entry = super::cluster::vm_entry(call, vm);
    if let Some(map) = entry.as_object_mut() {
        map.retain(|key, _| !["lock", "tags", "pool", "hastate"].contains(&key.as_str()));
    }
    entry
}

/// A storage as a member: as the node that was asked has it, or the first that has it.
fn storage(call: &Call<'_>, id: &str) -> Option<Value> {
    let storage = call.world.storages.get(id)?;
    let asked = call.world.nodes.get_index(call.host).map(|(name, _)| name);
    let node = asked
        .filter(|node| storage.on(node))
        .or_else(|| call.world.nodes.keys().find(|node| storage.on(node)))?;
    let mut entry = json!({
        "id": format!("storage/{node}/{id}"), "storage": id, "node": node, "type": "storage",
        "plugintype": storage.kind.name(), "shared": u8::from(storage.shared), "content": storage.content_text(),
        "status": "unknown",
    });
    let online = call.world.nodes.get(node).is_some_and(|node| node.online);
    if online
        && storage.enabled
        && !call.world.faults.storage_is_offline(id)
        && let Some(map) = entry.as_object_mut()
    {
        let used = storage.total - call.world.free_on(storage, node);
        map.insert("status".to_owned(), Value::from("available"));
        map.insert("disk".to_owned(), Value::from(used));
        map.insert("maxdisk".to_owned(), Value::from(storage.total));
    }
    Some(entry)
}

fn comment(call: &Call<'_>) -> Option<String> {
    call.params.get("comment").and_then(names::kept)
}

fn create(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("poolid").to_owned();
    let pools = &call.world.access.pools;
    let (parent, leaf) = match name.rsplit_once('/') {
        Some((parent, leaf)) => (Some(parent), leaf),
        None => (None, name.as_str()),
    };
    let refusal = if pools.contains_key(&name) {
        Some(format!("pool '{name}' already exists"))
    } else if let Some(parent) = parent.filter(|parent| !pools.contains_key(*parent)) {
        Some(format!("parent '{parent}' of pool '{name}' does not exist"))
    } else if !leaf.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Some("pool name must start with a letter".to_owned())
    } else {
        None
    };
    if let Some(text) = refusal {
        return Err(Failure::died(format!("create pool failed: {text}")));
    }
    let pool = Pool {
        comment: comment(call),
        ..Pool::default()
    };
    call.world.access.pools.insert(name, pool);
    Ok(Value::Null.into())
}

/// Changes comment and members, all or nothing.
fn update(call: &mut Call<'_>) -> Answer {
    let mut pools = call.world.access.pools.clone();
    changed(call, &mut pools).map_err(|text| Failure::died(format!("update pools failed: {text}")))?;
    call.world.access.pools = pools;
    Ok(Value::Null.into())
}

type Pools = std::collections::BTreeMap<String, Pool>;

fn changed(call: &Call<'_>, pools: &mut Pools) -> Result<(), String> {
    let name = call.params.text("poolid");
    let remove = call.params.flag("delete");
    let pool = pools.get_mut(name).ok_or_else(|| missing(name))?;
    if call.params.get("comment").is_some() {
        pool.comment = comment(call);
    }
    for id in format::items(call.params.text("vms")) {
        may_give(call, &format!("/vms/{id}"))?;
        let vmid = id.parse::<u32>().map_err(|_| format!("VM {id} is no number"))?;
        change_vm(call, pools, vmid, remove)?;
    }
    for id in format::items(call.params.text("storage")) {
        may_give(call, &format!("/storage/{id}"))?;
        let pool = pools.get_mut(name).ok_or_else(|| missing(name))?;
        if remove && !pool.storages.remove(id) {
            return Err(format!("Storage '{id}' is not a pool member"));
        }
        if !remove && !pool.storages.insert(id.to_owned()) {
            return Err(format!("Storage '{id}' is already a pool member"));
        }
    }
    Ok(())
}

/// Puts a VM into the named pool or takes it out. PVE does not look whether there is such a VM.
fn change_vm(call: &Call<'_>, pools: &mut Pools, vmid: u32, remove: bool) -> Result<(), String> {
    let name = call.params.text("poolid");
    let owner = pools.iter().find(|(_, pool)| pool.vms.contains(&vmid));
    let owner = owner.map(|(owner, _)| owner.clone());
    let here = owner.as_deref() == Some(name);
    if remove {
        if !here {
            return Err(format!("VM {vmid} is not a pool member"));
        }
    } else if here {
        return Err(format!("VM {vmid} is already a pool member"));
    } else if let Some(owner) = &owner {
        if !call.params.flag("allow-move") {
            return Err(format!(
                "VM {vmid} belongs already to pool '{owner}' and 'allow-move' is not set"
            ));
        }
        let right = call.require(&format!("/pool/{owner}"), &["Pool.Allocate"]);
        right.map_err(|refusal| in_words(&refusal))?;
    }
    if let Some(owner) = owner.and_then(|owner| pools.get_mut(&owner)) {
        owner.vms.remove(&vmid);
    }
    if let Some(pool) = pools.get_mut(name).filter(|_| !remove) {
        pool.vms.insert(vmid);
    }
    Ok(())
}

/// Whether the caller may give rights on a member, which is what being in a pool does.
fn may_give(call: &Call<'_>, path: &str) -> Result<(), String> {
    judges::rights_on(call.world, call.who, path).map_err(|refusal| in_words(&refusal))
}

/// A refusal as part of another's text.
fn in_words(refusal: &Failure) -> String {
    format!("{} {}", refusal.status, refusal.message)
}

fn remove(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("poolid").to_owned();
    let refused = |text: String| Err(Failure::died(format!("delete pool failed: {text}")));
    let access = &call.world.access;
    let Some(pool) = access.pools.get(&name) else {
        return refused(missing(&name));
    };
    let is_there = |vmid: &&u32| call.world.vms.contains_key(*vmid);
    let is_known = |id: &&String| call.world.storages.contains_key(*id);
    let inside = if let Some(inner) = access.pools_in(&name).next() {
        Some(format!("pool '{inner}'"))
    } else if let Some(vmid) = pool.vms.iter().find(is_there) {
        Some(format!("VM {vmid}"))
    } else {
        pool.storages
            .iter()
            .find(is_known)
            .map(|id| format!("storage '{id}'"))
    };
    if let Some(inside) = inside {
        return refused(format!("pool '{name}' is not empty (contains {inside})"));
    }
    call.world.access.pools.remove(&name);
    // PVE looks for the name as one step of the path, so rights on a pool inside another stay.
    if !name.contains('/') {
        let path = format!("/pool/{name}");
        call.world.access.grants.retain(|grant| grant.path != path);
    }
    Ok(Value::Null.into())
}
