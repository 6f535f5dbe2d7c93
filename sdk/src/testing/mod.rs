//! The host, played in memory, for a plugin's own tests.
//!
//! A plugin's tests are ordinary `#[test]` functions, compiled natively. [`Bench`] calls the feature as the panel would;
//! [`Host`] is what the capability modules talk to meanwhile: a VM, its snapshots, a store, jobs, mails and a log, all of
//! them plain values that a test sets and reads.
//!
//! ```
//! # use portico_sdk::prelude::*;
//! # struct Hello;
//! # #[derive(serde::Serialize)] struct Page { running: bool }
//! # impl Template for Page {
//! #     const NAME: &'static str = "page.html"; const SOURCE: &'static str = "";
//! #     fn samples() -> Vec<Self> { vec![] }
//! # }
//! # impl Feature for Hello {
//! #     fn describe() -> Description {
//! #         Description::new("hello", "1.0.0", "Hello").permission("use", "Use", &["vm.read"])
//! #     }
//! #     fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
//! #         Response::page(&Page { running: vm::status()?.state == vm::State::Running })
//! #     }
//! # }
//! use portico_sdk::testing::Bench;
//!
//! let mut bench = Bench::<Hello>::new();
//! bench.host.vm.status.state = vm::State::Stopped;
//! assert_eq!(bench.data("")["running"], false);
//! bench.host.fail("vm.status", Error::Unavailable);
//! assert_eq!(bench.get(""), Err(Error::Unavailable));
//! ```
//!
//! The host here keeps the rules that a plugin can break: scopes (those that the granted permissions declare, no others),
//! work on the VM only in a step of an exclusive job, one exclusive job at a time, no change in a GET. With
//! [`Stand::crash_every_step`] every step of a job runs twice, as after a crash.
//!
//! It does not check templates, schemas, limits or imports: those belong to the real runtime, which `portico-testkit`
//! runs the built component in.
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test helpers: what is wrong in a test ends the test, everywhere here"
)]

mod bench;
mod host;
mod jobs;
pub mod played;
mod store;
mod tasks;

use std::cell::RefCell;

pub use bench::{Bench, Native, Stand, Subject};
pub use host::{Host, Http, Line, Mail, Vm};
pub use store::Store;
pub use tasks::{Ending, Work};

use crate::{Context, ServiceView};

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Runs something with a host to call, and gives the host back.
pub fn with<T>(host: Host, what: impl FnOnce() -> T) -> (Host, T) {
    let before = HOST.replace(Some(host));
    let result = what();
    let host = HOST.replace(before).unwrap_or_default();
    (host, result)
}

/// A context of a service with two addresses, without permissions and settings.
pub fn context() -> Context {
    Context {
        service: ServiceView {
            id: "srv-1".into(),
            hostname: "web-1.example.com".into(),
            product: "Pro".into(),
            addresses: host::addresses(),
        },
        permissions: Vec::new(),
        scopes: Vec::new(),
        settings: "{}".into(),
        locale: "en".into(),
        time_zone: "Etc/UTC".into(),
        now: host::NOW,
        request_id: "test".into(),
    }
}

/// Refuses a parameter as the host does.
pub(crate) fn check(field: &str, holds: bool, allowed: &str) -> Result<(), crate::Error> {
    if holds {
        Ok(())
    } else {
        Err(crate::Error::invalid(field, format!("allowed is {allowed}")))
    }
}
