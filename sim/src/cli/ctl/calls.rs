//! What a command asks of the control API.

use clap::ValueEnum as _;
use serde_json::{Map, Value, json};

use super::{Command, Ha, Moment, Tasks, Which};

/// A call of the control API.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// GET, POST or DELETE.
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    /// What is sent.
    pub(super) body: Option<Value>,
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

impl Moment {
    /// As the control API has it.
    fn text(self) -> &'static str {
        match self {
            Self::Before => "before-effect",
            Self::After => "after-effect",
        }
    }
}

impl Command {
    /// The calls, in their order; the last one's answer is shown.
    pub(super) fn requests(&self) -> Vec<Request> {
        let point = match self {
            Self::FailTask { tasks, .. }
            | Self::StickTask { tasks }
            | Self::KillTask { tasks }
            | Self::DeafTask { tasks }
            | Self::WarnTask { tasks, .. } => tasks.at.map(|percent| {
                let fields = json!({ "task": tasks.task, "percent": percent });
                Request::fault("strike-tasks-at", fields)
            }),
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
            | Self::KillTask { .. }
            | Self::DeafTask { .. }
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
                let moment = moment.text();
                let Which { method, path } = which;
                let fields =
                    json!({ "moment": moment, "method": method, "path": path, "vmid": vmid, "times": times });
                Request::fault("cut", fields)
            }
            Self::Status {
                status,
                moment,
                which: Which { method, path },
                node,
                reason,
                times,
            } => Request::fault(
                "status",
                json!({
                    "status": status, "moment": moment.text(), "method": method, "path": path, "node": node,
                    "reason": reason, "times": times,
                }),
            ),
            Self::FailTask { tasks, text } => of_tasks("fail-tasks", tasks, Some(text)),
            Self::StickTask { tasks } => of_tasks("stick-tasks", tasks, None),
            Self::KillTask { tasks } => of_tasks("kill-tasks", tasks, None),
            Self::DeafTask { tasks } => of_tasks("deaf-tasks", tasks, None),
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
            Self::HoldCfsLock { lock, text, times } => Request::fault(
                "hold-cfs-lock",
                json!({ "lock": lock, "text": text, "times": times }),
            ),
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
            Self::Node { node, switch, stale } => act(
                "set-node-online",
                json!({ "node": node, "online": switch.on(), "stale": stale }),
            ),
            Self::Quorum { switch } => act("set-quorum", json!({ "quorate": switch.on() })),
            Self::QmpStatus { vmid, status } => {
                act("set-qmp-status", json!({ "vmid": vmid, "status": status }))
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
            "status 596 after --method POST",
            "stick-task vzdump --vmid 100",
            "kill-task qmsnapshot --vmid 100 --at 20",
            "deaf-task qmstart",
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
            "hold-cfs-lock firewall-vm-100 --text busy --times 2",
            "lock 100 backup",
            "unlock 100",
            "hold-flock 100",
            "hold-flock 100 off",
            "node pve1 off",
            "node pve1 off --stale",
            "quorum off",
            "qmp-status 100 io-error",
            "qmp-status 100",
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
}
