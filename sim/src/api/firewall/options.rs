//! A VM's firewall options and log; how options are shown and set is the same for the datacenter's.

use serde_json::{Map, Value, json};

use super::{DIGEST, LEVELS, VM, change, file, unmodified};
use crate::api::{Allow, Answer, Call, Endpoint, Reply};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::world::firewall::{Config, OPTIONS};

const PATH: &str = "/nodes/{node}/qemu/{vmid}/firewall/options";

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("GET", PATH, VM.see, &[], read),
    Endpoint::on_node("PUT", PATH, VM.change, UPDATE, update),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/log",
        Allow::On("/vms/{vmid}", &["VM.Console"]),
        LOG,
        log,
    ),
];

const POLICIES: &[&str] = &["ACCEPT", "REJECT", "DROP"];

const UPDATE: &[Property] = &[
    Property::boolean("dhcp").optional(),
    Property::boolean("enable").optional(),
    Property::boolean("ipfilter").optional(),
    Property::text("log_level_in").optional().one_of(LEVELS),
    Property::text("log_level_out").optional().one_of(LEVELS),
    Property::boolean("macfilter").optional(),
    Property::boolean("ndp").optional(),
    Property::text("policy_in").optional().one_of(POLICIES),
    Property::text("policy_out").optional().one_of(POLICIES),
    Property::boolean("radv").optional(),
    DIGEST,
    Property::text("delete").optional().list_of(format::config_id),
];

const LOG: &[Property] = &[
    Property::integer("limit").optional().at_least(0),
    Property::integer("since").optional().at_least(0),
    Property::integer("start").optional().at_least(0),
    Property::integer("until").optional().at_least(0),
];

/// Options as the API shows them, with their digest: numbers are numbers.
pub(super) fn shown(config: &Config) -> Value {
    let mut out = Map::new();
    for (key, text) in &config.options {
        let value = text
            .parse::<u64>()
            .map_or_else(|_| Value::from(text.as_str()), Value::from);
        out.insert(key.clone(), value);
    }
    out.insert("digest".to_owned(), Value::from(config.options_digest()));
    Value::Object(out)
}

/// Sets and deletes options of a file by the parameters of a call.
pub(super) fn set(call: &Call<'_>, config: &mut Config, known: &[&str]) -> Result<(), Failure> {
    unmodified(call, &config.options_digest())?;
    for name in format::items(call.params.get("delete").unwrap_or_default()) {
        if !known.contains(&name) {
            return Err(Failure::parameter("delete", format!("no such option '{name}'")));
        }
        config.options.remove(name);
    }
    for (name, value) in call.params.iter() {
        if known.contains(&name) {
            config.options.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

fn read(call: &mut Call<'_>) -> Answer {
    Ok(shown(call.world.firewall.file(file(call))).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    change(call, |call, config| set(call, config, OPTIONS))
}

/// No packets flow in the simulator, so the log stays as empty as that of a VM that logs nothing.
fn log(_: &mut Call<'_>) -> Answer {
    Ok(Reply {
        total: Some(1),
        ..json!([{ "n": 1, "t": "no content" }]).into()
    })
}
