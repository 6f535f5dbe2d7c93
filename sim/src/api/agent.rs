//! The guest agent.
//!
//! [`answering`] makes the checks that all commands begin with; `guest` below it is what the guest says. What
//! changes the guest is in [`super::agent_commands`].

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::config::network::Network;
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::Property;
use crate::units::{float, fraction, whole};
use crate::world::vm::{GuestAgent, Vm};

/// Commands that only look.
pub(super) const LOOK: Allow = Allow::ByMajor(
    "/vms/{vmid}",
    &["VM.Monitor"],
    &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
);

const fn look(path: &'static str, run: fn(&mut Call<'_>) -> Answer) -> Endpoint {
    Endpoint::on_node("GET", path, LOOK, &[], run)
}

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/agent", Allow::User, &[], index),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent",
        Allow::ByMajor("/vms/{vmid}", &["VM.Monitor"], &["VM.GuestAgent.Unrestricted"]),
        COMMAND,
        any,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent/ping",
        LOOK,
        &[],
        |call| ask(call, "ping"),
    ),
    look("/nodes/{node}/qemu/{vmid}/agent/info", |call| ask(call, "info")),
    look("/nodes/{node}/qemu/{vmid}/agent/get-fsinfo", |call| {
        ask(call, "get-fsinfo")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-host-name", |call| {
        ask(call, "get-host-name")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-memory-block-info", |call| {
        ask(call, "get-memory-block-info")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-memory-blocks", |call| {
        ask(call, "get-memory-blocks")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-osinfo", |call| {
        ask(call, "get-osinfo")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-time", |call| {
        ask(call, "get-time")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-timezone", |call| {
        ask(call, "get-timezone")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-users", |call| {
        ask(call, "get-users")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/get-vcpus", |call| {
        ask(call, "get-vcpus")
    }),
    look("/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", |call| {
        ask(call, "network-get-interfaces")
    }),
];

/// What `POST …/agent` can pass on: commands without parameters.
const COMMANDS: &[&str] = &[
    "fsfreeze-freeze",
    "fsfreeze-status",
    "fsfreeze-thaw",
    "fstrim",
    "get-fsinfo",
    "get-host-name",
    "get-memory-block-info",
    "get-memory-blocks",
    "get-osinfo",
    "get-time",
    "get-timezone",
    "get-users",
    "get-vcpus",
    "info",
    "network-get-interfaces",
    "ping",
    "shutdown",
    "suspend-disk",
    "suspend-hybrid",
    "suspend-ram",
];
const COMMAND: &[Property] = &[Property::text("command").one_of(COMMANDS)];

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

fn index(_: &mut Call<'_>) -> Answer {
    let names = COMMANDS
        .iter()
        .chain(&["exec", "exec-status", "set-user-password"]);
    Ok(names
        .map(|name| json!({ "name": name }))
        .collect::<Value>()
        .into())
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
            "fsfreeze-freeze" | "fsfreeze-thaw" | "shutdown" => super::agent_commands::change(call, command)?,
            _ => said(vm, command, now),
        }
    };
    Ok(json!({ "result": result }).into())
}

/// Whether the guest is a Windows.
pub(super) fn is_windows(vm: &Vm) -> bool {
    vm.get("ostype").is_some_and(|os| os.starts_with('w'))
}

