//! Customers: the people who sign in to the client area.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Origin;
use super::id::CustomerId;
use crate::auth::PasswordHash;
use crate::mail::EmailAddress;

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The id, which stays.
    pub id: CustomerId,
    /// The address he signs in with and gets mail at; no two customers share one.
    pub email: EmailAddress,
    /// His name, as he is greeted.
    pub name: String,
    /// The language of pages and mails, a tag such as `en` or `pt-BR`.
    pub locale: Locale,
    /// The time zone of dates and schedules.
    pub time_zone: TimeZoneName,
    /// The hash of his password; none when he has yet to set one.
    pub password_hash: Option<PasswordHash>,
    /// Whether he is kept from signing in.
    pub disabled: bool,
    /// Who made the record.
    pub origin: Origin,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $error:ident, $check:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[doc = concat!("Why a text is not a value for [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let check: fn(&str) -> Option<String> = $check;
                check(text).map(Self).ok_or_else(|| $error(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

checked_text! {
    /// A language tag: a language, and a region where it matters.
    Locale, LocaleError, check_locale,
    "`{0}` is not a locale: write a language tag such as `en` or `pt-BR`"
}
checked_text! {
    /// The name of a time zone of the IANA database.
    TimeZoneName, TimeZoneNameError, check_time_zone,
    "`{0}` is not a time zone: write an IANA name such as `Europe/Vienna` or `UTC`"
}

impl Default for Locale {
    fn default() -> Self {
        Self("en".to_owned())
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TimeZoneName {
    /// The zone itself; UTC when the machine's database no longer knows the name.
    pub fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}

fn check_locale(text: &str) -> Option<String> {
    let (language, region) = match text.split_once('-') {
        Some((language, region)) => (language, Some(region)),
        None => (text, None),
    };
    let language_good =
        (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    let region_good =
        region.is_none_or(|region| region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase()));
    (language_good && region_good).then(|| text.to_owned())
}

fn check_time_zone(text: &str) -> Option<String> {
    let zone = jiff::tz::TimeZone::get(text).ok()?;
    // The database's own spelling, so that a name taken in lower case is kept as everybody writes it.
    zone.iana_name().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_must_exist() {
        assert_eq!(
            "Europe/Vienna".parse::<TimeZoneName>().unwrap().as_str(),
            "Europe/Vienna"
        );
        assert_eq!(
            TimeZoneName::default().as_str().parse::<TimeZoneName>(),
            Ok(TimeZoneName::default())
        );
        for bad in ["", "Mars/Olympus", "../../etc/passwd", "+02:00"] {
            assert!(bad.parse::<TimeZoneName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_locale_is_a_language_with_or_without_a_region() {
        for good in ["en", "de-AT", "pt-BR"] {
            assert!(good.parse::<Locale>().is_ok(), "{good}");
        }
        for bad in ["", "EN", "english", "en_US", "en-us", "en-US.UTF-8"] {
            assert!(bad.parse::<Locale>().is_err(), "{bad}");
        }
    }
}
