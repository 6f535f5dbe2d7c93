//! The values that the played host is made of.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::jobs::Queue;
use super::store::Store;
use super::tasks::{Ending, Work};
use crate::bindings::portico::plugin::http::Request;
use crate::log::Level;
use crate::mail::Recipient;
use crate::provision::Applied;
use crate::snapshots::{Ability, Snapshot};
use crate::storage::Scope;
use crate::{Address, Error, http, vm};

/// 2026-11-24T12:00:00Z.
pub(super) const NOW: i64 = 1_795_521_600;

/// Every scope of the contract.
pub(super) const SCOPES: [&str; 16] = [
    "vm.read",
    "power.start",
    "power.shutdown",
    "power.stop",
    "power.reboot",
    "power.reset",
    "snapshots.read",
    "snapshots.create",
    "snapshots.rollback",
    "snapshots.remove",
    "provision.apply-plan",
    "storage.use",
    "mail.owner",
    "mail.department",
    "http.send",
    "jobs.use",
];

/// The host as the capability modules see it. [`Default`] is a running VM without snapshots, where everything works and
/// every scope is granted.
#[derive(Debug)]
pub struct Host {
    /// Seconds since the epoch.
    pub now: i64,
    /// The granted scopes; none grants all. [`Bench`](super::Bench) sets it from the permissions.
    pub scopes: Option<BTreeSet<String>>,
    /// The VM.
    pub vm: Vm,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What `snapshots::ability` answers.
    pub ability: Ability,
    /// What `provision::apply_plan` answers.
    pub applied: Applied,
    /// How often the plan was applied.
    pub plans_applied: u32,
    /// Mails queued so far.
    pub mails: Vec<Mail>,
    /// Requests sent, and the answers to come.
    pub http: Http,
    /// Lines logged so far.
    pub log: Vec<Line>,
    /// The names of all calls so far: `vm.status`, `snapshots.create`…
    pub calls: Vec<&'static str>,
    /// The work on the VM that was started so far.
    pub work: Vec<Work>,
    pub(super) jobs: Queue,
    pub(super) service_store: Store,
    pub(super) plugin_store: Store,
    pub(super) failures: HashMap<&'static str, VecDeque<Error>>,
    pub(super) endings: HashMap<&'static str, VecDeque<Ending>>,
    /// What the running call may do.
    pub(super) call: Call,
    /// Where a repeated step is in what it did the first time.
    pub(super) replay: Option<usize>,
}

/// Which call is being answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Call {
    #[default]
    Free,
    Get,
    Post,
    Step {
        exclusive: bool,
    },
}

/// A VM.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What `vm::status` answers. `busy` is filled in while an exclusive job is under way.
    pub status: vm::Status,
    /// What `vm::hardware` answers.
    pub hardware: vm::Hardware,
    /// What `vm::network` answers.
    pub network: vm::Network,
}

/// A mail in the queue.
#[derive(Clone, Debug)]
pub struct Mail {
    /// To whom.
    pub to: Recipient,
    /// The template's name.
    pub template: String,
    /// Its data, JSON.
    pub data: String,
}

/// A line in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How grave it is.
    pub level: Level,
    /// What it says.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

/// The Internet.
#[derive(Debug, Default)]
pub struct Http {
    /// What was sent, the oldest first.
    pub sent: Vec<Request>,
    /// What is answered, in order; `unavailable` when nothing is left.
    pub answers: VecDeque<Result<http::Response, Error>>,
}

impl Http {
    pub(crate) fn send(&mut self, request: Request) -> Result<http::Response, Error> {
        self.sent.push(request);
        self.answers.pop_front().unwrap_or(Err(Error::Unavailable))
    }
}

impl Host {
    /// Lets the next call of a name (`snapshots.list`) fail, once. Several add up, in order.
    pub fn fail(&mut self, name: &'static str, error: Error) {
        self.failures.entry(name).or_default().push_back(error);
    }

    /// Says how the next task of a name (`power.shutdown`) ends, instead of well. Several add up, in order.
    pub fn end_next(&mut self, name: &'static str, ending: Ending) {
        self.endings.entry(name).or_default().push_back(ending);
    }

    /// The store of the service, or of the plugin.
    pub fn store(&mut self, scope: Scope) -> &mut Store {
        match scope {
            Scope::Service => &mut self.service_store,
            Scope::Plugin => &mut self.plugin_store,
        }
    }

