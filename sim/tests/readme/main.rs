//! Proves that what `sim/README.md` shows works: every block of code in it is run as it stands there.
//!
//! `markdown` takes the document apart, `blocks` knows who runs which block and fails on one that nobody runs,
//! `clients` runs what a reader types first, `ctl` the commands that make things go wrong, `control` the calls of the
//! control API, `scenario` the scenario file and the demo's tables. The Rust block is a doctest of the library, the
//! Python block a step of `sim/tests/proxmoxer`.

#![cfg(unix)]

mod blocks;
mod clients;
mod control;
mod ctl;
#[path = "../api/lab.rs"]
#[expect(dead_code, reason = "the tests of the API use more of it")]
mod lab;
mod markdown;
mod scenario;
mod shell;
