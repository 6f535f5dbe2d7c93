//! The datacenter's options, its log, and which VMs no backup job covers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, access::judges};
use crate::schema::{Property, format};
use crate::world::task::Task;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/options", Allow::User, &[], options),
    Endpoint::anywhere(
        "PUT",
        "/cluster/options",
        Allow::On("/", &["Sys.Modify"]),
        OPTIONS,
        set_options,
    ),
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

/// What the simulation keeps of the datacenter's options; it heeds none of them. Others are refused as unknown.
const OPTIONS: &[Property] = &[
    Property::text("console")
        .optional()
        .one_of(&["applet", "vv", "html5", "xtermjs"]),
    Property::text("delete").optional().list_of(format::config_id),
    Property::text("description").optional().no_longer_than(65_536),
    Property::text("email_from")
        .optional()
        .format(format::email_or_nothing),
    Property::text("http_proxy").optional().pattern(is_http),
    Property::text("keyboard").optional().one_of(&[
        "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it",
        "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
    ]),
    Property::text("mac_prefix").optional().format(mac_prefix),
    Property::integer("max_workers").optional().at_least(1),
    Property::text("registered-tags").optional().pattern(are_tags),
];

const LOG: &[Property] = &[Property::integer("max").optional().at_least(1)];

/// How many entries the log has when nobody says how many.
const DEFAULT_ENTRIES: usize = 50;

fn is_http(text: &str) -> bool {
    text.starts_with("http://")
}

/// Tags between semicolons.
fn are_tags(text: &str) -> bool {
    text.split(';').all(|tag| format::tag("", tag).is_ok())
}

/// Three bytes of a unicast address.
fn mac_prefix(_: &str, text: &str) -> Result<(), String> {
    let padded = format!("{text}:00:00:00");
    format::mac("", &padded).map_err(|_| format!("value '{text}' is not a valid MAC prefix"))
}

/// The options as PVE reads them from the file; without `Sys.Audit` only those that the web interface needs.
fn options(call: &mut Call<'_>) -> Answer {
    let kept = &call.world.options;
    let mut out = Map::new();
    let audit = call.may("/", "Sys.Audit");
    if audit {
        for (name, text) in kept {
            let value = match name.as_str() {
                "max_workers" => text.parse::<u64>().map_or(Value::Null, Value::from),
                "registered-tags" => text.split(';').collect(),
                _ => Value::from(text.as_str()),
            };
            out.insert(name.clone(), value);
        }
        out.entry("mac_prefix").or_insert_with(|| Value::from("BC:24:11"));
        let description = kept
            .get("description")
            .map_or(String::new(), |text| format!("{text}\n"));
        out.insert("description".to_owned(), Value::from(description));
    } else if let Some(console) = kept.get("console") {
        out.insert("console".to_owned(), Value::from(console.as_str()));
    }
    out.insert(
        "allowed-tags".to_owned(),
        allowed_tags(call).into_iter().collect(),
    );
    Ok(Value::Object(out).into())
}

/// The tags that are registered, and those of the VMs which the caller may see.
fn allowed_tags(call: &Call<'_>) -> BTreeSet<String> {
    let registered = call.world.options.get("registered-tags").map(String::as_str);
    let seen = call.world.vms.values().filter_map(|vm| {
        let tags = vm.get("tags")?;
        call.may(&format!("/vms/{}", vm.vmid), "VM.Audit").then_some(tags)
    });
    let texts = registered.into_iter().chain(seen);
    texts.flat_map(format::items).map(str::to_owned).collect()
}

fn set_options(call: &mut Call<'_>) -> Answer {
    let given = call.params.without(&["delete"]);
    for (name, value) in given.iter() {
        let value = match (name, value) {
            ("console", "applet") => "html5",
            (_, value) => value,
        };
        call.world.options.insert(name.to_owned(), value.to_owned());
    }
    for name in format::items(call.params.text("delete")) {
        call.world.options.remove(name);
    }
    Ok(Value::Null.into())
}

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
