//! Ordered reads over a range of keys.

use std::ops::Bound;

use super::{Key, Record, Table, limits};

/// Which keys of a table to read, from which end, and how many at most.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The table.
    pub table: Table,
    /// The lower end.
    pub start: Bound<Key>,
    /// The upper end.
    pub end: Bound<Key>,
    /// How many entries at most; over [`limits::PAGE_ENTRIES`] counts as that.
    pub limit: usize,
    /// From the upper end downwards.
    pub reverse: bool,
}

impl Scan {
    /// The whole table, upwards, a page at a time.
    pub fn table(table: Table) -> Self {
        Self {
            table,
            start: Bound::Unbounded,
            end: Bound::Unbounded,
            limit: limits::PAGE_ENTRIES,
            reverse: false,
        }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(table: Table, prefix: impl Into<Key>) -> Self {
        let prefix = prefix.into();
        let end = after_prefix(prefix.as_bytes()).map_or(Bound::Unbounded, Bound::Excluded);
        Self {
            start: Bound::Included(prefix),
            end,
            ..Self::table(table)
        }
    }

    /// Only keys at or above `key`.
    #[must_use]
    pub fn from(mut self, key: impl Into<Key>) -> Self {
        self.raise(Bound::Included(key.into()));
        self
    }

    /// Only keys above `key`.
    #[must_use]
    pub fn after(mut self, key: impl Into<Key>) -> Self {
        self.raise(Bound::Excluded(key.into()));
        self
    }

    /// Only keys below `key`.
    #[must_use]
    pub fn before(mut self, key: impl Into<Key>) -> Self {
        self.lower(Bound::Excluded(key.into()));
        self
    }

    /// At most this many entries.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// From the upper end downwards.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The entries a page of this scan holds at most.
    pub fn page_entries(&self) -> usize {
        self.limit.min(limits::PAGE_ENTRIES)
    }

    /// Whether no key can be in the range. Engines that refuse a range whose ends are crossed ask first.
    pub fn is_void(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    /// The scan that goes on where `page` ended, or `None` if there is nothing more.
    #[must_use]
    pub fn next(&self, page: &Page) -> Option<Self> {
        let last = page.entries.last().filter(|_| page.more)?;
        Some(if self.reverse {
            self.clone().before(&last.key)
        } else {
            self.clone().after(&last.key)
        })
    }

    /// Raises the lower end; a call can only narrow the range, so a cursor from outside cannot leave a prefix.
    fn raise(&mut self, bound: Bound<Key>) {
        let (Bound::Included(new) | Bound::Excluded(new)) = &bound else {
            return;
        };
        let narrower = match &self.start {
            Bound::Unbounded => true,
            Bound::Included(old) => new >= old,
            Bound::Excluded(old) => new > old,
        };
        if narrower {
            self.start = bound;
        }
    }

    /// Lowers the upper end; it too can only narrow the range.
    fn lower(&mut self, bound: Bound<Key>) {
        let (Bound::Included(new) | Bound::Excluded(new)) = &bound else {
            return;
        };
        let narrower = match &self.end {
            Bound::Unbounded => true,
            Bound::Included(old) => new <= old,
            Bound::Excluded(old) => new < old,
        };
        if narrower {
            self.end = bound;
        }
    }
}

/// The smallest key that is above every key with this prefix; `None` if there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(Key::raw(end))
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries, in the order of the scan.
    pub entries: Vec<Entry>,
    /// Whether there is more behind the last entry: the limit was reached, or [`limits::PAGE_BYTES`] was.
    pub more: bool,
}

/// One key and what is under it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The record.
    pub record: Record,
}

/// Fills a page from entries in scan order, up to the limits. For implementations.
#[derive(Debug)]
pub(super) struct PageBuilder {
    page: Page,
    room: usize,
    bytes: usize,
}

impl PageBuilder {
    pub(super) fn new(scan: &Scan) -> Self {
        Self {
            page: Page::default(),
            room: scan.page_entries(),
            bytes: 0,
        }
    }

    /// Takes an entry; `false` when the page was full already and the entry stays for the next one.
    pub(super) fn push(&mut self, key: Key, record: Record) -> bool {
        let size = key.as_bytes().len() + record.value.len();
        // The first entry always fits, else a scan could not make progress.
        let fits = self.page.entries.is_empty() || self.bytes.saturating_add(size) <= limits::PAGE_BYTES;
        if self.room == 0 || !fits {
            self.page.more = true;
            return false;
        }
        self.room -= 1;
        self.bytes = self.bytes.saturating_add(size);
        self.page.entries.push(Entry { key, record });
        true
    }

    pub(super) fn finish(self) -> Page {
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_right_even_behind_the_highest_bytes() {
        assert_eq!(after_prefix(b"ab"), Some(Key::raw(*b"ac")));
        assert_eq!(after_prefix(&[1, 0xff, 0xff]), Some(Key::raw([2])));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(b""), None);
    }

    #[test]
    fn a_cursor_cannot_leave_the_prefix() {
        let prefix = Key::text("b");
        let scan = Scan::prefix(Table::Meta, &prefix).after(Key::text("a"));
        assert_eq!(scan.start, Bound::Included(prefix.clone()));
        let scan = Scan::prefix(Table::Meta, &prefix).before(Key::text("c"));
        assert_eq!(scan.end, Scan::prefix(Table::Meta, &prefix).end);
        assert!(
            Scan::prefix(Table::Meta, &prefix)
                .before(Key::text("a"))
                .is_void()
        );
    }
}
