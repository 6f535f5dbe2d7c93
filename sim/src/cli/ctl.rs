//! `pve-sim ctl`: commands for people, as calls of the control API.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::client;

/// Drives a running simulator.
///
/// The simulator must have been started with --control. Faults stay until they are used up or cleared; changes
/// from outside stay until they are taken back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pve-sim ctl latency 500 --path '/nodes/{node}/qemu/{vmid}/status/current'
  pve-sim ctl cut after --method POST --vmid 100
  pve-sim ctl fail-task qmsnapshot --at 80 --text 'no space left on device'
  pve-sim ctl lock 100 backup
  pve-sim ctl slow-storage local-lvm 10
  pve-sim ctl new-certificate
  pve-sim ctl clear
  pve-sim ctl requests")]
pub(crate) struct Ctl {
    /// Where the simulator's control API listens
    #[arg(
        // Not `control`: that is an option of the simulator's start, of another type.
        id = "server",
        long = "control",
        env = "PVE_SIM_CONTROL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8007",
        global = true
    )]
    server: String,
    #[command(subcommand)]
    command: Command,
}

/// Which requests a fault hits.
#[derive(Debug, Args)]
struct Which {
    /// Only this method
    #[arg(long)]
    method: Option<String>,
    /// Only this path, as a template such as '/nodes/{node}/qemu/{vmid}/config'
    #[arg(long)]
    path: Option<String>,
}

