//! The JSON that a template is rendered with.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::{DataError, Excerpt};
use super::limits::TemplateLimits;
use super::value::{List, Map};

/// Parses the JSON object of a view or a sample.
pub(super) fn parse(json: &str, limits: &TemplateLimits) -> Result<Value, DataError> {
    if json.len() > limits.data_bytes {
        return Err(DataError::TooLarge {
            size: json.len(),
            limit: limits.data_bytes,
        });
    }
    let too_deep = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let seed = Seed {
        remaining: limits.data_depth,
        too_deep: &too_deep,
    };
    let parsed = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(value) if value.downcast_object_ref::<Map>().is_some() => Ok(value),
        Ok(_) => Err(DataError::Invalid {
            reason: Excerpt::new("the outermost value is not an object"),
        }),
        Err(_) if too_deep.get() => Err(DataError::TooDeep {
            limit: limits.data_depth,
        }),
        Err(error) => Err(DataError::Invalid {
            reason: Excerpt::new(&error.to_string()),
        }),
    }
}

/// Builds a value of what comes next in the JSON.
#[derive(Clone, Copy)]
struct Seed<'a> {
    /// How many more levels it may nest.
    remaining: usize,
    too_deep: &'a Cell<bool>,
}

impl Seed<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let Some(remaining) = self.remaining.checked_sub(1) else {
            self.too_deep.set(true);
            return Err(E::custom("too deep"));
        };
        Ok(Self { remaining, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let seed = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        List::from_values(items).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let seed = self.inner()?;
        let mut entries = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            entries.insert(Arc::from(key), access.next_value_seed(seed)?);
        }
        Map::from_entries(entries).map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Value, DataError> {
        parse(json, &TemplateLimits::default())
    }

    #[test]
    fn an_object_is_read_with_all_kinds_of_values() {
        let value = check(r#"{"a": [1, -2, 0.5, "x", true, null, {"b": []}]}"#).unwrap();
        let list = value.get_attr("a").unwrap();
        assert_eq!(list.len(), Some(7));
        assert_eq!(list.get_item_by_index(1).unwrap(), Value::from(-2));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for json in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{\"a\":1}x",
            "{\"a\":1}{}",
            "{a:1}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
        ] {
            assert!(matches!(check(json), Err(DataError::Invalid { .. })), "{json}");
        }
    }

    #[test]
    fn depth_is_counted_from_the_object_itself() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&nested(63)).is_ok());
        assert_eq!(check(&nested(64)).unwrap_err(), DataError::TooDeep { limit: 64 });
        assert_eq!(
            check(&nested(100_000)).unwrap_err(),
            DataError::TooDeep { limit: 64 }
        );
    }

    #[test]
    fn size_is_judged_before_anything_is_parsed() {
        let json = format!("{{\"a\":\"{}\"}}", "x".repeat(300 * 1024));
        assert!(matches!(
            check(&json),
            Err(DataError::TooLarge { limit: 262_144, .. })
        ));
    }
}
