//! E-mail addresses that are safe to put into a header, an envelope and a key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// An e-mail address in the plain form `local@domain`.
///
/// Only what mail systems route in practice: ASCII, an unquoted local part (RFC 5321 `Dot-string`) and a
/// domain of letter-digit-hyphen labels with at least one dot, or `localhost`. So it can contain no line
/// break, space, comma, bracket or second `@`, and nothing in a header can follow from it. A domain with
/// other letters is given in its `xn--` form.
///
/// It keeps the case it was typed in. Two addresses are equal when their case-folded forms are, because that
/// is how people sign in, although RFC 5321 lets a server tell `Me@` from `me@`.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing, or more than 254 bytes.
    #[error("an e-mail address has 3 to 254 characters")]
    Length,
    /// No `@` or more than one.
    #[error("an e-mail address has exactly one `@`")]
    At,
    /// The part before the `@`.
    #[error("the part before the `@` is not valid")]
    Local,
    /// The part after the `@`.
    #[error("the part after the `@` is not a domain name")]
    Domain,
}

impl EmailAddress {
    /// Reads an address; white space around it is dropped.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches(|c: char| c == ' ' || c == '\t');
        if !(3..=254).contains(&text.len()) {
            return Err(AddressError::Length);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressError::At)?;
        if domain.contains('@') {
            return Err(AddressError::At);
        }
        let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom);
        if local.len() > 64 || !local.split('.').all(atom) {
            return Err(AddressError::Local);
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let named = domain.eq_ignore_ascii_case("localhost") || domain.contains('.');
        // An all-numeric last label would be an address of a host, not a name.
        let last_is_name = domain
            .rsplit('.')
            .next()
            .is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
        if !named || !last_is_name || !domain.split('.').all(label) {
            return Err(AddressError::Domain);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The case-folded form, by which accounts are looked up.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }
}

/// RFC 5322 `atext`.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EmailAddress {}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn common_addresses_are_read_and_compared_without_case() {
        for text in [
            "a@b.de",
            "First.Last+tag@Example.COM",
            "x_y'z@xn--bcher-kva.example",
            "root@localhost",
            " a@b.de ",
        ] {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text.trim());
        }
        assert_eq!(
            EmailAddress::parse("A@B.de").unwrap(),
            EmailAddress::parse("a@b.DE").unwrap()
        );
        assert_eq!(EmailAddress::parse("A@B.de").unwrap().folded(), "a@b.de");
    }

    #[test]
    fn what_could_end_a_header_or_name_a_second_recipient_is_refused() {
        for text in [
            "a@b.de\r\nBcc: c@d.de",
            "a\n@b.de",
            "a@b.de\n",
            "a@b.de,c@d.de",
            "a@b.de c@d.de",
            "<a@b.de>",
            "\"a b\"@c.de",
            "a@@b.de",
            "a@b@c.de",
            "@b.de",
            "a@",
            "a",
            "",
            "a..b@c.de",
            ".a@c.de",
            "a@-b.de",
            "a@b-.de",
            "a@b..de",
            "a@b",
            "a@.de",
            "a@b.de.",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "ä@b.de",
            "a@bücher.de",
            "a\0@b.de",
            "a(c)@b.de",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@b.de", "a".repeat(65))).is_err());
        assert!(EmailAddress::parse(&format!("a@{}.de", "b".repeat(64))).is_err());
        assert!(EmailAddress::parse(&format!("a@{}de", "b.".repeat(130))).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_has_only_safe_characters_and_is_an_address_for_the_transport(text in "[ -~\r\n]{0,40}@[a-z.@\r\n-]{0,20}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"<>,;:\"()[]\\".contains(&b)));
                prop_assert!(address.as_str().parse::<lettre::Address>().is_ok());
            }
        }
    }
}
