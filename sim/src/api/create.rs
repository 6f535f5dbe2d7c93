//! Making a VM from nothing.

use super::{Allow, Answer, Call, Endpoint, Flock, Takes};
use crate::config::Section;
use crate::config::change::Change;
use crate::config::rights;
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::create::{self, New};
use crate::work::fork;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint {
    flock: Some(Flock {
        seconds: 5.0,
        refused: |params, text| {
            let verb = if params.get("archive").is_some() {
                "restore"
            } else {
                "create"
            };
            format!("unable to {verb} VM {} - {text}", params.text("vmid"))
        },
    }),
    takes: Takes::WithConfig(CREATE),
    ..Endpoint::on_node("POST", "/nodes/{node}/qemu", Allow::User, &[], create)
}];

const CREATE: &[Property] = &[
    Property::integer("vmid")
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
    Property::text("archive").optional().no_longer_than(255),
    Property::integer("bwlimit").optional().at_least(0),
    Property::boolean("force").optional().requires("archive"),
    Property::boolean("ha-managed").optional().new_in_9(),
    Property::text("import-working-storage")
        .optional()
        .format(format::storage_id),
    Property::boolean("live-restore").optional(),
    Property::text("pool").optional().format(format::pool_id),
    Property::boolean("start").optional(),
    Property::text("storage").optional().format(format::storage_id),
    Property::boolean("unique").optional().requires("archive"),
];

/// The parameters that are no keys of the configuration.
pub(super) const OWN: &[&str] = &[
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "start",
    "storage",
    "unique",
];

fn create(call: &mut Call<'_>) -> Answer {
    if call.params.get("archive").is_some() {
        return super::restore::restore(call);
    }
    let (node, vmid) = (call.node(), call.vmid());
    let pool = call.params.get("pool").map(str::to_owned);
    pool_exists(call, pool.as_deref())?;
    let may_allocate = call.may(&format!("/vms/{vmid}"), "VM.Allocate")
        || pool
            .as_ref()
            .is_some_and(|pool| call.may(&format!("/pool/{pool}"), "VM.Allocate"));
    if !may_allocate {
        return Err(Failure::forbidden(""));
    }
    let change = Change::for_new(&call.params, OWN, call.who)?;
    rights::permitted_for_new(&change, call.world, vmid, pool.as_deref(), call.who)?;
    if let Some(other) = call.world.vms.get(&vmid) {
        return Err(Failure::died(format!(
            "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
            other.node
        )));
    }
    let lock = Section::from([("lock".to_owned(), "create".to_owned())]);
    let reserved = Vm::new(vmid, &node, lock, call.world.seed, call.sim.clock.now());
    call.world.vms.insert(vmid, reserved);
    let new = New {
        change,
        pool,
        start: call.params.flag("start"),
        managed: call.params.flag("ha-managed"),
    };
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmcreate",
        vmid,
        call.who,
        |worker| create::create(worker, vmid, new),
    );
    Ok(upid.into())
}

/// Whether a pool that was named is there.
pub(super) fn pool_exists(call: &Call<'_>, pool: Option<&str>) -> Result<(), Failure> {
    match pool {
        Some(pool) if !call.world.access.pools.contains_key(pool) => {
            Err(Failure::forbidden(&format!("pool '{pool}' does not exist")))
        }
        _ => Ok(()),
    }
}
