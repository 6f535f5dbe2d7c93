//! How often somebody may ask, and what he is told.

use portico_tests::setup::PASSWORD;
use portico_tests::world::at;
use portico_tests::{Page, Setup, World};

/// A panel with limits that a test reaches.
async fn world(requests: &'static str) -> World {
    World::inside(Setup {
        requests,
        ..Setup::default()
    })
    .await
    .unwrap()
}

/// The number behind `r=` of a `RateLimit` field.
fn left(page: &Page) -> u32 {
    let field = page.header("ratelimit").unwrap();
    let (_, rest) = field.split_once(";r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

/// Checks a refusal, and tells for how many seconds.
fn refused(page: &Page, policy: &str) -> u64 {
    assert_eq!(page.status, 429, "{}", page.text());
    let seconds: u64 = page.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(
        page.header("ratelimit"),
        Some(format!("\"{policy}\";r=0;t={seconds}").as_str())
    );
    assert!(page.says("Too many requests"), "{}", page.text());
    assert!(
        page.says(&format!("Please try again in {seconds} second")),
        "{}",
        page.text()
    );
    assert!(page.header("content-security-policy").is_some());
    seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_what_is_left_and_who_asks_too_often_is_refused_calmly_and_alone() {
    let world = world("pages_per_minute = 120").await;
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let ben = world.signed_in("ben@example.com").await.unwrap();
    let first = anna.get(&at(100, "overview")).await.unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(
        first.header("ratelimit-policy"),
        Some("\"pages\";q=120;w=60"),
        "{:?}",
        first.headers
    );
    let second = anna.get("/services").await.unwrap();
    assert!(left(&second) < left(&first) || left(&second) == 119);
    let missing = anna.get("/nowhere").await.unwrap();
    assert_eq!(missing.status, 404);
    assert!(
        missing.header("ratelimit").is_some(),
        "a failure tells it as well"
    );

    let mut page = second;
    for _ in 0..2_000 {
        page = anna.get("/services").await.unwrap();
        if page.status != 200 {
            break;
        }
    }
    assert_eq!(refused(&page, "pages"), 1);
    assert!(page.body.contains("<html"), "a whole page");
    assert!(page.says("Anna Berger"), "with her name on it: {}", page.text());
    // A live part is refused in the manner of other errors, which the page's script knows.
    let mut part = anna.fragment(&at(100, "-/live?plugin=overview")).await.unwrap();
    while part.status == 200 {
        part = anna.fragment(&at(100, "-/live?plugin=overview")).await.unwrap();
    }
    refused(&part, "pages");
    assert_eq!(part.header("x-portico-fragment"), Some("error"));
    assert!(!part.body.contains("<html"), "{}", part.body);
    // Files are free, and so are other customers.
    assert_eq!(ben.get("/services").await.unwrap().status, 200);
    let css = first
        .attributes("href=\"")
        .find(|href| href.starts_with("/assets/"))
        .unwrap();
    assert_eq!(anna.get(&css).await.unwrap().status, 200);
    // Nobody is kept from signing out.
    assert_eq!(anna.post("/logout", &[]).await.unwrap().status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_have_a_limit_of_their_own_which_starts_nothing_and_leaves_the_pages() {
    let world = world("actions_per_minute = 2").await;
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let elsewhere = world.signed_in("anna@example.com").await.unwrap();
    // What is refused by the plugin counts as well, and so does another session.
    let page = anna.post(&at(102, "snapshots/create"), &[]).await.unwrap();
    assert_eq!(page.status, 403);
    assert_eq!(page.header("ratelimit-policy"), Some("\"actions\";q=2;w=60"));
    assert_eq!(left(&page), 1);
    let page = elsewhere.post(&at(102, "snapshots/create"), &[]).await.unwrap();
    assert_eq!((page.status, left(&page)), (403, 0));
    let page = anna.post(&at(100, "overview/stop"), &[]).await.unwrap();
    let seconds = refused(&page, "actions");
    assert!((20..=30).contains(&seconds), "{seconds}");
    assert!(world.pve().tasks().is_empty());
    assert_eq!(anna.get(&at(100, "overview")).await.unwrap().status, 200);
    // What another site causes is refused before it is counted.
    let page = anna
        .post_from(Some("https://evil.example"), &at(100, "overview/stop"))
        .await
        .unwrap();
    assert_eq!((page.status, page.header("ratelimit")), (403, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_profile_are_limited_tightly() {
    let world = world("account_per_ten_minutes = 2").await;
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let settings = [("time_zone", "Europe/Vienna"), ("locale", "en")];
    assert_eq!(anna.post("/profile", &settings).await.unwrap().status, 303);
    let wrong = [("current", "guess"), ("new", "x"), ("repeat", "x")];
    assert_eq!(anna.post("/profile/password", &wrong).await.unwrap().status, 422);
    let page = anna.post("/profile/password", &wrong).await.unwrap();
    let seconds = refused(&page, "account");
    assert!((200..=300).contains(&seconds), "{seconds}");
    assert_eq!(anna.get("/profile").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_is_counted_by_address_and_a_session_is_not() {
    let world = world("visitors_per_minute = 10").await;
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let stranger = world.browser().unwrap();
    stranger.set_cookie("portico_session", &"A".repeat(43));
    let mut page = stranger.get("/login").await.unwrap();
    assert_eq!(page.header("ratelimit-policy"), Some("\"visitors\";q=10;w=60"));
    for _ in 0..50 {
        if page.status == 429 {
            break;
        }
        page = stranger.get(&at(100, "overview")).await.unwrap();
    }
    refused(&page, "visitors");
    let sign_in = stranger.try_sign_in("anna@example.com", PASSWORD).await.unwrap();
    refused(&sign_in, "visitors");
    assert_eq!(anna.get(&at(100, "overview")).await.unwrap().status, 200);
}