    /// How often a function was called.
    pub fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| **call == name).count()
    }

    pub(crate) fn status(&self) -> vm::Status {
        let mut status = self.vm.status.clone();
        status.busy = status.busy.or_else(|| self.jobs.operation());
        status
    }

    /// The rules every call keeps, in the order of the real host: denial first, before any effect.
    pub(super) fn admit(&mut self, name: &'static str) -> Result<(), Error> {
        self.calls.push(name);
        // The scope of a mail depends on to whom it goes.
        if name != "mail.send" {
            self.grant(scope_of(name))?;
        }
        if starts_work(name) && !matches!(self.call, Call::Free | Call::Step { exclusive: true }) {
            return Err(Error::denied(format!(
                "`{name}` belongs into a step of an exclusive job"
            )));
        }
        assert!(
            self.call != Call::Get || !changes(name),
            "a GET called `{name}`, which changes something"
        );
        match self.failures.get_mut(name).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Goes on only with a scope.
    pub(super) fn grant(&self, scope: &str) -> Result<(), Error> {
        match &self.scopes {
            Some(scopes) if !scopes.contains(scope) => {
                Err(Error::denied(format!("scope `{scope}` is not granted")))
            }
            _ => Ok(()),
        }
    }
}

/// The scope of a function, as the contract says.
fn scope_of(name: &'static str) -> &'static str {
    match name.split_once('.').map_or("", |(interface, _)| interface) {
        "vm" => "vm.read",
        "storage" => "storage.use",
        "jobs" => "jobs.use",
        "snapshots" if matches!(name, "snapshots.list" | "snapshots.feature") => "snapshots.read",
        _ => name,
    }
}

fn starts_work(name: &str) -> bool {
    name.starts_with("power.")
        || matches!(
            name,
            "snapshots.create" | "snapshots.rollback" | "snapshots.remove" | "provision.apply-plan"
        )
}

fn changes(name: &str) -> bool {
    starts_work(name)
        || matches!(
            name,
            "jobs.start"
                | "jobs.at"
                | "jobs.every"
                | "jobs.cancel"
                | "storage.set"
                | "storage.delete"
                | "mail.send"
        )
        || name == "storage.compare-and-swap"
}

pub(super) fn addresses() -> Vec<Address> {
    vec![
        Address {
            ip: "192.0.2.10".into(),
            prefix: 24,
        },
        Address {
            ip: "2001:db8::10".into(),
            prefix: 64,
        },
    ]
}

impl Default for Vm {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        let (v4, v6) = addresses()
            .into_iter()
            .partition(|address| address.ip.contains('.'));
        Self {
            status: vm::Status {
                state: vm::State::Running,
                uptime: 125,
                cpu: 0.25,
                cores: 2,
                memory_used: GIB,
                memory_total: 4 * GIB,
                rates: Some(vm::Rates {
                    disk_read: 1e6,
                    disk_write: 2e6,
                    net_in: 3e5,
                    net_out: 4e5,
                }),
                busy: None,
                age: 1,
            },
            hardware: vm::Hardware {
                cores: 2,
                memory: 4 * GIB,
                disks: vec![vm::Disk {
                    role: vm::DiskRole::System,
                    size: 32 * GIB,
                    read_limit: Some(200e6),
                    write_limit: Some(100e6),
                    read_iops: Some(2_000),
                    write_iops: None,
                }],
                adapters: vec![vm::Adapter {
                    model: "virtio".into(),
                    mac: "BC:24:11:AA:BB:CC".into(),
                    rate: Some(12.5e6),
                    connected: true,
                }],
            },
            network: vm::Network {
                ipv4: v4,
                ipv4_gateway: Some("192.0.2.1".into()),
                ipv6: v6,
                ipv6_gateway: Some("2001:db8::1".into()),
                dns: vec!["192.0.2.53".into(), "2001:db8::53".into()],
                domain: Some("example.com".into()),
            },
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self {
            now: NOW,
            scopes: None,
            vm: Vm::default(),
            snapshots: Vec::new(),
            ability: Ability {
                possible: true,
                reason: None,
                newest_only: false,
            },
            applied: Applied {
                changed: Vec::new(),
                pending: Vec::new(),
            },
            plans_applied: 0,
            mails: Vec::new(),
            http: Http::default(),
            log: Vec::new(),
            calls: Vec::new(),
            work: Vec::new(),
            jobs: Queue::default(),
            service_store: Store::default(),
            plugin_store: Store::default(),
            failures: HashMap::new(),
            endings: HashMap::new(),
            call: Call::Free,
            replay: None,
        }
    }
}
