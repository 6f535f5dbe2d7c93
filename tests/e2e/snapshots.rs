//! Snapshots: take, roll back, remove; quota and lifetime.

use portico_tests::customer::rows;
use portico_tests::world::at;
use portico_tests::{World, until};
use pve_sim::{Control, Effect};

fn names(pve: &Control, vmid: u32) -> Vec<String> {
    pve.vm(vmid).unwrap().snapshots.into_keys().collect()
}

/// The names of snapshots that the panel has taken.
fn ours(pve: &Control, vmid: u32) -> Vec<String> {
    names(pve, vmid)
        .into_iter()
        .filter(|name| name.starts_with('p'))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_listed_rolled_back_to_and_removed() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();

    let page = browser
        .press(
            101,
            "snapshots/create",
            &[("description", "Before <the> upgrade")],
        )
        .await
        .unwrap();
    assert!(page.says("Taking a snapshot."), "{}", page.text());
    let text = browser.outcome(101).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
    let taken = ours(&pve, 101);
    assert_eq!(taken.len(), 1, "{taken:?}");
    let name = taken[0].as_str();

    let page = browser.get(&at(101, "snapshots")).await.unwrap();
    let row = rows(&page)
        .into_iter()
        .find(|row| row[0].starts_with("Before"))
        .unwrap();
    assert_eq!(row[0], "Before <the> upgrade");
    assert!(
        row[2].starts_with("0 days 23:59:") || row[2] == "1 day 00:00:00",
        "{row:?}"
    );
    assert!(page.says("Snapshots 1/3"), "{}", page.text());

    let text = browser
        .work(101, "snapshots/rollback", &[("name", name)])
        .await
        .unwrap();
    assert!(text.contains("The VM is back at the snapshot."), "{text}");
    assert_eq!(pve.effect_count(Effect::SnapshotRolledBack, 101, Some(name)), 1);
    assert_eq!(pve.vm(101).unwrap().status, "running", "it ran before");

    let text = browser
        .work(101, "snapshots/remove", &[("name", name)])
        .await
        .unwrap();
    assert!(text.contains("The snapshot was removed."), "{text}");
    assert!(ours(&pve, 101).is_empty());
    let page = browser.get(&at(101, "snapshots")).await.unwrap();
    assert!(page.says("No snapshots yet"), "{}", page.text());
    assert_eq!(pve.effect_count(Effect::SnapshotCreated, 101, None), 1);
    assert_eq!(pve.effect_count(Effect::SnapshotRemoved, 101, None), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_the_old_hardware_back_and_the_plan_over_it() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    // The snapshot is of a time with one core and 2 GiB.
    assert_eq!(pve.vm(100).unwrap().snapshots["before-upgrade"]["cores"], "1");
    let text = browser
        .work(100, "snapshots/rollback", &[("name", "before-upgrade")])
        .await
        .unwrap();
    assert!(text.contains("The VM is back at the snapshot."), "{text}");
    let vm = pve.vm(100).unwrap();
    assert_eq!(
        (vm.config["cores"].as_str(), vm.config["memory"].as_str()),
        ("2", "4096")
    );
    assert!(vm.pending.is_empty(), "{:?}", vm.pending);
    assert!(vm.config["net0"].contains("rate=12.5"), "{}", vm.config["net0"]);
    assert!(
        vm.config["scsi0"].contains("iops_rd=2000"),
        "{}",
        vm.config["scsi0"]
    );
    assert_eq!(vm.status, "running");
    // The plan was written before the VM was started.
    let order: Vec<_> = pve
        .request_log(10_000)
        .into_iter()
        .filter(|request| request.method != "GET" && request.path.contains("/qemu/100/"))
        .map(|request| request.path.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["rollback", "config", "start"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_counts_what_proxmox_has_also_for_requests_at_the_same_time() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    // Two were made outside the panel, the plan has three.
    assert_eq!(names(&pve, 106).len(), 2);
    let path = at(106, "snapshots/create");
    let again = world.signed_in("ben@example.com").await.unwrap();
    let (one, two) = tokio::join!(browser.post(&path, &[]), again.post(&path, &[]));
    let mut answers = [one.unwrap().status, two.unwrap().status];
    answers.sort_unstable();
    assert_eq!(answers, [303, 423], "one holds the service, the other is told so");
    browser.outcome(106).await.unwrap();
    assert_eq!(names(&pve, 106).len(), 3);

    let page = browser.press(106, "snapshots/create", &[]).await.unwrap();
    assert!(
        page.says("All 3 snapshots are in use. Remove one first."),
        "{}",
        page.text()
    );
    assert!(
        page.body
            .contains("All snapshots of your plan are in use: remove one first"),
        "{}",
        page.text()
    );
    assert_eq!(names(&pve, 106).len(), 3);
    assert_eq!(pve.effect_count(Effect::TaskStarted, 106, Some("qmsnapshot")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_removed_by_itself_when_its_lifetime_is_over() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let text = browser.work(103, "snapshots/create", &[]).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
    until("the snapshot is gone", async || {
        Ok(ours(&pve, 103).is_empty().then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(pve.effect_count(Effect::SnapshotRemoved, 103, None), 1);
    let lines = until("the activity says so", async || {
        let lines = browser.activity(103).await?;
        Ok((lines[0].what.contains("time was over")).then_some(lines))
    });
    let lines = lines.await.unwrap();
    assert_eq!(
        lines[0].what,
        "Snapshots: expire The snapshot's time was over, it was removed."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_without_snapshots_dims_the_button_and_refuses() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    let page = browser.get(&at(105, "snapshots")).await.unwrap();
    assert!(
        page.body.contains("The storage of this VM cannot take snapshots"),
        "{}",
        page.text()
    );
    let text = browser.work(105, "snapshots/create", &[]).await.unwrap();
    assert!(
        text.contains("The storage of this VM cannot take snapshots."),
        "{text}"
    );
    assert_eq!(world.pve().effect_count(Effect::TaskStarted, 105, None), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_on_zfs_says_why_it_cannot_be_rolled_back_to() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    let page = browser.get(&at(106, "snapshots")).await.unwrap();
    assert!(
        page.says("The storage of this VM can only go back to the newest snapshot."),
        "{}",
        page.text()
    );
    let text = browser
        .work(106, "snapshots/rollback", &[("name", "monday")])
        .await
        .unwrap();
    assert!(text.contains("can only go back to the newest snapshot"), "{text}");
    assert_eq!(world.pve().effect_count(Effect::SnapshotRolledBack, 106, None), 0);
}
