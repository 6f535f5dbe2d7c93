//! Customers: the people who sign in to the client area.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Origin;
use super::id::CustomerId;

/// A customer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The id, which stays.
    pub id: CustomerId,
    /// The address he signs in with and gets mail at; no two customers share one.
    pub email: Email,
    /// His name, as he is greeted.
    pub name: String,
    /// The language of pages and mails, a tag such as `en` or `pt-BR`.
    pub locale: Locale,
    /// The time zone of dates and schedules.
    pub time_zone: TimeZoneName,
    /// The PHC string of his password (argon2id); none when he has yet to set one.
    pub password_hash: Option<String>,
    /// Whether he is kept from signing in.
    pub disabled: bool,
    /// Who made the record.
    pub origin: Origin,
}

// By hand: a hash is not for logs.
impl fmt::Debug for Customer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Customer")
            .field("id", &self.id)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
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
    /// An e-mail address, its letters in lower case: people do not sign in by case.
    Email, EmailError, check_email,
    "`{0}` is not an e-mail address: write one such as `anna@example.com`"
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

fn check_email(text: &str) -> Option<String> {
    // The sender's parser decides, so that an address taken here can be written to later. Quoted local parts
    // and address literals are legal and only trouble: not taken.
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|character| {
                !character.is_whitespace() && !character.is_control() && !"\"<>()[],;:\\".contains(character)
            })
    };
    let good = text.len() <= 254
        && plain(local)
        && !local.contains('@')
        && plain(domain)
        && domain.contains('.')
        && text.parse::<lettre::Address>().is_ok();
    good.then(|| text.to_lowercase())
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
    fn an_address_is_kept_in_lower_case() {
        assert_eq!(
            "Anna@Example.COM".parse::<Email>().unwrap().as_str(),
            "anna@example.com"
        );
    }

    #[test]
    fn what_cannot_be_written_to_is_no_address() {
        for bad in [
            "",
            "anna",
            "anna@",
            "@example.com",
            "anna@localhost",
            "a b@example.com",
            "anna@example.com\r\nBcc: x@example.com",
            "a@b@example.com",
            "<anna@example.com>",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }

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

    #[test]
    fn debug_output_of_a_customer_has_no_hash() {
        let customer = Customer {
            id: "anna".parse().unwrap(),
            email: "anna@example.com".parse().unwrap(),
            name: "Anna".into(),
            locale: Locale::default(),
            time_zone: TimeZoneName::default(),
            password_hash: Some("$argon2id$secret".into()),
            disabled: false,
            origin: Origin::File,
        };
        assert!(!format!("{customer:?}").contains("argon2"));
    }
}
