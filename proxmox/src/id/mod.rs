//! Names and numbers that Proxmox VE gives to things, checked when they are made.
//!
//! A value of one of these types can go into a URL, a parameter or a log line without another look.
//! The rules are those of PVE's own schema (`pve-vmid`, `pve-node`, `pve-storage-id`, `pve-configid`). Those of the
//! firewall are in a file of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::foreign;
use crate::lenient::Scalar;

/// A text that does not follow the rule of the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {what}: {rule}")]
pub struct InvalidId {
    /// What was wanted, such as `node name`.
    pub what: &'static str,
    /// The rule that was broken, in words.
    pub rule: &'static str,
    /// The offending text, cut to 64 characters and without control characters.
    pub value: String,
}

impl InvalidId {
    pub(crate) fn new(what: &'static str, rule: &'static str, value: &str) -> Self {
        Self {
            what,
            rule,
            value: foreign::word(value),
        }
    }

    /// The same about a part of PVE's answer, whose content is in no error and no log.
    pub(crate) fn in_answer<E: de::Error>(self) -> E {
        E::custom(format_args!("not a valid {}: {}", self.what, self.rule))
    }
}

/// The number of a virtual machine, 100 to 999999999, unique in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(u32);

impl VmId {
    const RULE: &'static str = "a whole number from 100 to 999999999";

    /// Checks the range.
    pub fn new(number: u32) -> Result<Self, InvalidId> {
        if (100..=999_999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidId::new("VM number", Self::RULE, &number.to_string()))
        }
    }

    /// The number itself.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for VmId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // `u32::from_str` would take a leading `+`, which PVE does not.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        match text.parse() {
            Ok(number) if digits => Self::new(number),
            _ => Err(InvalidId::new("VM number", Self::RULE, text)),
        }
    }
}

impl TryFrom<u32> for VmId {
    type Error = InvalidId;

    fn try_from(number: u32) -> Result<Self, InvalidId> {
        Self::new(number)
    }
}

impl Serialize for VmId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for VmId {
    // PVE sends VM numbers as numbers or as strings, depending on the call and the version.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Scalar::deserialize(deserializer)?
            .to_u64()
            .map_err(de::Error::custom)?
            .ok_or_else(|| de::Error::custom("a VM number is missing"))?;
        u32::try_from(number)
            .map_err(|_| InvalidId::new("VM number", Self::RULE, &number.to_string()))
            .and_then(Self::new)
            .map_err(InvalidId::in_answer)
    }
}

/// Defines an identifier that is a checked text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(InvalidId::new($what, $rule, &text)) }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(InvalidId::in_answer)
            }
        }
    };
}

mod firewall;

pub use self::firewall::{FirewallName, SetMember};

text_id!(
    /// The name of a cluster node: one DNS label.
    NodeName,
    "node name",
    "1 to 63 letters, digits or hyphens, neither first nor last a hyphen",
    |text| {
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }
);

text_id!(
    /// The name of a storage as the cluster's storage configuration has it.
    StorageId,
    "storage name",
    "2 to 100 letters, digits, hyphens, underscores or dots, a letter first, a letter or digit last",
    |text| {
        (2..=100).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }
);

text_id!(
    /// The name of a snapshot. `current` and `pending` are reserved by PVE and refused here.
    SnapshotName,
    "snapshot name",
    "2 to 40 letters, digits, hyphens or underscores, a letter first, not `current` or `pending`",
    |text| {
        (2..=40).contains(&text.len())
            && is_config_id(text)
            && text != "current"
            && !text.eq_ignore_ascii_case("pending")
    }
);

text_id!(
    /// A volume: storage name, colon, the storage's own name of it, such as `local:iso/debian.iso`.
    VolumeId,
    "volume id",
    "`storage:name`, at most 1024 bytes, without commas and control characters",
    |text| {
        text.len() <= 1024
            && !text.contains(|c: char| c.is_control() || c == ',')
            && text.split_once(':').is_some_and(|(storage, name)| {
                StorageId::new(storage).is_ok() && !name.is_empty() && !name.split('/').any(|part| part == "..")
            })
    }
);

