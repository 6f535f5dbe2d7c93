//! What `storage.cfg` says: how storages are set up, as opposed to what is on them.
//!
//! A storage that is made has a size that nobody asked for, and is empty; one that is removed is gone with its volumes.
//! Kinds and settings that the simulation does not know are refused, which PVE would take.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use super::{Allow, Answer, Call, Endpoint, Takes};
use crate::failure::Failure;
use crate::schema::{Params, Property, format};
use crate::world::World;
use crate::world::retention::Keep;
use crate::world::storage::{Storage, StorageKind};

const MODIFY: Allow = Allow::On("/storage", &["Datastore.Allocate"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/storage", Allow::User, LIST, list),
    Endpoint {
        takes: Takes::And(CREATE, SETTINGS),
        ..Endpoint::anywhere("POST", "/storage", MODIFY, &[], create)
    },
    Endpoint::anywhere(
        "GET",
        "/storage/{storage}",
        Allow::On("/storage/{storage}", &["Datastore.Allocate"]),
        &[],
        read,
    ),
    Endpoint {
        takes: Takes::And(UPDATE, SETTINGS),
        ..Endpoint::anywhere("PUT", "/storage/{storage}", MODIFY, &[], update)
    },
    Endpoint::anywhere("DELETE", "/storage/{storage}", MODIFY, &[], remove),
];

const LIST: &[Property] = &[Property::text("type").optional().one_of(&[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
])];

const fn text(name: &'static str) -> Property {
    Property::text(name).optional()
}

const fn flag(name: &'static str) -> Property {
    Property::boolean(name).optional()
}

/// The settings that can change.
const SETTINGS: &[Property] = &[
    text("blocksize"),
    text("content").list_of(format::storage_content),
    flag("create-base-path"),
    flag("create-subdirs"),
    flag("disable"),
    text("fingerprint").pattern(is_fingerprint),
    text("format").one_of(&["raw", "qcow2", "subvol", "vmdk"]),
    text("is_mountpoint"),
    flag("krbd"),
    Property::integer("max-protected-backups").optional().at_least(-1),
    flag("mkdir"),
    text("monhost"),
    text("mountpoint"),
    text("namespace"),
    text("nodes").list_of(format::node),
    text("options"),
    text("password").no_longer_than(256),
    text("pool"),
    Property::integer("port").optional().at_least(1).at_most(65_535),
    text("preallocation").one_of(&["off", "metadata", "falloc", "full"]),
    text("prune-backups").format(retention),
    flag("saferemove"),
    text("server"),
    flag("shared"),
    flag("sparse"),
    text("username"),
];

/// The settings that are given when a storage is made, and never change.
const CREATE: &[Property] = &[
    Property::text("storage").format(format::storage_id),
    Property::text("type").one_of(&["dir", "lvm", "lvmthin", "nfs", "pbs", "rbd", "zfspool"]),
    text("datastore"),
    text("export"),
    text("path"),
    text("thinpool"),
    text("vgname"),
];

const UPDATE: &[Property] = &[
    text("delete").list_of(format::config_id).no_longer_than(4096),
    text("digest").no_longer_than(64),
];

fn retention(_: &str, text: &str) -> Result<(), String> {
    Keep::parse(text).map(drop)
}

/// 32 bytes in hexadecimal with colons.
fn is_fingerprint(text: &str) -> bool {
    let byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 32 && text.split(':').all(byte)
}

/// A storage as its section in the file, without the digest.
fn section(storage: &Storage) -> Map<String, Value> {
    let own = storage.settings.iter();
    let mut out = own
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect::<Map<_, _>>();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("storage", Value::from(storage.id.as_str()));
    put("type", Value::from(storage.kind.name()));
    put("content", Value::from(storage.content_text()));
    if storage.shared {
        put("shared", Value::from(1));
    }
    if !storage.enabled {
        put("disable", Value::from(1));
    }
    if !storage.nodes.is_empty() {
        let nodes = storage.nodes.iter().map(String::as_str).collect::<Vec<_>>();
        put("nodes", Value::from(nodes.join(",")));
    }
    if let Some(keep) = &storage.prune {
        put("prune-backups", Value::from(keep.print()));
    }
    if let Some(limit) = storage.max_protected {
        put("max-protected-backups", Value::from(limit));
    }
    out
}

/// The digest of all sections.
fn digest(world: &World) -> String {
    let sections = world
        .storages
        .values()
        .map(|storage| Value::Object(section(storage)));
    let text = sections.map(|section| section.to_string()).collect::<Vec<_>>();
    hex::encode(Sha1::digest(text.join("\n")))
}

fn shown(world: &World, storage: &Storage) -> Value {
    let mut out = section(storage);
    out.insert("digest".to_owned(), Value::from(digest(world)));
    Value::Object(out)
}

fn list(call: &mut Call<'_>) -> Answer {
    let kind = call.params.get("type");
    let privileges = ["Datastore.Audit", "Datastore.AllocateSpace"];
    let seen = call.world.storages.values().filter(|storage| {
        kind.is_none_or(|kind| storage.kind.name() == kind)
            && call.may_any(&format!("/storage/{}", storage.id), &privileges)
    });
    Ok(seen
        .map(|storage| shown(call.world, storage))
        .collect::<Value>()
        .into())
}

fn missing(id: &str) -> String {
    format!("storage '{id}' does not exist")
}

fn read(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| missing(id))?;
    Ok(shown(call.world, storage).into())
}

