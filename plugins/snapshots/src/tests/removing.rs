//! Removing snapshots: by hand, and when their time is over.

use super::*;

#[test]
fn a_snapshot_is_removed_and_one_that_is_gone_is_no_failure() {
    let mut bench = bench();
    bench.host.snapshots = vec![snapshot("by-hand", 9)];
    bench.post("remove", &[("name", "by-hand")]).unwrap();
    bench.run();
    assert!(names(&bench).is_empty());
    assert_eq!(
        ended(&bench, "remove"),
        (Phase::Done, "The snapshot was removed.".into())
    );
    bench.post("remove", &[("name", "by-hand")]).unwrap();
    bench.run();
    assert_eq!(
        ended(&bench, "remove"),
        (Phase::Done, "The snapshot was already gone.".into())
    );
}

#[test]
fn an_expired_snapshot_is_removed_when_it_is_due_and_not_before() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.pass(DAY - 1);
    bench.run();
    assert_eq!(names(&bench).len(), 1);
    assert_eq!(bench.data("live")["rows"][0]["remaining"], 1);
    bench.pass(1);
    assert_eq!(bench.data("live")["rows"][0]["remaining"], 0);
    bench.run();
    assert!(names(&bench).is_empty());
    assert_eq!(
        ended(&bench, "expire"),
        (
            Phase::Done,
            "The snapshot's time was over, it was removed.".into()
        )
    );
}

#[test]
fn a_timer_of_a_snapshot_that_is_gone_does_nothing() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.host.snapshots.clear();
    bench.pass(DAY);
    bench.run();
    assert_eq!(
        ended(&bench, "expire"),
        (Phase::Done, "The snapshot was already gone.".into())
    );
}

#[test]
fn a_product_without_lifetime_keeps_snapshots() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.settings(&json!({ "quota": 3 }));
    bench.pass(DAY);
    bench.run();
    assert_eq!(names(&bench).len(), 1);
    assert_eq!(bench.data("live")["rows"][0]["remaining"], json!(null));
}

#[test]
fn a_longer_lifetime_holds_for_snapshots_that_exist() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.settings(&json!({ "quota": 3, "lifetime": "2d" }));
    bench.pass(DAY);
    bench.run();
    assert_eq!(names(&bench).len(), 1);
    bench.pass(DAY);
    bench.run();
    assert!(names(&bench).is_empty());
}

#[test]
fn a_removal_that_failed_is_tried_again_later() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.pass(DAY);
    bench.host.end_next(
        "snapshots.remove",
        Ending::failure("locked", "A backup holds the VM."),
    );
    bench.run();
    assert_eq!(names(&bench).len(), 1);
    assert_eq!(ended(&bench, "expire").0, Phase::Failed);
    bench.pass(900);
    bench.run();
    assert!(names(&bench).is_empty());
}

#[test]
fn a_removal_that_could_not_even_start_is_tried_again_later() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.pass(DAY);
    for _ in 0..12 {
        bench.host.fail("snapshots.remove", Error::Busy("backup".into()));
    }
    bench.run();
    assert_eq!(ended(&bench, "expire").0, Phase::Failed);
    bench.host.fail("snapshots.remove", Error::Unavailable);
    bench.pass(900);
    bench.run();
    bench.pass(900);
    bench.run();
    assert!(names(&bench).is_empty());
}

#[test]
fn the_daily_look_sets_timers_that_are_missing() {
    let mut bench = bench();
    bench.settings(&json!({ "quota": 3 }));
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.host.snapshots.push(snapshot("foreign", 9 * DAY));
    bench.host.snapshots.push(snapshot("s20261101T000000", 23 * DAY));
    // The plan gets a lifetime afterwards: no timer was set for the snapshot.
    bench.settings(&json!({ "quota": 3, "lifetime": "1h" }));
    bench.pass(2 * 3_600);
    bench.run();
    assert_eq!(names(&bench).len(), 3);
    bench.host.fire("sweep");
    bench.run();
    assert_eq!(names(&bench), ["foreign", "s20261101T000000"]);
}

#[test]
fn the_daily_look_ends_when_there_is_nothing_to_watch() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.run();
    assert_eq!(bench.host.calendar("sweep").unwrap().entries.len(), 7);
    bench.post("remove", &[("name", "p20261124T120000")]).unwrap();
    bench.run();
    bench.host.fire("sweep");
    bench.run();
    assert!(bench.host.calendar("sweep").is_none());
}