impl VolumeId {
    /// The storage that holds the volume.
    pub fn storage(&self) -> Option<StorageId> {
        self.0
            .split_once(':')
            .and_then(|(storage, _)| StorageId::new(storage).ok())
    }

    /// The part after the colon.
    pub fn volume_name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }
}

/// PVE's `pve-configid`, the form of configuration keys and snapshot names.
pub(crate) fn is_config_id(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vm_numbers_keep_to_the_range_of_pve() {
        for good in ["100", "999999999"] {
            assert_eq!(good.parse::<VmId>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "99",
            "1000000000",
            "0100",
            "+100",
            "1e3",
            "100 ",
            "-100",
            "4294967396",
        ] {
            assert!(bad.parse::<VmId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn vm_numbers_are_read_from_numbers_and_from_strings() {
        assert_eq!(serde_json::from_str::<VmId>("100").unwrap().get(), 100);
        assert_eq!(serde_json::from_str::<VmId>("\"100\"").unwrap().get(), 100);
        for bad in ["99", "null", "[]", "\"x\"", "4294967396", "-100"] {
            assert!(serde_json::from_str::<VmId>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_could_leave_their_place_in_a_url_are_refused() {
        for bad in ["", "a/b", "..", ".", "a b", "a?b", "a%2f", "-a", "a-", "a\n", "ä"] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
            assert!(StorageId::new(bad).is_err(), "{bad:?}");
            assert!(SnapshotName::new(bad).is_err() || bad == "a-", "{bad:?}");
        }
        assert!(NodeName::new("pve-1").is_ok());
        assert!(StorageId::new("local.zfs_1-a").is_ok());
        assert!(SnapshotName::new("before_upgrade-2").is_ok());
    }

    #[test]
    fn reserved_and_overlong_snapshot_names_are_refused() {
        for bad in ["current", "pending", "Pending", "a", "1abc", &"a".repeat(41)] {
            assert!(SnapshotName::new(bad).is_err(), "{bad}");
        }
        assert!(SnapshotName::new("a".repeat(40)).is_ok());
    }

    #[test]
    fn volume_ids_need_a_storage_and_stay_inside_it() {
        let volume = VolumeId::new("my.store:iso/debian 13.iso").unwrap();
        assert_eq!(volume.storage().unwrap().as_str(), "my.store");
        assert_eq!(volume.volume_name(), "iso/debian 13.iso");
        for bad in [
            "none",
            "cdrom",
            "/dev/sdb",
            "local:",
            ":x",
            "local:a,b",
            "local:../x",
            "local:iso/../../x",
        ] {
            assert!(VolumeId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_identifier_in_an_answer_is_refused_without_being_quoted() {
        let problems = [
            serde_json::from_str::<NodeName>(r#""hunter2.example""#).unwrap_err(),
            serde_json::from_str::<VolumeId>(r#""hunter2""#).unwrap_err(),
            serde_json::from_str::<FirewallName>(r#""hunter2!""#).unwrap_err(),
            serde_json::from_str::<SetMember>(r#""hunter2!""#).unwrap_err(),
            serde_json::from_str::<crate::Upid>(r#""UPID:hunter2""#).unwrap_err(),
            serde_json::from_str::<VmId>(r#""hunter2""#).unwrap_err(),
        ];
        for problem in problems {
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
        let problem = serde_json::from_str::<VmId>("4294967396").unwrap_err();
        assert!(!problem.to_string().contains("4294967396"), "{problem}");
    }

    #[test]
    fn errors_quote_hostile_text_without_control_characters_and_cut_short() {
        let error = NodeName::new(format!("\u{1b}[31m{}", "x".repeat(500))).unwrap_err();
        assert!(
            error.value.len() <= 64 && !error.value.contains('\u{1b}'),
            "{error}"
        );
    }
}
