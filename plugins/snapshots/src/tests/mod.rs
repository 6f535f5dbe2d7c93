//! The snapshots as customer and panel see them. Every step of every job runs twice, as after a crash.

mod going_back;
mod removing;
mod schedule;
mod taking;

use portico_sdk::jobs::{Phase, Weekday};
use portico_sdk::snapshots::{Phase as SnapshotPhase, Snapshot};
use portico_sdk::testing::{Bench, Ending};
use portico_sdk::vm::State;
use portico_sdk::{Error, Response};
use serde_json::json;

use crate::Snapshots;

const DAY: i64 = 86_400;

/// Quota 3, a day.
fn bench() -> Bench<Snapshots> {
    let mut bench = Bench::new();
    bench.settings(&json!({ "quota": 3, "lifetime": "1d" }));
    bench.crash_every_step();
    bench
}

fn snapshot(name: &str, age: i64) -> Snapshot {
    Snapshot {
        name: name.into(),
        description: String::new(),
        time: 1_795_521_600 - age,
        with_memory: false,
        parent: None,
        phase: SnapshotPhase::Ready,
        current: false,
    }
}

fn names(bench: &Bench<Snapshots>) -> Vec<&str> {
    bench
        .host
        .snapshots
        .iter()
        .map(|snapshot| snapshot.name.as_str())
        .collect()
}

fn work(bench: &Bench<Snapshots>) -> Vec<(&str, &str)> {
    bench
        .host
        .work
        .iter()
        .map(|work| (work.name, work.subject.as_str()))
        .collect()
}

fn ended(bench: &Bench<Snapshots>, kind: &str) -> (Phase, String) {
    let job = bench.job(kind);
    (job.phase, job.text)
}

fn flash(response: Response) -> String {
    match response {
        Response::Redirect(redirection) => redirection.flash.map(|flash| flash.text).unwrap_or_default(),
        other => panic!("not a redirect: {other:?}"),
    }
}
