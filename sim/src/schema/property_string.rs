//! Property strings such as `virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,rate=12.5`.
//!
//! A [`Layout`] names the parts; [`Layout::parse`] reads and checks a text, [`Layout::print`] writes it the way
//! PVE stores it: the default key first (without its name), then required parts, then the rest by alphabet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Kind, Property};

/// The parts of one property string.
pub(crate) struct Layout {
    /// The part that may stand without its name.
    pub(crate) default_key: Option<&'static str>,
    /// All parts.
    pub(crate) parts: &'static [Property],
    /// Other names of parts: (alias, part).
    pub(crate) aliases: &'static [(&'static str, &'static str)],
}

/// The parts of a text, by name.
pub(crate) type Parts = BTreeMap<String, String>;

impl Layout {
    /// Reads a text; `path` is the parameter's name for messages.
    pub(crate) fn parse(&self, path: &str, text: &str) -> Result<Parts, String> {
        let mut parts = Parts::new();
        for piece in text.split(',').filter(|piece| !piece.trim().is_empty()) {
            let (key, value) = match piece.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
                Some(_) => return Err("missing key in comma-separated list property".to_owned()),
                None => match self.default_key {
                    Some(key) => (key, piece),
                    None => {
                        return Err("value without key, but schema does not define a default key".to_owned());
                    }
                },
            };
            let key = self
                .aliases
                .iter()
                .find(|(alias, _)| *alias == key)
                .map_or(key, |(_, part)| *part);
            let Some(property) = self.parts.iter().find(|property| property.name == key) else {
                return Err(format!("invalid key in comma-separated list property: {key}"));
            };
            let value = if property.kind == Kind::Boolean {
                boolean(value).unwrap_or(value)
            } else {
                value
            };
            if parts.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("duplicate key in comma-separated list property: {key}"));
            }
        }
        let mut errors = String::new();
        for property in self.parts {
            let given = parts.get(property.name);
            if given.is_none() && property.optional {
                continue;
            }
            let name = format!("{path}.{}", property.name);
            let missing = "property is missing and it is not optional";
            let outcome = given.map_or_else(
                || Err(missing.to_owned()),
                |value| property.accept_text(&name, value),
            );
            if let Err(reason) = outcome {
                let _ = write!(errors, "\n{name}: {}", reason.trim_end());
            }
        }
        if errors.is_empty() {
            Ok(parts)
        } else {
            Err(format!("format error{errors}"))
        }
    }

    /// Writes the parts in PVE's order.
    pub(crate) fn print(&self, parts: &Parts) -> String {
        let mut pieces = Vec::new();
        if let Some(value) = self.default_key.and_then(|key| parts.get(key)) {
            pieces.push(value.clone());
        }
        let named = |required: bool| {
            parts.iter().filter(move |(key, _)| {
                Some(key.as_str()) != self.default_key
                    && self
                        .parts
                        .iter()
                        .any(|p| p.name == key.as_str() && p.optional != required)
            })
        };
        pieces.extend(
            named(true)
                .chain(named(false))
                .map(|(key, value)| format!("{key}={value}")),
        );
        pieces.join(",")
    }
}

/// What PVE takes for yes and no inside property strings.
pub(crate) fn boolean(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some("1"),
        "0" | "off" | "no" | "false" => Some("0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        default_key: Some("file"),
        parts: &[
            Property::text("file"),
            Property::text("size").optional(),
            Property::boolean("ssd").optional(),
            Property::integer("iops").optional().at_least(1),
        ],
        aliases: &[("volume", "file")],
    };

    #[test]
    fn parts_come_out_in_pves_order_and_booleans_as_digits() {
        let parts = LAYOUT
            .parse("scsi0", "size=32G,ssd=on,volume=a:b,iops=5")
            .unwrap();
        assert_eq!(LAYOUT.print(&parts), "a:b,iops=5,size=32G,ssd=1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let reason = |text| LAYOUT.parse("scsi0", text).unwrap_err();
        assert_eq!(
            reason("a,b"),
            "duplicate key in comma-separated list property: file"
        );
        assert_eq!(reason("a,x=1"), "invalid key in comma-separated list property: x");
        assert_eq!(
            reason("size=1G"),
            "format error\nscsi0.file: property is missing and it is not optional"
        );
        assert_eq!(
            reason("a,iops=0"),
            "format error\nscsi0.iops: value must have a minimum value of 1"
        );
        assert_eq!(reason("a,=3"), "missing key in comma-separated list property");
    }
}
