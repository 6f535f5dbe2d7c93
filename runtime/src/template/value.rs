//! The lists and maps that templates work on.
//!
//! The engine's own compare, hash and print containers by walking them, however deep and however often one and the same
//! list is in them, and charge no fuel for it: forty lines of `{% set x = [x, x] %}` make a list that takes years to
//! print. So no template sees them: the view's data and every list or map that a template writes is one of these. They
//! know their depth and size, refuse to grow past a limit, compare by identity and print as a word.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// How deep lists and maps may be in each other: what data may have, and a little for what a template puts around it.
const MAX_DEPTH: usize = 80;

/// How many values may be in a list or map, counting what is in those in it, as often as it is in them.
const MAX_SIZE: usize = 200_000;

/// How large a container is.
#[derive(Debug, Clone, Copy)]
struct Extent {
    depth: usize,
    size: usize,
}

impl Extent {
    fn of(values: impl Iterator<Item = Self>) -> Result<Self, Error> {
        let mut extent = Self { depth: 1, size: 1 };
        for inner in values {
            extent.depth = extent.depth.max(inner.depth + 1);
            extent.size = extent.size.saturating_add(inner.size);
        }
        if extent.depth > MAX_DEPTH || extent.size > MAX_SIZE {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a list or map grows too large",
            ));
        }
        Ok(extent)
    }

    /// The extent of a value that may be in a container.
    fn of_value(value: &Value) -> Result<Self, Error> {
        if let Some(list) = value.downcast_object_ref::<List>() {
            return Ok(list.extent);
        }
        if let Some(map) = value.downcast_object_ref::<Map>() {
            return Ok(map.extent);
        }
        if value.as_object().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "only text, numbers, lists and maps can be put into a list or map",
            ));
        }
        Ok(Self { depth: 0, size: 1 })
    }
}

/// A list.
pub(super) struct List {
    items: Vec<Value>,
    extent: Extent,
}

impl List {
    /// A list of these items. Fails where it would be too large.
    pub(super) fn from_values(items: Vec<Value>) -> Result<Value, Error> {
        let mut extents = Vec::with_capacity(items.len());
        for item in &items {
            extents.push(Extent::of_value(item)?);
        }
        let extent = Extent::of(extents.into_iter())?;
        Ok(Value::from_object(Self { items, extent }))
    }

    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl fmt::Debug for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[list of {}]", self.items.len())
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(std::ptr::from_ref(&**self).cmp(&std::ptr::from_ref(other)))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// A map with text as keys, in their order.
pub(super) struct Map {
    entries: BTreeMap<Arc<str>, Value>,
    extent: Extent,
}

impl Map {
    /// A map of these entries. Fails where it would be too large.
    pub(super) fn from_entries(entries: BTreeMap<Arc<str>, Value>) -> Result<Value, Error> {
        let mut extents = Vec::with_capacity(entries.len());
        for value in entries.values() {
            extents.push(Extent::of_value(value)?);
        }
        let extent = Extent::of(extents.into_iter())?;
        Ok(Value::from_object(Self { entries, extent }))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[map of {}]", self.entries.len())
    }
}

impl Object for Map {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.entries.get(key.as_str()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.entries.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.entries
                .keys()
                .map(|key| Value::from(Arc::clone(key)))
                .collect(),
        )
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.entries.len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(std::ptr::from_ref(&**self).cmp(&std::ptr::from_ref(other)))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Makes a [`List`] or [`Map`] of any container; other values stay as they are.
///
/// The templates' sources are rewritten so that every list, map and slice goes through this (see [`super::syntax`]), and
/// so does what the engine's filters return.
pub(super) fn guard(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Map>().is_some() {
        return Ok(value.clone());
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter()? {
                // One unit for each item: the engine charges for it elsewhere, but not for items made lazily.
                state.consume_fuel(1)?;
                items.push(guard_inner(state, item)?);
            }
            List::from_values(items)
        }
        ValueKind::Map => {
            let mut entries = BTreeMap::new();
            for key in value.try_iter()? {
                state.consume_fuel(1)?;
                let inner = guard_inner(state, value.get_item(&key)?)?;
                let name = match key.as_str() {
                    Some(name) => Arc::from(name),
                    None if key.as_object().is_none() => Arc::from(key.to_string()),
                    None => return Err(Error::new(ErrorKind::NonKey, "a key of a map must be text")),
                };
                entries.insert(name, inner);
            }
            Map::from_entries(entries)
        }
        _ => Ok(value.clone()),
    }
}

/// What is in a container: one that the engine made, such as the pairs of `items`, holds only guarded ones.
fn guard_inner(state: &State<'_, '_>, item: Value) -> Result<Value, Error> {
    match item.kind() {
        ValueKind::Invalid => Err(Error::new(
            ErrorKind::InvalidOperation,
            "a list could not be read to its end",
        )),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            if item.downcast_object_ref::<List>().is_some() || item.downcast_object_ref::<Map>().is_some() {
                return Ok(item);
            }
            let flat = item.len().is_some_and(|length| length <= 100_000) && item.kind() != ValueKind::Map;
            if !flat {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "this cannot be put into a list or map",
                ));
            }
            let mut items = Vec::new();
            for inner in item.try_iter()? {
                state.consume_fuel(1)?;
                items.push(inner);
            }
            List::from_values(items)
        }
        _ => Ok(item),
    }
}
