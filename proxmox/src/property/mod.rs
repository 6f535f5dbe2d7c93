//! Property strings: `default-value,key=value,…`, in which PVE's configs hold disks, NICs and the like.
//!
//! [`PropertyString`] keeps every byte of what was read. Changing one key leaves all others, their spelling
//! and their order as they are; a new key goes where PVE would print it. The other types here are views
//! that give some keys a type: [`Disk`], [`Net`], [`IpConfig`], [`BootOrder`], [`Agent`], [`Vga`].

mod agent;
mod boot;
mod disk;
mod ipconfig;
mod net;
mod size;
mod slot;
mod sshkeys;
mod vga;

pub use agent::Agent;
pub use boot::BootOrder;
pub use disk::{Disk, DiskLimits, Throttle};
pub use ipconfig::{Ip4, Ip6, IpConfig};
pub use net::{MacAddress, Net};
pub use size::{format_size, parse_size};
pub use slot::{Bus, DriveSlot};
pub use sshkeys::{decode_ssh_keys, encode_ssh_keys, is_public_key};
pub use vga::Vga;

use std::fmt;
use std::str::FromStr;

use crate::{foreign, lenient};

/// A property that cannot be what it should be, or would break the string it is put into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// A key that PVE would not take.
    #[error("`{0}` is not a property name")]
    Key(String),
    /// A value with a comma or a control character: it would end there and begin something else.
    #[error("the value of `{0}` must not contain commas or control characters, and must not be empty")]
    Value(String),
    /// Something that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that does not have the form of its property.
    #[error("`{key}` has a value that is not {wanted}")]
    Form {
        /// The property.
        key: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// One part of a property string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Part {
    /// `None` for a part without `=`: the default value, or an empty part.
    key: Option<String>,
    value: String,
}

/// A property string, lossless: `s.parse::<PropertyString>()?.to_string() == s` for every text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PropertyString {
    parts: Vec<Part>,
}

impl PropertyString {
    /// A string of nothing but its default value.
    ///
    /// # Errors
    /// When the value cannot be one.
    pub fn with_default(value: &str) -> Result<Self, PropertyError> {
        check_value("default value", value)?;
        if value.contains('=') {
            return Err(PropertyError::Value("default value".to_owned()));
        }
        Ok(Self {
            parts: vec![Part {
                key: None,
                value: value.to_owned(),
            }],
        })
    }

    /// The value without a key, which PVE prints first.
    pub fn default_value(&self) -> Option<&str> {
        self.parts
            .iter()
            .find(|part| part.key.is_none() && !part.value.is_empty())
            .map(|part| part.value.as_str())
    }

    /// The value of a key. Of a key that is there twice, the first counts.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|part| part.key.as_deref() == Some(key))
            .map(|part| part.value.as_str())
    }

    /// The value of a key or, if the key is not there, the default value: for the key that may be left out.
    pub fn get_or_default(&self, key: &str) -> Option<&str> {
        self.get(key).or_else(|| self.default_value())
    }

    /// A boolean, in any of the words PVE takes.
    pub fn get_bool(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(lenient::parse_bool)
    }

    /// All keys with their values, in order; the default value has no key.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.parts
            .iter()
            .map(|part| (part.key.as_deref(), part.value.as_str()))
    }

    /// Replaces the default value, or puts one in front.
    ///
    /// # Errors
    /// When the value cannot be one.
    pub fn set_default(&mut self, value: &str) -> Result<(), PropertyError> {
        let new = Self::with_default(value)?;
        match self
            .parts
            .iter_mut()
            .find(|part| part.key.is_none() && !part.value.is_empty())
        {
            Some(part) => value.clone_into(&mut part.value),
            None => drop(self.parts.splice(0..0, new.parts)),
        }
        Ok(())
    }

    /// Gives a key a value. Where the key is there its place stays; else it goes where PVE prints it: after
    /// the default value, among the others in alphabetical order.
    ///
    /// # Errors
    /// When the key or the value would break the string.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), PropertyError> {
        let leading = self.parts.iter().take_while(|part| part.key.is_none()).count();
        self.set_after(leading, key, value)
    }

    /// As [`set`](Self::set), with a number of parts in front that are not in alphabetical order.
    fn set_after(&mut self, leading: usize, key: &str, value: &str) -> Result<(), PropertyError> {
        check_key(key)?;
        check_value(key, value)?;
        if let Some(part) = self
            .parts
            .iter_mut()
            .find(|part| part.key.as_deref() == Some(key))
        {
            value.clone_into(&mut part.value);
            return Ok(());
        }
        let sorted = self.parts.iter().skip(leading);
        let before = sorted
            .take_while(|part| part.key.as_deref().is_none_or(|other| other < key))
            .count();
        let place = (leading + before).min(self.parts.len());
        self.parts.insert(
            place,
            Part {
                key: Some(key.to_owned()),
                value: value.to_owned(),
            },
        );
        Ok(())
    }

    /// Takes a key out, every time it is there.
    pub fn remove(&mut self, key: &str) {
        self.parts.retain(|part| part.key.as_deref() != Some(key));
    }

    /// Gives a key a value or takes it out.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn put(&mut self, key: &str, value: Option<&str>) -> Result<(), PropertyError> {
        if let Some(value) = value {
            return self.set(key, value);
        }
        self.remove(key);
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), PropertyError> {
    let good = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if good {
        Ok(())
    } else {
        Err(PropertyError::Key(foreign::word(key)))
    }
}

fn check_value(key: &str, value: &str) -> Result<(), PropertyError> {
    // PVE reads `key=` as no key at all.
    if value.is_empty() || value.contains(|c: char| c == ',' || c.is_control()) {
        return Err(PropertyError::Value(key.to_owned()));
    }
    Ok(())
}

