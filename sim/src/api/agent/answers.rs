//! What a guest says of itself when its agent is asked.

use serde_json::{Value, json};

use super::COMMANDS;
use crate::config::network::Network;
use crate::units::{float, fraction, whole};
use crate::world::guest::is_windows;
use crate::world::vm::{GuestAgent, Vm};

/// What the guest says.
pub(super) fn said(vm: &Vm, command: &str, now: f64) -> Value {
    match command {
        "info" => json!({ "version": if is_windows(vm) { "109.1.0" } else { "10.0.2" },
            "supported_commands": COMMANDS.iter().chain(super::WITH_PARAMETERS)
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
