//! Keys of several parts that sort as their parts do.

use std::fmt;

use jiff::Timestamp;

/// An ordered key: parts one after the other, each encoded so that comparing the bytes compares the parts.
///
/// Text parts end in a zero byte (a zero inside is written `00 FF`), so `("a", "b")` never equals `("ab", "")`
/// and all keys that begin with a given part are the scan of that [`Key`] as a prefix. Numbers and times have
/// a fixed width and need no end.
///
/// ```
/// use portico_host::store::Key;
/// let short = Key::text("vm").number(9);
/// let long = Key::text("vm").number(10);
/// assert!(short < long);
/// assert!(long.as_bytes().starts_with(Key::text("vm").as_bytes()));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key whose first part is `text`.
    pub fn text(text: &str) -> Self {
        Self::default().and(text)
    }

    /// A key that is exactly these bytes, without an end mark.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Adds a text part.
    #[must_use]
    pub fn and(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a part of any bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.reserve(bytes.len() + 1);
        for &byte in bytes {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xff);
            }
        }
        self.0.push(0);
        self
    }

    /// Adds a number part.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds a time part, in microseconds; a fraction of one is rounded down.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Self {
        self.number(time.as_microsecond().cast_unsigned() ^ (1 << 63))
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the encoded key.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Starts reading the parts back.
    pub fn parts(&self) -> Parts<'_> {
        Parts(&self.0)
    }
}

/// Reads the parts of a key in the order they were added. Each reader returns `None` when the next part is
/// not there or is not of the kind asked for.
#[derive(Clone, Debug)]
pub struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    /// The next part as bytes.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut part = Vec::new();
        let mut rest = self.0;
        loop {
            let (&byte, tail) = rest.split_first()?;
            if byte != 0 {
                part.push(byte);
                rest = tail;
            } else if let Some((&0xff, tail)) = tail.split_first() {
                part.push(0);
                rest = tail;
            } else {
                self.0 = tail;
                return Some(part);
            }
        }
    }

    /// The next part as text.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    /// The next part as a number.
    pub fn number(&mut self) -> Option<u64> {
        let (head, tail) = self.0.split_first_chunk::<8>()?;
        self.0 = tail;
        Some(u64::from_be_bytes(*head))
    }

    /// The next part as a time.
    pub fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_microsecond((self.number()? ^ (1 << 63)).cast_signed()).ok()
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Key {
    /// A key of one text part.
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

/// As many bytes of a key as a message shows.
const SHOWN: usize = 64;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(&self.0);
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.0.len() {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time() -> impl Strategy<Value = Timestamp> {
        (Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond())
            .prop_map(|us| Timestamp::from_microsecond(us).unwrap())
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_parts_do(
            a in (any::<Vec<u8>>(), time(), any::<u64>(), any::<Vec<u8>>()),
            b in (any::<Vec<u8>>(), time(), any::<u64>(), any::<Vec<u8>>()),
        ) {
            let key = |p: &(Vec<u8>, Timestamp, u64, Vec<u8>)| {
                Key::default().bytes(&p.0).time(p.1).number(p.2).bytes(&p.3)
            };
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn parts_read_back_what_was_put_in(bytes in any::<Vec<u8>>(), time in time(), number: u64, text: String) {
            let key = Key::default().bytes(&bytes).time(time).number(number).and(&text);
            let mut parts = key.parts();
            prop_assert_eq!(parts.bytes(), Some(bytes));
            prop_assert_eq!(parts.time(), Some(time));
            prop_assert_eq!(parts.number(), Some(number));
            prop_assert_eq!(parts.text(), Some(text));
            prop_assert_eq!(parts.bytes(), None);
        }

        #[test]
        fn no_bytes_at_all_panic_the_reader(bytes: Vec<u8>) {
            let key = Key::raw(bytes);
            let mut parts = key.parts();
            let _ = (parts.clone().number(), parts.clone().time(), parts.text());
        }
    }
}
