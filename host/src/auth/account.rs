//! The identity of an account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::store::Key;

/// The id of an account: it stays when the e-mail address, by which people sign in, changes.
///
/// 1 to 64 characters: lower-case letters, digits, `-` and `_`. The declarative file names accounts by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AccountId(String);

/// Why a text is not an account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account id has 1 to 64 characters: lower-case letters, digits, `-` and `_`")]
pub struct AccountIdError;

impl AccountId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, AccountIdError> {
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccountIdError)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The store key of this id alone, and the prefix of what belongs to the account.
    pub fn key(&self) -> Key {
        Key::text(&self.0)
    }
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_plain_and_short() {
        for good in ["a", "c-1_x", &"z".repeat(64)] {
            assert_eq!(AccountId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a b", "ä", "a/b", "a\0", &"z".repeat(65)] {
            assert!(AccountId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
