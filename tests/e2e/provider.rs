//! Applying provider files to a panel that runs.

use portico_host::cli::Exit;
use portico_tests::World;
use portico_tests::world::at;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_changes_nothing() {
    let world = World::start().await.unwrap();
    let file = world.provider().display().to_string();
    let printed = world.command(&["apply", &file, "--yes"]).await.unwrap();
    assert_eq!(
        (printed.exit, printed.talk.as_str()),
        (Exit::Done, "Nothing to do.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_permission_reaches_a_page_that_is_open() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    assert_eq!(browser.get(&at(100, "snapshots")).await.unwrap().status, 200);
    assert_eq!(browser.get(&at(102, "snapshots")).await.unwrap().status, 403);

    let printed = world
        .apply_with("\"overview:reboot\"]", "\"overview:reboot\", \"snapshots:use\"]")
        .await
        .unwrap();
    assert_eq!(printed.exit, Exit::Done, "{}", printed.talk);
    assert!(printed.out.contains("basic"), "{}", printed.out);
    let page = browser.get(&at(102, "snapshots")).await.unwrap();
    // The permission is there, and the quota of a product without settings is none.
    assert_eq!(page.status, 200, "{}", page.text());

    let printed = world
        .apply_with("\"overview:*\", \"snapshots:*\"", "\"overview:*\"")
        .await
        .unwrap();
    assert_eq!(printed.exit, Exit::Done, "{}", printed.talk);
    assert_eq!(browser.get(&at(100, "snapshots")).await.unwrap().status, 403);
    assert_eq!(
        browser
            .post(&at(100, "snapshots/create"), &[])
            .await
            .unwrap()
            .status,
        403
    );
    assert!(world.pve().tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_its_place_and_nothing_is_changed() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let before = world.command(&["service", "list", "--json"]).await.unwrap();
    let good = std::fs::read_to_string(world.provider()).unwrap();
    // What is wrong, and what the message must name.
    let cases = [
        ("quota = 3", "quota = \"three\"", "quota"),
        ("quota = 3", "quotum = 3", "quotum"),
        ("\"snapshots:*\"", "\"snapshots:fly\"", "`fly`"),
        ("customer = \"ben\"", "customer = \"bert\"", "bert"),
        ("cores = 2", "cores = 0", "cores"),
        ("vmid = 101", "vmid = 100", "100"),
        ("https://", "http://", "endpoints"),
        ("overview.wasm", "nowhere.wasm", "nowhere.wasm"),
        ("192.0.2.10/24", "192.0.2.10/244", "ipv4"),
        ("[[cluster]]", "[[cluster]", ""),
        (
            "id = \"11111111-1111-4111-8111-000000000104\"",
            "idd = \"x\"",
            "idd",
        ),
    ];
    for (from, to, named) in cases {
        // A good change stands beside the bad one: it must not come either.
        let text = good
            .replacen("title = \"Pro\"", "title = \"Professional\"", 1)
            .replace(from, to);
        std::fs::write(world.provider(), text).unwrap();
        let file = world.provider().display().to_string();
        let printed = world.command(&["apply", &file, "--yes"]).await.unwrap();
        assert_eq!(printed.exit, Exit::Refused, "{to}: {}", printed.talk);
        assert!(
            printed.talk.starts_with("error: ") && printed.talk.contains(named),
            "{to}: {}",
            printed.talk
        );
    }
    let after = world.command(&["service", "list", "--json"]).await.unwrap();
    assert_eq!(before, after);
    let page = browser.get(&at(100, "overview")).await.unwrap();
    assert!(
        page.status == 200 && page.says("Pro") && !page.says("Professional"),
        "{}",
        page.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_no_longer_in_the_file_is_kept_until_that_is_allowed() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("ben@example.com").await.unwrap();
    let text = std::fs::read_to_string(world.provider()).unwrap();
    let at_last = text.rfind("[[service]]").unwrap();
    std::fs::write(world.provider(), &text[..at_last]).unwrap();
    let file = world.provider().display().to_string();
    let refused = world.command(&["apply", &file, "--yes"]).await.unwrap();
    assert_eq!(refused.exit, Exit::Refused, "{}", refused.talk);
    assert_eq!(browser.get(&at(106, "overview")).await.unwrap().status, 200);
    let done = world
        .command(&["apply", &file, "--yes", "--allow-remove-services"])
        .await
        .unwrap();
    assert_eq!(done.exit, Exit::Done, "{}", done.talk);
    assert_eq!(browser.get(&at(106, "overview")).await.unwrap().status, 404);
    assert!(world.pve().vm(106).is_some(), "the VM is left alone");
}
