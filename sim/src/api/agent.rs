//! The guest agent.

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::config::network::Network;
use crate::failure::Failure;
use crate::options::Major;
use crate::world::vm::{GuestAgent, Vm};

const LOOK: Allow = Allow::ByMajor(
    "/vms/{vmid}",
    &["VM.Monitor"],
    &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("POST", "/nodes/{node}/qemu/{vmid}/agent/ping", LOOK, &[], ping),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
        LOOK,
        &[],
        interfaces,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/agent/get-host-name",
        LOOK,
        &[],
        host_name,
    ),
];

/// The VM, if its agent answers `command`.
fn answering<'a>(call: &'a Call<'_>, command: &str) -> Result<&'a Vm, Failure> {
    let vmid = call.vmid();
    let vm = call.world.vm(&call.node(), vmid)?;
    if vm.get("agent").is_none() {
        return Err(Failure::died("No QEMU guest agent configured"));
    }
    if vm.run.is_none() {
        return Err(Failure::died(format!("VM {vmid} is not running")));
    }
    match vm.agent {
        GuestAgent::Running if vm.agent_enabled() && vm.qmp_status() == "running" => Ok(vm),
        GuestAgent::Slow => {
            let protocol = if call.major() == Major::V9 { "qga" } else { "qmp" };
            Err(Failure::died(format!(
                "VM {vmid} {protocol} command 'guest-{command}' failed - got timeout"
            )))
        }
        _ => Err(Failure::died("QEMU guest agent is not running")),
    }
}

fn ping(call: &mut Call<'_>) -> Answer {
    answering(call, "ping")?;
    Ok(json!({ "result": {} }).into())
}

fn host_name(call: &mut Call<'_>) -> Answer {
    let name = answering(call, "get-host-name")?.name();
    Ok(json!({ "result": { "host-name": name } }).into())
}

fn interfaces(call: &mut Call<'_>) -> Answer {
    let vm = answering(call, "network-get-interfaces")?;
    let sample = vm.sample(call.sim.clock.now());
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
    Ok(json!({ "result": list }).into())
}
