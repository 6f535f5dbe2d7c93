//! Proves what is told of VMs: memory with and without a balloon, figures that grow old, and what QEMU says of itself.

use pve_sim::{Action, Major, Options, QmpStatus};

use crate::lab::{AUDITOR, Lab, number};

const WINDOWS: &str = "/nodes/pve2/qemu/104/status/current";
const GIB: u64 = 1 << 30;

#[tokio::test]
async fn without_a_balloon_9_counts_what_the_host_gives_and_that_may_be_more_than_there_is() {
    let lab = Lab::new().await;
    let current = lab.get(WINDOWS).await.data();
    let listed = lab.list("/nodes/pve2/qemu").await;
    let listed = listed.iter().find(|vm| vm["vmid"] == 104).unwrap();
    for told in [&current, listed, &lab.resource(104).await] {
        assert_eq!(told["mem"], told["memhost"], "{told}");
        assert_eq!(number(told, "maxmem"), 8 * GIB);
        assert!(number(told, "mem") > 8 * GIB, "{told}");
    }
    assert!(current.get("freemem").is_none() && current.get("ballooninfo").is_none());
    let series = "/nodes/pve2/qemu/104/rrddata?timeframe=hour";
    let rows = lab.list(series).await;
    let row = rows.iter().rev().find(|row| row.get("mem").is_some()).unwrap();
    assert_eq!(row["mem"], row["memhost"]);
    assert!(row["mem"].as_f64() > row["maxmem"].as_f64(), "{row}");
}

#[tokio::test]
async fn without_a_balloon_8_counts_a_fraction_of_the_memory() {
    let lab = Lab::of(Major::V8).await;
    let told = lab.get(WINDOWS).await.data();
    assert!(told.get("memhost").is_none());
    assert!((4 * GIB..8 * GIB).contains(&number(&told, "mem")), "{told}");
}

#[tokio::test]
async fn a_balloon_tells_what_the_guest_uses_to_who_asks_it() {
    let lab = Lab::new().await;
    let current = lab.get("/nodes/pve1/qemu/100/status/current").await.data();
    let (mem, free) = (number(&current, "mem"), number(&current, "freemem"));
    assert_eq!(mem + free, number(&current, "maxmem"));
    assert!(number(&current, "memhost") > mem);
    // A list without details asks no QEMU.
    let listed = lab.list("/nodes/pve1/qemu").await;
    let listed = listed.iter().find(|vm| vm["vmid"] == 100).unwrap();
    assert_eq!(listed["mem"], listed["memhost"]);
    assert!(listed.get("diskread").is_none(), "{listed}");
    let full = lab.list("/nodes/pve1/qemu?full=1").await;
    let full = full.iter().find(|vm| vm["vmid"] == 100).unwrap();
    assert!(number(full, "mem") < number(full, "memhost") && number(full, "diskread") > 0);
}

#[tokio::test]
async fn the_balloon_and_the_display_are_told_with_the_status() {
    let lab = Lab::new().await;
    let status = "/nodes/pve1/qemu/102/status/current";
    let before = lab.get(status).await.data();
    for key in ["balloon_min", "shares", "spice", "clipboard"] {
        assert!(before.get(key).is_none(), "{key} in {before}");
    }
    let form = [("balloon", "512"), ("vga", "qxl,clipboard=vnc")];
    assert_eq!(lab.put("/nodes/pve1/qemu/102/config", &form).await.status, 200);
    let told = lab.get(status).await.data();
    assert_eq!(
        (&told["balloon_min"], &told["shares"]),
        (&(512_u64 << 20).into(), &1000.into())
    );
    assert_eq!((&told["spice"], &told["clipboard"]), (&1.into(), &"vnc".into()));
}

#[tokio::test]
async fn the_use_of_processors_is_not_known_at_the_first_look() {
    let lab = Lab::with(Options {
        time_scale: 1000.0,
        ..Options::default()
    })
    .await;
    lab.act(Action::SetRunning {
        vmid: 102,
        running: true,
    });
    let told = lab.get("/nodes/pve1/qemu/102/status/current").await.data();
    assert_eq!((&told["status"], &told["cpu"]), (&"running".into(), &0.0.into()));
    let long = lab.get("/nodes/pve1/qemu/100/status/current").await.data();
    assert!(long["cpu"].as_f64() > Some(0.0));
}

#[tokio::test]
async fn the_vms_of_a_lost_node_keep_their_last_figures_for_five_minutes() {
    let mut lab = Lab::with(Options {
        // Five minutes are two seconds.
        time_scale: 150.0,
        ..Options::default()
    })
    .await;
    lab.use_token(AUDITOR);
    lab.act(Action::SetNodeOnline {
        node: "pve2".into(),
        online: false,
        stale: true,
    });
    let before = lab.resource(104).await;
    assert_eq!(
        (&before["status"], &before["name"]),
        (&"running".into(), &"windows".into())
    );
    let nodes = lab.list("/cluster/resources?type=node").await;
    assert_eq!(nodes[1]["status"], "offline");
    let later = loop {
        let later = lab.resource(104).await;
        if later["status"] != "running" {
            break later;
        }
        assert_eq!(later, before, "old numbers, all of them");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(later["status"], "unknown");
    for key in ["name", "maxcpu", "maxmem", "mem", "template"] {
        assert!(later.get(key).is_none(), "{key} in {later}");
    }
}

#[tokio::test]
async fn a_new_name_is_listed_when_the_node_tells_its_figures_again() {
    let lab = Lab::with(Options {
        // Ten seconds are one.
        time_scale: 10.0,
        ..Options::default()
    })
    .await;
    let form = [("name", "renamed"), ("tags", "new")];
    assert_eq!(lab.put("/nodes/pve1/qemu/102/config", &form).await.status, 200);
    let at_once = lab.resource(102).await;
    assert_eq!(at_once["tags"], "new", "tags are read from the configuration");
    assert_eq!(at_once["name"], "staging");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while lab.resource(102).await["name"] != "renamed" {
        assert!(std::time::Instant::now() < deadline, "the new name never came");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_qemu_says_of_itself_is_set_until_it_ends() {
    let lab = Lab::new().await;
    let current = "/nodes/pve1/qemu/100/status/current";
    let set = |vmid, status| lab.control().act(Action::SetQmpStatus { vmid, status });
    set(100, Some(QmpStatus::IoError)).unwrap();
    let told = lab.get(current).await.data();
    assert_eq!(
        (&told["status"], &told["qmpstatus"]),
        (&"running".into(), &"io-error".into())
    );
    lab.until("the node tells it", |control| {
        control.vm(100).unwrap().status == "io-error"
    })
    .await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while lab.resource(100).await["status"] != "io-error" {
        assert!(std::time::Instant::now() < deadline, "never listed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    set(100, None).unwrap();
    assert_eq!(lab.get(current).await.data()["qmpstatus"], "running");
    set(100, Some(QmpStatus::Shutdown)).unwrap();
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await, "OK");
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/start", &[]).await, "OK");
    assert_eq!(lab.get(current).await.data()["qmpstatus"], "running");
    assert!(
        set(102, Some(QmpStatus::IoError)).is_err(),
        "only what runs says anything"
    );
}
