//! The plugins of this repository as they are built, in the real runtime: they install, ask for what they use and nothing
//! else, render through the markup policy, and work from the first click to the last step of a job.
//!
//! Needs `cargo xtask build` before.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portico_runtime::{CallReport, Observer, RuntimeConfig};
use portico_sdk::Error;
use portico_sdk::jobs::Phase;
use portico_sdk::snapshots::{self, Snapshot};
use portico_sdk::testing::Ending;
use portico_sdk::vm::State;
use portico_testkit::Kit;
use serde_json::json;

fn file(id: &str) -> PathBuf {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |path| workspace.join(path));
    target.join(format!("plugins/{id}.wasm"))
}

#[expect(
    clippy::panic,
    reason = "a helper of the tests: what cannot be loaded ends the test"
)]
fn load(id: &str) -> Kit {
    let mut kit = Kit::load(file(id)).unwrap_or_else(|error| {
        panic!(
            "{error} ({:?}): is it built? `cargo xtask build`",
            std::error::Error::source(&error)
        )
    });
    kit.crash_every_step();
    kit
}

fn imports(kit: &Kit) -> Vec<String> {
    let mut names: Vec<_> = kit
        .subject()
        .plugin()
        .imports()
        .iter()
        .map(|import| import.interface.clone())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn each_plugin_imports_only_what_it_uses() {
    assert_eq!(imports(&load("overview")), ["jobs", "log", "power", "vm"]);
    let snapshots = ["jobs", "log", "power", "provision", "snapshots", "storage", "vm"];
    assert_eq!(imports(&load("snapshots")), snapshots);
}

#[test]
fn the_overview_shows_the_vm_and_its_network() {
    let mut kit = load("overview");
    let html = kit.html("");
    for text in [
        "Running",
        "0 days 00:02:05",
        "System disk",
        "BC:24:11:AA:BB:CC",
        "255.255.255.0",
        "2001:db8::10",
    ] {
        assert!(html.contains(text), "{text} is missing in {html}");
    }
    assert!(kit.html("live").contains("Running"));
}

#[test]
fn the_overview_shuts_down_and_offers_force_when_the_guest_ignores_it() {
    let mut kit = load("overview");
    kit.host
        .end_next("power.shutdown", Ending::failure("timeout", ""));
    kit.post("stop", &[]).unwrap();
    kit.run();
    assert!(kit.html("").contains("Force stop"));
    kit.post("force-stop", &[]).unwrap();
    kit.run();
    assert_eq!(kit.host.vm.status.state, State::Stopped);
    assert!(!kit.html("").contains("Force stop"));
}

#[test]
fn a_snapshot_goes_its_whole_way() {
    let mut kit = load("snapshots");
    kit.settings(&json!({ "quota": 2, "lifetime": "1d" }));
    assert!(kit.html("").contains("No snapshots yet"));
    kit.post("create", &[("description", "Before <b>the</b> upgrade")])
        .unwrap();
    kit.run();
    let html = kit.html("");
    assert!(html.contains("Before &lt;b&gt;the&lt;"), "{html}");
    assert!(html.contains("1/2"));

    let name = kit.host.snapshots[0].name.clone();
    kit.post("rollback", &[("name", &name)]).unwrap();
    kit.run();
    assert_eq!(
        kit.job("rollback").phase,
        Phase::Done,
        "{:?}",
        kit.job("rollback")
    );
    assert_eq!(kit.host.vm.status.state, State::Running);

    kit.pass(86_400);
    kit.run();
    assert!(kit.host.snapshots.is_empty());
    assert_eq!(kit.job("expire").phase, Phase::Done);
}

#[test]
fn a_schedule_rotates() {
    let mut kit = load("snapshots");
    kit.settings(&json!({ "quota": 1 }));
    kit.post("schedule", &[("on-monday", "1"), ("at-monday", "03:00")])
        .unwrap();
    for _ in 0..3 {
        kit.pass(7 * 86_400);
        kit.host.fire("schedule");
        kit.run();
        assert_eq!(kit.host.snapshots.len(), 1);
    }
    assert!(kit.html("").contains("Weekly schedule"));
}

#[test]
fn what_the_product_does_not_grant_is_denied() {
    let mut kit = load("snapshots");
    kit.permit(&[]);
    assert!(matches!(kit.get(""), Err(Error::Denied(_))));
    let mut kit = load("overview");
    kit.permit(&["start"]);
    assert!(matches!(kit.post("reset", &[]), Err(Error::Denied(_))));
}

#[test]
fn a_host_that_does_not_answer_is_told_to_the_panel() {
    for id in ["overview", "snapshots"] {
        let mut kit = load(id);
        kit.settings(&json!(if id == "overview" {
            json!({})
        } else {
            json!({ "quota": 1 })
        }));
        kit.host.fail("vm.status", Error::Unavailable);
        assert_eq!(kit.get(""), Err(Error::Unavailable));
    }
}

/// The most linear memory that any call had, bytes.
#[derive(Default)]
struct Peak(AtomicUsize);

impl Observer for Peak {
    fn observe(&self, report: &CallReport<'_>) {
        self.0.fetch_max(report.peak_memory, Ordering::Relaxed);
    }
}

#[test]
fn the_largest_page_never_grows_the_memory_it_starts_with() {
    // What `cargo xtask build` gives every guest.
    const START: usize = 2 << 20;
    let peak = Arc::new(Peak::default());
    let config = RuntimeConfig {
        icons: portico_testkit::icons(),
        observer: peak.clone(),
        ..RuntimeConfig::default()
    };
    let mut kit = Kit::install(std::fs::read(file("snapshots")).unwrap(), config).unwrap();
    kit.settings(&json!({ "quota": 100, "lifetime": "1d" }));
    kit.host.snapshots = (0..100)
        .map(|number| Snapshot {
            name: format!("p20261124T{number:06}"),
            description: "x".repeat(200),
            time: kit.host.now,
            with_memory: true,
            parent: Some(format!("p20261124T{:06}", number - 1)),
            phase: snapshots::Phase::Ready,
            current: false,
        })
        .collect();
    assert!(kit.html("").contains("100/100"));
    assert_eq!(peak.0.load(Ordering::Relaxed), START);
}
