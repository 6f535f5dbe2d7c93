//! What the provider keeps in order: jobs that failed, what is left of removed services, components, plugins.

use portico_host::cli::Exit;
use portico_tests::world::at;
use portico_tests::{Browser, Setup, World, until};
use pve_sim::{Effect, Fault};

/// Lets a customer ask for a snapshot that Proxmox fails to take; returns what his page says of it.
async fn fail_a_snapshot(world: &World, browser: &Browser, vmid: u32) -> String {
    world.pve().inject(Fault::FailTasks {
        task: "qmsnapshot".to_owned(),
        vmid: Some(vmid),
        text: "no space left".to_owned(),
        times: 1,
    });
    let form = [("description", "Before")];
    browser.work(vmid, "snapshots/create", &form).await.unwrap()
}

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
    let text = fail_a_snapshot(&world, &browser, 100).await;
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
    let activity = browser.activity(100).await.unwrap();
    let requests = activity.iter().filter(|line| line.outcome == "Requested").count();
    assert_eq!(requests, 1, "the customer asked once: {activity:?}");
    let again = world.command(&["job", "retry", id]).await.unwrap();
    assert_eq!(again.exit, Exit::Refused);
    assert!(again.talk.contains("there is no job"), "{}", again.talk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_can_be_dismissed_and_the_activity_keeps_it() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    fail_a_snapshot(&world, &browser, 100).await;
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
async fn nothing_is_kept_about_a_service_that_was_removed() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    fail_a_snapshot(&world, &browser, 106).await;
    assert_eq!(failed(&world).await.len(), 1);
    let text = std::fs::read_to_string(world.provider()).unwrap();
    let at_last = text.rfind("[[service]]").unwrap();
    std::fs::write(world.provider(), &text[..at_last]).unwrap();
    let file = world.provider().display().to_string();
    let done = world
        .command(&["apply", &file, "--yes", "--allow-remove-services"])
        .await
        .unwrap();
    assert_eq!(done.exit, Exit::Done, "{}", done.talk);
    until("its jobs are gone", async || {
        Ok(failed(&world).await.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_copy_of_a_component_is_made_anew_from_its_file() {
    let mut world = World::program(Setup::default()).await.unwrap();
    let copies = world.folder().join("state").join("components");
    world.kill().await.unwrap();
    assert!(std::fs::read_dir(&copies).unwrap().count() >= 2);
    std::fs::remove_dir_all(&copies).unwrap();
    // Ready means that every approved plugin is loaded.
    world.restart().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let page = browser.get(&at(100, "snapshots")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_plugins_says_how_they_are() {
    let world = World::start().await.unwrap();
    let list = world.command(&["plugin", "list"]).await.unwrap();
    let ready = list.out.lines().filter(|line| line.contains("  ready  ")).count();
    assert_eq!(ready, 2, "{}", list.out);
}
