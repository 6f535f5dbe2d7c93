//! Growing a disk.

use super::{Allow, Answer, Call, Endpoint};
use crate::config::drive::Drive;
use crate::config::keys;
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::{disks, fork};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "PUT",
    "/nodes/{node}/qemu/{vmid}/resize",
    Allow::On("/vms/{vmid}", &["VM.Config.Disk"]),
    RESIZE,
    resize,
)];

const RESIZE: &[Property] = &[
    Property::text("disk").one_of(keys::DISKS),
    Property::text("size").pattern(format::is_new_size),
    Property::text("digest").optional().no_longer_than(40),
    Property::boolean("skiplock").optional(),
];

/// As in PVE, nearly everything that can be wrong is told in the task.
fn resize(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    let (node, vmid) = (call.node(), call.vmid());
    let key = call.params.text("disk").to_owned();
    let vm = call.world.vm(&node, vmid)?;
    let storage = vm
        .get(&key)
        .and_then(|text| Drive::parse(&key, text))
        .and_then(|drive| drive.storage().map(str::to_owned));
    if let Some(storage) = storage {
        let path = format!("/storage/{storage}");
        if !call.may(&path, "Datastore.AllocateSpace") {
            return Err(Failure::forbidden(&format!("{path}, Datastore.AllocateSpace")));
        }
    }
    let wish = disks::Resize {
        key,
        size: call.params.text("size").to_owned(),
        digest: call.params.get("digest").map(str::to_owned),
        skiplock: call.params.flag("skiplock"),
    };
    let upid = fork(call.sim, call.world, &node, "resize", vmid, call.who, |worker| {
        disks::resize(worker, vmid, wish)
    });
    Ok(upid.into())
}
