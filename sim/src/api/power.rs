//! Starting, stopping and the like.

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::units::float_of_signed;
use crate::work::power::{self, Down, Manner};
use crate::work::{fork, ha};
use crate::world::ha::Wanted;
use crate::world::vm::Vm;

const POWER: Allow = Allow::On("/vms/{vmid}", &["VM.PowerMgmt"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/status", Allow::User, &[], index),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/start",
        POWER,
        START,
        start,
    ),
    Endpoint::on_node("POST", "/nodes/{node}/qemu/{vmid}/status/stop", POWER, STOP, stop),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        POWER,
        SHUTDOWN,
        shutdown,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/reboot",
        POWER,
        REBOOT,
        reboot,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/reset",
        POWER,
        RESET,
        reset,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/suspend",
        POWER,
        SUSPEND,
        suspend,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/resume",
        POWER,
        RESUME,
        resume,
    ),
];

const SKIPLOCK: Property = Property::boolean("skiplock").optional();
const TIMEOUT: Property = Property::integer("timeout").optional().at_least(0);
const KEEP_ACTIVE: Property = Property::boolean("keepActive").optional();
const MIGRATED_FROM: Property = Property::text("migratedfrom").optional().format(format::node);

const START: &[Property] = &[
    SKIPLOCK,
    TIMEOUT,
    MIGRATED_FROM,
    Property::text("force-cpu").optional(),
    Property::text("machine").optional(),
    Property::text("migration_network").optional(),
    Property::text("migration_type")
        .optional()
        .one_of(&["secure", "insecure"]),
    Property::text("nets-host-mtu").optional(),
    Property::text("stateuri").optional().no_longer_than(128),
    Property::text("targetstorage").optional(),
    Property::boolean("with-conntrack-state").optional().new_in_9(),
];
const STOP: &[Property] = &[
    SKIPLOCK,
    TIMEOUT,
    KEEP_ACTIVE,
    MIGRATED_FROM,
    Property::boolean("overrule-shutdown").optional(),
];
const SHUTDOWN: &[Property] = &[
    SKIPLOCK,
    TIMEOUT,
    KEEP_ACTIVE,
    Property::boolean("forceStop").optional(),
];
const REBOOT: &[Property] = &[TIMEOUT];
const RESET: &[Property] = &[SKIPLOCK];
const SUSPEND: &[Property] = &[
    SKIPLOCK,
    Property::boolean("todisk").optional(),
    Property::text("statestorage")
        .optional()
        .format(format::storage_id)
        .requires("todisk"),
];
const RESUME: &[Property] = &[SKIPLOCK, Property::boolean("nocheck").optional()];

fn index(_: &mut Call<'_>) -> Answer {
    let names = [
        "current", "start", "stop", "reset", "shutdown", "suspend", "resume", "reboot",
    ];
    Ok(names
        .iter()
        .map(|name| serde_json::json!({ "subdir": name }))
        .collect::<serde_json::Value>()
        .into())
}

/// The VM, or PVE's text of the check whether it runs.
fn running<'a>(call: &'a Call<'_>) -> Result<&'a Vm, Failure> {
    let (node, vmid) = (call.node(), call.vmid());
    let Ok(vm) = call.world.vm(&node, vmid) else {
        return Err(Failure::died(format!(
            "unable to find configuration file for VM {vmid} on node '{node}'"
        )));
    };
    if vm.run.is_none() {
        return Err(Failure::died(format!("VM {vmid} not running")));
    }
    Ok(vm)
}

fn timeout(call: &Call<'_>) -> Option<f64> {
    call.params.integer("timeout").map(float_of_signed)
}

fn start(call: &mut Call<'_>) -> Answer {
    for option in ["skiplock", "migratedfrom", "stateuri", "force-cpu"] {
        call.root_only(option)?;
    }
    let (vmid, skiplock) = (call.vmid(), call.params.flag("skiplock"));
    let node = call.node();
    if call.world.ha.contains_key(&vmid) {
        return ask_ha(call, "hastart", Wanted::Started, None);
    }
    let upid = fork(call.sim, call.world, &node, "qmstart", vmid, call.who, |worker| {
        power::start(worker, vmid, skiplock)
    });
    Ok(upid.into())
}

