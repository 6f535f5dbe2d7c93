//! Time series.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::Property;
use crate::units::{float, float_of_signed, signed};
use crate::world::load::Curve;
use crate::world::vm::Vm;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::anywhere(
    "GET",
    "/nodes/{node}/qemu/{vmid}/rrddata",
    Allow::On("/vms/{vmid}", &["VM.Audit"]),
    SERIES,
    series,
)];

const SERIES: &[Property] = &[
    Property::text("timeframe").one_of(&["hour", "day", "week", "month", "year"]),
    Property::text("cf").optional().one_of(&["AVERAGE", "MAX"]),
];

/// Step in seconds and number of points of a series.
fn resolution(major: Major, timeframe: &str) -> (i64, i64) {
    match (major, timeframe) {
        (Major::V8, "hour") => (60, 70),
        (Major::V8, "day") => (1_800, 70),
        (Major::V8, "week") => (10_800, 70),
        (Major::V8, "month") => (43_200, 70),
        (Major::V8, _) => (604_800, 70),
        (Major::V9, "hour") => (60, 60),
        (Major::V9, "day") => (60, 1_440),
        (Major::V9, "week") => (1_800, 336),
        (Major::V9, "month") => (1_800, 1_440),
        (Major::V9, _) => (21_600, 1_440),
    }
}

fn series(call: &mut Call<'_>) -> Answer {
    let vmid = call.vmid();
    let Some(vm) = call.world.vms.get(&vmid) else {
        let name = if call.major() == Major::V9 {
            "pve-vm-9.0"
        } else {
            "pve2-vm"
        };
        let file = format!("/var/lib/rrdcached/db/{name}/{vmid}");
        return Err(Failure::died(format!(
            "RRD error: opening '{file}': No such file or directory"
        )));
    };
    let (step, points) = resolution(call.major(), call.params.text("timeframe"));
    let peak = if call.params.get("cf") == Some("MAX") {
        1.15
    } else {
        1.0
    };
    let now = signed(call.sim.clock.now());
    let last = now - now % step;
    let rows = (1..=points).map(|at| row(vm, call.major(), last - (points - at) * step, step, peak));
    Ok(rows.collect::<Value>().into())
}

fn row(vm: &Vm, major: Major, time: i64, step: i64, peak: f64) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    let (from, to) = (float_of_signed(time - step), float_of_signed(time));
    put("time", Value::from(time));
    put("maxcpu", Value::from(vm.cpus()));
    put("maxmem", Value::from(vm.memory()));
    put("maxdisk", Value::from(vm.max_disk()));
    put("disk", Value::from(0));
    let length = to - from;
    if vm.active(from, to) < length * 0.5 {
        return Value::Object(out);
    }
    let middle = from.midpoint(to);
    let rate = |curve| vm.sum(curve, from, to) / length * peak;
    let mem = vm.memory_used(middle);
    put("cpu", Value::from(rate(Curve::Cpu).min(1.0)));
    put("mem", Value::from(float(mem)));
    put("netin", Value::from(rate(Curve::NetIn)));
    put("netout", Value::from(rate(Curve::NetOut)));
    put("diskread", Value::from(rate(Curve::DiskRead)));
    put("diskwrite", Value::from(rate(Curve::DiskWrite)));
    if major == Major::V9 {
        put("memhost", Value::from(float(mem) * 1.06));
        for kind in ["cpu", "io", "memory"] {
            put(&format!("pressure{kind}some"), Value::from(0.1));
            put(&format!("pressure{kind}full"), Value::from(0.0));
        }
    }
    Value::Object(out)
}
