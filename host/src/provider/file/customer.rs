//! `[[customer]]`.

use super::super::reader::TableReader;
use crate::domain::{CustomerId, Locale, SecretRef, TimeZoneName};
use crate::mail::EmailAddress;

/// A customer as the file asks for him.
///
/// Password, locale and time zone are for his first day: he changes them himself, and the file does not take
/// that back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerEntry {
    /// The id, which stays.
    pub id: CustomerId,
    /// The address he signs in with.
    pub email: EmailAddress,
    /// His name.
    pub name: String,
    /// His first language.
    pub locale: Locale,
    /// His first time zone.
    pub time_zone: TimeZoneName,
    /// Where to find his first password.
    pub password: Option<SecretRef>,
    /// Whether he is kept from signing in; none leaves it as it is.
    pub disabled: Option<bool>,
}

pub(super) fn read(table: &mut TableReader<'_, '_>) -> Option<CustomerEntry> {
    let id: Option<CustomerId> = table.parsed("id");
    if let Some(id) = &id {
        table.rename(format!("customer[{id}]"));
    }
    let email = table.parsed("email");
    let name = table.text("name");
    let locale = table.opt_parsed("locale").unwrap_or_default();
    let time_zone = table.opt_parsed("time_zone").unwrap_or_default();
    let password = table.opt_secret("password");
    let disabled = table.opt_flag("disabled");
    Some(CustomerEntry {
        id: id?,
        email: email?,
        name: name?,
        locale,
        time_zone,
        password,
        disabled,
    })
}
