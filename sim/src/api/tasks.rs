//! Tasks.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Reply};
use crate::failure::Failure;
use crate::schema::{Params, Property, format};
use crate::world::task::{Task, UNEXPECTED, Upid};

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/tasks", Allow::User, LIST, list),
    Endpoint::on_node("GET", "/nodes/{node}/tasks/{upid}", Allow::User, &[], index),
    Endpoint::on_node("DELETE", "/nodes/{node}/tasks/{upid}", Allow::User, &[], stop),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/tasks/{upid}/status",
        Allow::User,
        &[],
        status,
    ),
    Endpoint::on_node("GET", "/nodes/{node}/tasks/{upid}/log", Allow::User, LOG, log),
];

const LIST: &[Property] = &[
    Property::boolean("errors").optional(),
    Property::integer("limit").optional().at_least(0),
    Property::integer("since").optional(),
    Property::text("source")
        .optional()
        .one_of(&["archive", "active", "all"]),
    Property::integer("start").optional().at_least(0),
    Property::text("statusfilter")
        .optional()
        .list_of(format::task_status),
    Property::text("typefilter").optional(),
    Property::integer("until").optional(),
    Property::text("userfilter").optional(),
    Property::integer("vmid")
        .optional()
        .format(format::vmid)
        .at_least(100)
        .at_most(999_999_999),
];

const LOG: &[Property] = &[
    Property::boolean("download").optional(),
    Property::integer("limit").optional().at_least(0),
    Property::integer("start").optional().at_least(0),
];

/// Whether a task is somebody's own: a token has only its own, a user has his tokens' too.
fn owns(task: &Task, who: &str) -> bool {
    task.upid.user == who || task.upid.owner().0 == who
}

fn identity(task: &Task) -> Map<String, Value> {
    let upid = &task.upid;
    let (user, token) = upid.owner();
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("upid", Value::from(upid.text()));
    put("node", Value::from(upid.node.as_str()));
    put("pid", Value::from(upid.pid));
    put("pstart", Value::from(upid.pstart));
    put("starttime", Value::from(upid.start));
    put("type", Value::from(upid.kind.as_str()));
    put("id", Value::from(upid.id.as_str()));
    put("user", Value::from(user));
    if let Some(token) = token {
        put("tokenid", Value::from(token));
    }
    out
}

/// A task as lists show it.
pub(super) fn listed(task: &Task) -> Value {
    let mut out = identity(task);
    match &task.end {
        Some(end) => {
            out.insert("endtime".to_owned(), Value::from(end.time));
            out.insert("status".to_owned(), Value::from(end.status.as_str()));
        }
        None => {
            out.insert("status".to_owned(), Value::from("RUNNING"));
        }
    }
    Value::Object(out)
}

fn wanted(task: &Task, params: &Params) -> bool {
    // A task that runs has no status yet, which PVE files under the same as that of a killed one.
    let status = task.end.as_ref().map_or(UNEXPECTED, |end| &end.status);
    let kind_of_end = match status {
        "OK" => "ok",
        UNEXPECTED => "unknown",
        text if text.starts_with("WARNINGS: ") => "warning",
        _ => "error",
    };
    // `errors` leaves out only what ended well, so that warnings stay, and wins over the other filter.
    let outcome = match params.get("statusfilter") {
        _ if params.flag("errors") => kind_of_end != "ok",
        Some(list) => format::items(list).any(|item| item.eq_ignore_ascii_case(kind_of_end)),
        None => true,
    };
    let source = params.get("source").unwrap_or("archive");
    (source == "all" || (source == "archive") == task.end.is_some())
        && params.get("vmid").is_none_or(|vmid| task.upid.id == vmid)
        && params.get("typefilter").is_none_or(|kind| task.upid.kind == kind)
        && params
            .get("userfilter")
            .is_none_or(|part| in_any_case(part, task.upid.owner().0))
        && params.integer("since").is_none_or(|time| task.upid.start >= time)
        && params.integer("until").is_none_or(|time| task.upid.start <= time)
        && outcome
}