/// The settings among the parameters.
fn settings(params: &Params) -> BTreeMap<String, String> {
    let given = params.without(&["storage", "type", "digest", "delete"]);
    let given = given.iter();
    given
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn create(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("storage").to_owned();
    let kind = StorageKind::from_name(call.params.text("type"))
        .ok_or_else(|| Failure::died("unable to parse storage type"))?;
    let storage = Storage::made(&id, kind, &settings(&call.params))?;
    if call.world.storages.contains_key(&id) {
        return Err(Failure::died(format!(
            "create storage failed: storage ID '{id}' already defined"
        )));
    }
    call.world.storages.insert(id.clone(), storage);
    Ok(json!({ "storage": id, "type": kind.name() }).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("storage").to_owned();
    let changed =
        changed(call, &id).map_err(|text| Failure::died(format!("update storage failed: {text}")))?;
    let kind = changed.kind.name();
    call.world.storages.insert(id.clone(), changed);
    Ok(json!({ "storage": id, "type": kind }).into())
}

/// The storage as it will be, or PVE's text.
fn changed(call: &Call<'_>, id: &str) -> Result<Storage, String> {
    let given = call.params.get("digest");
    if given.is_some_and(|given| given != digest(call.world)) {
        return Err("detected modified configuration - file changed by other user? Try again.".to_owned());
    }
    let mut storage = call.world.storages.get(id).cloned().ok_or_else(|| missing(id))?;
    let unset = format::items(call.params.text("delete"));
    storage.change(&settings(&call.params), unset)?;
    Ok(storage)
}

/// Removes a storage, its place in pools and the rights on it. PVE has `local` at once again, as it is by default.
fn remove(call: &mut Call<'_>) -> Answer {
    let id = call.params.text("storage").to_owned();
    let Some(gone) = call.world.storages.shift_remove(&id) else {
        return Err(Failure::died(format!("delete storage failed: {}", missing(&id))));
    };
    if id == "local" {
        let again = Storage::made(&id, StorageKind::Dir, &StorageKind::Dir.settings(&id))?;
        let local = Storage {
            total: gone.total,
            volumes: gone.volumes,
            ..again
        };
        call.world.storages.insert(id.clone(), local);
    }
    let path = format!("/storage/{id}");
    let access = &mut call.world.access;
    access.grants.retain(|grant| grant.path != path);
    for pool in access.pools.values_mut() {
        pool.storages.remove(&id);
    }
    Ok(Value::Null.into())
}
