//! `kill -9` at random moments during a stream of snapshot jobs.
//!
//! Customers press buttons on several services at once while the panel's process is killed and started again, over and
//! over, a random while after one of their requests was sent: in the middle of the request, before or after a step was
//! stored, while Proxmox is asked, while its answer is on the way, while a task runs. The simulator lives on and counts.
//! At the end:
//!
//! - every job that was acknowledged (303) is in the activity log, and every job has exactly one end, a good one;
//! - nothing is left in the store: no unfinished job, no held service;
//! - each kind of operation happened in Proxmox exactly as often as jobs say that they did it, and as often as tasks of
//!   its type were begun: nothing was done twice, nothing was lost;
//! - no snapshot was made or removed twice, and the VMs have the snapshots that follow from all of that.
//!
//! `PORTICO_KILLS` sets how many times it is killed, `PORTICO_KILL_SEED` the seed of all choices.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use portico_host::cli::Exit;
use portico_host::jobs::Jobs;
use portico_host::store::{SharedStore, SledOptions, SledStore};
use portico_tests::customer::Line;
use portico_tests::wait::until_within;
use portico_tests::world::{at, service};
use portico_tests::{Browser, Setup, World};
use pve_sim::{Control, Effect, Scenario};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The VMs: half of them run, so that a rollback also starts them.
const VMS: [u32; 8] = [200, 201, 202, 203, 210, 211, 212, 213];
/// How long after a request the kill comes, milliseconds.
const MOMENTS: std::ops::Range<u64> = 5..400;
/// Snapshots a worker lets a VM have.
const MOST: usize = 4;
/// Names of snapshots have whole seconds: that long after the last job of a VM the next name is another one than that of
/// a snapshot which was removed meanwhile.
const NEXT_NAME: Duration = Duration::from_millis(1_100);

