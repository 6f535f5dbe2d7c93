//! Proves the time series of both majors.

use crate::lab::Lab;
use pve_sim::{Action, Major, Options, Scenario};
use serde_json::Value;

async fn series(lab: &Lab, path: &str) -> Vec<Value> {
    lab.list(path).await
}

fn path(vmid: u32, timeframe: &str) -> String {
    format!("/nodes/pve1/qemu/{vmid}/rrddata?timeframe={timeframe}")
}

async fn lab_of(pve: Major) -> Lab {
    Lab::with(Options {
        pve,
        ..Options::default()
    })
    .await
}

fn steps(rows: &[Value]) -> Vec<i64> {
    let time = |row: &Value| row["time"].as_i64().unwrap_or_default();
    let later = rows.iter().skip(1);
    rows.iter()
        .zip(later)
        .map(|(row, next)| time(next) - time(row))
        .collect()
}

#[tokio::test]
async fn each_major_has_its_steps_counts_and_keys() {
    let expected = [
        (Major::V8, "hour", 60, 70),
        (Major::V8, "day", 1_800, 70),
        (Major::V8, "year", 604_800, 70),
        (Major::V9, "hour", 60, 60),
        (Major::V9, "day", 60, 1_440),
        (Major::V9, "week", 1_800, 336),
        (Major::V9, "year", 21_600, 1_440),
    ];
    for major in [Major::V8, Major::V9] {
        let lab = lab_of(major).await;
        for (_, timeframe, step, count) in expected.iter().filter(|(of, ..)| *of == major) {
            let rows = series(&lab, &path(101, timeframe)).await;
            assert_eq!(rows.len(), *count, "{major:?} {timeframe}");
            assert!(steps(&rows).iter().all(|s| s == step), "{major:?} {timeframe}");
        }
        let rows = series(&lab, &path(101, "hour")).await;
        let row = &rows[10];
        for key in [
            "cpu",
            "mem",
            "netin",
            "netout",
            "diskread",
            "diskwrite",
            "maxcpu",
            "maxmem",
        ] {
            assert!(row[key].is_number(), "{key} in {row}");
        }
        assert_eq!(row.get("memhost").is_some(), major == Major::V9);
        assert_eq!(row.get("pressurecpusome").is_some(), major == Major::V9);
        assert!((0.0..=1.0).contains(&row["cpu"].as_f64().unwrap()));
    }
}

#[tokio::test]
async fn a_series_is_the_same_again_and_its_peaks_are_above_its_means() {
    let lab = lab_of(Major::V9).await;
    let mean = series(&lab, &path(101, "year")).await;
    assert_eq!(mean[..100], series(&lab, &path(101, "year")).await[..100]);
    let peak = series(&lab, &format!("{}&cf=MAX", path(101, "year"))).await;
    let pairs = mean
        .iter()
        .zip(&peak)
        .filter_map(|(mean, peak)| Some((mean.get("netin")?.as_f64()?, peak.get("netin")?.as_f64()?)));
    let mut count = 0;
    for (mean, peak) in pairs {
        assert!(peak >= mean, "{peak} {mean}");
        count += 1;
    }
    assert!(count > 1_000);
    let answer = lab.get(&format!("{}&cf=MIN", path(101, "hour"))).await;
    assert!(
        answer
            .error("cf")
            .starts_with("value 'MIN' does not have a value")
    );
}

#[tokio::test]
async fn a_stopped_vm_has_sizes_but_no_load_and_a_restart_no_rates() {
    let lab = lab_of(Major::V9).await;
    let rows = series(&lab, &path(102, "hour")).await;
    let last = rows.last().unwrap().as_object().unwrap();
    let keys = last.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(keys, ["disk", "maxcpu", "maxdisk", "maxmem", "time"]);
    // VM 105 was started ten minutes ago.
    // At the time scale of these tests an hour is soon over.
    let rows = series(&lab, &path(105, "day")).await;
    let began = rows
        .iter()
        .find(|row| row.get("cpu").is_some() && row.get("netin").is_none());
    assert!(began.is_some(), "{rows:?}");
}

#[tokio::test]
async fn before_a_vm_was_made_there_is_only_the_time() {
    let lab = Lab::new().await;
    let clone = "/nodes/pve1/qemu/9000/clone";
    assert_eq!(lab.run(clone, &[("newid", "200")]).await, "OK");
    let rows = series(&lab, &path(200, "hour")).await;
    // A minute of the simulated cluster is soon over here: the last rows may be from after its making.
    let says = |row: &Value| row.as_object().unwrap().len() > 1;
    assert!(rows.len() >= 59 && !rows.iter().take(30).any(says), "{rows:?}");
    assert!(
        rows.len() == 59 || says(rows.last().unwrap()),
        "a last row that says nothing is left out"
    );
    let answer = lab.get(&path(999, "hour")).await;
    assert!(answer.reason.starts_with("RRD error: ") && answer.reason.ends_with("No such file or directory"));
}

#[tokio::test]
async fn after_an_upgrade_old_steps_come_before_new_ones() {
    let text = Scenario::DEMO.replacen("[cluster]", "[cluster]\nupgraded_seconds_ago = 36_000", 1);
    let lab = Lab::with(Options {
        scenario: Scenario::from_toml(&text).unwrap(),
        ..Options::default()
    })
    .await;
    let rows = series(&lab, &path(101, "day")).await;
    let steps = steps(&rows);
    assert_eq!((steps.first(), steps.last()), (Some(&1_800), Some(&60)));
    let old = rows.first().unwrap();
    assert!(old.get("cpu").is_some() && old.get("memhost").is_none());
    assert!(rows.iter().any(|row| row.get("memhost").is_some()));
}

#[tokio::test]
async fn any_node_answers_for_a_vm_of_one_that_is_away() {
    let lab = lab_of(Major::V9).await;
    lab.control().set_node_online("pve1", false).unwrap();
    assert_eq!(lab.get(&path(101, "hour")).await.status, 200);
    assert_eq!(lab.get("/nodes/pve1/qemu/101/config").await.status, 595);
    lab.control()
        .act(Action::SetNodeOnline {
            node: "pve1".into(),
            online: true,
            stale: false,
        })
        .unwrap();
}
