//! The snapshots as customer and panel see them. Every step of every job runs twice, as after a crash.

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

mod taking {
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
}

mod going_back {
    use super::*;

    fn with_one() -> Bench<Snapshots> {
        let mut bench = bench();
        bench.host.snapshots = vec![snapshot("p20261124T110000", 3_600)];
        bench
    }

    #[test]
    fn a_running_vm_gets_todays_plan_and_runs_again() {
        let mut bench = with_one();
        bench.host.applied.pending = vec!["memory".into()];
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert_eq!(
            work(&bench),
            [("snapshots.rollback", "p20261124T110000"), ("power.start", "")]
        );
        assert!(bench.host.plans_applied >= 1);
        assert_eq!(bench.host.vm.status.state, State::Running);
        assert_eq!(
            ended(&bench, "rollback"),
            (Phase::Done, "The VM is back at the snapshot.".into())
        );
    }

    #[test]
    fn the_plan_is_applied_before_the_vm_starts() {
        let mut bench = with_one();
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        let at = |name| bench.host.calls.iter().position(|call| *call == name).unwrap();
        assert!(at("snapshots.rollback") < at("provision.apply-plan"));
        assert!(at("provision.apply-plan") < at("power.start"));
    }

    #[test]
    fn a_stopped_vm_stays_stopped() {
        let mut bench = with_one();
        bench.host.vm.status.state = State::Stopped;
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert_eq!(work(&bench).len(), 1);
        assert_eq!(bench.host.vm.status.state, State::Stopped);
    }

    #[test]
    fn a_snapshot_with_memory_comes_back_running_by_itself() {
        let mut bench = with_one();
        bench.host.snapshots[0].with_memory = true;
        bench.host.applied.pending = vec!["memory".into(), "cores".into()];
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert_eq!(work(&bench).len(), 1);
        let text = "The VM is back at the snapshot. At its next start: memory, cores.";
        assert_eq!(ended(&bench, "rollback"), (Phase::Done, text.into()));
    }

    #[test]
    fn a_storage_that_only_knows_the_newest_says_so_and_dims_the_others() {
        let mut bench = with_one();
        bench.host.ability.newest_only = true;
        bench.host.snapshots.push(snapshot("p20261124T113000", 1_800));
        let data = bench.data("live");
        assert_eq!(data["newest_only"], true);
        assert_eq!(data["rows"][0]["rollback_reason"], json!(null));
        assert_eq!(
            data["rows"][1]["rollback_reason"],
            "This storage can only go back to the newest snapshot"
        );
        bench
            .host
            .end_next("snapshots.rollback", Ending::failure("not-newest", ""));
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert!(ended(&bench, "rollback").1.contains("only go back to the newest"));
        assert_eq!(bench.host.plans_applied, 0);
    }

    #[test]
    fn what_is_gone_or_not_complete_is_refused_and_nothing_is_started() {
        let mut bench = with_one();
        bench.post("rollback", &[("name", "p20261124T100000")]).unwrap();
        bench.run();
        assert_eq!(
            ended(&bench, "rollback"),
            (Phase::Failed, "The snapshot does not exist any more.".into())
        );
        bench.host.snapshots[0].phase = SnapshotPhase::Removing;
        assert_eq!(
            bench.data("live")["rows"][0]["rollback_reason"],
            "It is not complete"
        );
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert_eq!(
            ended(&bench, "rollback"),
            (Phase::Failed, "The snapshot is not complete.".into())
        );
        assert!(work(&bench).is_empty());
    }

    #[test]
    fn a_rollback_that_failed_applies_nothing_and_starts_nothing() {
        let mut bench = with_one();
        bench.host.end_next(
            "snapshots.rollback",
            Ending::failure("other", "The storage refused it."),
        );
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        assert_eq!(
            ended(&bench, "rollback"),
            (Phase::Failed, "The storage refused it.".into())
        );
        assert_eq!((work(&bench).len(), bench.host.plans_applied), (1, 0));
    }

    #[test]
    fn a_vm_that_does_not_start_again_is_told() {
        let mut bench = with_one();
        bench.host.end_next(
            "power.start",
            Ending::failure("other", "No memory is free on the server."),
        );
        bench.post("rollback", &[("name", "p20261124T110000")]).unwrap();
        bench.run();
        let text = "The VM is back at the snapshot but did not start: No memory is free on the server.";
        assert_eq!(ended(&bench, "rollback"), (Phase::Failed, text.into()));
    }

    #[test]
    fn a_name_is_needed() {
        let mut bench = with_one();
        assert_eq!(flash(bench.post("rollback", &[]).unwrap()), "name: Fill this in.");
        assert_eq!(
            flash(bench.post("remove", &[("name", " ")]).unwrap()),
            "name: Fill this in."
        );
        assert!(bench.jobs().is_empty());
    }
}

mod removing {
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
}

mod schedule {
    use super::*;

    const MONDAY: [(&str, &str); 2] = [("on-monday", "1"), ("at-monday", "03:45")];

