//! Which VMs high availability manages, and how: `/cluster/ha/resources`.
//!
//! What follows from it happens in `work::ha`. Not here: groups and rules, and the state `ignored`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Kind, Property, format};
use crate::world::World;
use crate::world::ha::{Managed, Wanted};

const READ: Allow = Allow::On("/", &["Sys.Audit"]);
const WRITE: Allow = Allow::On("/", &["Sys.Console"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/ha/resources", READ, LIST, list),
    Endpoint::anywhere("POST", "/cluster/ha/resources", WRITE, CREATE, create),
    Endpoint::anywhere("GET", "/cluster/ha/resources/{sid}", READ, &[SID], read),
    Endpoint::anywhere("PUT", "/cluster/ha/resources/{sid}", WRITE, UPDATE, update),
    Endpoint::anywhere("DELETE", "/cluster/ha/resources/{sid}", WRITE, REMOVE, remove),
];

const KINDS: &[&str] = &["ct", "vm"];
const SID: Property = Property::text("sid").format(service_id);
const KIND: Property = Property::text("type").optional().one_of(KINDS);
const LIST: &[Property] = &[KIND];
const STATE: Property = Property::text("state")
    .optional()
    .one_of(&["started", "stopped", "enabled", "disabled", "ignored"]);
const COMMENT: Property = Property::text("comment").optional().no_longer_than(4096);
const FAILBACK: Property = Property::boolean("failback").optional().new_in_9();
const MAX_RELOCATE: Property = Property::integer("max_relocate").optional().at_least(0);
const MAX_RESTART: Property = Property::integer("max_restart").optional().at_least(0);
const CREATE: &[Property] = &[SID, KIND, STATE, COMMENT, FAILBACK, MAX_RELOCATE, MAX_RESTART];
const UPDATE: &[Property] = &[
    SID,
    STATE,
    COMMENT,
    FAILBACK,
    MAX_RELOCATE,
    MAX_RESTART,
    Property::text("delete").optional().list_of(format::config_id),
    Property::text("digest").optional().no_longer_than(64),
];
const REMOVE: &[Property] = &[SID, Property::boolean("purge").optional().new_in_9()];

/// What a resource may say besides its state.
const SETTINGS: &[Property] = &[COMMENT, FAILBACK, MAX_RELOCATE, MAX_RESTART];

/// `vm:100`, or the number alone.
fn service_id(_: &str, text: &str) -> Result<(), String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_service = text.split_once(':').is_some_and(|(kind, name)| {
        !kind.is_empty()
            && kind.bytes().all(|b| b.is_ascii_lowercase())
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
    });
    if is_number || is_service {
        Ok(())
    } else {
        Err("value does not look like a valid ha resource id".to_owned())
    }
}

/// The full id in the path or body, and the VM it means; no VM for what can only be a container or a mistake.
fn service(call: &Call<'_>) -> Result<(String, Option<u32>), Failure> {
    let sid = call.params.text("sid");
    let vmid = sid.strip_prefix("vm:").unwrap_or(sid).parse::<u32>().ok();
    if sid.contains(':') {
        return Ok((sid.to_owned(), vmid.filter(|_| sid.starts_with("vm:"))));
    }
    let Some(vmid) = vmid.filter(|vmid| call.world.vms.contains_key(vmid)) else {
        let text = format!("unable to detect SID from VMID - VM/CT {sid} does not exist");
        return Err(Failure::died(text));
    };
    Ok((format!("vm:{vmid}"), Some(vmid)))
}

/// The digest of the file with all resources.
fn digest(world: &World) -> String {
    let line = |(vmid, managed): (&u32, &Managed)| format!("vm: {vmid}\n{:?}\n", shown_settings(managed));
    hex::encode(Sha1::digest(world.ha.iter().map(line).collect::<String>()))
}

fn shown_settings(managed: &Managed) -> Map<String, Value> {
    let state = match (managed.wanted, managed.settings.get("state")) {
        (Wanted::Started, _) => "started",
        (Wanted::Stopped, Some(said)) if said == "disabled" => "disabled",
        (Wanted::Stopped, _) => "stopped",
    };
    let mut shown = Map::from_iter([("state".to_owned(), Value::from(state))]);
    for property in SETTINGS {
        if let Some(text) = managed.settings.get(property.name) {
            let number = text.parse::<i64>().ok().filter(|_| property.kind != Kind::Text);
            let value = number.map_or_else(|| Value::from(text.as_str()), Value::from);
            shown.insert(property.name.to_owned(), value);
        }
    }
    shown
}

