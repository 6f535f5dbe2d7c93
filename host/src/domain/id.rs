//! Identities: each kind of record has its own type, so that one cannot be passed where another is meant.
//!
//! Providers choose slugs for what they name in their file ([`ClusterId`], [`ProductId`], [`PluginId`],
//! [`CustomerId`]); services are named by a random UUID, because it is what customers see in URLs and it
//! must tell nothing about the infrastructure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identity of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not a slug.
    #[error("`{0}` is not a valid id: use 1 to 40 characters, a-z, 0-9 and `-`, starting with a letter")]
    Slug(String),
    /// The text is not a UUID.
    #[error("`{0}` is not a service id: it must be a UUID such as `6f1c1c1e-6f0b-4c8a-9d0c-0a4b1a5b8d11`")]
    Uuid(String),
    /// The number is outside of what PVE takes as a VMID.
    #[error("{0} is not a VMID: Proxmox VE uses 100 to 999999999")]
    Vmid(u64),
}

/// Whether `text` is a slug: `[a-z][a-z0-9-]{0,39}`.
fn is_slug(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && text.len() <= 40
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A slug: `[a-z][a-z0-9-]{0,39}`, checked wherever one is made, reading a record included.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The slug as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                if is_slug(&text) { Ok(Self(text)) } else { Err(IdError::Slug(text)) }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

slug_id! {
    /// A Proxmox VE cluster, or stand-alone node, that the panel has a token for.
    ClusterId
}
slug_id! {
    /// A product: what customers buy.
    ProductId
}
slug_id! {
    /// A plugin, by the id its component describes itself with.
    PluginId
}
slug_id! {
    /// A customer. It stays when the customer's e-mail address changes.
    CustomerId
}

impl CustomerId {
    /// Makes the id of a customer that was given none, from random bits: `c-` and 16 hexadecimal digits.
    pub fn from_random(bits: u64) -> Self {
        Self(format!("c-{bits:016x}"))
    }
}

/// A service: one customer's VM. Random, shown in URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(Uuid);

impl ServiceId {
    /// Makes a version 4 id from 16 random bytes, which the caller draws from its generator.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The 16 bytes, as they stand in keys of the store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The UUID itself.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for ServiceId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for ServiceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // Only the hyphenated form: one service has one URL.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
            _ => Err(IdError::Uuid(text.to_owned())),
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(out)
    }
}

/// The number of a VM in its cluster, 100 to 999999999 (PVE: `[1-9][0-9]{2,8}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vmid(u32);

impl Vmid {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vmid {
    type Error = IdError;

    fn try_from(number: u32) -> Result<Self, IdError> {
        if (100..=999_999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(IdError::Vmid(u64::from(number)))
        }
    }
}

impl From<Vmid> for u32 {
    fn from(vmid: Vmid) -> u32 {
        vmid.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_and_starts_with_a_letter() {
        for good in ["a", "pro", "basic-2", &"x".repeat(40)] {
            assert!(good.parse::<ProductId>().is_ok(), "{good}");
        }
        for bad in ["", "Pro", "2pro", "-a", "a_b", "a b", "a/b", "é", &"x".repeat(41)] {
            assert!(bad.parse::<ProductId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_record_with_a_bad_slug_does_not_read_back() {
        assert!(serde_json::from_str::<ClusterId>("\"../etc\"").is_err());
        assert!(serde_json::from_str::<Vmid>("99").is_err());
    }

    #[test]
    fn a_service_id_has_one_spelling() {
        let id = ServiceId::from_random([7; 16]);
        let text = id.to_string();
        assert_eq!(text.parse::<ServiceId>(), Ok(id));
        assert!(text.replace('-', "").parse::<ServiceId>().is_err());
        assert!(format!("{{{text}}}").parse::<ServiceId>().is_err());
        assert_eq!(id.as_uuid().get_version_num(), 4);
    }

    #[test]
    fn vmids_stay_within_what_pve_takes() {
        assert!(Vmid::try_from(99).is_err());
        assert!(Vmid::try_from(1_000_000_000).is_err());
        assert_eq!(Vmid::try_from(100).map(Vmid::get), Ok(100));
    }
}
