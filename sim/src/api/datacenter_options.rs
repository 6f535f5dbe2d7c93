//! The datacenter's options: what is taken, how it is kept, how PVE reads it back.
//!
//! Options with parts are kept as the text that was given and shown as objects. None has an effect here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Allow, Answer, Call, Endpoint};
use crate::schema::property_string::Layout;
use crate::schema::{Kind, Property, format};
use crate::world::World;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", "/cluster/options", Allow::User, &[], read),
    Endpoint::anywhere(
        "PUT",
        "/cluster/options",
        Allow::On("/", &["Sys.Modify"]),
        OPTIONS,
        update,
    ),
];

/// An option with parts, which [`layout`] has by its name.
const fn with_parts(name: &'static str) -> Property {
    Property::text(name).optional().format(are_parts)
}

const OPTIONS: &[Property] = &[
    with_parts("bwlimit"),
    Property::text("consent-text").optional().no_longer_than(65_536),
    Property::text("console")
        .optional()
        .one_of(&["applet", "vv", "html5", "xtermjs"]),
    with_parts("crs").new_in_9(),
    Property::text("crs").optional().format(is_crs_of_8),
    Property::text("delete").optional().list_of(format::config_id),
    Property::text("description").optional().no_longer_than(65_536),
    Property::text("email_from")
        .optional()
        .format(format::email_or_nothing),
    Property::text("fencing")
        .optional()
        .one_of(&["watchdog", "hardware", "both"]),
    with_parts("ha"),
    Property::text("http_proxy").optional().pattern(is_http),
    Property::text("keyboard").optional().one_of(&[
        "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it",
        "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
    ]),
    Property::text("language").optional().one_of(&[
        "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he", "it", "ja", "ka", "kr", "nb", "nl",
        "nn", "pl", "pt_BR", "ru", "sl", "sv", "tr", "ukr", "zh_CN", "zh_TW",
    ]),
    Property::text("mac_prefix").optional().format(mac_prefix),
    Property::integer("max_workers").optional().at_least(1),
    with_parts("migration"),
    Property::boolean("migration_unsecure").optional(),
    with_parts("next-id"),
    with_parts("notify"),
    Property::text("registered-tags").optional().pattern(are_tags),
    with_parts("replication").new_in_9(),
    with_parts("tag-style"),
    with_parts("u2f"),
    with_parts("user-tag-access"),
    with_parts("webauthn"),
];

const fn limit(name: &'static str) -> Property {
    Property::number(name).optional().at_least(0)
}

const fn text(name: &'static str) -> Property {
    Property::text(name).optional()
}

const HOW: &[Property] = &[
    text("network").format(cidr),
    Property::text("type").one_of(&["secure", "insecure"]),
];

/// The parts of an option, and which of them may stand without its name.
fn layout(name: &str) -> Option<Layout> {
    let parts: &'static [Property] =
        match name {
            "bwlimit" => {
                &const {
                    [
                        limit("clone"),
                        limit("default"),
                        limit("migration"),
                        limit("move"),
                        limit("restore"),
                    ]
                }
            }
            "crs" => {
                &const {
                    [
                        text("ha").one_of(&["basic", "static", "dynamic"]),
                        Property::boolean("ha-auto-rebalance").optional(),
                        limit("ha-auto-rebalance-hold-duration"),
                        limit("ha-auto-rebalance-margin"),
                        text("ha-auto-rebalance-method").one_of(&["bruteforce", "topsis"]),
                        limit("ha-auto-rebalance-threshold"),
                        Property::boolean("ha-rebalance-on-start").optional(),
                    ]
                }
            }
            "ha" => {
                &const {
                    [Property::text("shutdown_policy").one_of(&[
                        "freeze",
                        "failover",
                        "conditional",
                        "migrate",
                    ])]
                }
            }
            "migration" | "replication" => HOW,
            "next-id" => {
                &const {
                    [
                        Property::integer("lower").optional(),
                        Property::integer("upper").optional(),
                    ]
                }
            }
            "notify" => {
                &const {
                    [
                        text("fencing").one_of(&["always", "never"]),
                        text("package-updates").one_of(&["auto", "always", "never"]),
                        text("replication").one_of(&["always", "never"]),
                        text("target-fencing"),
                        text("target-package-updates"),
                        text("target-replication"),
                    ]
                }
            }
            "tag-style" => {
                &const {
                    [
                        Property::boolean("case-sensitive").optional(),
                        text("color-map").pattern(are_colours),
                        text("ordering").one_of(&["config", "alphabetical"]),
                        text("shape").one_of(&["full", "circle", "dense", "none"]),
                    ]
                }
            }
            "u2f" => &const { [text("appid"), text("origin")] },
            "user-tag-access" => {
                &const {
                    [
                        text("user-allow").one_of(&["none", "list", "existing", "free"]),
                        text("user-allow-list").pattern(are_tags),
                    ]
                }
            }
            "webauthn" => {
                &const {
                    [
                        Property::boolean("allow-subdomains").optional(),
                        text("id"),
                        text("origin"),
                        text("rp"),
                    ]
                }
            }
            _ => return None,
        };
    Some(Layout {
        default_key: ["migration", "replication"].contains(&name).then_some("type"),
        parts,
        aliases: &[],
    })
}

fn are_parts(name: &str, given: &str) -> Result<(), String> {
    match layout(name) {
        Some(layout) => layout.parse(name, given).map(drop),
        None => Ok(()),
    }
}

