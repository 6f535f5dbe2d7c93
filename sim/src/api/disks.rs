//! Growing a disk.

use super::{Allow, Answer, Call, Endpoint};
use crate::config::keys;
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

/// As in PVE, everything else that can be wrong is told in the task, even that there is no such VM.
fn resize(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    let (node, vmid) = (call.node(), call.vmid());
    let wish = disks::Resize {
        key: call.params.text("disk").to_owned(),
        size: call.params.text("size").to_owned(),
        digest: call.params.get("digest").map(str::to_owned),
        skiplock: call.params.flag("skiplock"),
    };
    let upid = fork(call.sim, call.world, &node, "resize", vmid, call.who, |worker| {
        disks::resize(worker, vmid, wish)
    });
    Ok(upid.into())
}
