//! Lists of VMs and their status.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::config::{hardware, keys};
use crate::options::Major;
use crate::schema::Property;
use crate::units::{float, fraction, whole};
use crate::world::figures::Sample;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu",
        Allow::User,
        &[Property::boolean("full").optional()],
        list,
    ),
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}", Allow::User, &[], index),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/status/current",
        Allow::On("/vms/{vmid}", &["VM.Audit"]),
        &[],
        current,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/feature",
        Allow::On("/vms/{vmid}", &["VM.Audit"]),
        FEATURE,
        feature,
    ),
];

const FEATURE: &[Property] = &[
    Property::text("feature").one_of(&["snapshot", "clone", "copy"]),
    Property::text("snapname")
        .optional()
        .format(crate::schema::format::config_id)
        .no_longer_than(40),
];

fn basics(vm: &Vm, sample: Sample, major: Major, full: bool) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("vmid", Value::from(vm.vmid));
    put("name", Value::from(vm.name()));
    put("status", Value::from(vm.status()));
    put("cpus", Value::from(vm.cpus()));
    put("cpu", Value::from(sample.cpu));
    put(
        "mem",
        Value::from(vm.counted_memory(major, sample.mem, sample.host, full)),
    );
    put("maxmem", Value::from(vm.memory()));
    put("disk", Value::from(0));
    put("maxdisk", Value::from(vm.max_disk()));
    put("netin", Value::from(sample.netin));
    put("netout", Value::from(sample.netout));
    put("uptime", Value::from(sample.uptime));
    // QEMU is asked for what its disks did, and only for details; 8 says 0 until then.
    if major == Major::V8 {
        put("diskread", Value::from(0));
        put("diskwrite", Value::from(0));
    }
    if let Some(least) = vm.least_memory() {
        put("balloon_min", Value::from(least));
        put("shares", Value::from(vm.number("shares", 1_000)));
    }
    if let Some(run) = &vm.run {
        put("pid", Value::from(run.pid));
    }
    for key in ["lock", "tags"] {
        if let Some(text) = vm.get(key) {
            put(key, Value::from(text));
        }
    }
    if vm.is_template() {
        put("template", Value::from(1));
    }
    if vm.get("serial0").is_some() {
        put("serial", Value::from(1));
    }
    if major == Major::V9 {
        put("memhost", Value::from(sample.host));
        for (index, kind) in (0_u64..).zip(["cpu", "io", "memory"]) {
            let some = if vm.run.is_some() {
                (fraction(vm.load.seed, 70 + index) * 40.0).round() / 100.0
            } else {
                0.0
            };
            put(&format!("pressure{kind}some"), Value::from(some));
            put(&format!("pressure{kind}full"), Value::from(0.0));
        }
    }
    out
}

/// What only QEMU itself knows.
fn details(vm: &Vm, sample: Sample, out: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("qmpstatus", Value::from(vm.qmp_status()));
    if vm.run.is_none() {
        return;
    }
    put("diskread", Value::from(sample.diskread));
    put("diskwrite", Value::from(sample.diskwrite));
    put("running-machine", Value::from("pc-i440fx-10.1+pve0"));
    put("running-qemu", Value::from("10.1.2"));
    put(
        "proxmox-support",
        json!({ "query-bitmap-info": true, "backup-max-workers": true }),
    );
    if vm.get("balloon") != Some("0") {
        put("balloon", Value::from(vm.memory()));
        if vm.balloon_reports() {
            put("freemem", Value::from(vm.memory().saturating_sub(sample.mem)));
            put(
                "ballooninfo",
                json!({
                    "actual": vm.memory(), "max_mem": vm.memory(), "total_mem": vm.memory(),
                    "free_mem": vm.memory().saturating_sub(sample.mem),
                }),
            );
        }
    }
    let disks = vm
        .drives()
        .filter(|(_, d)| !d.is_cdrom())
        .map(|(key, _)| key.to_owned())
        .collect::<Vec<_>>();
    let count = float(disks.len().max(1) as u64);
    let share = |total: u64, index: usize| {
        let rest = if index == 0 { 1.0 } else { 0.5 };
        whole(float(total) * rest / (0.5 * count + 0.5))
    };
    let blocks = disks.into_iter().enumerate().map(|(index, key)| {
        let (read, written) = (share(sample.diskread, index), share(sample.diskwrite, index));
        let block = json!({
            "rd_bytes": read, "wr_bytes": written, "rd_operations": read / 16_384,
            "wr_operations": written / 8_192, "failed_rd_operations": 0, "failed_wr_operations": 0,
        });
        (key, block)
    });
    put("blockstat", blocks.collect());
    let nets = vm
        .config
        .keys()
        .filter_map(|key| key.strip_prefix("net")?.parse::<u16>().ok())
        .collect::<Vec<_>>();
    let count = (nets.len() as u64).max(1);
    let nics = nets.into_iter().map(|index| {
        let nic = json!({ "netin": sample.netin / count, "netout": sample.netout / count });
        (format!("tap{}i{index}", vm.vmid), nic)
    });
    put("nics", nics.collect());
}