/// What the guest says.
fn said(vm: &Vm, command: &str, now: f64) -> Value {
    match command {
        "info" => json!({ "version": if is_windows(vm) { "109.1.0" } else { "10.0.2" },
            "supported_commands": COMMANDS.iter().chain(&["exec", "exec-status", "set-user-password"])
                .map(|name| json!({
                    "name": format!("guest-{name}"),
                    "enabled": vm.agent != GuestAgent::Refusing || name.starts_with("get-"),
                    "success-response": true,
                })).collect::<Value>() }),
        "get-host-name" => json!({ "host-name": vm.name() }),
        "get-osinfo" => os(vm),
        "get-fsinfo" => file_systems(vm),
        "get-time" => json!(whole(now) * 1_000_000_000),
        "get-timezone" => json!({ "zone": "UTC", "offset": 0 }),
        "get-users" => json!([]),
        "get-vcpus" => (0..vm.cpus())
            .map(|id| json!({ "logical-id": id, "online": true, "can-offline": id > 0 }))
            .collect(),
        "get-memory-block-info" => json!({ "size": 128 << 20 }),
        "get-memory-blocks" => (0..vm.memory() >> 27)
            .map(|id| json!({ "phys-index": id, "online": true, "can-offline": true }))
            .collect(),
        "network-get-interfaces" => interfaces(vm, now),
        "fsfreeze-status" => json!(if vm.guest.frozen { "frozen" } else { "thawed" }),
        "fstrim" => json!({ "paths": [{ "path": "/", "trimmed": 1 << 30, "minimum": 0 }] }),
        _ => json!({}),
    }
}

fn os(vm: &Vm) -> Value {
    if is_windows(vm) {
        return json!({
            "id": "mswindows", "name": "Microsoft Windows", "pretty-name": "Windows 11 Pro", "version": "Microsoft Windows 11",
            "version-id": "11", "variant": "client", "variant-id": "client", "machine": "x86_64",
            "kernel-release": "26100", "kernel-version": "10.0",
        });
    }
    json!({
        "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)",
        "version": "13 (trixie)", "version-id": "13", "machine": "x86_64", "kernel-release": "6.12.48+deb13-amd64",
        "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)",
    })
}

/// One file system on each disk.
fn file_systems(vm: &Vm) -> Value {
    let windows = is_windows(vm);
    let disks = vm.drives().filter(|(_, drive)| !drive.is_cdrom());
    let list = disks.enumerate().map(|(index, (_, drive))| {
        let total = drive.size() - drive.size() / 32;
        let part = 0.2 + 0.5 * fraction(vm.load.seed, 300 + index as u64);
        let letter = char::from(b'a' + u8::try_from(index).unwrap_or(25).min(25));
        let mount = match (windows, index) {
            (true, _) => format!("{}:\\", char::from(b'C' + u8::try_from(index).unwrap_or(20).min(20))),
            (false, 0) => "/".to_owned(),
            (false, _) => format!("/srv/disk{index}"),
        };
        json!({
            "name": format!("sd{letter}1"), "mountpoint": mount, "type": if windows { "NTFS" } else { "ext4" },
            "total-bytes": total, "used-bytes": whole(float(total) * part), "disk": [],
        })
    });
    list.collect()
}

fn interfaces(vm: &Vm, now: f64) -> Value {
    let sample = vm.sample(now);
    let address = |family: &str, address: &str, prefix: u8| json!({ "ip-address-type": family, "ip-address": address, "prefix": prefix });
    let mut list = vec![json!({
        "name": "lo",
        "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [address("ipv4", "127.0.0.1", 8), address("ipv6", "::1", 128)],
    })];
    let devices = (0_u16..32).filter_map(|index| {
        let key = format!("net{index}");
        Some((index, Network::parse(&key, vm.get(&key)?).ok()?))
    });
    for (index, device) in devices {
        let addresses = vm.addresses(index);
        let shown = addresses
            .iter()
            .map(|(family, (text, prefix))| address(family, text, *prefix));
        list.push(json!({
            "name": format!("eth{index}"),
            "hardware-address": device.mac().unwrap_or_default().to_ascii_lowercase(),
            "ip-addresses": shown.collect::<Value>(),
            "statistics": {
                "rx-bytes": sample.netin, "tx-bytes": sample.netout,
                "rx-packets": sample.netin / 900, "tx-packets": sample.netout / 900,
                "rx-errs": 0, "tx-errs": 0, "rx-dropped": 0, "tx-dropped": 0,
            },
        }));
    }
    Value::from(list)
}
