//! Taking snapshots.

use super::*;

#[test]
fn a_snapshot_is_taken_in_the_background_and_appears_when_it_is_done() {
    let mut bench = bench();
    bench
        .post("create", &[("description", " Before the upgrade ")])
        .unwrap();
    assert!(names(&bench).is_empty());
    bench.step();
    bench.step();
    let data = bench.data("live");
    assert_eq!(data["rows"][0]["phase"], "creating");
    assert_eq!(data["take_reason"], "A snapshot is being taken");
    bench.run();
    assert_eq!(names(&bench), ["p20261124T120000"]);
    assert_eq!(bench.host.snapshots[0].description, "Before the upgrade");
    assert_eq!(
        ended(&bench, "take"),
        (Phase::Done, "The snapshot was taken.".into())
    );
    let data = bench.data("live");
    assert_eq!((&data["used"], &data["quota"]), (&json!(1), &json!(3)));
    assert_eq!(data["rows"][0]["title"], "Before the upgrade");
    assert_eq!(data["rows"][0]["remaining"], DAY);
    assert_eq!(data["take_reason"], json!(null));
}

#[test]
fn the_page_asks_proxmox_for_three_things_only() {
    let mut bench = bench();
    bench.data("");
    let mut calls = bench.host.calls.clone();
    calls.sort_unstable();
    assert_eq!(
        calls,
        ["snapshots.feature", "snapshots.list", "storage.get", "vm.status"]
    );
}

#[test]
fn a_snapshot_over_the_quota_is_refused_and_nothing_is_started() {
    let mut bench = bench();
    bench.host.snapshots = (0..3).map(|n| snapshot(&format!("other{n}"), n)).collect();
    let text = flash(bench.post("create", &[]).unwrap());
    assert_eq!(text, "All 3 snapshots are in use. Remove one first.");
    assert!(bench.jobs().is_empty());
    assert_eq!(
        bench.data("live")["take_reason"],
        "All snapshots of your plan are in use: remove one first"
    );
}

#[test]
fn the_job_counts_again_and_its_count_decides() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    bench.host.snapshots = (0..3).map(|n| snapshot(&format!("other{n}"), n)).collect();
    bench.run();
    assert_eq!(
        ended(&bench, "take"),
        (
            Phase::Failed,
            "All 3 snapshots are in use. Remove one first.".into()
        )
    );
    assert!(work(&bench).is_empty());
}

#[test]
fn a_quota_of_zero_is_not_in_the_plan() {
    let mut bench = bench();
    bench.settings(&json!({}));
    assert_eq!(bench.data("live")["take_reason"], "Not included in your plan");
    assert!(matches!(bench.post("create", &[]), Err(Error::Denied(_))));
    assert!(bench.jobs().is_empty());
}

#[test]
fn a_storage_that_cannot_says_why() {
    let mut bench = bench();
    bench.host.ability.possible = false;
    bench.host.ability.reason = Some("A disk lies on a storage without snapshots".into());
    assert_eq!(
        bench.data("live")["take_reason"],
        "A disk lies on a storage without snapshots"
    );
    bench.post("create", &[]).unwrap();
    bench.run();
    assert_eq!(
        ended(&bench, "take"),
        (
            Phase::Failed,
            "A disk lies on a storage without snapshots.".into()
        )
    );
}

#[test]
fn the_reason_of_a_task_that_failed_is_shown_and_nothing_is_left() {
    let mut bench = bench();
    bench.host.end_next(
        "snapshots.create",
        Ending::failure("locked", "A backup holds the VM."),
    );
    bench.post("create", &[]).unwrap();
    bench.run();
    assert_eq!(
        ended(&bench, "take"),
        (Phase::Failed, "A backup holds the VM.".into())
    );
    assert!(names(&bench).is_empty());
}

#[test]
fn memory_is_included_only_where_the_product_allows_it() {
    for (allowed, included) in [(true, true), (false, false)] {
        let mut bench = bench();
        bench.settings(&json!({ "quota": 1, "include_ram": allowed }));
        assert_eq!(bench.data("live")["memory_allowed"], allowed);
        bench.post("create", &[("memory", "1")]).unwrap();
        bench.run();
        assert_eq!(bench.host.snapshots[0].with_memory, included);
    }
}

#[test]
fn a_second_one_is_refused_while_the_first_is_being_taken() {
    let mut bench = bench();
    bench.post("create", &[]).unwrap();
    assert_eq!(bench.post("create", &[]), Err(Error::Busy("snapshot".into())));
    bench.run();
    assert_eq!(names(&bench).len(), 1);
}

#[test]
fn a_description_that_does_not_fit_is_refused_with_its_reason() {
    let mut bench = bench();
    let long = "x".repeat(201);
    let text = flash(bench.post("create", &[("description", &long)]).unwrap());
    assert_eq!(text, "description: Use at most 200 characters.");
    assert!(bench.jobs().is_empty());
}

#[test]
fn without_the_permission_every_path_is_denied() {
    let mut bench = bench();
    bench.permit(&["schedule"]);
    for path in ["", "live"] {
        assert!(matches!(bench.get(path), Err(Error::Denied(_))));
    }
    for path in ["create", "rollback", "remove", "schedule"] {
        assert!(matches!(
            bench.post(path, &[("name", "p20261124T120000")]),
            Err(Error::Denied(_))
        ));
    }
    assert!(bench.jobs().is_empty());
}

#[test]
fn the_page_fails_when_proxmox_does_not_answer() {
    for call in ["vm.status", "snapshots.list", "snapshots.feature"] {
        let mut bench = bench();
        bench.host.fail(call, Error::Unavailable);
        assert_eq!(bench.get("live"), Err(Error::Unavailable));
    }
}

#[test]
fn the_permission_to_use_is_enough_for_everything_but_the_schedule() {
    let mut bench = bench();
    bench.permit(&["use"]);
    bench.post("create", &[]).unwrap();
    bench.run();
    bench.post("rollback", &[("name", "p20261124T120000")]).unwrap();
    bench.run();
    bench.post("remove", &[("name", "p20261124T120000")]).unwrap();
    bench.run();
    assert!(
        bench
            .jobs()
            .iter()
            .filter(|job| job.kind != "expire")
            .all(|job| job.phase == Phase::Done)
    );
    let data = bench.data("");
    assert_eq!(data["schedule"]["disabled_reason"], "Not included in your plan");
    assert!(matches!(bench.post("schedule", &[]), Err(Error::Denied(_))));
}
