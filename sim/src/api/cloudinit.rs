//! The cloud-init data: what the image has, what it would have, making it anew.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Flock};
use crate::config::{seed, shown_value};
use crate::schema::Property;
use crate::world::counters::Effect;

const AUDIT: Allow = Allow::On("/vms/{vmid}", &["VM.Audit"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", "/nodes/{node}/qemu/{vmid}/cloudinit", AUDIT, &[], pending),
    Endpoint {
        flock: Some(Flock::USUAL),
        ..Endpoint::on_node(
            "PUT",
            "/nodes/{node}/qemu/{vmid}/cloudinit",
            Allow::On("/vms/{vmid}", &["VM.Config.Cloudinit"]),
            &[],
            regenerate,
        )
    },
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/cloudinit/dump",
        AUDIT,
        DUMP,
        dump,
    ),
];

const DUMP: &[Property] = &[Property::text("type").one_of(&["user", "network", "meta"])];

/// Each key: `value` is what the image has, `pending` what it would get, `delete` that it would lose it.
fn pending(call: &mut Call<'_>) -> Answer {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let wanted = vm.seed_keys();
    let had = vm.seeded.clone().unwrap_or_else(|| wanted.clone());
    let mut list = Vec::new();
    for key in wanted
        .keys()
        .chain(had.keys().filter(|key| !wanted.contains_key(*key)))
    {
        let mut entry = Map::new();
        entry.insert("key".to_owned(), Value::from(key.as_str()));
        let (before, after) = (had.get(key), wanted.get(key));
        if let Some(text) = before {
            entry.insert("value".to_owned(), shown_value(key, text));
        }
        match after {
            Some(text) if before != Some(text) => {
                entry.insert("pending".to_owned(), shown_value(key, text));
            }
            Some(_) => {}
            None => {
                entry.insert("delete".to_owned(), Value::from(1));
            }
        }
        list.push(Value::Object(entry));
    }
    Ok(Value::from(list).into())
}

fn regenerate(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let vm = call.world.vm_mut(&node, vmid)?;
    vm.check_lock()?;
    // Without a cloud-init drive there is nothing to be made.
    let has_drive = vm.drives().any(|(_, drive)| drive.is_cloudinit());
    if has_drive {
        vm.make_seed();
        call.world
            .counters
            .effect(Effect::CloudinitRegenerated, vmid, None);
    }
    Ok(Value::Null.into())
}

fn dump(call: &mut Call<'_>) -> Answer {
    let vmid = call.vmid();
    let with_password = call.may(&format!("/vms/{vmid}"), "VM.Config.Cloudinit");
    let config = call.world.vm(&call.node(), vmid)?.with_pending();
    let text = match call.params.text("type") {
        "user" => seed::user(&config, vmid, with_password),
        "network" => seed::network(&config),
        _ => seed::meta(&config, vmid),
    };
    Ok(json!(text).into())
}