/// A managed VM is started and stopped by high availability: the task only tells it.
fn ask_ha(call: &mut Call<'_>, kind: &str, wanted: Wanted, patience: Option<f64>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let upid = fork(call.sim, call.world, &node, kind, vmid, call.who, |worker| {
        ha::request(worker, vmid, wanted, patience)
    });
    Ok(upid.into())
}

fn bring_down(call: &mut Call<'_>, kind: &str, how: Down) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let upid = fork(call.sim, call.world, &node, kind, vmid, call.who, |worker| {
        power::stop(worker, vmid, how)
    });
    Ok(upid.into())
}

fn stop(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    call.root_only("keepActive")?;
    if call.world.ha.contains_key(&call.vmid()) {
        return ask_ha(call, "hastop", Wanted::Stopped, Some(0.0));
    }
    let how = Down {
        timeout: timeout(call),
        skiplock: call.params.flag("skiplock"),
        overrule: call.params.flag("overrule-shutdown"),
        ..Down::default()
    };
    bring_down(call, "qmstop", how)
}

fn shutdown(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    call.root_only("keepActive")?;
    let force = call.params.flag("forceStop");
    let paused = call.world.vm(&call.node(), call.vmid()).is_ok_and(Vm::is_halted);
    if paused && !force {
        return Err(Failure::died("VM is paused - cannot shutdown"));
    }
    if call.world.ha.contains_key(&call.vmid()) {
        let patience = timeout(call);
        return ask_ha(call, "hastop", Wanted::Stopped, patience);
    }
    let how = Down {
        manner: match (paused, force) {
            (true, _) => Manner::Hard,
            (false, true) => Manner::AskedThenHard,
            (false, false) => Manner::Asked,
        },
        timeout: timeout(call),
        skiplock: call.params.flag("skiplock"),
        ..Down::default()
    };
    bring_down(call, "qmshutdown", how)
}

fn reboot(call: &mut Call<'_>) -> Answer {
    if running(call)?.is_halted() {
        return Err(Failure::died("VM is paused - cannot shutdown"));
    }
    let (node, vmid, patience) = (call.node(), call.vmid(), timeout(call));
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmreboot",
        vmid,
        call.who,
        |worker| power::reboot(worker, vmid, patience),
    );
    Ok(upid.into())
}

fn reset(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    running(call)?;
    let (node, vmid, skiplock) = (call.node(), call.vmid(), call.params.flag("skiplock"));
    let upid = fork(call.sim, call.world, &node, "qmreset", vmid, call.who, |worker| {
        power::reset(worker, vmid, skiplock)
    });
    Ok(upid.into())
}

fn suspend(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    let (node, vmid, skiplock) = (call.node(), call.vmid(), call.params.flag("skiplock"));
    let disk = running(call)?
        .boot_disk()
        .and_then(|drive| drive.storage().map(str::to_owned));
    if !call.params.flag("todisk") {
        let upid = fork(call.sim, call.world, &node, "qmpause", vmid, call.who, |worker| {
            power::pause(worker, vmid, skiplock)
        });
        return Ok(upid.into());
    }
    let path = format!("/vms/{vmid}");
    if !call.may(&path, "VM.Config.Disk") {
        return Err(Failure::forbidden(&format!("{path}, VM.Config.Disk")));
    }
    let storage = call
        .params
        .get("statestorage")
        .map(str::to_owned)
        .or(disk)
        .unwrap_or_else(|| "local".to_owned());
    let path = format!("/storage/{storage}");
    if !call.may(&path, "Datastore.AllocateSpace") {
        return Err(Failure::forbidden(&format!("{path}, Datastore.AllocateSpace")));
    }
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmsuspend",
        vmid,
        call.who,
        |worker| power::suspend(worker, vmid, storage),
    );
    Ok(upid.into())
}

fn resume(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    call.root_only("nocheck")?;
    let (node, vmid, skiplock) = (call.node(), call.vmid(), call.params.flag("skiplock"));
    let suspended = call
        .world
        .vm(&node, vmid)
        .is_ok_and(|vm| vm.lock() == Some("suspended"));
    if !suspended {
        running(call)?;
    }
    let upid = fork(
        call.sim,
        call.world,
        &node,
        "qmresume",
        vmid,
        call.who,
        |worker| power::resume(worker, vmid, skiplock),
    );
    Ok(upid.into())
}