fn entry(world: &World, vmid: u32, managed: &Managed) -> Value {
    let mut entry = shown_settings(managed);
    entry.insert("sid".to_owned(), Value::from(format!("vm:{vmid}")));
    entry.insert("type".to_owned(), Value::from("vm"));
    entry.insert("digest".to_owned(), Value::from(digest(world)));
    Value::Object(entry)
}

fn list(call: &mut Call<'_>) -> Answer {
    if call.params.get("type") == Some("ct") {
        return Ok(Value::Array(Vec::new()).into());
    }
    let all = call.world.ha.iter();
    let entries = all.map(|(vmid, managed)| entry(call.world, *vmid, managed));
    Ok(Value::Array(entries.collect()).into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let (sid, vmid) = service(call)?;
    let found = vmid.and_then(|vmid| Some((vmid, call.world.ha.get(&vmid)?)));
    let (vmid, managed) = found.ok_or_else(|| Failure::died(format!("no such resource '{sid}'")))?;
    Ok(entry(call.world, vmid, managed).into())
}

/// The state that a call asks for; `enabled` is another word for `started`.
fn wanted(call: &Call<'_>) -> Result<Option<Wanted>, Failure> {
    match call.params.get("state") {
        None => Ok(None),
        Some("started" | "enabled") => Ok(Some(Wanted::Started)),
        Some("ignored") => Err(Failure::died("the state 'ignored' is not simulated")),
        Some(_) => Ok(Some(Wanted::Stopped)),
    }
}

fn settings(call: &Call<'_>) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    for name in SETTINGS.iter().map(|property| property.name).chain(["state"]) {
        if let Some(text) = call.params.get(name) {
            given.insert(name.to_owned(), text.to_owned());
        }
    }
    given
}

fn create(call: &mut Call<'_>) -> Answer {
    let (sid, vmid) = service(call)?;
    if call
        .params
        .get("type")
        .is_some_and(|kind| !sid.starts_with(&format!("{kind}:")))
    {
        return Err(Failure::died("types does not match"));
    }
    let there = vmid.filter(|vmid| call.world.vms.contains_key(vmid));
    let missing = || Failure::died(format!("resource '{sid}' does not exist in cluster"));
    let vmid = there.ok_or_else(missing)?;
    let wanted = wanted(call)?.unwrap_or(Wanted::Started);
    if call.world.ha.contains_key(&vmid) {
        let text = format!("create resource failed: resource ID '{sid}' already defined");
        return Err(Failure::died(text));
    }
    let managed = Managed {
        settings: settings(call),
        ..Managed::new(wanted)
    };
    call.world.ha.insert(vmid, managed);
    Ok(Value::Null.into())
}

fn update(call: &mut Call<'_>) -> Answer {
    let (sid, vmid) = service(call)?;
    let failed = |text: &str| Failure::died(format!("update resources config failed: {text}"));
    if call
        .params
        .get("digest")
        .is_some_and(|given| given != digest(call.world))
    {
        let text = "detected modified configuration - file changed by other user? Try again.";
        return Err(failed(text));
    }
    let (wanted, given) = (wanted(call)?, settings(call));
    let gone = format::items(call.params.text("delete"))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let found = vmid.and_then(|vmid| call.world.ha.get_mut(&vmid));
    let managed = found.ok_or_else(|| failed(&format!("no such resource '{sid}'")))?;
    managed.settings.extend(given);
    managed.settings.retain(|name, _| !gone.contains(name));
    if let Some(wanted) = wanted {
        managed.wanted = wanted;
    }
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let (sid, vmid) = service(call)?;
    let gone = vmid.and_then(|vmid| call.world.ha.remove(&vmid));
    if gone.is_none() {
        let text = format!("cannot delete service '{sid}', not HA managed!");
        return Err(Failure::died(text));
    }
    Ok(Value::Null.into())
}
