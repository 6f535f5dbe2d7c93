//! Time series.
//!
//! A series of PVE 8 has 70 points at any timeframe; one of PVE 9 has a fixed step and count each. On a cluster
//! that was upgraded, a series of PVE 9 begins with what the old one knew, at the old steps. A value that is not
//! known has no key: the rates of a stopped VM, everything before the VM was made or while its node was away.

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::Property;
use crate::units::{float, float_of_signed, fraction, signed, whole};
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
        // A decade has its own step only since 9; before, it is the coarsest there is.
        (Major::V8, _) => (604_800, 70),
        (Major::V9, "hour") => (60, 60),
        (Major::V9, "day") => (60, 1_440),
        (Major::V9, "week") => (1_800, 336),
        (Major::V9, "month") => (1_800, 1_440),
        (Major::V9, "year") => (21_600, 1_440),
        (Major::V9, _) => (604_800, 570),
    }
}

/// The points of a series: (time, step, of which major), oldest first.
pub(super) fn points(
    major: Major,
    timeframe: &str,
    upgraded: Option<i64>,
    now: i64,
) -> Vec<(i64, i64, Major)> {
    let (step, count) = resolution(major, timeframe);
    let last = now - now % step;
    let own = (1..=count).map(|at| (last - (count - at) * step, step, major));
    let Some(upgraded) = upgraded.filter(|_| major == Major::V9) else {
        return own.collect();
    };
    let (old_step, old_count) = resolution(Major::V8, timeframe);
    let begin = last - (count - 1) * step;
    let old_last = upgraded - upgraded % old_step;
    let old = (1..=old_count).map(|at| (old_last - (old_count - at) * old_step, old_step, Major::V8));
    old.filter(|(time, ..)| *time >= begin)
        .chain(own.filter(|(time, ..)| *time > upgraded))
        .collect()
}

fn series(call: &mut Call<'_>) -> Answer {
    let vmid = call.vmid();
    let major = call.major();
    let Some(vm) = call.world.vms.get(&vmid) else {
        let name = if major == Major::V9 {
            "pve-vm-9.0"
        } else {
            "pve2-vm"
        };
        let file = format!("/var/lib/rrdcached/db/{name}/{vmid}");
        return Err(Failure::died(format!(
            "RRD error: opening '{file}': No such file or directory"
        )));
    };
    let peak = call.params.get("cf") == Some("MAX");
    let upgraded = call.world.upgraded.map(signed);
    let now = signed(call.sim.clock.now());
    let points = points(major, call.params.text("timeframe"), upgraded, now);
    let mut rows = points
        .into_iter()
        .map(|(time, step, major)| row(vm, major, time, step, peak))
        .collect::<Vec<_>>();
    // PVE 9.2 leaves out a last row that says nothing.
    if major == Major::V9 && rows.last().is_some_and(|row| row.len() == 1) {
        rows.pop();
    }
    Ok(rows.into_iter().map(Value::Object).collect::<Value>().into())
}

fn row(vm: &Vm, major: Major, time: i64, step: i64, peak: bool) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    let (from, to) = (float_of_signed(time - step), float_of_signed(time));
    let length = to - from;
    put("time", Value::from(time));
    if from.midpoint(to) < vm.created || vm.unknown(from, to) > length * 0.5 {
        return out;
    }
    put("maxcpu", Value::from(vm.cpus()));
    put("maxmem", Value::from(vm.memory()));
    put("maxdisk", Value::from(vm.max_disk()));
    put("disk", Value::from(0));
    let active = vm.active(from, to);
    if active < length * 0.5 {
        return out;
    }
    // The mean of a coarse step is over what is known of it; its highest value is more above the mean.
    let above = if peak {
        1.0 + 0.12 * (float_of_signed(step) / 60.0).ln_1p()
    } else {
        1.0
    };
    let rate = |curve| vm.sum(curve, from, to) / active;
    let high = |curve: Curve| {
        let value = rate(curve) * above;
        vm.cap(curve).map_or(value, |cap| value.min(cap.max(rate(curve))))
    };
    let middle = from.midpoint(to);
    let host = vm.host_memory(middle);
    let mem = vm.counted_memory(major, vm.memory_used(middle), host, true);
    put("cpu", Value::from(high(Curve::Cpu).min(1.0)));
    put("mem", Value::from(float(mem)));
    // These are differences of counters: in the first row with a load, where the counter began anew, there is none.
    if step > 60 || !vm.began_within(from - length * 0.5, to) {
        put("netin", Value::from(high(Curve::NetIn)));
        put("netout", Value::from(high(Curve::NetOut)));
        put("diskread", Value::from(high(Curve::DiskRead)));
        put("diskwrite", Value::from(high(Curve::DiskWrite)));
    }
    if major == Major::V9 {
        put("memhost", Value::from(float(host)));
        for (index, kind) in (0_u64..).zip(["cpu", "io", "memory"]) {
            let noise = fraction(vm.load.seed, whole(to) * 3 + index);
            let some = (noise * high(Curve::Cpu) * 200.0).round() / 100.0;
            put(&format!("pressure{kind}some"), Value::from(some));
            put(
                &format!("pressure{kind}full"),
                Value::from((some * 30.0).round() / 100.0),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_123;

    #[test]
    fn each_timeframe_has_its_step_and_count() {
        for (major, timeframe, step, count) in [
            (Major::V8, "hour", 60, 70),
            (Major::V8, "year", 604_800, 70),
            (Major::V9, "hour", 60, 60),
            (Major::V9, "day", 60, 1_440),
            (Major::V9, "week", 1_800, 336),
            (Major::V9, "month", 1_800, 1_440),
            (Major::V9, "year", 21_600, 1_440),
        ] {
            let points = points(major, timeframe, None, NOW);
            assert_eq!(points.len(), count, "{timeframe}");
            let even = points.windows(2).all(|pair| pair[1].0 - pair[0].0 == step);
            assert!(
                even && points.iter().all(|(time, ..)| time % step == 0),
                "{timeframe}"
            );
            assert!(points.last().unwrap().0 <= NOW);
        }
    }

    #[test]
    fn after_an_upgrade_old_steps_come_first() {
        let upgraded = NOW - 6 * 3600;
        let points = points(Major::V9, "day", Some(upgraded), NOW);
        let steps = points.iter().map(|(_, step, _)| *step).collect::<Vec<_>>();
        assert!(steps.contains(&1_800) && steps.contains(&60));
        assert!(steps.is_sorted_by(|a, b| a >= b), "old ones first");
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert!(
            points
                .iter()
                .all(|(time, step, _)| (*step == 1_800) == (*time <= upgraded))
        );
    }
}
