//! Pruning of backups by retention: what would go, and letting it go.

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::{fork_about, volumes};
use crate::world::retention::{Keep, marks};

const PATH: &str = "/nodes/{node}/storage/{storage}/prunebackups";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node(
        "GET",
        PATH,
        Allow::On(
            "/storage/{storage}",
            &["Datastore.Audit", "Datastore.AllocateSpace"],
        ),
        TAKES,
        preview,
    ),
    Endpoint::on_node("DELETE", PATH, Allow::User, TAKES, prune),
];

/// The format of `prune-backups`.
pub(super) fn retention(_: &str, text: &str) -> Result<(), String> {
    Keep::parse(text).map(drop)
}

const TAKES: &[Property] = &[
    Property::text("prune-backups").optional().format(retention),
    Property::text("type").optional().one_of(&["qemu", "lxc"]),
    Property::integer("vmid")
        .optional()
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
];

/// The storage's name, the VM, and the retention that holds.
fn asked(call: &Call<'_>) -> Result<(String, Option<u32>, Keep), Failure> {
    let id = call.params.text("storage").to_owned();
    let vmid = call.params.get("vmid").and_then(|text| text.parse().ok());
    let given = call.params.get("prune-backups").map(Keep::parse).transpose()?;
    let storage = call
        .world
        .storages
        .get(&id)
        .ok_or_else(|| format!("storage '{id}' does not exist"))?;
    let keep = given.or_else(|| storage.prune.clone()).unwrap_or_else(Keep::all);
    Ok((id, vmid, keep))
}

fn preview(call: &mut Call<'_>) -> Answer {
    let (id, vmid, keep) = asked(call)?;
    let node = call.node();
    let storage = call.world.usable_storage(&id, &node)?;
    let list = marks(storage, &node, vmid, &keep).into_iter().map(|marked| {
        json!({
            "volid": marked.volid, "ctime": marked.ctime, "type": "qemu", "mark": marked.mark.word(),
            "vmid": marked.vmid,
        })
    });
    Ok(list.collect::<Value>().into())
}

fn prune(call: &mut Call<'_>) -> Answer {
    let (id, vmid, keep) = asked(call)?;
    let path = format!("/storage/{id}");
    if let Some(vmid) = vmid {
        call.require(&path, &["Datastore.AllocateSpace"])?;
        call.require(&format!("/vms/{vmid}"), &["VM.Backup"])?;
    } else {
        call.require(&path, &["Datastore.Allocate"])?;
    }
    let about = vmid.map_or_else(|| id.clone(), |vmid| format!("{vmid}@{id}"));
    let node = call.node();
    let upid = fork_about(
        call.sim,
        call.world,
        &node,
        "prunebackups",
        &about,
        call.who,
        |worker| volumes::prune_task(worker, id, vmid, keep),
    );
    Ok(upid.into())
}
