//! Proxmox is busy, down, moved, without rights.

use portico_tests::world::at;
use portico_tests::{World, until};
use pve_sim::{Action, Effect, Fault, Moment};

#[tokio::test(flavor = "multi_thread")]
async fn while_a_job_holds_the_service_other_actions_are_told_what_runs() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    pve.inject(Fault::StickTasks {
        task: "qmsnapshot".into(),
        vmid: Some(101),
        times: 1,
    });
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let page = browser.press(101, "snapshots/create", &[]).await.unwrap();
    assert!(page.says("Taking a snapshot"), "{}", page.text());
    for action in [
        "overview/stop",
        "overview/reboot",
        "snapshots/create",
        "snapshots/remove",
    ] {
        let page = browser.post(&at(101, action), &[("name", "x")]).await.unwrap();
        assert_eq!(page.status, 423, "{action}");
        assert!(
            page.says("A snapshot is being taken"),
            "{action}: {}",
            page.text()
        );
    }
    let overview = browser.get(&at(101, "overview")).await.unwrap();
    assert!(
        overview.body.contains("A snapshot is being taken"),
        "{}",
        overview.text()
    );
    // Another service of the same customer is free.
    assert!(
        browser
            .work(102, "overview/start", &[])
            .await
            .unwrap()
            .contains("The VM was started.")
    );
    pve.act(Action::ReleaseStuckTasks).unwrap();
    let text = browser.outcome(101).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_proxmox_ends_in_a_sentence_and_starts_nothing() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    pve.act(Action::SetLock {
        vmid: 101,
        lock: Some("backup".into()),
    })
    .unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let page = until("the page shows the lock", async || {
        let page = browser.get(&at(101, "snapshots")).await?;
        Ok(page.body.contains("backup").then_some(page))
    });
    let page = page.await.unwrap();
    assert!(!page.body.contains("action=\"create\""), "{}", page.text());
    let answer = browser.post(&at(101, "snapshots/create"), &[]).await.unwrap();
    // Either the lock is seen at once, or the job runs into it and says so.
    if answer.status == 303 {
        let text = browser.outcome(101).await.unwrap();
        assert!(
            text.contains("Failed") && text.to_lowercase().contains("backup"),
            "{text}"
        );
    } else {
        assert_eq!(answer.status, 423, "{}", answer.text());
    }
    assert_eq!(pve.effect_count(Effect::SnapshotCreated, 101, None), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmox_down_gives_something_went_wrong_with_a_request_id_and_recovers_by_itself() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    pve.act(Action::SetApiDown { down: true }).unwrap();
    let page = browser.get(&at(100, "overview")).await.unwrap();
    assert_eq!(page.status, 502, "{}", page.text());
    assert!(page.says("Something went wrong"), "{}", page.text());
    let id = page.header("x-request-id").unwrap();
    assert!(page.says(id), "{}", page.text());
    assert_eq!(
        page.link("Retry").or_else(|| page
            .attributes("href=\"")
            .find(|href| *href == at(100, "overview"))),
        Some(at(100, "overview"))
    );
    for secret in ["127.0.0.1", "pve1", "https://"] {
        assert!(!page.text().contains(secret), "{secret}: {}", page.text());
    }
    let fragment = browser.fragment(&at(100, "overview/live")).await.unwrap();
    assert_eq!(
        (fragment.status, fragment.header("x-portico-fragment")),
        (502, Some("error"))
    );
    // The rest of the panel stays.
    let services = browser.get("/services").await.unwrap();
    assert!(
        services.status == 200 && services.says("web1.example.net"),
        "{}",
        services.text()
    );
    assert_eq!(browser.get("/readyz").await.unwrap().status, 200);

    pve.act(Action::SetApiDown { down: false }).unwrap();
    let page = until("the overview is back", async || {
        let page = browser.get(&at(100, "overview")).await?;
        Ok((page.status == 200).then_some(page))
    });
    assert!(page.await.unwrap().says("Running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_an_outage_in_its_middle() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    pve.inject(Fault::StickTasks {
        task: "qmsnapshot".into(),
        vmid: Some(101),
        times: 1,
    });
    browser.press(101, "snapshots/create", &[]).await.unwrap();
    until("the task runs", async || {
        Ok((!pve.tasks().is_empty()).then_some(()))
    })
    .await
    .unwrap();
    pve.act(Action::SetApiDown { down: true }).unwrap();
    pve.act(Action::ReleaseStuckTasks).unwrap();
    until("the task has ended", async || Ok(pve.tasks()[0].ended))
        .await
        .unwrap();
    pve.act(Action::SetApiDown { down: false }).unwrap();
    let text = browser.outcome(101).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
    assert_eq!(pve.effect_count(Effect::TaskStarted, 101, Some("qmsnapshot")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_effect_does_not_repeat_it() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let cut = |moment| Fault::Cut {
        method: Some("POST".into()),
        path: Some("/nodes/{node}/qemu/{vmid}/snapshot".into()),
        vmid: Some(101),
        moment,
        times: 1,
    };
    for (number, moment) in [(1, Moment::AfterEffect), (2, Moment::BeforeEffect)] {
        pve.inject(cut(moment));
        let text = browser.work(101, "snapshots/create", &[]).await.unwrap();
        assert!(text.contains("The snapshot was taken."), "{moment:?}: {text}");
        assert_eq!(
            pve.effect_count(Effect::TaskStarted, 101, Some("qmsnapshot")),
            number,
            "{moment:?}"
        );
        assert!(pve.faults().is_empty(), "{moment:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_fails_calmly_and_a_restored_one_works_again() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let token = || "portico@pve!panel".to_owned();
    pve.act(Action::SetTokenRevoked {
        token: token(),
        revoked: true,
    })
    .unwrap();
    let page = browser.get(&at(100, "overview")).await.unwrap();
    assert_eq!(page.status, 502, "{}", page.text());
    assert!(
        page.says("Something went wrong") && !page.body.contains("portico@pve"),
        "{}",
        page.text()
    );
    pve.act(Action::SetTokenRevoked {
        token: token(),
        revoked: false,
    })
    .unwrap();
    until("the overview is back", async || {
        Ok((browser.get(&at(100, "overview")).await?.status == 200).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_moved_to_another_node_is_found_there() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    assert_eq!(browser.get(&at(101, "overview")).await.unwrap().status, 200);
    pve.act(Action::MoveVm {
        vmid: 101,
        node: "pve2".into(),
    })
    .unwrap();
    let text = browser.work(101, "snapshots/create", &[]).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
    let page = browser.get(&at(101, "overview")).await.unwrap();
    assert!(page.status == 200 && page.says("Running"), "{}", page.text());
    let task = pve
        .tasks()
        .into_iter()
        .find(|task| task.kind == "qmsnapshot")
        .unwrap();
    assert_eq!(task.node, "pve2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_offline_delays_only_its_own_jobs() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    // On pve2: the snapshot is being taken while the node leaves.
    pve.inject(Fault::StickTasks {
        task: "qmsnapshot".into(),
        vmid: Some(103),
        times: 1,
    });
    browser.press(103, "snapshots/create", &[]).await.unwrap();
    until("the task runs", async || {
        Ok((!pve.tasks().is_empty()).then_some(()))
    })
    .await
    .unwrap();
    pve.act(Action::SetNodeOnline {
        node: "pve2".into(),
        online: false,
        stale: false,
    })
    .unwrap();

    // On pve1: as ever.
    let text = browser.work(102, "overview/start", &[]).await.unwrap();
    assert!(text.contains("The VM was started."), "{text}");
    assert_eq!(browser.get(&at(100, "overview")).await.unwrap().status, 200);
    assert_eq!(
        browser
            .post(&at(103, "overview/reset"), &[])
            .await
            .unwrap()
            .status,
        423,
        "its job goes on"
    );

    pve.act(Action::SetNodeOnline {
        node: "pve2".into(),
        online: true,
        stale: false,
    })
    .unwrap();
    pve.act(Action::ReleaseStuckTasks).unwrap();
    let text = browser.outcome(103).await.unwrap();
    assert!(text.contains("The snapshot was taken."), "{text}");
    assert_eq!(pve.effect_count(Effect::TaskStarted, 103, Some("qmsnapshot")), 1);
}
