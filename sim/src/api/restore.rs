//! Restoring a VM from a backup: `POST /nodes/{node}/qemu` with `archive`, which `create` hands over.

use serde_json::Value;

use super::create::{OWN, pool_exists};
use super::{Answer, Call};
use crate::config::Section;
use crate::config::change::Change;
use crate::config::rights;
use crate::failure::Failure;
use crate::work::fork;
use crate::work::restore::{self, Restore};
use crate::world::backup::is_restorable;
use crate::world::storage::StorageKind;
use crate::world::vm::Vm;

/// Begins a restore; `archive` was given.
pub(super) fn restore(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let own = format!("/vms/{vmid}");
    let given = |name: &str| call.params.get(name).map(str::to_owned);
    let (storage, pool) = (given("storage"), given("pool"));
    let archive = call.params.text("archive").to_owned();
    let (force, start) = (call.params.flag("force"), call.params.flag("start"));
    pool_exists(call, pool.as_deref())?;
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
    let by_backup = force && here && call.may(&own, "VM.Backup");
    if !call.may(&own, "VM.Allocate") && !by_pool && !by_backup {
        return Err(Failure::forbidden(""));
    }
    for (key, _) in call.params.iter() {
        if is_restorable(key)
            || key
                .strip_prefix("unused")
                .is_some_and(|n| n.parse::<u16>().is_ok())
        {
            return Err(Failure::parameter(key, "option conflicts with option 'archive'"));
        }
    }
    usable(call, vmid, &archive)?;
    let overrides = Change::for_new(&call.params, OWN, call.who)?;
    rights::permitted_for_new(&overrides, call.world, vmid, pool.as_deref(), call.who)?;
    claim(call, vmid, force)
        .map_err(|reason| Failure::died(format!("unable to restore VM {vmid} - {reason}")))?;
    let what = Restore {
        archive,
        storage,
        pool,
        unique: call.params.flag("unique"),
        live: call.params.flag("live-restore"),
        start,
        overrides: overrides
            .sets()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
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
    let storage = call.world.usable_storage(id, node)?;
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
        let reserved = Vm::new(vmid, &node, Section::new(), seed, now);
        call.world.vms.insert(vmid, reserved);
    }
    let vm = call.world.vm_mut(&node, vmid)?;
    vm.check_lock()?;
    vm.config.insert("lock".to_owned(), "create".to_owned());
    Ok(())
}
