//! Hostile plugins against a whole panel.
//!
//! Each folder here is a probe: a plugin that tries to harm, and what must come of it.
//!
//! - `README.md` says what it proves.
//! - The plugin is a `guest.rs` (compiled by `cargo xtask build --guest-dir tests/hostile/guests`), a `component.wat`, a
//!   file named in `expected.toml`, or a page: `page.html` with the few words of WebAssembly that [`assemble`] puts
//!   around it.
//! - `expected.toml` says whether it installs, what is asked of it, what the customer sees, what the provider's figures
//!   and log say.
//!
//! [`stage`] starts simulator and panel in this process, on real sockets, and signs customers in; [`probe`] reads the
//! folders; [`run`] does what they ask and compares; [`residue`] looks for bytes that one guest left to the next. While a
//! probe works, another customer's overview is asked for all the time and must come within its usual time.
//!
//! To add a probe, add a folder; a `guest.rs` also needs its lines in `guests/Cargo.toml`. Deliberately not here: what a
//! limit's error looks like inside the runtime, which `runtime/tests` proves without a panel.

mod assemble;
mod probe;
mod residue;
mod run;
mod stage;

use stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_probe_ends_as_its_folder_says() {
    let probes = probe::all();
    let (installed, refused): (Vec<_>, Vec<_>) =
        probes.iter().partition(|probe| probe.expected.install.is_none());
    let stage = Stage::start(&installed, stage::Size::Usual).await;
    let mut failures = Vec::new();
    for probe in refused {
        failures.extend(run::refused(&stage, probe).await);
    }
    let usual = run::Usual::measure(&stage).await;
    for probe in installed {
        failures.extend(run::probe(&stage, probe, &usual).await);
    }
    stage.end().await;
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_of_a_guest_is_seen_by_the_next_one_in_its_slot() {
    for fast_reset in [false, true] {
        residue::nothing_is_left(fast_reset).await;
    }
}
