//! Restoring a VM from a backup: `POST /nodes/{node}/qemu` with `archive`. Without one, [`super::create`] goes on.

use serde_json::Value;

use super::{Allow, Answer, Call, Endpoint, Takes};
use crate::config::Section;
use crate::config::update::Change;
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::fork;
use crate::work::restore::{self, Restore};
use crate::world::backup::is_restorable;
use crate::world::storage::StorageKind;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint {
    flock: true,
    takes: Takes::WithConfig(OWN),
    ..Endpoint::on_node("POST", "/nodes/{node}/qemu", Allow::User, &[], create)
}];

const OWN: &[Property] = &[
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
    Property::integer("vmid")
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
];

/// Parameters of the call that are no keys of the configuration.
const CALL: &[&str] = &[
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "node",
    "pool",
    "start",
    "storage",
    "unique",
    "vmid",
];

fn create(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let own = format!("/vms/{vmid}");
    let given = |name: &str| call.params.get(name).map(str::to_owned);
    let (storage, pool, archive) = (given("storage"), given("pool"), given("archive"));
    let (force, start) = (call.params.flag("force"), call.params.flag("start"));
    if let Some(pool) = &pool
        && !call.world.access.pools.contains_key(pool)
    {
        return Err(Failure::died(format!("pool '{pool}' does not exist")));
    }
    if let Some(storage) = &storage {
        call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    if call.params.flag("ha-managed") {
        call.require("/", &["Sys.Console"])?;
    }
    if start {
        call.require(&own, &["VM.PowerMgmt"])?;
    }
    let here = call.world.vms.get(&vmid).is_some_and(|vm| vm.node == node);
    let by_pool = pool
        .as_ref()
        .is_some_and(|pool| call.may(&format!("/pool/{pool}"), "VM.Allocate"));
    let by_backup = archive.is_some() && force && here && call.may(&own, "VM.Backup");
    if !call.may(&own, "VM.Allocate") && !by_pool && !by_backup {
        return Err(Failure::forbidden(""));
    }
    let Some(archive) = archive else {
        return super::create::create(call, CALL);
    };
    let overrides = call.params.without(CALL);
    for (key, _) in overrides.iter() {
        if is_restorable(key)
            || key
                .strip_prefix("unused")
                .is_some_and(|n| n.parse::<u16>().is_ok())
        {
            return Err(Failure::parameter(key, "option conflicts with option 'archive'"));
        }
    }
    usable(call, vmid, &archive)?;
    let overrides = if overrides.is_empty() {
        Change::default()
    } else {
        let change = Change::read(&overrides, call.who)?;
        change.permitted(call.world, vmid, call.who)?;
        change
    };
    claim(call, vmid, force)
        .map_err(|reason| Failure::died(format!("unable to restore VM {vmid} - {reason}")))?;
    let what = Restore {
        archive,
        storage,
        pool,
        unique: call.params.flag("unique"),
        live: call.params.flag("live-restore"),
        start,
        overrides: overrides.values().clone(),
    };
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmrestore",
        vmid,
        call.who,
        |worker| restore::restore(worker, vmid, what),
    );
    Ok(Value::from(upid).into())
}

/// Whether the caller may use the archive, and whether it is there as far as PVE looks before the task.
fn usable(call: &Call<'_>, vmid: u32, archive: &str) -> Result<(), Failure> {
    if !archive.contains(':') {
        let text = if call.who == "root@pam" {
            format!("can't find file '{archive}'")
        } else {
            "Only root can pass arbitrary filesystem paths.".to_owned()
        };
        return Err(Failure::died(text));
    }
    call.world
        .readable(call.who, Some(vmid), archive, Some("backup"))?;
    let (id, _, _) = call.world.named(archive)?;
    let node = call.params.text("node");
    if call
        .world
        .storages
        .get(id)
        .is_some_and(|storage| storage.kind == StorageKind::Pbs)
    {
        return Ok(());
    }
    let storage = call.world.storage_on(id, node)?;
    if !storage.volumes_on(node).any(|volume| volume.volid == archive) {
        return Err(Failure::died(format!("can't find file '{archive}'")));
    }
    Ok(())
}

/// Sets the lock `create`, on a new configuration if there is none.
fn claim(call: &mut Call<'_>, vmid: u32, force: bool) -> Result<(), String> {
    let node = call.node();
    if let Some(other) = call.world.vms.get(&vmid) {
        let owner = &other.node;
        if !force {
            return Err(format!("VM {vmid} already exists on node '{owner}'"));
        }
        if *owner != node {
            // The cluster's file system has one configuration for each number.
            return Err(format!(
                "unable to open file '/etc/pve/nodes/{node}/qemu-server/{vmid}.conf.tmp.{vmid}' - File exists"
            ));
        }
    } else {
        let (seed, now) = (call.world.seed, call.sim.clock.now());
        call.world
            .vms
            .insert(vmid, Vm::new(vmid, &node, Section::new(), seed, now));
    }
    let vm = call.world.vm_mut(&node, vmid)?;
    vm.check_lock()?;
    vm.config.insert("lock".to_owned(), "create".to_owned());
    Ok(())
}