/// Scheduling in 8 knows two of the parts.
fn is_crs_of_8(name: &str, given: &str) -> Result<(), String> {
    let layout = Layout {
        default_key: None,
        parts: &const {
            [
                text("ha").one_of(&["basic", "static"]),
                Property::boolean("ha-rebalance-on-start").optional(),
            ]
        },
        aliases: &[],
    };
    layout.parse(name, given).map(drop)
}

fn is_http(text: &str) -> bool {
    text.starts_with("http://")
}

/// Tags between semicolons.
fn are_tags(text: &str) -> bool {
    text.split(';').all(|tag| format::tag("", tag).is_ok())
}

/// `TAG:COLOUR` or `TAG:COLOUR:COLOUR`, between semicolons.
fn are_colours(text: &str) -> bool {
    let colour = |text: &str| text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(';').all(|entry| {
        let mut parts = entry.split(':');
        let tag = parts.next().unwrap_or_default();
        let count = parts.clone().count();
        format::tag("", tag).is_ok() && (1..=2).contains(&count) && parts.all(colour)
    })
}

/// Three bytes of a unicast address.
fn mac_prefix(_: &str, text: &str) -> Result<(), String> {
    let padded = format!("{text}:00:00:00");
    format::mac("", &padded).map_err(|_| format!("value '{text}' is not a valid MAC prefix"))
}

fn cidr(_: &str, text: &str) -> Result<(), String> {
    let good = format::ipv4_config("", text).is_ok() || format::ipv6_config("", text).is_ok();
    if good && text.contains('/') {
        Ok(())
    } else {
        Err("value does not look like a valid CIDR network".to_owned())
    }
}

/// An option as PVE reads it from its file: numbers stay texts, parts become an object, lists of tags an array.
fn shown(name: &str, kept: &str) -> Value {
    let tags = |list: &str| list.split(';').collect::<Value>();
    if name == "registered-tags" {
        return tags(kept);
    }
    let Some(layout) = layout(name) else {
        return Value::from(kept);
    };
    let parts = layout.parse(name, kept).unwrap_or_default().into_iter();
    let entries = parts.map(|(part, text)| {
        let boolean = layout
            .parts
            .iter()
            .any(|known| known.name == part && known.kind == Kind::Boolean);
        let value = match part.as_str() {
            "user-allow-list" => tags(&text),
            _ if boolean => Value::from(u8::from(text == "1")),
            _ => Value::from(text),
        };
        (part, value)
    });
    Value::Object(entries.collect())
}

/// The first VMID that is given to new VMs, and the one before which that ends (`next-id`).
pub(super) fn vmid_range(world: &World) -> (u32, u32) {
    let kept = world.options.get("next-id").zip(layout("next-id"));
    let parts = kept.and_then(|(text, layout)| layout.parse("next-id", text).ok());
    let end = |name, usual| {
        let text = parts.as_ref().and_then(|parts| parts.get(name));
        text.and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    (end("lower", 100), end("upper", 1_000_000))
}

/// All options; without `Sys.Audit` only those that the web interface needs.
fn read(call: &mut Call<'_>) -> Answer {
    let audit = call.may("/", "Sys.Audit");
    let kept = call.world.options.iter();
    let seen = kept.filter(|(name, _)| audit || ["console", "tag-style"].contains(&name.as_str()));
    let mut out = seen
        .map(|(name, kept)| (name.clone(), shown(name, kept)))
        .collect::<Map<_, _>>();
    if audit {
        out.entry("mac_prefix").or_insert_with(|| Value::from("BC:24:11"));
        // Notes are comment lines of the file, of which each ends with a line feed.
        let notes = call.world.options.get("description");
        let notes = notes.map_or_else(String::new, |text| format!("{text}\n"));
        out.insert("description".to_owned(), Value::from(notes));
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

fn update(call: &mut Call<'_>) -> Answer {
    let given = call.params.without(&["delete"]);
    let options = &mut call.world.options;
    for (name, value) in given.iter() {
        let (name, value) = match (name, value) {
            ("console", "applet") => (name, "html5"),
            // The old name of a part that has moved.
            ("migration_unsecure", flag) if !options.contains_key("migration") => {
                ("migration", if flag == "1" { "insecure" } else { "secure" })
            }
            kept => kept,
        };
        options.insert(name.to_owned(), value.to_owned());
    }
    for name in format::items(call.params.text("delete")) {
        options.remove(name);
    }
    Ok(Value::Null.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_with_parts_has_a_layout() {
        for option in OPTIONS {
            let named = [
                "bwlimit",
                "crs",
                "ha",
                "migration",
                "next-id",
                "notify",
                "replication",
                "tag-style",
            ];
            assert_eq!(
                named.contains(&option.name) || ["u2f", "user-tag-access", "webauthn"].contains(&option.name),
                layout(option.name).is_some(),
                "{}",
                option.name
            );
        }
    }

    #[test]
    fn parts_are_shown_as_objects() {
        let migration = shown("migration", "insecure,network=10.0.0.0/24");
        assert_eq!(
            migration.to_string(),
            r#"{"network":"10.0.0.0/24","type":"insecure"}"#
        );
        let style = shown("tag-style", "case-sensitive=1,color-map=prod:ff0000");
        assert_eq!(
            style.to_string(),
            r#"{"case-sensitive":1,"color-map":"prod:ff0000"}"#
        );
        assert!(is_crs_of_8("crs", "ha=dynamic").is_err() && are_parts("crs", "ha=dynamic").is_ok());
    }
}
