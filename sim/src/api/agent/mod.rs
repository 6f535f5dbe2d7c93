//! The guest agent.
//!
//! The table `commands!` lists those without parameters: method, name, who may give them. [`answering`] makes the
//! checks that all commands begin with; `answers` is what the guest says. Commands with parameters are in
//! `parameters`, those on files in `files`.

mod answers;
mod files;
mod parameters;

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::Property;
use crate::world::counters::Effect;
use crate::world::vm::{GuestAgent, Vm};

pub(super) const AREAS: &[&[Endpoint]] = &[ROUTES, SIMPLE, files::ROUTES, parameters::ROUTES];

/// Who may give a command: one privilege in PVE 8, one of several in PVE 9.
const fn whoever(nine: &'static [&'static str]) -> Allow {
    Allow::ByMajor("/vms/{vmid}", &["VM.Monitor"], nine)
}

const UNRESTRICTED: Allow = whoever(&["VM.GuestAgent.Unrestricted"]);
const LOOK: Allow = whoever(&["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]);
const POWER: Allow = whoever(&["VM.PowerMgmt", "VM.GuestAgent.Unrestricted"]);
const FILE_SYSTEMS: Allow = whoever(&["VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted"]);
const SEE_FILE_SYSTEMS: Allow = whoever(&[
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.Unrestricted",
]);

/// The commands without parameters, each an endpoint of its own and one that `POST …/agent` passes on.
macro_rules! commands {
    ($($method:literal $name:literal $allow:ident;)*) => {
        const COMMANDS: &[&str] = &[$($name),*];
        const SIMPLE: &[Endpoint] = &[$(Endpoint::on_node(
            $method,
            concat!("/nodes/{node}/qemu/{vmid}/agent/", $name),
            $allow,
            &[],
            |call| ask(call, $name),
        )),*];
    };
}

commands! {
    "POST" "fsfreeze-freeze" FILE_SYSTEMS;
    "POST" "fsfreeze-status" SEE_FILE_SYSTEMS;
    "POST" "fsfreeze-thaw" FILE_SYSTEMS;
    "POST" "fstrim" FILE_SYSTEMS;
    "GET" "get-fsinfo" LOOK;
    "GET" "get-host-name" LOOK;
    "GET" "get-memory-block-info" LOOK;
    "GET" "get-memory-blocks" LOOK;
    "GET" "get-osinfo" LOOK;
    "GET" "get-time" LOOK;
    "GET" "get-timezone" LOOK;
    "GET" "get-users" LOOK;
    "GET" "get-vcpus" LOOK;
    "GET" "info" LOOK;
    "GET" "network-get-interfaces" LOOK;
    "POST" "ping" LOOK;
    "POST" "shutdown" POWER;
    "POST" "suspend-disk" POWER;
    "POST" "suspend-hybrid" POWER;
    "POST" "suspend-ram" POWER;
}

/// The commands with parameters, in the index.
const WITH_PARAMETERS: &[&str] = &[
    "exec",
    "exec-status",
    "file-read",
    "file-write",
    "set-user-password",
];

const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/agent", Allow::User, &[], index),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent",
        UNRESTRICTED,
        &[Property::text("command").one_of(COMMANDS)],
        any,
    ),
];

/// How long the agent is given to answer a ping, in seconds.
const PING_PATIENCE: f64 = 3.0;
/// How long it is given to answer a command, in seconds.
const COMMAND_PATIENCE: f64 = 5.0;

/// The VM, if its agent answers `command`; else PVE's text, after the time it takes PVE to find out.
pub(super) fn answering<'a>(call: &'a Call<'_>, command: &str) -> Result<&'a Vm, Failure> {
    let vmid = call.vmid();
    let vm = call.world.vm(&call.node(), vmid)?;
    // `agent: 0` counts as configured.
    if vm.get("agent").is_none() {
        return Err(Failure::died("No QEMU guest agent configured"));
    }
    let Some(run) = &vm.run else {
        return Err(Failure::died(format!("VM {vmid} is not running")));
    };
    let boot = call.sim.clock.real(vm.guest.boot_seconds).as_secs_f64();
    let booted = call.sim.clock.now() >= run.since + boot;
    match vm.agent {
        GuestAgent::Running | GuestAgent::Refusing if booted && vm.agent_enabled() && !run.paused => Ok(vm),
        GuestAgent::Slow if vm.agent_enabled() => {
            let protocol = if call.major() == Major::V9 { "qga" } else { "qmp" };
            let text = format!("VM {vmid} {protocol} command 'guest-{command}' failed - got timeout");
            Err(Failure::timed_out(text, COMMAND_PATIENCE))
        }
        _ => Err(Failure::timed_out(
            "QEMU guest agent is not running",
            PING_PATIENCE,
        )),
    }
}

/// What the agent says to a command which it does not carry out; PVE passes it on as a result.
fn disabled(command: &str) -> Value {
    json!({ "error": {
        "class": "CommandNotFound",
        "desc": format!("Command guest-{command} has been disabled: the command is not allowed"),
    } })
}

/// What PVE does with a command that has parameters and fails.
fn refused(reason: &str) -> Failure {
    Failure::died(format!("Agent error: {reason}"))
}

fn index(_: &mut Call<'_>) -> Answer {
    let mut names = COMMANDS.iter().chain(WITH_PARAMETERS).collect::<Vec<_>>();
    names.sort();
    let items = names.iter().map(|name| json!({ "name": name }));
    Ok(items.collect::<Value>().into())
}

fn any(call: &mut Call<'_>) -> Answer {
    let command = call.params.text("command").to_owned();
    ask(call, &command)
}

/// Asks a command without parameters.
pub(super) fn ask(call: &mut Call<'_>, command: &str) -> Answer {
    let now = call.sim.clock.now();
    let vm = answering(call, command)?;
    let harmless = command.starts_with("get-")
        || ["ping", "info", "network-get-interfaces", "fsfreeze-status"].contains(&command);
    let result = if vm.agent == GuestAgent::Refusing && !harmless {
        disabled(command)
    } else {
        match command {
            "fsfreeze-freeze" | "fsfreeze-thaw" | "shutdown" => change(call, command)?,
            _ if command.starts_with("suspend-") => no_sleep(),
            _ => answers::said(vm, command, now),
        }
    };
    Ok(json!({ "result": result }).into())
}

/// The guests of the simulator do not know how to sleep.
fn no_sleep() -> Value {
    json!({ "error": {
        "class": "GenericError",
        "desc": "the requested suspend mode is not supported by the guest",
    } })
}

/// A command without parameters that changes the guest.
fn change(call: &mut Call<'_>, command: &str) -> Result<Value, Failure> {
    let (node, vmid, now) = (call.node(), call.vmid(), call.sim.clock.now());
    let vm = call.world.vm_mut(&node, vmid)?;
    Ok(match command {
        "fsfreeze-freeze" | "fsfreeze-thaw" => {
            vm.guest.frozen = command == "fsfreeze-freeze";
            json!(vm.drives().filter(|(_, drive)| !drive.is_cdrom()).count())
        }
        _ => {
            call.world.lose_run(vmid, now);
            call.world.counters.effect(Effect::ShutDown, vmid, None);
            json!({})
        }
    })
}
