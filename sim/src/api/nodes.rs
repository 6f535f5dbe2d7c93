//! Nodes.

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::options::Major;
use crate::units::{float, whole};
use crate::world::vm::Vm;
use crate::world::{Node, World};

const AUDIT: Allow = Allow::On("/nodes/{node}", &["Sys.Audit"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/nodes", Allow::User, &[], list),
    Endpoint::anywhere("GET", "/nodes/{node}", Allow::User, &[], index),
    Endpoint::on_node("GET", "/nodes/{node}/version", Allow::User, &[], |call| {
        Ok(super::access::version(call).into())
    }),
    Endpoint::on_node("GET", "/nodes/{node}/time", AUDIT, &[], time),
    Endpoint::on_node("GET", "/nodes/{node}/status", AUDIT, &[], status),
];

/// What a node uses of itself.
pub(super) struct Usage {
    /// Fraction of its processors.
    pub(super) cpu: f64,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Seconds since it booted.
    pub(super) uptime: u64,
}

/// What the VMs on a node and the node itself use.
pub(super) fn usage(world: &World, node: &Node, now: f64) -> Usage {
    // Not by whole samples: their counters are most of the work, and a large cluster has many VMs.
    let running = |vm: &&Vm| vm.run.is_some() && vm.node == node.name;
    let (mut busy, mut memory) = (0.0, 0);
    for vm in world.vms.values().filter(running) {
        busy += vm.cpu_used(now) * float(vm.cpus());
        memory += vm.host_memory(now);
    }
    Usage {
        cpu: (busy / float(node.cpus.max(1)) + 0.01).min(1.0),
        memory: (memory + node.memory / 20).min(node.memory),
        uptime: whole(now - node.booted),
    }
}

fn list(call: &mut Call<'_>) -> Answer {
    let now = call.sim.clock.now();
    let fingerprint = call.sim.identity.borrow().fingerprint.clone();
    let nodes = call.world.nodes.values().map(|node| {
        let mut entry = json!({
            "id": format!("node/{}", node.name), "type": "node", "node": node.name, "level": "",
            "status": if node.online { "online" } else { "offline" }, "ssl_fingerprint": fingerprint,
        });
        if node.online
            && call.may(&format!("/nodes/{}", node.name), "Sys.Audit")
            && let Some(map) = entry.as_object_mut()
        {
            let used = usage(call.world, node, now);
            map.insert("cpu".into(), Value::from(used.cpu));
            map.insert("maxcpu".into(), Value::from(node.cpus));
            map.insert("mem".into(), Value::from(used.memory));
            map.insert("maxmem".into(), Value::from(node.memory));
            map.insert("disk".into(), Value::from(node.disk / 5));
            map.insert("maxdisk".into(), Value::from(node.disk));
            map.insert("uptime".into(), Value::from(used.uptime));
        }
        entry
    });
    Ok(nodes.collect::<Value>().into())
}

/// What PVE has below a node, also what is not simulated.
fn index(call: &mut Call<'_>) -> Answer {
    const ALL: &[&str] = &[
        "aplinfo",
        "apt",
        "capabilities",
        "ceph",
        "certificates",
        "config",
        "disks",
        "dns",
        "firewall",
        "hardware",
        "hosts",
        "journal",
        "lxc",
        "migrateall",
        "netstat",
        "network",
        "qemu",
        "query-url-metadata",
        "replication",
        "report",
        "rrd",
        "rrddata",
        "scan",
        "sdn",
        "services",
        "spiceshell",
        "startall",
        "status",
        "stopall",
        "storage",
        "subscription",
        "suspendall",
        "syslog",
        "tasks",
        "termproxy",
        "time",
        "version",
        "vncshell",
        "vzdump",
        "wakeonlan",
    ];
    let new_in_9: &[&str] = match call.major() {
        Major::V8 => &[],
        Major::V9 => &["query-oci-repo-tags"],
    };
    let mut names = ALL.iter().chain(new_in_9).collect::<Vec<_>>();
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect::<Value>()
        .into())
}

/// The simulated nodes live in UTC.
fn time(call: &mut Call<'_>) -> Answer {
    let now = call.sim.clock.seconds();
    Ok(json!({ "timezone": "UTC", "time": now, "localtime": now }).into())
}

fn status(call: &mut Call<'_>) -> Answer {
    let name = call.node();
    let Some(node) = call.world.nodes.get(&name) else {
        return Err(format!("no such node '{name}'").into());
    };
    let used = usage(call.world, node, call.sim.clock.now());
    let (kernel, version) = match call.major() {
        Major::V8 => ("6.8.12-15-pve", "pve-manager/8.4.14/b502d23c55afcba1"),
        Major::V9 => ("6.17.4-1-pve", "pve-manager/9.1.4/5ac30304265fbd8e"),
    };
    let free = node.memory - used.memory;
    let load = format!("{:.2}", used.cpu * float(node.cpus));
    Ok(json!({
        "uptime": used.uptime,
        "cpu": used.cpu,
        "wait": 0.001,
        "idle": 0,
        "loadavg": [load, load, load],
        "kversion": format!("Linux {kernel}"),
        "current-kernel": {
            "sysname": "Linux", "release": kernel, "version": format!("#1 SMP PREEMPT_DYNAMIC PMX {kernel}"),
            "machine": "x86_64",
        },
        "boot-info": { "mode": "efi", "secureboot": 0 },
        "pveversion": version,
        "cpuinfo": {
            "model": "Simulated CPU", "vendor": "GenuineIntel", "sockets": 1, "cores": node.cpus / 2,
            "cpus": node.cpus, "mhz": "2400.000", "hvm": "1", "user_hz": 100, "flags": "vmx",
        },
        "memory": { "total": node.memory, "used": used.memory, "free": free, "available": free },
        "swap": { "total": 8_589_934_592_u64, "used": 0, "free": 8_589_934_592_u64 },
        "rootfs": {
            "total": node.disk, "used": node.disk / 5, "free": node.disk - node.disk / 5,
            "avail": node.disk - node.disk / 4,
        },
        "ksm": { "shared": 0 },
    })
    .into())
}
