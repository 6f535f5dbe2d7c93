//! Storages and their content.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::units::float;
use crate::world::storage::{Storage, StorageKind, Volume};

const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];
const ONE: Allow = Allow::On("/storage/{storage}", SEE);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/storage", Allow::User, LIST, list),
    Endpoint::on_node("GET", "/nodes/{node}/storage/{storage}/status", ONE, &[], status),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/storage/{storage}/content",
        ONE,
        CONTENT,
        content,
    ),
];

const LIST: &[Property] = &[
    Property::text("content")
        .optional()
        .list_of(format::storage_content),
    Property::boolean("enabled").optional(),
    Property::boolean("format").optional(),
    Property::text("storage").optional().format(format::storage_id),
    Property::text("target").optional().format(format::node),
];

const CONTENT: &[Property] = &[
    Property::text("content")
        .optional()
        .format(format::storage_content),
    Property::integer("vmid")
        .optional()
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
];

fn shown(storage: &Storage, node: &str) -> Map<String, Value> {
    let used = storage.used_on(node);
    let entry = json!({
        "type": storage.kind.name(),
        "content": storage.content_text(),
        "enabled": u8::from(storage.enabled),
        "active": u8::from(storage.enabled),
        "shared": u8::from(storage.shared),
        "total": storage.total,
        "used": used,
        "avail": storage.total - used,
    });
    entry.as_object().cloned().unwrap_or_default()
}

fn list(call: &mut Call<'_>) -> Answer {
    let node = call.node();
    let params = &call.params;
    let wanted = |storage: &&Storage| {
        storage.on(&node)
            && params.get("target").is_none_or(|target| storage.on(target))
            && params.get("storage").is_none_or(|id| storage.id == id)
            && (!params.flag("enabled") || storage.enabled)
            && params
                .get("content")
                .is_none_or(|kinds| format::items(kinds).any(|kind| storage.content.contains(kind)))
            && call.may_any(&format!("/storage/{}", storage.id), SEE)
    };
    let list = call.world.storages.values().filter(wanted).map(|storage| {
        let mut entry = shown(storage, &node);
        entry.insert("storage".to_owned(), Value::from(storage.id.as_str()));
        let fraction = float(storage.used_on(&node)) / float(storage.total.max(1));
        entry.insert("used_fraction".to_owned(), Value::from(fraction));
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

/// The storage in the path, if the node in the path has it.
fn one<'a>(call: &'a Call<'_>) -> Result<&'a Storage, Failure> {
    let (id, node) = (call.params.text("storage"), call.params.text("node"));
    let storage = call
        .world
        .storages
        .get(id)
        .ok_or_else(|| format!("storage '{id}' does not exist"))?;
    if !storage.on(node) {
        return Err(Failure::died(format!(
            "storage '{id}' is not available on node '{node}'"
        )));
    }
    if !storage.enabled {
        return Err(Failure::died(format!("storage '{id}' is disabled")));
    }
    Ok(storage)
}

fn status(call: &mut Call<'_>) -> Answer {
    let storage = one(call)?;
    Ok(Value::Object(shown(storage, call.params.text("node"))).into())
}

fn content(call: &mut Call<'_>) -> Answer {
    let storage = one(call)?;
    let path = format!("/storage/{}", storage.id);
    let space = call.may(&path, "Datastore.AllocateSpace");
    let everything = call.may(&path, "Datastore.Allocate");
    let seen = |volume: &&Volume| {
        let of_vm = |privilege: &str| {
            volume
                .vmid
                .is_some_and(|vmid| call.may(&format!("/vms/{vmid}"), privilege))
        };
        match volume.content.as_str() {
            "backup" => everything || (space && of_vm("VM.Backup")),
            "images" | "rootdir" => everything || of_vm("VM.Config.Disk"),
            _ => true,
        }
    };
    let kind = call.params.get("content");
    let vmid = call.params.get("vmid");
    let wanted = |volume: &&Volume| {
        kind.is_none_or(|kind| volume.content == kind)
            && vmid.is_none_or(|vmid| volume.vmid.is_some_and(|own| own.to_string() == vmid))
    };
    let volumes = storage
        .volumes_on(call.params.text("node"))
        .filter(wanted)
        .filter(seen);
    Ok(volumes
        .map(|volume| entry(storage, volume))
        .collect::<Value>()
        .into())
}

fn entry(storage: &Storage, volume: &Volume) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("volid", Value::from(volume.volid.as_str()));
    put("content", Value::from(volume.content.as_str()));
    put("format", Value::from(volume.format.as_str()));
    put("size", Value::from(volume.size));
    put("ctime", Value::from(volume.ctime));
    if let Some(vmid) = volume.vmid {
        put("vmid", Value::from(vmid));
    }
    if volume.content == "backup" {
        put("subtype", Value::from("qemu"));
        if let Some(notes) = &volume.notes {
            put("notes", Value::from(notes.lines().next().unwrap_or_default()));
        }
        if volume.protected {
            put("protected", Value::from(1));
        }
        if storage.kind == StorageKind::Pbs {
            put(
                "verification",
                json!({ "state": "ok", "upid": "UPID:pbs:0000A001:0000B001:00000001:68A00000:verify:backups:root@pam:" }),
            );
        }
    }
    Value::Object(out)
}