fn setup() -> Setup {
    let mut scenario = Scenario::DEMO.to_owned();
    for (first, status) in [(200, "running"), (210, "stopped")] {
        write!(
            scenario,
            "\n[[fleet]]\nfirst_vmid = {first}\ncount = 4\nname_prefix = \"kill{first}-\"\nstorage = \"local-lvm\"\nstatus = \"{status}\"\n"
        )
        .unwrap();
    }
    let base = Setup::default();
    let mut provider = base.provider.clone();
    provider.push_str(
        r#"
[[product]]
id = "many"
title = "Many"
permissions = ["overview:*", "snapshots:*"]
[product.plan]
cores = 1
memory_mib = 2048
system_disk = { size_gib = 32 }
[product.settings.snapshots]
quota = 50
"#,
    );
    for vmid in VMS {
        write!(
            provider,
            "\n[[service]]\nid = \"{}\"\ncustomer = \"anna\"\nproduct = \"many\"\ncluster = \"sim\"\nvmid = {vmid}\nhostname = \"vm{vmid}.example.net\"\n",
            service(vmid)
        )
        .unwrap();
    }
    Setup {
        time_scale: 20.0,
        scenario: Scenario::from_toml(&scenario).unwrap(),
        provider,
        retries: 20,
        ..base
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` is not a number"))
    })
}

/// What all workers share.
struct Stream {
    browser: Browser,
    pve: Control,
    /// Rung when a request is sent.
    sent: Notify,
    over: AtomicBool,
    acknowledged: AtomicU32,
    unknown: AtomicU32,
}

/// What one worker knows at the end, by kind of job.
#[derive(Debug, Default)]
struct Sent {
    /// Answered with 303.
    acknowledged: BTreeMap<&'static str, u32>,
    /// Sent, and the connection broke before an answer.
    unknown: BTreeMap<&'static str, u32>,
}

/// Presses random buttons of one service until the stream is over.
async fn press(stream: Arc<Stream>, vmid: u32, mut random: StdRng) -> Sent {
    let mut sent = Sent::default();
    while !stream.over.load(Ordering::Relaxed) {
        if !is_idle(&stream.browser, vmid).await {
            tokio::time::sleep(Duration::from_millis(150)).await;
            continue;
        }
        let names: Vec<String> = stream.pve.vm(vmid).unwrap().snapshots.into_keys().collect();
        let choice = random.random_range(0..3_u32);
        let (kind, action, name) = if names.is_empty() || (choice == 0 && names.len() < MOST) {
            tokio::time::sleep(NEXT_NAME).await;
            ("take", "create", String::new())
        } else {
            let name = names[random.random_range(0..names.len())].clone();
            if choice == 1 {
                ("rollback", "rollback", name)
            } else {
                ("remove", "remove", name)
            }
        };
        let path = at(vmid, &format!("snapshots/{action}"));
        let form = [("name", name.as_str()), ("description", "random")];
        stream.sent.notify_waiters();
        match stream.browser.post(&path, &form).await {
            Ok(page) if page.status == 303 => {
                *sent.acknowledged.entry(kind).or_default() += 1;
                stream.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // Its job of before the kill still runs.
            Ok(page) => assert!(
                [423, 502, 503].contains(&page.status),
                "{path}: {} {}",
                page.status,
                page.text()
            ),
            Err(_) => {
                *sent.unknown.entry(kind).or_default() += 1;
                stream.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    sent
}

/// Whether the panel answers and no job of the service is under way.
async fn is_idle(browser: &Browser, vmid: u32) -> bool {
    match browser.fragment(&at(vmid, "-/live?plugin=overview")).await {
        Ok(page) => page.status == 200 && !page.body.contains("data-portico-fast"),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_no_job_is_lost_and_nothing_is_done_twice() {
    let kills = number("PORTICO_KILLS", 40);
    let seed = number("PORTICO_KILL_SEED", 2_026);
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::program(setup()).await.unwrap();
    let stream = Arc::new(Stream {
        browser: world.signed_in("anna@example.com").await.unwrap(),
        pve: world.pve(),
        sent: Notify::new(),
        over: AtomicBool::new(false),
        acknowledged: AtomicU32::new(0),
        unknown: AtomicU32::new(0),
    });
    let begun = Instant::now();
    let workers: Vec<_> = VMS
        .into_iter()
        .map(|vmid| {
            tokio::spawn(press(
                Arc::clone(&stream),
                vmid,
                StdRng::seed_from_u64(seed ^ u64::from(vmid)),
            ))
        })
        .collect();
    for _ in 0..kills {
        // When all services are at work, nothing is sent: the kill then comes while tasks run.
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.sent.notified()).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(MOMENTS))).await;
        world.kill().await.unwrap();
        world.restart().await.unwrap();
    }
    stream.over.store(true, Ordering::Relaxed);
    let mut sent = BTreeMap::new();
    for (vmid, worker) in VMS.into_iter().zip(workers) {
        sent.insert(vmid, worker.await.unwrap());
    }
    for vmid in VMS {
        until_within(Duration::from_secs(120), "every job has ended", async || {
            Ok(is_idle(&stream.browser, vmid).await.then_some(()))
        })
        .await
        .unwrap();
    }
    eprintln!(
        "killed {kills} times in {} s (seed {seed}); {} jobs acknowledged, {} requests without an answer",
        begun.elapsed().as_secs(),
        stream.acknowledged.load(Ordering::Relaxed),
        stream.unknown.load(Ordering::Relaxed),
    );
    let mut total = 0;
    for vmid in VMS {
        let lines = stream.browser.activity(vmid).await.unwrap();
        total += check(&stream.pve, vmid, &sent[&vmid], &lines);
    }
    eprintln!("{total} operations in Proxmox, each once");
    assert!(total > 0, "nothing was done");
    nothing_is_left(world).await;
}

/// Compares what was asked, what the panel says, and what the cluster did.
fn check(pve: &Control, vmid: u32, sent: &Sent, lines: &[Line]) -> u64 {
    let mut total = 0;
    let kinds = [
        (
            "take",
            "The snapshot was taken.",
            Effect::SnapshotCreated,
            "qmsnapshot",
        ),
        (
            "rollback",
            "The VM is back at the snapshot.",
            Effect::SnapshotRolledBack,
            "qmrollback",
        ),
        (
            "remove",
            "The snapshot was removed.",
            Effect::SnapshotRemoved,
            "qmdelsnapshot",
        ),
    ];
    for (kind, text, effect, task) in kinds {
        let of = |outcome: &str| {
            let what = format!("Snapshots: {kind} ");
            lines
                .iter()
                .filter(move |line| line.what.starts_with(&what) && line.outcome == outcome)
                .count()
        };
        let (requested, done, failed) = (of("Requested"), of("Done"), of("Failed"));
        let wrong: Vec<_> = lines.iter().filter(|line| line.outcome == "Failed").collect();
        assert_eq!(failed, 0, "VM {vmid}: {kind} failed: {wrong:?}");
        assert_eq!(
            requested, done,
            "VM {vmid}: {kind}: a job without an end, or with two"
        );
        let acknowledged = usize::try_from(sent.acknowledged.get(kind).copied().unwrap_or(0)).unwrap();
        let unknown = usize::try_from(sent.unknown.get(kind).copied().unwrap_or(0)).unwrap();
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&requested),
            "VM {vmid}: {kind}: {acknowledged} acknowledged, {unknown} unknown, {requested} in the log"
        );
        let did = lines
            .iter()
            .filter(|line| line.what == format!("Snapshots: {kind} {text}"))
            .count() as u64;
        assert_eq!(
            pve.effect_count(effect, vmid, None),
            did,
            "VM {vmid}: {kind}: effects and jobs differ"
        );
        let begun = pve.effect_count(Effect::TaskStarted, vmid, Some(task));
        assert_eq!(begun, did, "VM {vmid}: {task}: tasks and jobs differ");
        total += did;
        if kind == "rollback" {
            let started = if vmid < 210 { did } else { 0 };
            assert_eq!(
                pve.effect_count(Effect::TaskStarted, vmid, Some("qmstart")),
                started,
                "VM {vmid}: starts"
            );
        }
    }
    let counted = pve.effects();
    let of_vm = counted.iter().filter(|entry| entry.vmid == vmid);
    for entry in
        of_vm.filter(|entry| matches!(entry.effect, Effect::SnapshotCreated | Effect::SnapshotRemoved))
    {
        assert_eq!(entry.count, 1, "VM {vmid}: {entry:?}");
    }
    let left = pve.effect_count(Effect::SnapshotCreated, vmid, None)
        - pve.effect_count(Effect::SnapshotRemoved, vmid, None);
    let vm = pve.vm(vmid).unwrap();
    assert_eq!(vm.snapshots.len() as u64, left, "VM {vmid}");
    assert_eq!(vm.lock, None, "VM {vmid}");
    total
}

/// Ends the panel and looks into its store.
async fn nothing_is_left(world: World) {
    let listed = world.command(&["service", "list"]).await.unwrap();
    assert_eq!(listed.exit, Exit::Done, "{}", listed.talk);
    let folder = world.stop_panel().await.unwrap();
    let options = SledOptions::new(folder.path().join("state/db"));
    let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
    let jobs = Jobs::new(store, Arc::new(portico_host::clock::SystemClock));
    for vmid in VMS {
        let id = service(vmid).parse().unwrap();
        assert_eq!(jobs.hold(id).await.unwrap(), None, "VM {vmid} is held");
        let unfinished: Vec<_> = jobs
            .of_service(id)
            .await
            .unwrap()
            .into_iter()
            .filter(|job| !job.phase.is_over())
            .collect();
        assert!(unfinished.is_empty(), "VM {vmid}: {unfinished:?}");
    }
}
