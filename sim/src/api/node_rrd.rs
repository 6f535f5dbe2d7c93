//! Time series of nodes and storages.
//!
//! Steps and counts are those of VMs (`rrd`), plus the decade. A node has a curve of its own, of its seed and not of its
//! VMs: summing thousands of VMs for each of a thousand points would take seconds. A storage's past is as full as its
//! present.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::Property;
use crate::units::{float, float_of_signed, mix, signed, whole};
use crate::world::Node;
use crate::world::load::{Curve, Load};

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere(
        "GET",
        "/nodes/{node}/rrddata",
        Allow::On("/nodes/{node}", &["Sys.Audit"]),
        OF_NODE,
        node,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/storage/{storage}/rrddata",
        Allow::On(
            "/storage/{storage}",
            &["Datastore.Audit", "Datastore.AllocateSpace"],
        ),
        OF_STORAGE,
        storage,
    ),
];

const FUNCTION: Property = Property::text("cf").optional().one_of(&["AVERAGE", "MAX"]);
const FIVE: Property = Property::text("timeframe").one_of(&["hour", "day", "week", "month", "year"]);

const OF_NODE: &[Property] = &[
    Property::text("timeframe")
        .one_of(&["hour", "day", "week", "month", "year", "decade"])
        .new_in_9(),
    FIVE,
    FUNCTION,
];
const OF_STORAGE: &[Property] = &[FIVE, FUNCTION];

/// How busy a node is: 0 idle, 1 heavy.
const WEIGHT: f64 = 0.4;
/// Sets the curves of nodes apart from those of VMs.
const NODES: u64 = 0x006E_6F64_6573;

/// What is said of something whose file of figures is not there.
fn missing(major: Major, kind: &str, name: &str) -> Failure {
    let folder = match major {
        Major::V8 => format!("pve2-{kind}"),
        Major::V9 => format!("pve-{kind}-9.0"),
    };
    Failure::died(format!(
        "RRD error: opening '/var/lib/rrdcached/db/{folder}/{name}': No such file or directory"
    ))
}

/// The rows of a series: `fill` adds to a row what is known between two times, as the major of that row knows it.
fn series(call: &Call<'_>, fill: impl Fn(&mut Map<String, Value>, Major, f64, f64)) -> Answer {
    let upgraded = call.world.upgraded.map(signed);
    let now = signed(call.sim.clock.now());
    let points = super::rrd::points(call.major(), call.params.text("timeframe"), upgraded, now);
    let rows = points.into_iter().map(|(time, step, major)| {
        let mut row = Map::new();
        row.insert("time".to_owned(), Value::from(time));
        fill(
            &mut row,
            major,
            float_of_signed(time - step),
            float_of_signed(time),
        );
        Value::Object(row)
    });
    Ok(rows.collect::<Value>().into())
}

fn node(call: &mut Call<'_>) -> Answer {
    let name = call.params.text("node");
    let Some((index, _, node)) = call.world.nodes.get_full(name) else {
        return Err(missing(call.major(), "node", name));
    };
    let load = Load {
        seed: mix(call.world.seed ^ NODES, index as u64),
        weight: WEIGHT,
    };
    series(call, |row, major, from, to| {
        of_node(row, node, load, major, (from, to));
    })
}

fn of_node(row: &mut Map<String, Value>, node: &Node, load: Load, major: Major, (from, to): (f64, f64)) {
    let rate = |curve| load.sum(curve, from, to, None) / (to - from);
    let cpu = rate(Curve::Cpu);
    let memory = float(node.memory);
    let used = memory * (0.05 + 0.7 * rate(Curve::Memory));
    let mut known = json!({
        "loadavg": cpu * float(node.cpus), "maxcpu": node.cpus, "cpu": cpu, "iowait": cpu * 0.02,
        "memtotal": node.memory, "memused": whole(used), "swaptotal": 8_589_934_592_u64, "swapused": 0,
        "roottotal": node.disk, "rootused": node.disk / 5, "netin": rate(Curve::NetIn), "netout": rate(Curve::NetOut),
    });
    if let (Major::V9, Some(map)) = (major, known.as_object_mut()) {
        map.insert("memavailable".to_owned(), Value::from(whole(memory - used)));
        map.insert("arcsize".to_owned(), Value::from(0));
        for (kind, share) in [
            ("cpusome", 4.0),
            ("iosome", 2.0),
            ("iofull", 1.0),
            ("memorysome", 0.2),
            ("memoryfull", 0.1),
        ] {
            map.insert(format!("pressure{kind}"), Value::from(cpu * share));
        }
    }
    row.extend(known.as_object().cloned().unwrap_or_default());
}

fn storage(call: &mut Call<'_>) -> Answer {
    let (node, id) = (call.params.text("node"), call.params.text("storage"));
    let known = call.world.storages.get(id).filter(|storage| storage.on(node));
    let Some(storage) = known else {
        return Err(missing(call.major(), "storage", &format!("{node}/{id}")));
    };
    let (total, used) = (storage.total, storage.used_on(node));
    series(call, |row, _, _, _| {
        row.insert("total".to_owned(), Value::from(total));
        row.insert("used".to_owned(), Value::from(used));
    })
}
