//! The network interfaces of a node: one Ethernet port, and the bridges that VMs are on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::config::network::Network;
use crate::schema::Property;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "GET",
    "/nodes/{node}/network",
    Allow::User,
    LIST,
    list,
)];

/// The filter of 9, which is asked for first, and that of 8.
const LIST: &[Property] = &[
    Property::text("type")
        .optional()
        .one_of(&[
            "bridge",
            "bond",
            "eth",
            "alias",
            "vlan",
            "fabric",
            "OVSBridge",
            "OVSBond",
            "OVSPort",
            "OVSIntPort",
            "vnet",
            "any_bridge",
            "any_local_bridge",
            "include_sdn",
        ])
        .new_in_9(),
    Property::text("type").optional().one_of(&[
        "bridge",
        "bond",
        "eth",
        "alias",
        "vlan",
        "OVSBridge",
        "OVSBond",
        "OVSPort",
        "OVSIntPort",
        "vnet",
        "any_bridge",
        "any_local_bridge",
    ]),
];

/// The filters that bridges pass.
const BRIDGES: &[&str] = &["bridge", "any_bridge", "any_local_bridge", "include_sdn"];

/// Whether the caller may see a bridge: by rights on it, or on a VLAN of it.
fn seen(call: &Call<'_>, bridge: &str) -> bool {
    let path = format!("/sdn/zones/localnetwork/{bridge}");
    let below = format!("{path}/");
    let any = ["SDN.Audit", "SDN.Use"];
    let vlans = call.world.access.grants.iter().map(|grant| &grant.path);
    call.may_any(&path, &any)
        || vlans
            .filter(|vlan| vlan.starts_with(&below))
            .any(|vlan| call.may_any(vlan, &any))
}

/// `vmbr0` with the node's address, and every other bridge that a VM on the node names.
fn bridges(call: &Call<'_>, node: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["vmbr0".to_owned()]);
    for vm in call.world.vms.values().filter(|vm| vm.node == node) {
        let devices = vm.config.iter().filter(|(key, _)| key.starts_with("net"));
        let parsed = devices.filter_map(|(key, text)| Network::parse(key, text).ok());
        names.extend(parsed.filter_map(|device| device.bridge().map(str::to_owned)));
    }
    names
}

fn list(call: &mut Call<'_>) -> Answer {
    let node = call.node();
    let kind = call.params.get("type");
    let mut out = Vec::new();
    if kind.is_none_or(|kind| kind == "eth" || kind == "include_sdn") {
        out.push(json!({
            "iface": "eno1", "type": "eth", "active": 1, "exists": 1, "method": "manual", "method6": "manual",
            "families": ["inet"], "priority": 3,
        }));
    }
    if kind.is_none_or(|kind| BRIDGES.contains(&kind)) {
        let names = bridges(call, &node).into_iter().filter(|name| seen(call, name));
        out.extend(
            names
                .zip(4_u32..)
                .map(|(name, priority)| bridge(call, &node, &name, priority)),
        );
    }
    Ok(Value::from(out).into())
}

fn bridge(call: &Call<'_>, node: &str, name: &str, priority: u32) -> Value {
    let mut entry = json!({
        "iface": name, "type": "bridge", "active": 1, "autostart": 1, "method": "manual", "method6": "manual",
        "families": ["inet"], "priority": priority, "bridge_ports": "", "bridge_stp": "off", "bridge_fd": "0",
    });
    let address = call.world.nodes.get(node).map(|node| node.address.as_str());
    if let (Some(map), Some(address), "vmbr0") = (entry.as_object_mut(), address, name) {
        for (key, value) in [
            ("method", "static"),
            ("bridge_ports", "eno1"),
            ("address", address),
            ("netmask", "24"),
            ("cidr", &format!("{address}/24")),
            ("gateway", "10.0.0.1"),
        ] {
            map.insert(key.to_owned(), Value::from(value));
        }
    }
    entry
}
