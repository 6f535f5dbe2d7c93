//! The overview, and start, stop, reboot.

use portico_tests::World;
use portico_tests::world::at;
use pve_sim::Effect;

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_shows_the_vm_as_proxmox_has_it() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let page = browser.get(&at(100, "overview")).await.unwrap();
    assert_eq!(page.status, 200);
    for text in [
        "web1.example.net",
        "Running",
        "Uptime 12 days",
        "of 2 cores",
        "40 GiB",
        "192.0.2.10",
        "2001:db8:20::10",
        "BC:24:11:10:00:01",
    ] {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    assert!(page.says("Read: ") && page.says("2000 IOPS"), "{}", page.text());
    // Nothing of the provider's is on it.
    for secret in ["local-lvm", "pve1", "vmbr0", "7f0a3c52"] {
        assert!(!page.body.contains(secret), "{secret}");
    }
    let live = browser.fragment(&at(100, "overview/live")).await.unwrap();
    assert_eq!(live.status, 200);
    assert!(
        !live.body.contains("<html") && live.says("of 2 cores"),
        "{}",
        live.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_started_rebooted_and_stopped() {
    let world = World::start().await.unwrap();
    let pve = world.pve();
    let browser = world.signed_in("anna@example.com").await.unwrap();

    let page = browser.press(102, "overview/start", &[]).await.unwrap();
    assert!(page.says("Starting the VM"), "{}", page.text());
    let text = browser.outcome(102).await.unwrap();
    assert!(text.contains("The VM was started."), "{text}");
    assert_eq!(pve.vm(102).unwrap().status, "running");

    let text = browser.work(102, "overview/reboot", &[]).await.unwrap();
    assert!(text.contains("The VM was rebooted."), "{text}");
    assert_eq!(pve.effect_count(Effect::TaskStarted, 102, Some("qmreboot")), 1);

    let text = browser.work(102, "overview/stop", &[]).await.unwrap();
    assert!(text.contains("The VM was shut down."), "{text}");
    assert_eq!(pve.vm(102).unwrap().status, "stopped");
    assert_eq!(
        pve.effect_count(Effect::Stopped, 102, None),
        0,
        "it was asked, not switched off"
    );

    let lines = browser.activity(102).await.unwrap();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.what.as_str(), line.outcome.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("Overview: power The VM was shut down.", "Done"),
            ("Overview: power Shutting the VM down", "Requested"),
            ("Overview: power The VM was rebooted.", "Done"),
            ("Overview: power Rebooting the VM", "Requested"),
            ("Overview: power The VM was started.", "Done"),
            ("Overview: power Starting the VM", "Requested"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_ignores_stop_is_offered_force_stop() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    assert!(
        !browser
            .get(&at(104, "overview"))
            .await
            .unwrap()
            .says("Force stop")
    );
    let text = browser.work(104, "overview/stop", &[]).await.unwrap();
    assert!(text.contains("did not react"), "{text}");
    assert_eq!(world.pve().vm(104).unwrap().status, "running");

    let page = browser.get(&at(104, "overview")).await.unwrap();
    assert!(
        page.actions().contains(&at(104, "overview/force-stop")),
        "{}",
        page.text()
    );
    let text = browser.work(104, "overview/force-stop", &[]).await.unwrap();
    assert!(text.contains("The VM was switched off."), "{text}");
    assert_eq!(world.pve().vm(104).unwrap().status, "stopped");
}
