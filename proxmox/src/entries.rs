//! Lists of which an odd entry does not hide the others.
//!
//! Each entry is read for itself, out of the answer's own text: what is left out needs no memory, however an answer is
//! made.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::lenient;

/// A list with those entries that can be read. It can only be read from text, not from a `serde_json::Value`.
#[derive(Debug)]
pub(crate) struct Entries<T> {
    read: Vec<T>,
    total: usize,
    first_problem: Option<serde_json::Error>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            total: 0,
            first_problem: None,
        }
    }
}

impl<T> Entries<T> {
    /// How many entries the list has, with those that cannot be read.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The entries that can be read. The count of those that cannot goes to the log, as one of `what`.
    pub(crate) fn kept(self, what: &'static str) -> Vec<T> {
        if let Some(problem) = self.first_problem {
            let left_out = self.total - self.read.len();
            let problem = lenient::without_content(&problem.to_string());
            tracing::warn!(what, left_out, %problem, "entries of a list could not be read");
        }
        self.read
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Entries::default();
        while let Some(entry) = list.next_element::<&'de RawValue>()? {
            entries.total += 1;
            match serde_json::from_str(entry.get()) {
                Ok(entry) => entries.read.push(entry),
                Err(problem) => entries.first_problem = entries.first_problem.or(Some(problem)),
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        n: u32,
    }

    fn entries(json: &str) -> Entries<Row> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_odd_entry_does_not_hide_the_others_and_counts() {
        let list = entries(r#"[{"n":1}, 5, {"n":"two"}, [[[]]], null, {"n":3,"more":{}}]"#);
        assert_eq!(list.total(), 6);
        assert_eq!(list.kept("rows"), [Row { n: 1 }, Row { n: 3 }]);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for json in ["{}", "null", "\"[]\"", "[{\"n\":1}", "[{\"n\":1},,]"] {
            assert!(serde_json::from_str::<Entries<Row>>(json).is_err(), "{json}");
        }
        assert_eq!(entries("[]").total(), 0);
    }
}
