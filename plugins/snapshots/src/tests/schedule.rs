//! The weekly schedule.

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