fn list(call: &mut Call<'_>) -> Answer {
    let (node, now) = (call.node(), call.sim.clock.now());
    let full = call.params.flag("full");
    let vms = call.world.vms.values().filter(|vm| vm.node == node);
    let seen = vms.filter(|vm| call.may(&format!("/vms/{}", vm.vmid), "VM.Audit"));
    let list = seen.map(|vm| {
        let sample = vm.sample(now);
        let mut out = basics(vm, sample, call.major(), full);
        if full {
            details(vm, sample, &mut out);
        }
        Value::Object(out)
    });
    Ok(list.collect::<Value>().into())
}

fn index(_: &mut Call<'_>) -> Answer {
    let names = [
        "config", "pending", "status", "snapshot", "feature", "agent", "rrddata",
    ];
    Ok(names
        .iter()
        .map(|name| json!({ "subdir": name }))
        .collect::<Value>()
        .into())
}

fn current(call: &mut Call<'_>) -> Answer {
    let now = call.sim.clock.now();
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let sample = vm.sample(now);
    let mut out = basics(vm, sample, call.major(), true);
    details(vm, sample, &mut out);
    let ha = match call.world.ha.get(&vm.vmid) {
        Some(managed) => json!({ "managed": 1, "state": managed.state(vm.run.is_some()) }),
        None => json!({ "managed": 0 }),
    };
    out.insert("ha".to_owned(), ha);
    if vm.agent_enabled() {
        out.insert("agent".to_owned(), Value::from(1));
    }
    let display = hardware::display(vm.get("vga").unwrap_or_default());
    let has_spice = |kind: &String| kind.starts_with("virtio") || kind.starts_with("qxl");
    if display.get("type").is_some_and(has_spice) {
        out.insert("spice".to_owned(), Value::from(1));
    }
    if let Some(clipboard) = display.get("clipboard") {
        out.insert("clipboard".to_owned(), Value::from(clipboard.as_str()));
    }
    Ok(Value::Object(out).into())
}

fn feature(call: &mut Call<'_>) -> Answer {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    if let Some(name) = call.params.get("snapname")
        && !vm.snapshots.contains_key(name)
    {
        return Err(format!("snapshot '{name}' does not exist").into());
    }
    let has = match call.params.text("feature") {
        "snapshot" => call.world.snapshot_possible(vm),
        "clone" => vm.is_template(),
        _ => true,
    };
    let local = vm
        .config
        .iter()
        .filter(|(key, _)| keys::is_drive(key))
        .any(|(_, text)| {
            let storage = text
                .split_once(':')
                .and_then(|(id, _)| call.world.storages.get(id));
            storage.is_some_and(|storage| !storage.shared)
        });
    let nodes = if local {
        vec![vm.node.clone()]
    } else {
        call.world.nodes.keys().cloned().collect()
    };
    Ok(json!({ "hasFeature": u8::from(has), "nodes": nodes }).into())
}
