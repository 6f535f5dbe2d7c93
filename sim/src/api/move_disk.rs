//! Moving a disk: to another storage, or to another VM.

use indexmap::IndexMap;

use super::{Allow, Answer, Call, Endpoint};
use crate::config::keys;
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::move_disk::{self, Move};
use crate::work::reassign::{self, Reassign};
use crate::work::{fork, fork_about};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "POST",
    "/nodes/{node}/qemu/{vmid}/move_disk",
    Allow::On("/vms/{vmid}", &["VM.Config.Disk"]),
    PARAMETERS,
    begin,
)];

const PARAMETERS: &[Property] = &[
    Property::text("disk")
        .one_of(keys::DISKS)
        .or_numbered("unused", 255),
    Property::integer("bwlimit").optional().at_least(0),
    Property::boolean("delete").optional(),
    Property::text("digest").optional().no_longer_than(40),
    Property::text("format")
        .optional()
        .one_of(&["raw", "qcow2", "vmdk"]),
    Property::text("storage").optional().format(format::storage_id),
    Property::text("target-digest").optional().no_longer_than(40),
    Property::text("target-disk")
        .optional()
        .one_of(keys::DISKS)
        .or_numbered("unused", 255),
    Property::integer("target-vmid")
        .optional()
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
];

fn begin(call: &mut Call<'_>) -> Answer {
    let (storage, target) = (call.params.get("storage"), call.params.get("target-vmid"));
    match (storage, target) {
        (Some(storage), None) => to_storage(call, storage.to_owned()),
        (None, Some(target)) => to_vm(call, target.parse().unwrap_or(0)),
        (Some(_), Some(_)) => Err(both("either set 'storage' or 'target-vmid', but not both")),
        (None, None) => Err(both(
            "both 'storage' and 'target-vmid' missing, either needs to be set",
        )),
    }
}

/// The refusal of two parameters for one reason.
fn both(reason: &str) -> Failure {
    let each = ["storage", "target-vmid"].map(|name| (name.to_owned(), reason.to_owned()));
    Failure::invalid(IndexMap::from(each))
}

fn given(call: &Call<'_>, name: &str) -> Option<String> {
    let text = call.params.get(name).filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

fn to_storage(call: &mut Call<'_>, storage: String) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let limit = call.params.integer("bwlimit");
    let wish = Move {
        key: call.params.text("disk").to_owned(),
        storage,
        format: given(call, "format"),
        delete: call.params.flag("delete"),
        digest: given(call, "digest"),
        limit: limit.and_then(|kib| u64::try_from(kib).ok()),
    };
    move_disk::check(call.world, &node, vmid, &wish)?;
    let upid = fork(call.sim, call.world, &node, "qmmove", vmid, call.who, |worker| {
        move_disk::run(worker, vmid, wish)
    });
    Ok(upid.into())
}

fn to_vm(call: &mut Call<'_>, target: u32) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    call.require(&format!("/vms/{target}"), &["VM.Config.Disk"])?;
    if target == vmid {
        let text = "must be different than source VMID to reassign disk";
        return Err(Failure::parameter("target-vmid", text));
    }
    let key = call.params.text("disk").to_owned();
    let wish = Reassign {
        target,
        target_key: given(call, "target-disk").unwrap_or_else(|| key.clone()),
        key,
        digest: given(call, "digest"),
        target_digest: given(call, "target-digest"),
    };
    let drive = reassign::check(call.world, &node, vmid, &wish)?;
    let storage = drive.storage().unwrap_or_default();
    call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let about = format!("{vmid}-{}>{target}-{}", wish.key, wish.target_key);
    let upid = fork_about(
        call.sim,
        call.world,
        &node,
        "qmmove",
        &about,
        call.who,
        |worker| reassign::run(worker, vmid, wish),
    );
    Ok(upid.into())
}
