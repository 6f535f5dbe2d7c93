//! What the runtime promises, shown with small guests: what they may do works, and what they must not do ends that one
//! call with a typed error and nothing else.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod cache;
mod calls;
mod guest;
mod install;
mod limits;
mod ports;
mod wasi;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use portico_runtime::bindings::context_types::{Context, ServiceView};
use portico_runtime::bindings::guest::{Event, Job, Method, Request, Response};
use portico_runtime::{
    Approval, Call, CallReport, JobStep, Limits, Observer, Plugin, PluginError, Ports, Runtime,
    RuntimeConfig, Scope, ScopeSet,
};

use guest::Guest;

/// Keeps the outcomes of all calls.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, &'static str)>>);

impl Observer for Recorder {
    fn observe(&self, report: &CallReport<'_>) {
        self.0
            .lock()
            .unwrap()
            .push((report.export.to_owned(), report.outcome));
    }
}

impl Recorder {
    fn outcomes_of(&self, export: &str) -> Vec<&'static str> {
        let reports = self.0.lock().unwrap();
        reports
            .iter()
            .filter(|(name, _)| name == export)
            .map(|(_, outcome)| *outcome)
            .collect()
    }
}

/// Limits that end a wild guest soon; the wall clock is generous, because tests share the machine.
fn limits() -> Limits {
    let mut limits = Limits {
        pool_size: 8,
        plugin_concurrency: 8,
        customer_concurrency: 8,
        ..Limits::default()
    };
    limits.page.cpu_ms = 100;
    limits.install.cpu_ms = 200;
    limits.install.wall_ms = 30_000;
    limits.breaker.failures = 1_000;
    limits
}

fn runtime() -> Runtime {
    runtime_with(limits())
}

fn runtime_with(limits: Limits) -> Runtime {
    let icons = BTreeSet::from(["camera".to_owned()]);
    Runtime::new(RuntimeConfig {
        limits,
        icons,
        ..RuntimeConfig::default()
    })
    .expect("the runtime starts")
}

async fn install(runtime: &Runtime, guest: &Guest) -> Arc<Plugin> {
    runtime
        .install(guest.build(), &Approval::everything())
        .await
        .expect("the guest installs")
}

fn call(scopes: &[Scope], ports: Ports) -> Call {
    let scopes: ScopeSet = scopes.iter().copied().collect();
    let service = ServiceView {
        id: "s1".into(),
        hostname: "vm.example".into(),
        product: "Basic".into(),
        addresses: Vec::new(),
    };
    let context = Context {
        service,
        permissions: Vec::new(),
        scopes: Vec::new(),
        settings: "{}".into(),
        locale: "en".into(),
        time_zone: "Etc/UTC".into(),
        now: 1_800_000_000,
        request_id: "r1".into(),
    };
    Call {
        context,
        scopes,
        ports,
        customer: "c1".into(),
    }
}

fn request(method: Method) -> Request {
    Request {
        method,
        path: String::new(),
        query: Vec::new(),
        form: Vec::new(),
    }
}

fn step(exclusive: bool) -> JobStep {
    let job = Job {
        id: "j1".into(),
        kind: "take".into(),
        state: "{}".into(),
        step: 0,
        started: 1_800_000_000,
        attempt: 0,
    };
    JobStep {
        job,
        event: Event::Started,
        exclusive,
    }
}

/// A GET without any scope and port.
async fn get(runtime: &Runtime, plugin: &Plugin) -> Result<Response, PluginError> {
    runtime
        .handle(plugin, call(&[], Ports::denied()), request(Method::Get))
        .await
}
