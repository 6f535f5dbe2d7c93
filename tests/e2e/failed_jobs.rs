//! Jobs that failed: the provider sees the reason, removes the cause, and retries or dismisses.

use portico_host::cli::Exit;
use portico_tests::{World, until};
use pve_sim::{Effect, Fault};

/// The ids of failed jobs, by what `portico job list` prints.
async fn failed(world: &World) -> Vec<String> {
    let printed = world.command(&["job", "list", "--json"]).await.unwrap();
    let jobs: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    let ids = jobs.as_array().unwrap().iter();
    ids.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_waits_with_its_reason_and_runs_again_when_the_provider_says_so() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    pve.inject(Fault::FailTasks {
        task: "qmsnapshot".to_owned(),
        vmid: Some(100),
        text: "no space left".to_owned(),
        times: 1,
    });
    let text = browser
        .work(100, "snapshots/create", &[("description", "Before")])
        .await
        .unwrap();
    assert!(!text.contains("The snapshot was taken."), "{text}");
    assert!(
        !text.contains("no space left"),
        "PVE's words are for the provider"
    );

    let list = world.command(&["job", "list"]).await.unwrap();
    assert_eq!(list.exit, Exit::Done, "{}", list.talk);
    assert!(
        list.out.contains("sim/100") && list.out.contains("anna") && list.out.contains("no space left"),
        "{}",
        list.out
    );
    let ids = failed(&world).await;
    let [id] = ids.as_slice() else { panic!("{ids:?}") };

    let retried = world.command(&["job", "retry", id]).await.unwrap();
    assert_eq!(retried.exit, Exit::Done, "{}", retried.talk);
    until("the snapshot is taken", async || {
        Ok((pve.effect_count(Effect::SnapshotCreated, 100, None) == 1).then_some(()))
    })
    .await
    .unwrap();
    assert!(failed(&world).await.is_empty());
    let again = world.command(&["job", "retry", id]).await.unwrap();
    assert_eq!(again.exit, Exit::Refused);
    assert!(again.talk.contains("there is no job"), "{}", again.talk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_can_be_dismissed_and_the_activity_keeps_it() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    world.pve().inject(Fault::FailTasks {
        task: "qmsnapshot".to_owned(),
        vmid: Some(100),
        text: "no space left".to_owned(),
        times: 1,
    });
    browser
        .work(100, "snapshots/create", &[("description", "Before")])
        .await
        .unwrap();
    let ids = failed(&world).await;
    let dismissed = world.command(&["job", "dismiss", &ids[0]]).await.unwrap();
    assert_eq!(dismissed.exit, Exit::Done, "{}", dismissed.talk);
    assert!(failed(&world).await.is_empty());
    let activity = browser.activity(100).await.unwrap();
    assert!(
        activity.iter().any(|line| line.outcome == "Failed"),
        "{activity:?}"
    );
    assert_eq!(world.pve().effect_count(Effect::SnapshotCreated, 100, None), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_plugins_says_how_they_are() {
    let world = World::start().await.unwrap();
    let list = world.command(&["plugin", "list"]).await.unwrap();
    let ready = list.out.lines().filter(|line| line.contains("  ready  ")).count();
    assert_eq!(ready, 2, "{}", list.out);
}
