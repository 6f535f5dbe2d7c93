//! What `storage.cfg` says: how storages are set up, as opposed to what is on them.
//!
//! The scenario makes storages; of their settings those can be changed that the simulation knows. The others are
//! refused as unknown parameters, which PVE would take: better than to pretend.

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::World;
use crate::world::retention::Keep;
use crate::world::storage::{Storage, StorageKind};

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/storage", Allow::User, LIST, list),
    Endpoint::anywhere(
        "GET",
        "/storage/{storage}",
        Allow::On("/storage/{storage}", &["Datastore.Allocate"]),
        &[],
        read,
    ),
    Endpoint::anywhere(
        "PUT",
        "/storage/{storage}",
        Allow::On("/storage", &["Datastore.Allocate"]),
        UPDATE,
        update,
    ),
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

const UPDATE: &[Property] = &[
    Property::text("content")
        .optional()
        .list_of(format::storage_content),
    Property::boolean("disable").optional(),
    Property::text("nodes").optional().list_of(format::node),
    Property::text("prune-backups").optional().format(retention),
    Property::integer("max-protected-backups").optional().at_least(-1),
    Property::text("delete")
        .optional()
        .list_of(format::config_id)
        .no_longer_than(4096),
    Property::text("digest").optional().no_longer_than(64),
];

/// The settings that can be taken away.
const UNSETTABLE: &[&str] = &[
    "content",
    "disable",
    "nodes",
    "prune-backups",
    "max-protected-backups",
];

fn retention(_: &str, text: &str) -> Result<(), String> {
    Keep::parse(text).map(drop)
}

/// A storage as its section in the file, without the digest.
fn section(storage: &Storage) -> Map<String, Value> {
    let id = storage.id.as_str();
    let own = match storage.kind {
        StorageKind::Dir if id == "local" => json!({ "path": "/var/lib/vz" }),
        StorageKind::Dir => json!({ "path": format!("/mnt/pve/{id}") }),
        StorageKind::Nfs => json!({
            "path": format!("/mnt/pve/{id}"), "server": "10.0.0.50", "export": format!("/export/{id}"),
        }),
        StorageKind::LvmThin => json!({ "vgname": id, "thinpool": id }),
        StorageKind::Lvm => json!({ "vgname": id }),
        StorageKind::Zfs => json!({ "pool": id, "mountpoint": format!("/{id}") }),
        StorageKind::Rbd => json!({ "pool": id, "krbd": 0 }),
        StorageKind::Pbs => json!({ "server": "10.0.0.50", "datastore": id, "username": "portico@pbs" }),
    };
    let mut out = own.as_object().cloned().unwrap_or_default();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("storage", Value::from(id));
    put("type", Value::from(storage.kind.name()));
    put("content", Value::from(storage.content_text()));
    let always_shared = matches!(
        storage.kind,
        StorageKind::Nfs | StorageKind::Rbd | StorageKind::Pbs
    );
    if storage.shared || always_shared {
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
    let params = &call.params;
    if params
        .get("digest")
        .is_some_and(|given| given != digest(call.world))
    {
        return Err("detected modified configuration - file changed by other user? Try again.".to_owned());
    }
    let mut storage = call.world.storages.get(id).cloned().ok_or_else(|| missing(id))?;
    for key in format::items(params.text("delete")) {
        if !UNSETTABLE.contains(&key) {
            return Err(format!("no such option '{key}'"));
        }
        if params.get(key).is_some() {
            return Err(format!(
                "cannot set and delete property '{key}' at the same time!"
            ));
        }
        match key {
            "content" => storage.content = default_content(storage.kind),
            "disable" => storage.enabled = true,
            "nodes" => storage.nodes.clear(),
            "prune-backups" => storage.prune = None,
            _ => storage.max_protected = None,
        }
    }
    if let Some(kinds) = params.get("content") {
        // PVE leaves out what the kind of storage cannot hold, with a warning in its log.
        let possible = possible_content(storage.kind);
        let kept = format::items(kinds).filter(|kind| possible.contains(kind));
        storage.content = kept.map(str::to_owned).collect();
        if storage.content.len() > 1 && storage.content.contains("none") {
            return Err("unable to combine 'none' with other content types".to_owned());
        }
        if storage.content.is_empty() && !possible.contains(&"none") {
            return Err("storage does not support content type 'none'".to_owned());
        }
    }
    if let Some(disable) = params.get("disable") {
        storage.enabled = disable == "0";
    }
    if let Some(nodes) = params.get("nodes") {
        storage.nodes = format::items(nodes).map(str::to_owned).collect();
    }
    if let Some(text) = params.get("prune-backups") {
        storage.prune = Some(Keep::parse(text)?);
    }
    storage.max_protected = params.integer("max-protected-backups").or(storage.max_protected);
    Ok(storage)
}

/// What a kind of storage can hold.
fn possible_content(kind: StorageKind) -> &'static [&'static str] {
    match kind {
        StorageKind::Dir => &[
            "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
        ],
        StorageKind::Nfs => &[
            "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import",
        ],
        StorageKind::LvmThin | StorageKind::Lvm | StorageKind::Zfs | StorageKind::Rbd => {
            &["images", "rootdir"]
        }
        StorageKind::Pbs => &["backup", "none"],
    }
}

/// What a storage holds whose section says nothing of it.
fn default_content(kind: StorageKind) -> std::collections::BTreeSet<String> {
    let kinds: &[&str] = match kind {
        StorageKind::Nfs | StorageKind::Rbd | StorageKind::Lvm => &["images"],
        StorageKind::Dir | StorageKind::LvmThin | StorageKind::Zfs => &["images", "rootdir"],
        StorageKind::Pbs => &["backup"],
    };
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}