/// Which tasks a fault hits.
#[derive(Debug, Args)]
struct Tasks {
    /// Their type, such as qmstart, qmsnapshot, vzdump
    task: String,
    /// Only those of this VM
    #[arg(long)]
    vmid: Option<u32>,
    /// How many are hit
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// At which percent of their work, instead of halfway; holds for this and later faults of the type
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    at: Option<u8>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Moment {
    /// Nothing happens in the cluster
    Before,
    /// It happened, but the client does not learn of it
    After,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Switch {
    fn on(self) -> bool {
        matches!(self, Self::On)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Agent {
    Running,
    Absent,
    Slow,
    Refusing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ha {
    Started,
    Stopped,
    Off,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fault: requests wait before they are looked at
    Latency {
        /// Milliseconds of real time
        milliseconds: u64,
        /// Only this path template
        #[arg(long)]
        path: Option<String>,
    },
    /// Fault: connections are cut without an answer
    Cut {
        /// Before or after the effect
        moment: Moment,
        #[command(flatten)]
        which: Which,
        /// Only requests for this VM
        #[arg(long)]
        vmid: Option<u32>,
        /// How many are hit
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
    /// Fault: requests are answered with a status such as 595, 596 or 599, and nothing happens
    Status {
        /// The status
        status: u16,
        #[command(flatten)]
        which: Which,
        /// Only requests for this node
        #[arg(long)]
        node: Option<String>,
        /// The reason phrase
        #[arg(long)]
        reason: Option<String>,
        /// How many are hit; all until cleared if left out
        #[arg(long)]
        times: Option<u32>,
    },
    /// Fault: tasks fail on the way, cleaning up as PVE does
    FailTask {
        #[command(flatten)]
        tasks: Tasks,
        /// Their exit status
        #[arg(long, default_value = "injected failure")]
        text: String,
    },
    /// Fault: tasks hang on the way until they are stopped or released
    StickTask {
        #[command(flatten)]
        tasks: Tasks,
    },
    /// Fault: tasks warn on the way and end with WARNINGS
    WarnTask {
        #[command(flatten)]
        tasks: Tasks,
        /// The warning
        #[arg(long, default_value = "injected warning")]
        text: String,
    },
    /// Fault: work on a storage takes many times as long
    SlowStorage {
        /// The storage
        storage: String,
        /// How many times as long
        factor: u32,
    },
    /// Fault: a storage has no free space
    FullStorage {
        /// The storage
        storage: String,
    },
    /// Fault: a storage cannot be reached
    OfflineStorage {
        /// The storage
        storage: String,
    },
    /// Fault: a cluster-wide lock is not to be had
    HoldCfsLock {
        /// The lock, such as firewall-vm-100 or storage-local
        lock: String,
        /// How many callers are hit; all until cleared if left out
        #[arg(long)]
        times: Option<u32>,
    },
    /// Shows the faults in force
    Faults,
    /// Removes all faults
    Clear,
    /// Lets stuck tasks go on
    Release,
    /// Sets a VM's lock, as a job would: backup, snapshot, migrate, …
    Lock {
        /// The VM
        vmid: u32,
        /// The lock
        lock: String,
    },
    /// Clears a VM's lock, as `qm unlock` does
    Unlock {
        /// The VM
        vmid: u32,
    },
    /// Holds a VM's configuration file, so that writers get `can't lock file … got timeout`
    HoldFlock {
        /// The VM
        vmid: u32,
        /// Hold or release
        #[arg(default_value = "on")]
        switch: Switch,
    },
    /// Takes a node off the network, or brings it back
    Node {
        /// The node
        node: String,
        /// On or off the network
        switch: Switch,
    },
    /// Drops every connection to the API, or takes them again
    Api {
        /// Up or down
        switch: Switch,
    },
    /// Revokes an API token
    RevokeToken {
        /// Its id, such as portico@pve!panel
        token: String,
    },
    /// Restores a revoked token with its secret
    RestoreToken {
        /// Its id
        token: String,
    },
    /// Serves a new self-signed certificate
    NewCertificate,
    /// Shows the fingerprint and the certificate that is served
    Certificate,
    /// Replaces the key that signs tickets, as PVE does every day
    RotateKeys,
    /// Lets the cluster's clock be ahead of the true time, or behind it
    ClockSkew {
        /// Seconds ahead; negative for behind
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// Starts or stops a VM at once and without a task, as from inside
    Running {
        /// The VM
        vmid: u32,
        /// Runs or not
        switch: Switch,
    },
    /// Whether a guest ignores the power button
    IgnoreAcpi {
        /// The VM
        vmid: u32,
        /// Ignores it or not
        switch: Switch,
    },
    /// What the agent inside a guest does
    Agent {
        /// The VM
        vmid: u32,
        /// Its behaviour
        agent: Agent,
    },
    /// Destroys a VM
    RemoveVm {
        /// The VM
        vmid: u32,
    },
    /// Moves a VM's configuration to another node at once
    MoveVm {
        /// The VM
        vmid: u32,
        /// Where to
        node: String,
    },
    /// Migrates a VM in a task, as an administrator does
    MigrateVm {
        /// The VM
        vmid: u32,
        /// Where to
        node: String,
    },
    /// Puts a VM under high availability, or takes it out
    Ha {
        /// The VM
        vmid: u32,
        /// The state it shall be in, or off for none of it
        #[arg(value_enum)]
        wanted: Ha,
    },
    /// Fault: a running VM does not take a change of a device
    FailHotplug {
        /// The VM
        vmid: u32,
        /// The key, such as net0
        key: String,
        /// What QEMU says
        #[arg(long, default_value = "device busy")]
        text: String,
    },
    /// Counts requests by endpoint
    Requests,
    /// Shows the last requests
    Log {
        /// How many
        #[arg(long, default_value_t = 20)]
        last: usize,
    },
    /// Counts what really happened in the cluster
    Effects,
    /// Sets all counters to zero and empties the log
    Reset,
    /// Shows all VMs, or one, as they are inside
    Vms {
        /// Only this VM, with its configuration
        vmid: Option<u32>,
    },
    /// Shows the text on the screen of a VM that runs
    Console {
        /// The VM
        vmid: u32,
    },
    /// Shows all tasks
    Tasks,
    /// Makes any call of the control API and prints the JSON of the answer
    Raw {
        /// GET, POST or DELETE
        method: String,
        /// Such as /faults
        path: String,
        /// JSON to send
        #[arg(value_parser = json_text)]
        body: Option<Value>,
    },
}

fn json_text(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}

/// A call of the control API.
#[derive(Debug, PartialEq)]
struct Request {
    method: String,
    path: String,
    body: Option<Value>,
}

impl Request {
    fn new(method: &str, path: impl Into<String>, body: Option<Value>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            body,
        }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path, None)
    }

    fn fault(name: &str, fields: Value) -> Self {
        Self::new("POST", "/faults", Some(tagged("fault", name, fields)))
    }

    fn action(name: &str, fields: Value) -> Self {
        Self::new("POST", "/actions", Some(tagged("action", name, fields)))
    }
}

/// The fields under their tag, without those that were left out.
fn tagged(tag: &str, name: &str, fields: Value) -> Value {
    let mut out = Map::from_iter([(tag.to_owned(), Value::from(name))]);
    if let Value::Object(fields) = fields {
        out.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(out)
}

impl Ctl {
    /// Makes the call and gives what is to be printed.
    pub(crate) async fn run(self) -> anyhow::Result<String> {
        let mut answer = Value::Null;
        for request in self.command.requests() {
            let Request { method, path, body } = request;
            answer = client::call(&self.server, &method, &path, body.as_ref()).await?;
        }
        Ok(self.command.shown(&answer))
    }
}

impl Command {
    /// The calls, in their order; the last one's answer is shown.
    fn requests(&self) -> Vec<Request> {
        let point = match self {
            Self::FailTask { tasks, .. } | Self::StickTask { tasks } | Self::WarnTask { tasks, .. } => {
                tasks.at.map(|percent| {
                    let fields = json!({ "task": tasks.task, "percent": percent });
                    Request::fault("strike-tasks-at", fields)
                })
            }
            _ => None,
        };
        point.into_iter().chain([self.request()]).collect()
    }

    fn request(&self) -> Request {
        match self {
            Self::Latency { .. }
            | Self::Cut { .. }
            | Self::Status { .. }
            | Self::FailTask { .. }
            | Self::StickTask { .. }
            | Self::WarnTask { .. }
            | Self::SlowStorage { .. }
            | Self::FullStorage { .. }
            | Self::OfflineStorage { .. }
            | Self::HoldCfsLock { .. }
            | Self::FailHotplug { .. } => self.fault(),
            Self::Faults => Request::get("/faults"),
            Self::Clear => Request::new("DELETE", "/faults", None),
            Self::Certificate => Request::get("/certificate"),
            Self::Requests => Request::get("/requests"),
            Self::Log { last } => Request::get(format!("/requests/log?last={last}")),
            Self::Effects => Request::get("/effects"),
            Self::Reset => Request::new("DELETE", "/counters", None),
            Self::Vms { vmid: None } => Request::get("/vms"),
            Self::Vms { vmid: Some(vmid) } => Request::get(format!("/vms/{vmid}")),
            Self::Console { vmid } => Request::get(format!("/vms/{vmid}/console")),
            Self::Tasks => Request::get("/tasks"),
            Self::Raw { method, path, body } => {
                Request::new(&method.to_ascii_uppercase(), path.clone(), body.clone())
            }
            _ => self.action(),
        }
    }

    fn fault(&self) -> Request {
        let of_tasks = |name: &str, tasks: &Tasks, text: Option<&String>| {
            let fields = json!({
                "task": tasks.task, "vmid": tasks.vmid, "times": tasks.times, "text": text,
            });
            Request::fault(name, fields)
        };
        match self {
            Self::Latency { milliseconds, path } => {
                Request::fault("latency", json!({ "milliseconds": milliseconds, "path": path }))
            }
            Self::Cut {
                moment,
                which,
                vmid,
                times,
            } => {
                let moment = match moment {
                    Moment::Before => "before-effect",
                    Moment::After => "after-effect",
                };
                let Which { method, path } = which;
                let fields =
                    json!({ "moment": moment, "method": method, "path": path, "vmid": vmid, "times": times });
                Request::fault("cut", fields)
            }
            Self::Status {
                status,
                which: Which { method, path },
                node,
                reason,
                times,
            } => Request::fault(
                "status",
                json!({ "status": status, "method": method, "path": path, "node": node, "reason": reason, "times": times }),
            ),
            Self::FailTask { tasks, text } => of_tasks("fail-tasks", tasks, Some(text)),
            Self::StickTask { tasks } => of_tasks("stick-tasks", tasks, None),
            Self::WarnTask { tasks, text } => of_tasks("warn-tasks", tasks, Some(text)),
            Self::SlowStorage { storage, factor } => {
                Request::fault("slow-storage", json!({ "storage": storage, "factor": factor }))
            }
            Self::FullStorage { storage } => Request::fault("storage-full", json!({ "storage": storage })),
            Self::OfflineStorage { storage } => {
                Request::fault("storage-offline", json!({ "storage": storage }))
            }
            Self::FailHotplug { vmid, key, text } => {
                Request::fault("fail-hotplug", json!({ "vmid": vmid, "key": key, "text": text }))
            }
            Self::HoldCfsLock { lock, times } => {
                Request::fault("hold-cfs-lock", json!({ "lock": lock, "times": times }))
            }
            _ => Request::get("/faults"),
        }
    }

    fn action(&self) -> Request {
        let act = Request::action;
        match self {
            Self::Lock { vmid, lock } => act("set-lock", json!({ "vmid": vmid, "lock": lock })),
            Self::Unlock { vmid } => act("set-lock", json!({ "vmid": vmid })),
            Self::HoldFlock { vmid, switch } => {
                act("hold-flock", json!({ "vmid": vmid, "held": switch.on() }))
            }
            Self::Node { node, switch } => {
                act("set-node-online", json!({ "node": node, "online": switch.on() }))
            }
            Self::Api { switch } => act("set-api-down", json!({ "down": !switch.on() })),
            Self::RevokeToken { token } => {
                act("set-token-revoked", json!({ "token": token, "revoked": true }))
            }
            Self::RestoreToken { token } => {
                act("set-token-revoked", json!({ "token": token, "revoked": false }))
            }
            Self::NewCertificate => act("renew-certificate", json!({})),
            Self::RotateKeys => act("rotate-auth-keys", json!({})),
            Self::ClockSkew { seconds } => act("set-clock-skew", json!({ "seconds": seconds })),
            Self::Running { vmid, switch } => {
                act("set-running", json!({ "vmid": vmid, "running": switch.on() }))
            }
            Self::IgnoreAcpi { vmid, switch } => act(
                "set-ignores-acpi",
                json!({ "vmid": vmid, "ignores": switch.on() }),
            ),
            Self::Agent { vmid, agent } => {
                let agent = agent.to_possible_value().map(|value| value.get_name().to_owned());
                act("set-guest-agent", json!({ "vmid": vmid, "agent": agent }))
            }
            Self::RemoveVm { vmid } => act("remove-vm", json!({ "vmid": vmid })),
            Self::MoveVm { vmid, node } => act("move-vm", json!({ "vmid": vmid, "node": node })),
            Self::MigrateVm { vmid, node } => act("migrate-vm", json!({ "vmid": vmid, "node": node })),
            Self::Ha { vmid, wanted } => {
                let wanted = match wanted {
                    Ha::Started => json!("started"),
                    Ha::Stopped => json!("stopped"),
                    Ha::Off => Value::Null,
                };
                act("set-ha", json!({ "vmid": vmid, "wanted": wanted }))
            }
            _ => act("release-stuck-tasks", json!({})),
        }
    }

    /// An answer as it is printed: lines for lists, JSON for the rest, nothing for an order that was carried out.
    fn shown(&self, answer: &Value) -> String {
        let rows = |list: &Value, row: &dyn Fn(&Value) -> String| {
            let rows = list.as_array().into_iter().flatten();
            rows.map(|item| row(item) + "\n").collect::<String>()
        };
        match self {
            Self::Requests => {
                let endpoints = answer.get("endpoints").unwrap_or(&Value::Null);
                let mut out = rows(endpoints, &|item| {
                    format!(
                        "{:>8}  {:<6} {}",
                        word(item, "count"),
                        word(item, "method"),
                        word(item, "path")
                    )
                });
                // Writing to a string does not fail.
                let _ = writeln!(out, "{:>8}  in all", word(answer, "total"));
                out
            }
            Self::Effects => rows(answer, &|item| {
                let name = item.get("name").filter(|name| !name.is_null());
                let name = name.map_or(String::new(), |_| format!(" {}", word(item, "name")));
                format!(
                    "{:>8}  VM {} {}{name}",
                    word(item, "count"),
                    word(item, "vmid"),
                    word(item, "effect")
                )
            }),
            Self::Log { .. } => rows(answer, &|item| {
                format!(
                    "{} {} {} {} {}",
                    word(item, "status"),
                    word(item, "method"),
                    word(item, "path"),
                    word(item, "user"),
                    word(item, "reason")
                )
            }),
            Self::Console { .. } => {
                let lines = answer.get("lines").and_then(Value::as_array);
                let lines = lines.into_iter().flatten().filter_map(Value::as_str);
                let text = lines.collect::<Vec<_>>().join("\n");
                format!("{}\n", text.trim_end())
            }
            Self::Tasks => rows(answer, &|item| {
                format!("{} {}", word(item, "upid"), word(item, "exit"))
            }),
            Self::Vms { vmid: None } => rows(answer, &|item| {
                let name = item
                    .get("config")
                    .map_or(String::new(), |config| word(config, "name"));
                format!(
                    "{:>9} {:<10} {:<8} {name}",
                    word(item, "vmid"),
                    word(item, "node"),
                    word(item, "status")
                )
            }),
            Self::Faults => rows(answer, &Value::to_string),
            _ if answer.is_null() => String::new(),
            _ => format!("{answer:#}\n"),
        }
    }
}

/// A field as one word; `-` where there is none.
fn word(item: &Value, name: &str) -> String {
    match item.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use pve_sim::{Action, Fault};

    fn requests(line: &str) -> Vec<Request> {
        let args = ["pve-sim", "ctl"].into_iter().chain(line.split(' '));
        match crate::cli::Cli::try_parse_from(args).unwrap().command.unwrap() {
            crate::cli::Command::Ctl(ctl) => ctl.command.requests(),
        }
    }

    #[test]
    fn every_fault_and_action_is_one_that_the_simulator_takes() {
        let lines = [
            "latency 500 --path /x",
            "cut after --method POST --vmid 100",
            "cut before",
            "status 596 --node pve1 --times 3",
            "fail-task qmstart --at 80 --text no",
            "stick-task vzdump --vmid 100",
            "warn-task vzdump --text careful",
            "slow-storage local-lvm 10",
            "full-storage local-lvm",
            "offline-storage local-lvm",
            "migrate-vm 100 pve2",
            "ha 100 started",
            "ha 100 off",
            "fail-hotplug 100 net0",
            "agent 100 refusing",
            "hold-cfs-lock firewall-vm-100",
            "lock 100 backup",
            "unlock 100",
            "hold-flock 100",
            "hold-flock 100 off",
            "node pve1 off",
            "api off",
            "revoke-token a@pve!b",
            "restore-token a@pve!b",
            "new-certificate",
            "rotate-keys",
            "clock-skew -120",
            "running 100 on",
            "ignore-acpi 100 on",
            "agent 100 slow",
            "remove-vm 100",
            "move-vm 100 pve2",
            "release",
        ];
        for (line, request) in lines
            .iter()
            .flat_map(|line| requests(line).into_iter().map(move |request| (line, request)))
        {
            let body = request.body.unwrap();
            let taken = match request.path.as_str() {
                "/faults" => serde_json::from_value::<Fault>(body.clone()).map(drop),
                "/actions" => serde_json::from_value::<Action>(body.clone()).map(drop),
                other => panic!("{line} calls {other}"),
            };
            assert!(taken.is_ok(), "{line}: {taken:?} of {body}");
        }
    }

    #[test]
    fn what_was_left_out_is_not_sent() {
        let body = json!({ "fault": "cut", "moment": "before-effect", "times": 1 });
        assert_eq!(
            requests("cut before"),
            [Request::new("POST", "/faults", Some(body))]
        );
        assert_eq!(requests("log --last 5"), [Request::get("/requests/log?last=5")]);
        assert_eq!(requests("vms 100"), [Request::get("/vms/100")]);
        assert_eq!(requests("stick-task vzdump --at 90").len(), 2);
    }

    #[test]
    fn lists_are_printed_as_lines() {
        let answer =
            json!({ "total": 3, "endpoints": [{ "method": "GET", "path": "/version", "count": 3 }] });
        assert_eq!(
            Command::Requests.shown(&answer),
            "       3  GET    /version\n       3  in all\n"
        );
        let answer = json!({ "lines": ["web1 login: root", "Password:", "", ""], "cursor": [10, 1] });
        assert_eq!(
            Command::Console { vmid: 100 }.shown(&answer),
            "web1 login: root\nPassword:\n"
        );
        assert_eq!(Command::Clear.shown(&Value::Null), "");
    }
}
