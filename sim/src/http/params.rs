//! Reading parameters from a query string, a form or a JSON body.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Failure;
use crate::schema::Raw;

/// Parameters as they came in.
pub(crate) type Given = BTreeMap<String, Raw>;

fn decoded(text: &str) -> String {
    let blanks = text.replace('+', " ");
    percent_encoding::percent_decode_str(&blanks)
        .decode_utf8_lossy()
        .into_owned()
}

/// Adds one value; a repeated key becomes a list.
fn add(given: &mut Given, name: String, value: String) {
    let merged = match given.remove(&name) {
        None | Some(Raw::Null) => Raw::Text(value),
        Some(Raw::Text(first)) => Raw::List(vec![first, value]),
        Some(Raw::List(mut items)) => {
            items.push(value);
            Raw::List(items)
        }
        Some(Raw::Object) => Raw::Object,
    };
    given.insert(name, merged);
}

/// Reads `a=1&b=2;c=3`, as PVE takes it apart: a key without `=` has no value, and what stands behind a second `=`
/// that nobody encoded is lost.
pub(crate) fn form(text: &str) -> Given {
    let mut given = Given::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let mut parts = pair.split('=');
        let name = decoded(parts.next().unwrap_or_default());
        match parts.next() {
            Some(value) => add(&mut given, name, decoded(value)),
            None => {
                given.insert(name, Raw::Null);
            }
        }
    }
    given
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn json(text: &[u8]) -> Result<Given, Failure> {
    let malformed =
        || Failure::died("malformed JSON string, neither tag, array, object, number, string or atom");
    let value = serde_json::from_slice::<Value>(text).map_err(|_| malformed())?;
    let object = value.as_object().ok_or_else(malformed)?;
    let mut given = Given::new();
    for (name, value) in object {
        let raw = match value {
            Value::Null => Raw::Null,
            Value::Array(items) => items
                .iter()
                .map(scalar)
                .collect::<Option<_>>()
                .map_or(Raw::Object, Raw::List),
            Value::Object(_) => Raw::Object,
            other => Raw::Text(scalar(other).unwrap_or_default()),
        };
        given.insert(name.clone(), raw);
    }
    Ok(given)
}

/// Body overlaid by the query string; `_dc`, with which browsers defeat caches, is dropped.
pub(crate) fn read(query: Option<&str>, content_type: Option<&str>, body: &[u8]) -> Result<Given, Failure> {
    let kind = content_type
        .and_then(|text| text.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    let mut given = if body.is_empty() {
        Given::new()
    } else if kind.is_empty() || kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        form(&String::from_utf8_lossy(body))
    } else if kind.eq_ignore_ascii_case("application/json") {
        json(body)?
    } else {
        return Err(Failure::new(
            506,
            format!("upload 'Content-Type '{kind}' not implemented"),
        ));
    };
    given.extend(form(query.unwrap_or_default()));
    given.remove("_dc");
    Ok(given)
}

/// Parameters as the request log keeps them.
pub(crate) fn masked(given: &Given) -> BTreeMap<String, String> {
    let secret = |name: &str| {
        ["password", "otp", "tfa-challenge", "sshkeys", "vncticket"].contains(&name)
            || name.ends_with("password")
    };
    given
        .iter()
        .map(|(name, raw)| {
            let text = match raw {
                _ if secret(name) => "***".to_owned(),
                Raw::Text(text) => text.clone(),
                Raw::List(items) => items.join(","),
                Raw::Object => "{…}".to_owned(),
                Raw::Null => String::new(),
            };
            (name.clone(), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Raw {
        Raw::Text(value.to_owned())
    }

    #[test]
    fn the_query_wins_over_the_body_and_repeated_keys_are_lists() {
        let given = read(Some("a=2&_dc=9"), None, b"a=1&b=x+y%2Bz;c=1&c=2").unwrap();
        assert_eq!(given["a"], text("2"));
        assert_eq!(given["b"], text("x y+z"));
        assert_eq!(given["c"], Raw::List(vec!["1".into(), "2".into()]));
        assert!(!given.contains_key("_dc"));
    }

    #[test]
    fn a_value_that_was_not_encoded_ends_at_its_equals_sign_and_a_bare_key_has_none() {
        let given = form("net0=virtio,bridge=vmbr0&a=&b&c=x%3Dy");
        assert_eq!(given["net0"], text("virtio,bridge"));
        assert_eq!(given["a"], text(""));
        assert_eq!(given["b"], Raw::Null);
        assert_eq!(given["c"], text("x=y"));
    }

    #[test]
    fn json_scalars_are_read_as_perl_sees_them() {
        let given = read(
            None,
            Some("application/json"),
            br#"{"a":true,"b":5,"c":null,"d":{}}"#,
        )
        .unwrap();
        assert_eq!(given["a"], text("1"));
        assert_eq!(given["b"], text("5"));
        assert_eq!(given["c"], Raw::Null);
        assert_eq!(given["d"], Raw::Object);
        assert!(read(None, Some("application/json"), b"[").is_err());
    }

    #[test]
    fn other_content_types_are_refused_when_there_is_a_body() {
        assert_eq!(read(None, Some("text/plain"), b"a").unwrap_err().status, 506);
        assert!(read(None, Some("text/plain"), b"").is_ok());
    }

    #[test]
    fn passwords_are_not_logged() {
        let given = form("password=x&cipassword=y&username=u");
        let log = masked(&given);
        assert_eq!(
            (
                log["password"].as_str(),
                log["cipassword"].as_str(),
                log["username"].as_str()
            ),
            ("***", "***", "u")
        );
    }
}
