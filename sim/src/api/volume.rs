//! Single volumes: what they are, notes and protection of backups, removal.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint, Reply};
use crate::failure::Failure;
use crate::schema::Property;
use crate::units::float_of_signed;
use crate::work::vzdump::protectable;
use crate::work::{fork_about, volumes};
use crate::world::backup::backups_on;
use crate::world::counters::Effect;
use crate::world::storage::StorageKind;

const PATH: &str = "/nodes/{node}/storage/{storage}/content/{volume}";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", PATH, Allow::User, &[], read),
    Endpoint::on_node("PUT", PATH, Allow::User, EDIT, edit),
    Endpoint::on_node(
        "DELETE",
        PATH,
        Allow::User,
        &[Property::integer("delay").optional().at_least(1).at_most(30)],
        remove,
    ),
];

const EDIT: &[Property] = &[
    Property::text("notes").optional(),
    Property::boolean("protected").optional(),
];

impl Call<'_> {
    /// The volume in the path; its storage may be left out there.
    fn volid(&self) -> Result<String, Failure> {
        let (storage, volume) = (self.params.text("storage"), self.params.text("volume"));
        match volume.split_once(':') {
            // The name of a snapshot on a backup server has colons too.
            Some((id, _)) if !id.contains('/') => {
                if id == storage {
                    Ok(volume.to_owned())
                } else {
                    let text = format!("storage ID mismatch ({id} != {storage})\n");
                    Err(Failure::parameter("volume", text))
                }
            }
            _ => Ok(format!("{storage}:{volume}")),
        }
    }
}

fn read(call: &mut Call<'_>) -> Answer {
    let volid = call.volid()?;
    call.world.readable(call.who, None, &volid, None)?;
    let node = call.node();
    let (id, name, _) = call.world.named(&volid)?;
    let storage = call.world.usable_storage(id, &node)?;
    let Some(volume) = storage.volumes_on(&node).find(|v| v.volid == volid) else {
        return Err(Failure::died(format!(
            "volume_size_info on '{volid}' failed - no format"
        )));
    };
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("path", Value::from(storage.path_of(name)));
    put("size", Value::from(volume.size));
    put("used", Value::from(volume.size));
    put("format", Value::from(volume.format.as_str()));
    if volume.content == "backup" {
        put("notes", Value::from(volume.notes.clone().unwrap_or_default()));
        put("protected", Value::from(u8::from(volume.protected)));
    }
    Ok(Value::Object(out).into())
}

fn edit(call: &mut Call<'_>) -> Answer {
    let volid = call.volid()?;
    call.world.readable(call.who, None, &volid, None)?;
    let node = call.node();
    let (id, name, named) = call.world.named(&volid)?;
    let notes = call.params.get("notes").map(str::to_owned);
    let protect = call.params.get("protected").map(|flag| flag == "1");
    let storage = call.world.usable_storage(id, &node)?;
    let pbs = storage.kind == StorageKind::Pbs;
    let unsupported = |attribute: &str| {
        Failure::died(match (storage.kind, named.content) {
            (StorageKind::Dir | StorageKind::Nfs, _) => {
                format!("only backups support attribute '{attribute}'")
            }
            _ => format!(
                "attribute '{attribute}' is not supported for storage type '{}'",
                storage.kind.name()
            ),
        })
    };
    if named.content != "backup" {
        let attribute = if notes.is_some() { "notes" } else { "protected" };
        return if notes.is_some() || protect.is_some() {
            Err(unsupported(attribute))
        } else {
            Ok(Value::Null.into())
        };
    }
    let volume = storage.volumes_on(&node).find(|v| v.volid == volid);
    if let (Some(true), Some(volume)) = (protect, volume)
        && !volume.protected
    {
        let unlimited = call.may(&format!("/storage/{id}"), "Datastore.Allocate");
        let backups = backups_on(storage, &node, named.owner);
        let count = backups.iter().filter(|volume| volume.protected).count() as u64;
        protectable(storage, unlimited, count)?;
    }
    if volume.is_none() {
        // On a directory the notes are a file beside the archive, which PVE writes without looking for it.
        return if pbs {
            let snapshot = name.strip_prefix("backup/").unwrap_or(name);
            Err(Failure::died(format!("snapshot {snapshot} does not exist")))
        } else {
            Ok(Value::Null.into())
        };
    }
    let id = id.to_owned();
    let volumes = call.world.storages.get_mut(&id).map(|s| &mut s.volumes);
    let seen = |volume: &&mut crate::world::storage::Volume| {
        volume.volid == volid && volume.node.as_deref().is_none_or(|own| own == node)
    };
    if let Some(volume) = volumes.into_iter().flatten().find(seen) {
        if let Some(notes) = notes {
            volume.notes = Some(notes).filter(|text| !text.is_empty());
        }
        volume.protected = protect.unwrap_or(volume.protected);
        let owner = volume.vmid.unwrap_or(0);
        call.world
            .counters
            .effect(Effect::BackupEdited, owner, Some(&volid));
    }
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let volid = call.volid()?;
    let (id, _, named) = call.world.named(&volid)?;
    let path = format!("/storage/{id}");
    if let ("backup", Some(owner)) = (named.content, named.owner) {
        call.require(&path, &["Datastore.AllocateSpace"])?;
        call.require(&format!("/vms/{owner}"), &["VM.Backup"])?;
    } else {
        call.require(&path, &["Datastore.Allocate"])?;
    }
    let about = match named.owner {
        Some(owner) => format!("{owner}@{id}"),
        None => id.to_owned(),
    };
    let node = call.node();
    let upid = fork_about(
        call.sim,
        call.world,
        &node,
        "imgdel",
        &about,
        call.who,
        |worker| volumes::remove(worker, volid.clone()),
    );
    let wait = call
        .params
        .integer("delay")
        .map(|seconds| (upid.clone(), float_of_signed(seconds)));
    Ok(Reply {
        data: Value::from(upid),
        wait,
        ..Reply::default()
    })
}
