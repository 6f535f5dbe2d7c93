//! Storages and their content.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{Property, format};
use crate::units::float;
use crate::world::World;
use crate::world::storage::{Storage, StorageKind, Volume};

const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];
const ONE: Allow = Allow::On("/storage/{storage}", SEE);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/storage", Allow::User, LIST, list),
    Endpoint::anywhere("GET", "/nodes/{node}/storage/{storage}", ONE, &[], index),
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

fn shown(world: &World, storage: &Storage, node: &str) -> Map<String, Value> {
    let active = storage.enabled && !world.faults.storage_is_offline(&storage.id);
    let (total, used, free) = if active {
        let free = world.free_on(storage, node);
        (storage.total, storage.total - free, free)
    } else {
        (0, 0, 0)
    };
    let entry = json!({
        "type": storage.kind.name(),
        "content": storage.content_text(),
        "enabled": u8::from(storage.enabled),
        "active": u8::from(active),
        "shared": u8::from(storage.shared),
        "total": total,
        "used": used,
        "avail": free,
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
        let mut entry = shown(call.world, storage, &node);
        entry.insert("storage".to_owned(), Value::from(storage.id.as_str()));
        let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or(0);
        if let (used, total @ 1..) = (number("used"), number("total")) {
            let fraction = float(used) / float(total);
            entry.insert("used_fraction".to_owned(), Value::from(fraction));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn index(call: &mut Call<'_>) -> Answer {
    let names: &[&str] = match call.major() {
        Major::V8 => &[
            "content",
            "download-url",
            "file-restore",
            "import-metadata",
            "prunebackups",
            "rrd",
            "rrddata",
            "status",
            "upload",
        ],
        Major::V9 => &[
            "content",
            "download-url",
            "file-restore",
            "import-metadata",
            "oci-registry-pull",
            "prunebackups",
            "rrd",
            "rrddata",
            "status",
            "upload",
        ],
    };
    Ok(super::subdirectories(names))
}

fn status(call: &mut Call<'_>) -> Answer {
    let (id, node) = (call.params.text("storage"), call.params.text("node"));
    let storage = call.world.storages.get(id);
    let Some(storage) = storage.filter(|storage| storage.on(node)) else {
        return Err(Failure::parameter("storage", "No such storage."));
    };
    Ok(Value::Object(shown(call.world, storage, node)).into())
}

fn content(call: &mut Call<'_>) -> Answer {
    let (id, node) = (call.params.text("storage"), call.params.text("node"));
    let storage = call.world.usable_storage(id, node)?;
    let now = call.sim.clock.seconds();
    let kind = call.params.get("content");
    let vmid = call.params.get("vmid");
    let wanted = |volume: &&Volume| {
        storage.content.contains(&volume.content)
            && kind.is_none_or(|kind| volume.content == kind)
            && vmid.is_none_or(|vmid| volume.vmid.is_some_and(|own| own.to_string() == vmid))
            && call.world.readable(call.who, None, &volume.volid, None).is_ok()
    };
    let mut volumes = storage.volumes_on(node).filter(wanted).collect::<Vec<_>>();
    volumes.sort_by_key(|volume| volume.volid.to_lowercase());
    Ok(volumes
        .into_iter()
        .map(|volume| entry(storage, volume, now))
        .collect::<Value>()
        .into())
}

fn entry(storage: &Storage, volume: &Volume, now: i64) -> Value {
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
        if let Some(fingerprint) = &volume.encrypted {
            put("encrypted", Value::from(fingerprint.as_str()));
        }
        // The backup server looks at new backups at night.
        let nightly = (now - volume.ctime > 86_400).then_some("ok");
        if storage.kind == StorageKind::Pbs
            && let Some(state) = volume.verification.as_deref().or(nightly)
        {
            put(
                "verification",
                json!({ "state": state, "upid": "UPID:pbs:0000A001:0000B001:00000001:68A00000:verify:backups:root@pam:" }),
            );
        }
    }
    Value::Object(out)
}
