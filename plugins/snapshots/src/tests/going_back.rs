//! Going back to a snapshot.

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
