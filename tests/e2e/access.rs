//! Who gets in, and what of whom is seen.

use portico_tests::World;
use portico_tests::setup::PASSWORD;
use portico_tests::world::at;

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_signs_in_sees_his_services_and_signs_out() {
    let world = World::start().await.unwrap();
    let browser = world.browser().unwrap();

    let login = browser.get("/services").await.unwrap();
    assert!(login.path.starts_with("/login"), "{}", login.path);

    let services = browser.sign_in("anna@example.com").await.unwrap();
    assert_eq!((services.status, services.path.as_str()), (200, "/services"));
    for name in [
        "web1.example.net",
        "db1.example.net",
        "staging.example.net",
        "build.example.net",
    ] {
        assert!(services.link(name).is_some(), "{name}: {}", services.text());
    }
    assert!(!services.says("example.org"), "{}", services.text());
    assert!(
        services.says("Running") && services.says("Stopped") && services.says("Paused"),
        "{}",
        services.text()
    );

    let token = browser.cookies()["portico_session"].clone();
    let out = browser.post("/logout", &[]).await.unwrap();
    assert_eq!((out.status, out.location()), (303, Some("/login")));
    // The session has ended in the panel and not only in the browser.
    browser.set_cookie("portico_session", &token);
    assert!(browser.get("/services").await.unwrap().path.starts_with("/login"));
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let world = World::start().await.unwrap();
    let browser = world.browser().unwrap();
    let wrong = browser
        .try_sign_in("anna@example.com", "not-her-password")
        .await
        .unwrap();
    let unknown = browser
        .try_sign_in("nobody@example.com", "not-her-password")
        .await
        .unwrap();
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert!(wrong.says("E-mail address or password is wrong."));
    assert_eq!(wrong.text(), unknown.text());
    assert!(browser.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_is_slowed_down_for_the_account_and_not_for_others() {
    let world = World::start().await.unwrap();
    let browser = world.browser().unwrap();
    for _ in 0..10 {
        assert_eq!(
            browser
                .try_sign_in("anna@example.com", "guess")
                .await
                .unwrap()
                .status,
            401
        );
    }
    let refused = browser.try_sign_in("anna@example.com", PASSWORD).await.unwrap();
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(
        browser
            .try_sign_in("ben@example.com", PASSWORD)
            .await
            .unwrap()
            .status,
        303
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_ends_another_session_of_his() {
    let world = World::start().await.unwrap();
    let home = world.signed_in("anna@example.com").await.unwrap();
    let lost = world.signed_in("anna@example.com").await.unwrap();
    let profile = home.get("/profile").await.unwrap();
    let actions = profile.actions();
    let revoke: Vec<_> = actions
        .iter()
        .filter(|action| action.ends_with("/revoke"))
        .collect();
    assert_eq!(revoke.len(), 1, "his own has no such button: {actions:?}");
    let ben = world.signed_in("ben@example.com").await.unwrap();
    assert_eq!(ben.post(revoke[0], &[]).await.unwrap().status, 404);
    assert_eq!(lost.get("/services").await.unwrap().path, "/services");

    let done = home.submit(revoke[0], &[]).await.unwrap();
    assert!(done.says("The session has ended."), "{}", done.text());
    assert!(lost.get("/services").await.unwrap().path.starts_with("/login"));
    assert_eq!(home.get("/services").await.unwrap().path, "/services");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_makes_a_browser_send_is_refused_and_starts_nothing() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    for origin in [None, Some("https://evil.example"), Some("null")] {
        for path in [
            at(100, "overview/stop"),
            at(100, "snapshots/create"),
            "/logout".to_owned(),
            "/login".to_owned(),
        ] {
            let page = browser.post_from(origin, &path).await.unwrap();
            assert_eq!(page.status, 403, "{origin:?} {path}");
            assert!(page.says(&world.origin()), "{}", page.text());
        }
    }
    assert_eq!(browser.get("/services").await.unwrap().path, "/services");
    assert!(world.pve().tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_security_headers() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let pages = [
        browser.get("/services").await.unwrap(),
        browser.get(&at(100, "overview")).await.unwrap(),
        browser.fragment(&at(100, "overview/live")).await.unwrap(),
        browser.get("/nowhere").await.unwrap(),
        browser
            .post_from(Some("https://evil.example"), "/logout")
            .await
            .unwrap(),
        world.browser().unwrap().get("/login").await.unwrap(),
    ];
    for page in pages {
        let path = &page.path;
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"),
            "{path}: {policy}"
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(page.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(page.header("x-request-id").map(str::len), Some(12), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_customers_service_does_not_exist() {
    let world = World::start().await.unwrap();
    let ben = world.signed_in("ben@example.com").await.unwrap();
    for path in [
        "overview",
        "overview/live",
        "snapshots",
        "snapshots/live",
        "-/live?plugin=overview",
        "-/activity",
    ] {
        let page = ben.get(&at(100, path)).await.unwrap();
        assert_eq!(page.status, 404, "{path}");
        assert!(
            !page.body.contains("web1.example.net") && !page.body.contains("192.0.2.10"),
            "{path}"
        );
        assert_eq!(ben.fragment(&at(100, path)).await.unwrap().status, 404, "{path}");
    }
    for action in [
        "overview/stop",
        "snapshots/create",
        "snapshots/remove",
        "snapshots/schedule",
    ] {
        assert_eq!(
            ben.post(&at(100, action), &[("name", "before-upgrade")])
                .await
                .unwrap()
                .status,
            404,
            "{action}"
        );
    }
    // A service that exists for nobody looks the same.
    let nobodys = ben.get(&at(999, "overview")).await.unwrap();
    let annas = ben.get(&at(100, "overview")).await.unwrap();
    assert_eq!(nobodys.text(), annas.text());
    assert!(world.pve().tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_without_snapshots_refuses_page_fragment_and_action() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let overview = browser.get(&at(102, "overview")).await.unwrap();
    assert!(
        overview.body.contains("Not included in your plan"),
        "{}",
        overview.text()
    );
    assert_eq!(browser.get(&at(102, "snapshots")).await.unwrap().status, 403);
    assert_eq!(
        browser.fragment(&at(102, "snapshots/live")).await.unwrap().status,
        403
    );
    for action in ["create", "rollback", "remove", "schedule"] {
        let page = browser
            .post(&at(102, &format!("snapshots/{action}")), &[("name", "x")])
            .await
            .unwrap();
        assert_eq!(page.status, 403, "{action}");
    }
    // The permission for a reset is not among those of the product, the one for a reboot is.
    assert_eq!(
        browser
            .post(&at(102, "overview/reset"), &[])
            .await
            .unwrap()
            .status,
        403
    );
    assert!(world.pve().tasks().is_empty());
    let activity = browser.get(&at(102, "-/activity")).await.unwrap();
    assert!(
        activity.says("Snapshots: create Not included in your plan. Refused"),
        "{}",
        activity.text()
    );
}