    #[test]
    fn a_schedule_is_saved_in_the_customers_time_zone_and_shown_again() {
        let mut bench = bench();
        bench.context.time_zone = "Europe/Berlin".into();
        bench
            .post(
                "schedule",
                &[("on-monday", "1"), ("at-monday", "03:45"), ("at-friday", "23:00")],
            )
            .unwrap();
        let calendar = bench.host.calendar("schedule").unwrap();
        assert_eq!(calendar.time_zone, "Europe/Berlin");
        assert_eq!(calendar.entries, [(Weekday::Monday, 225)]);
        let data = bench.data("");
        let days = data["schedule"]["days"].as_array().unwrap();
        assert_eq!(days[0]["id"], "sunday");
        assert_eq!(
            (&days[1]["on"], &days[1]["time"]),
            (&json!(true), &json!("03:45"))
        );
        assert_eq!(days[5]["on"], false);
        bench.context.time_zone = "Asia/Tokyo".into();
        assert_eq!(bench.data("")["schedule"]["time_zone"], "Europe/Berlin");
    }

    #[test]
    fn a_schedule_without_days_is_switched_off() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.post("schedule", &[("at-monday", "03:45")]).unwrap();
        assert!(bench.host.calendar("schedule").is_none());
        assert_eq!(bench.data("")["schedule"]["active"], false);
    }

    #[test]
    fn a_time_that_is_none_is_refused_at_its_field_and_changes_nothing() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        for time in ["24:00", "", "3:45", "noon"] {
            let response = bench
                .post("schedule", &[("on-friday", "1"), ("at-friday", time)])
                .unwrap();
            let Response::Page(page) = &response else {
                panic!("{response:?}")
            };
            assert_eq!(page.status, 422);
            let friday = &Bench::<Snapshots>::data_of(&response)["schedule"]["days"][5];
            assert_eq!((&friday["on"], &friday["time"]), (&json!(true), &json!(time)));
            assert_eq!(friday["error"], "Enter a time from 00:00 to 23:59");
        }
        assert_eq!(
            bench.host.calendar("schedule").unwrap().entries,
            [(Weekday::Monday, 225)]
        );
    }

    #[test]
    fn a_scheduled_snapshot_has_no_lifetime() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.host.fire("schedule");
        bench.run();
        assert_eq!(names(&bench), ["s20261124T120000"]);
        assert_eq!(bench.data("live")["rows"][0]["remaining"], json!(null));
        bench.pass(9 * DAY);
        bench.run();
        assert_eq!(names(&bench).len(), 1);
    }

    #[test]
    fn at_full_quota_the_oldest_of_the_panel_makes_room() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.host.snapshots = vec![
            snapshot("foreign", 9_000),
            snapshot("p20261124T100000", 7_200),
            snapshot("s20261124T110000", 3_600),
        ];
        bench.host.fire("schedule");
        bench.run();
        assert_eq!(names(&bench), ["foreign", "s20261124T110000", "s20261124T120000"]);
        assert_eq!(
            work(&bench),
            [
                ("snapshots.remove", "p20261124T100000"),
                ("snapshots.create", "s20261124T120000")
            ]
        );
    }

    #[test]
    fn a_smaller_quota_makes_room_until_there_is_some() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.host.snapshots = (1..4)
            .map(|n| snapshot(&format!("s2026112{n}T000000"), 90_000 - n))
            .collect();
        bench.settings(&json!({ "quota": 1 }));
        bench.host.fire("schedule");
        bench.run();
        assert_eq!(names(&bench), ["s20261124T120000"]);
    }

    #[test]
    fn snapshots_made_outside_the_panel_are_never_rotated() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.host.snapshots = (0..3).map(|n| snapshot(&format!("other{n}"), n)).collect();
        bench.host.fire("schedule");
        bench.run();
        assert_eq!(ended(&bench, "take").0, Phase::Failed);
        assert_eq!(names(&bench).len(), 3);
        assert!(work(&bench).is_empty());
    }

    #[test]
    fn when_no_room_can_be_made_nothing_is_taken() {
        let mut bench = bench();
        bench.post("schedule", &MONDAY).unwrap();
        bench.host.snapshots = (1..4)
            .map(|n| snapshot(&format!("s2026112{n}T000000"), 90_000 - n))
            .collect();
        bench.host.end_next(
            "snapshots.remove",
            Ending::failure("other", "The storage refused it."),
        );
        bench.host.fire("schedule");
        bench.run();
        let text = "The oldest snapshot could not be removed: The storage refused it.";
        assert_eq!(ended(&bench, "take"), (Phase::Failed, text.into()));
        assert_eq!(names(&bench).len(), 3);
    }

    #[test]
    fn a_schedule_that_the_plan_lost_takes_nothing() {
        for lost in ["permission", "setting"] {
            let mut bench = bench();
            bench.post("schedule", &MONDAY).unwrap();
            if lost == "permission" {
                bench.permit(&["use"]);
            } else {
                bench.settings(&json!({ "quota": 3, "schedule": false }));
            }
            bench.host.fire("schedule");
            bench.run();
            assert_eq!(ended(&bench, "take").0, Phase::Done);
            assert!(work(&bench).is_empty());
            assert!(matches!(bench.post("schedule", &MONDAY), Err(Error::Denied(_))));
        }
    }
}
