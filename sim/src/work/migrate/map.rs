//! Which storage takes the place of which on the target node: `local-lvm:fast,other`.

use std::collections::BTreeMap;

use crate::schema::format;

/// A map of storages, as `targetstorage` gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StorageMap {
    /// Every storage stays what it is, said in so many words (`1`).
    pub(crate) identity: bool,
    entries: BTreeMap<String, String>,
    default: Option<String>,
}

impl StorageMap {
    /// Reads a list of `FROM:TO`, one `TO` for all others, or `1`.
    ///
    /// # Errors
    /// PVE's text, with a line break at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let valid = |entry: &str, id: &str| {
            format::storage_id("", id)
                .map_err(|reason| format!("entry '{entry}' contains invalid ID - {reason}\n\n"))
        };
        let mut map = Self::default();
        for entry in format::items(text) {
            let parts = entry.split(':').collect::<Vec<_>>();
            match parts.as_slice() {
                ["1"] => map.identity = true,
                [from, to] if !from.is_empty() && !to.is_empty() => {
                    valid(entry, from)?;
                    valid(entry, to)?;
                    let before = map.entries.insert((*from).to_owned(), (*to).to_owned());
                    if before.is_some() {
                        return Err(format!("duplicate mapping for source '{from}'\n"));
                    }
                }
                _ => {
                    valid(entry, entry)?;
                    if map.default.replace(entry.to_owned()).is_some() {
                        return Err("default target ID can only be provided once\n".to_owned());
                    }
                }
            }
        }
        if map.identity && (map.default.is_some() || !map.entries.is_empty()) {
            return Err("identity mapping cannot be combined with other mappings\n".to_owned());
        }
        Ok(map)
    }

    /// The storage that takes the place of another.
    pub(crate) fn of<'a>(&'a self, storage: &'a str) -> &'a str {
        let named = self.entries.get(storage).or(self.default.as_ref());
        named.map_or(storage, String::as_str)
    }

    /// All storages that something goes to.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &str> {
        self.entries.values().chain(&self.default).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_before_the_default() {
        let map = StorageMap::parse("aa:bb, cc").unwrap();
        assert_eq!((map.of("aa"), map.of("dd")), ("bb", "cc"));
        assert_eq!(StorageMap::parse("aa:bb").unwrap().of("dd"), "dd");
        assert!(StorageMap::parse("1").unwrap().identity);
    }

    #[test]
    fn maps_that_contradict_themselves_are_refused() {
        let reason = |text| StorageMap::parse(text).unwrap_err();
        assert_eq!(reason("aa:bb,aa:cc"), "duplicate mapping for source 'aa'\n");
        assert_eq!(reason("aa,bb"), "default target ID can only be provided once\n");
        assert_eq!(
            reason("1,aa"),
            "identity mapping cannot be combined with other mappings\n"
        );
        assert!(reason("aa:b!").starts_with("entry 'aa:b!' contains invalid ID - "));
    }
}