impl From<&str> for PropertyString {
    fn from(text: &str) -> Self {
        // An empty part would leave a comma in front of whatever is set later.
        let parts = text
            .split(',')
            .filter(|_| !text.is_empty())
            .map(|part| match part.split_once('=') {
                Some((key, value)) => Part {
                    key: Some(key.to_owned()),
                    value: value.to_owned(),
                },
                None => Part {
                    key: None,
                    value: part.to_owned(),
                },
            });
        Self {
            parts: parts.collect(),
        }
    }
}

impl FromStr for PropertyString {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text))
    }
}

impl fmt::Display for PropertyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.parts.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match &part.key {
                Some(key) => write!(f, "{comma}{key}={}", part.value)?,
                None => write!(f, "{comma}{}", part.value)?,
            }
        }
        Ok(())
    }
}

/// A positive number as PVE's `number` type wants it: digits and at most one dot.
fn positive_number(key: &str, value: f64) -> Result<String, PropertyError> {
    if value.is_finite() && value > 0.0 {
        Ok(value.to_string())
    } else {
        Err(PropertyError::Form {
            key: key.to_owned(),
            wanted: "a number above 0",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_new_key_goes_where_pve_prints_it() {
        let mut disk = PropertyString::from("local-lvm:vm-100-disk-0,discard=on,size=32G");
        disk.set("mbps_rd", "100").unwrap();
        disk.set("aio", "native").unwrap();
        disk.set("ssd", "1").unwrap();
        assert_eq!(
            disk.to_string(),
            "local-lvm:vm-100-disk-0,aio=native,discard=on,mbps_rd=100,size=32G,ssd=1"
        );
    }

    #[test]
    fn replacing_a_value_keeps_its_place_and_every_other_byte() {
        let mut text = PropertyString::from("vol,size=32G,zzz=,odd==x,,discard=on,x");
        text.set("discard", "ignore").unwrap();
        assert_eq!(text.to_string(), "vol,size=32G,zzz=,odd==x,,discard=ignore,x");
    }

    #[test]
    fn values_and_keys_that_would_break_the_string_are_refused() {
        let mut text = PropertyString::from("vol");
        for (key, value) in [
            ("size", "1G,file=/etc/passwd"),
            ("size", "a\nb"),
            ("size", ""),
            ("a=b", "c"),
            ("", "c"),
        ] {
            assert!(text.set(key, value).is_err(), "{key} {value}");
        }
        assert!(text.set_default("a,b").is_err());
        assert!(text.set_default("a=b").is_err());
        assert_eq!(text.to_string(), "vol");
    }

    #[test]
    fn the_default_value_is_found_under_its_key_too() {
        assert_eq!(
            PropertyString::from("1,type=virtio").get_or_default("enabled"),
            Some("1")
        );
        assert_eq!(
            PropertyString::from("enabled=0,type=virtio").get_or_default("enabled"),
            Some("0")
        );
        assert_eq!(PropertyString::from("").default_value(), None);
    }

    #[test]
    fn setting_the_default_value_puts_it_in_front() {
        let mut text = PropertyString::from("a=1,b=2");
        text.set_default("vol").unwrap();
        assert_eq!(text.to_string(), "vol,a=1,b=2");
        text.set_default("other").unwrap();
        assert_eq!(text.to_string(), "other,a=1,b=2");
    }

    #[test]
    fn an_empty_string_has_no_parts_and_leaves_no_comma_behind() {
        let mut text = PropertyString::from("");
        assert_eq!((text.iter().count(), text.to_string().as_str()), (0, ""));
        text.set("b", "1").unwrap();
        text.set("a", "2").unwrap();
        assert_eq!(text.to_string(), "a=2,b=1");
        let mut text = PropertyString::from("");
        text.set_default("vol").unwrap();
        assert_eq!(text.to_string(), "vol");
    }

    proptest! {
        #[test]
        fn every_text_round_trips_byte_for_byte(text in "(?s).*") {
            prop_assert_eq!(PropertyString::from(text.as_str()).to_string(), text);
        }

        #[test]
        fn texts_full_of_commas_and_equal_signs_round_trip(text in "[a-z,=:]{0,40}") {
            prop_assert_eq!(PropertyString::from(text.as_str()).to_string(), text);
        }

        #[test]
        fn setting_one_key_changes_no_other_part(
            text in "[a-z]{1,6}(,[a-z]{1,3}=[a-z0-9]{0,4}){0,8}",
            key in "[a-z]{1,3}",
            value in "[a-z0-9]{1,4}",
        ) {
            let before = PropertyString::from(text.as_str());
            let mut after = before.clone();
            after.set(&key, &value).unwrap();
            prop_assert_eq!(after.get(&key), Some(value.as_str()));
            // Without the one part that was set, both are the same sequence.
            let mut rest = after.parts.clone();
            let place = rest.iter().position(|part| part.key.as_deref() == Some(&key)).unwrap();
            rest.remove(place);
            let mut rest_before = before.parts.clone();
            if let Some(place) = rest_before.iter().position(|part| part.key.as_deref() == Some(&key)) {
                rest_before.remove(place);
            }
            prop_assert_eq!(rest, rest_before);
        }

        #[test]
        fn setting_and_removing_a_new_key_gives_the_text_back(
            text in "[a-z]{1,6}(,[a-z]{1,3}=[a-z0-9]{0,4}){0,8}",
            value in "[a-z0-9]{1,4}",
        ) {
            let mut string = PropertyString::from(text.as_str());
            string.set("longkey", &value).unwrap();
            string.remove("longkey");
            prop_assert_eq!(string.to_string(), text);
        }
    }
}
