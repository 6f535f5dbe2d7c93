//! The datacenter's log, and which VMs no backup job covers.

use serde_json::{Value, json};

use super::{Allow, Answer, Call, Endpoint, access::judges};
use crate::schema::Property;
use crate::world::task::Task;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/log", Allow::User, LOG, log),
    Endpoint::anywhere(
        "GET",
        "/cluster/backup-info",
        Allow::Judged(judges::only_root),
        &[],
        |_| Ok(super::subdirectories(&["not-backed-up"])),
    ),
    Endpoint::anywhere(
        "GET",
        "/cluster/backup-info/not-backed-up",
        Allow::On("/", &["Sys.Audit"]),
        &[],
        not_backed_up,
    ),
];

const LOG: &[Property] = &[Property::integer("max").optional().at_least(1)];

/// How many entries the log has when nobody says how many.
const DEFAULT_ENTRIES: usize = 50;

/// Begins and ends of tasks, newest first; without `Sys.Syslog` the caller's own. Of what PVE logs besides, logins above
/// all, there is nothing.
fn log(call: &mut Call<'_>) -> Answer {
    let all = call.may("/", "Sys.Syslog");
    let most = call
        .params
        .integer("max")
        .and_then(|max| usize::try_from(max).ok());
    let tasks = call
        .world
        .tasks
        .iter()
        .filter(|task| all || task.upid.user == call.who);
    let mut entries = tasks.flat_map(messages).collect::<Vec<_>>();
    entries.sort_by_key(|(time, ..)| *time);
    let numbered = entries
        .into_iter()
        .enumerate()
        .rev()
        .take(most.unwrap_or(DEFAULT_ENTRIES));
    let shown = numbered.map(|(at, (time, priority, text, task))| {
        let uid = at + 1;
        json!({
            "uid": uid, "id": format!("{uid}:{}", task.upid.node), "time": time, "pri": priority, "tag": "pvedaemon",
            "pid": task.upid.pid, "node": task.upid.node, "user": task.upid.user, "msg": text,
        })
    });
    Ok(shown.collect::<Value>().into())
}

/// What a task puts into the log: time, syslog's priority, text.
fn messages(task: &Task) -> Vec<(i64, u8, String, &Task)> {
    let upid = task.upid.text();
    let mut out = vec![(task.upid.start, 6, format!("starting task {upid}"), task)];
    if let Some(end) = &task.end {
        let priority = match end.status.as_str() {
            "OK" => 6,
            status if status.starts_with("WARNINGS") => 4,
            _ => 3,
        };
        out.push((
            end.time,
            priority,
            format!("end task {upid} {}", end.status),
            task,
        ));
    }
    out
}

/// All VMs that the caller may see: there are no backup jobs.
fn not_backed_up(call: &mut Call<'_>) -> Answer {
    let vms = call.world.vms.values();
    let seen = vms.filter(|vm| call.may(&format!("/vms/{}", vm.vmid), "VM.Audit"));
    let entries = seen.map(|vm| match vm.get("name") {
        Some(name) => json!({ "vmid": vm.vmid, "type": "qemu", "name": name }),
        None => json!({ "vmid": vm.vmid, "type": "qemu" }),
    });
    Ok(entries.collect::<Value>().into())
}