/// Whether a text has a part, in upper or lower case.
fn in_any_case(part: &str, text: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn list(call: &mut Call<'_>) -> Answer {
    let node = call.node();
    let all = call.may(&format!("/nodes/{node}"), "Sys.Audit");
    let seen = call
        .world
        .tasks
        .iter()
        .rev()
        .filter(|task| task.upid.node == node && call.world.tasks.is_listed(task))
        .filter(|task| (all || owns(task, call.who)) && wanted(task, &call.params))
        .collect::<Vec<_>>();
    // Unlike with logs, a limit of 0 is none of them, only their number.
    let (start, limit) = (
        number(&call.params, "start", 0),
        number(&call.params, "limit", 50),
    );
    let page = seen
        .iter()
        .skip(start)
        .take(limit)
        .map(|task| listed(task))
        .collect::<Value>();
    Ok(Reply {
        data: page,
        total: Some(seen.len() as u64),
        ..Reply::default()
    })
}

fn number(params: &Params, name: &str, default: usize) -> usize {
    params
        .integer(name)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(default)
}

/// The task in the path, which must be there.
fn task<'a>(call: &'a Call<'_>, privilege: &str) -> Result<&'a Task, Failure> {
    found(call, privilege)?.ok_or_else(|| Failure::parameter("upid", "no such task"))
}

/// The task in the path, if the caller owns it or has the privilege on its node; none if it is forgotten.
fn found<'a>(call: &'a Call<'_>, privilege: &str) -> Result<Option<&'a Task>, Failure> {
    let text = call.params.text("upid");
    let Some(upid) = Upid::parse(text) else {
        return Err(Failure::parameter("upid", "unable to parse worker upid"));
    };
    let path = format!("/nodes/{}", call.params.text("node"));
    let task = call
        .world
        .tasks
        .get(text)
        .filter(|_| upid.node == call.params.text("node"));
    let own = upid.user == call.who || upid.owner().0 == call.who;
    if !own && !call.may(&path, privilege) {
        return Err(Failure::forbidden(&format!("{path}, {privilege}")));
    }
    Ok(task)
}

fn index(_: &mut Call<'_>) -> Answer {
    Ok(json!([{ "name": "log" }, { "name": "status" }]).into())
}

fn stop(call: &mut Call<'_>) -> Answer {
    let task = task(call, "Sys.Modify")?;
    if task.end.is_none() {
        task.cancel.cancel();
    }
    Ok(Value::Null.into())
}

fn status(call: &mut Call<'_>) -> Answer {
    let task = task(call, "Sys.Audit")?;
    let mut out = identity(task);
    match &task.end {
        Some(end) => {
            out.insert("status".to_owned(), Value::from("stopped"));
            out.insert("exitstatus".to_owned(), Value::from(end.status.as_str()));
        }
        None => {
            out.insert("status".to_owned(), Value::from("running"));
        }
    }
    Ok(Value::Object(out).into())
}

fn log(call: &mut Call<'_>) -> Answer {
    let Some(task) = found(call, "Sys.Audit")? else {
        // PVE looks for a file, and tells of its absence in the place of the log.
        let line = "unable to open file - No such file or directory";
        return Ok(Reply {
            total: Some(1),
            ..json!([{ "n": 1, "t": line }]).into()
        });
    };
    let start = number(&call.params, "start", 0);
    let limit = match number(&call.params, "limit", 50) {
        0 => usize::MAX,
        limit => limit,
    };
    let total = task.log.len();
    let lines = task.log.iter().enumerate().skip(start).take(limit);
    let mut lines = lines
        .map(|(at, text)| json!({ "n": at + 1, "t": text }))
        .collect::<Vec<_>>();
    if total == 0 {
        lines.push(json!({ "n": 1, "t": "no content" }));
    }
    Ok(Reply {
        data: Value::from(lines),
        total: Some((total as u64).max(1)),
        ..Reply::default()
    })
}
