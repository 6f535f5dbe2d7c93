//! The load of many viewers on Proxmox.
//!
//! A viewer has the overview open: every 7 s it asks for the head of the page and for the plugin's part, as the page's
//! script does. A thousand of them for 60 s must cost Proxmox no more than twice what one costs.
//!
//! By default everything is a tenth, for one viewer as for many: a hundred viewers that ask every 0.7 s, for 6 s, of a
//! panel that lets a state be a tenth as old. The panel then has as many requests a second as in the whole. With
//! `PORTICO_VIEWERS=full` nothing is shortened.

use std::time::Duration;

use portico_tests::world::at;
use portico_tests::{Browser, Setup, World};
use tokio::time::Instant;

struct Size {
    viewers: u32,
    every: Duration,
    length: Duration,
    status_ms: u32,
    hardware_ms: u32,
}

impl Size {
    fn of_environment() -> Self {
        if std::env::var("PORTICO_VIEWERS").is_ok_and(|size| size == "full") {
            let (every, length) = (Duration::from_secs(7), Duration::from_secs(60));
            Self {
                viewers: 1_000,
                every,
                length,
                status_ms: 5_000,
                hardware_ms: 30_000,
            }
        } else {
            let (every, length) = (Duration::from_millis(700), Duration::from_secs(6));
            Self {
                viewers: 100,
                every,
                length,
                status_ms: 500,
                hardware_ms: 3_000,
            }
        }
    }
}

/// What a run has cost and given.
#[derive(Debug)]
struct Cost {
    /// Requests to Proxmox.
    proxmox: u64,
    /// Answers with 200.
    seen: u64,
    /// Other answers, and none.
    refused: u64,
}

/// Lets that many look for a while, spread over the interval.
async fn look(world: &World, browser: &Browser, size: &Size, viewers: u32) -> Cost {
    world.pve().reset_counters();
    let begin = Instant::now();
    let tasks: Vec<_> = (0..viewers)
        .map(|number| {
            let browser = browser.clone();
            let (every, end) = (size.every, begin + size.length);
            let first = begin + every * number / viewers;
            tokio::spawn(async move {
                let (mut seen, mut refused) = (0, 0);
                let mut next = first;
                while next < end {
                    tokio::time::sleep_until(next).await;
                    for path in ["-/live?plugin=overview", "overview/live"] {
                        match browser.fragment(&at(100, path)).await {
                            Ok(page) if page.status == 200 => seen += 1,
                            _ => refused += 1,
                        }
                    }
                    // A page whose answer is late asks again after the interval, and not twice.
                    next = (next + every).max(Instant::now());
                }
                (seen, refused)
            })
        })
        .collect();
    let mut cost = Cost {
        proxmox: 0,
        seen: 0,
        refused: 0,
    };
    for task in tasks {
        let (seen, refused) = task.await.unwrap();
        cost.seen += seen;
        cost.refused += refused;
    }
    cost.proxmox = world.pve().request_count();
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn many_viewers_cost_proxmox_no_more_than_twice_what_one_costs() {
    let size = Size::of_environment();
    let setup = Setup {
        time_scale: 1.0,
        status_ms: size.status_ms,
        hardware_ms: size.hardware_ms,
        ..Setup::default()
    };
    let world = World::inside(setup).await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    assert_eq!(browser.get(&at(100, "overview")).await.unwrap().status, 200);
    let one = look(&world, &browser, &size, 1).await;
    let many = look(&world, &browser, &size, size.viewers).await;
    eprintln!("one viewer: {one:?}; {} viewers: {many:?}", size.viewers);
    for endpoint in world.pve().requests() {
        eprintln!("{} {} {}", endpoint.count, endpoint.method, endpoint.path);
    }
    assert!(one.proxmox > 0 && one.refused == 0, "{one:?}");
    assert!(many.seen > 50 * one.seen.min(10), "{many:?}");
    assert!(many.proxmox <= 2 * one.proxmox, "one: {one:?}, many: {many:?}");
}
