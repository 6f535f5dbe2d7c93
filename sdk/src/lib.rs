//! Write a feature of the Portico client area in Rust.
//!
//! A feature is one type that implements [`Feature`]: it says what it is, hands over its templates, answers requests and
//! moves jobs. [`export!`] makes a WebAssembly component of it. This is a whole one:
//!
//! ```
//! use portico_sdk::prelude::*;
//!
//! /// Greets the customer.
//! struct Hello;
//!
//! portico_sdk::export!(Hello);
//!
//! impl Feature for Hello {
//!     fn describe() -> Description {
//!         Description::new("hello", env!("CARGO_PKG_VERSION"), "Hello")
//!             .summary("Greets the customer and says what the VM does.")
//!             .menu("Hello", "info-circle", 900)
//!             .permission("use", "See the greeting", &["vm.read"])
//!     }
//!
//!     fn templates() -> Templates {
//!         Templates::new().with::<Page>()
//!     }
//!
//!     fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
//!         Router::new().get("", page).answer(cx, request)
//!     }
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Page {
//!     hostname: String,
//!     running: bool,
//! }
//!
//! impl Template for Page {
//!     const NAME: &'static str = "page.html";
//!     const SOURCE: &'static str = "<p>{{ hostname }} is {{ 'on' if running else 'off' }}.</p>";
//!
//!     fn samples() -> Vec<Self> {
//!         vec![Page { hostname: "web-1".into(), running: true }]
//!     }
//! }
//!
//! fn page(cx: &Context, _: &Request) -> Result<Response, Error> {
//!     let running = vm::status()?.state == vm::State::Running;
//!     Response::page(&Page { hostname: cx.service.hostname.clone(), running })
//! }
//! # fn main() {}
//! ```
//!
//! # The tour
//!
//! **What it is.** [`Description`] is read once, at install. Its permissions are what a provider grants product by
//! product (`hello:use`); its buttons and its menu entry are drawn by the host, dimmed with a reason where they do not
//! apply. [`Description::settings`] turns two structs into the JSON Schemas of the provider's and the product's settings;
//! [`Context::settings`] gives the merged values back, typed.
//!
//! **Pages.** A [`Router`] maps method and path to a function. A page is a struct that implements [`Template`]: the name
//! of a template, its source, and samples that the host renders at install, so that a typing error in a template is found
//! there and not by a customer. Templates are [minijinja](https://docs.rs/minijinja); `{% import "portico/ui.html" as ui %}`
//! brings the panel's own building blocks. Links, forms and live regions name paths under the plugin: `create`, `live`.
//! A [`Form`] reads what was posted and collects an error for each field.
//!
//! **Capabilities.** One module each: [`vm`], [`power`], [`snapshots`], [`provision`], [`storage`], [`mail`], [`http`],
//! [`jobs`], and the log by [`info!`] and its sisters. What a plugin calls is what its component imports, and what it
//! imports is what it asks the provider for: an unused module leaves no trace. Every call is about the service of the
//! page; no call can name another. All of them answer with [`Error`], which `?` hands to the host, which shows the right
//! page for it.
//!
//! **Jobs.** Whatever takes longer than a page, and everything that starts work on the VM, is a job: a state that serde
//! can write, and a function from the state and what happened to the next [`Step`] ([`JobKind`]). The host stores each
//! step before it acts on it. After a crash the same step runs again, so a step decides **or** acts: look at the world,
//! store the decision with [`Step::go_on`], act on it in the next step.
//!
//! **Tests.** A plugin is an ordinary crate: compiled natively, its capabilities are played by [`testing`], in memory.
//! [`testing::Bench`] sends requests, runs jobs and turns the clock. The crate `portico-testkit` does the same with the
//! built component in the real runtime.
//!
//! # How it is built
//!
//! `cargo xtask build` compiles for `wasm32-unknown-unknown` and wraps the module into a component, without WASI: no
//! clock, no random numbers, no files. `Context::now` is the time. Each call starts in a fresh instance, nothing is kept
//! in memory between calls.
//!
//! # Where things are
//!
//! `feature.rs` and `describe.rs` are what a plugin says of itself; `context.rs`, `request.rs`, `form.rs`, `router.rs`,
//! `template.rs` and `response.rs` are a request's way through it; `job.rs` is the background; one file a capability; and
//! `alloc.rs` and `panic.rs` are what every guest needs and no author sees. A new capability is a new file here, beside
//! the file of the same name in `wit/`.
#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod alloc;
#[doc(hidden)]
pub mod bindings;
mod context;
mod describe;
mod error;
mod export;
mod feature;
mod form;
mod job;
mod panic;
mod request;
mod response;
mod router;
pub mod settings;
mod template;

pub mod http;
pub mod jobs;
pub mod log;
pub mod mail;
pub mod power;
pub mod provision;
pub mod snapshots;
pub mod storage;
pub mod vm;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub use export::__private;

pub use bindings::exports::portico::plugin::guest::{
    Button, Description, Event, FlashTone, Job, Method, Needs, Outcome, Permission, Placement, Request,
    Response, Step, Tone,
};
pub use bindings::portico::plugin::context_types::{Context, ServiceView};
pub use bindings::portico::plugin::types::{Address, Error, FieldError, Task};
pub use feature::Feature;
pub use form::{FieldErrors, Form};
pub use job::{Background, JobKind};
pub use router::{Handler, Router};
pub use template::{Template, Templates};

/// What nearly every plugin uses: `use portico_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Address, Background, Button, Context, Description, Error, Event, Feature, FieldErrors, Form, Job,
        JobKind, Needs, Outcome, Request, Response, Router, Step, Task, Template, Templates, Tone, debug,
        error, info, jobs, vm, warn,
    };
}

/// The functions that the capability modules call: those of the host, natively those that play it.
pub(crate) mod import {
    #[cfg(target_arch = "wasm32")]
    pub(crate) use crate::bindings::portico::plugin::{
        http, jobs, log, mail, power, provision, snapshots, storage, vm,
    };
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) use crate::testing::played::{
        http, jobs, log, mail, power, provision, snapshots, storage, vm,
    };
}
