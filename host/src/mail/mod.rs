//! Mail.

mod address;

pub use self::address::{AddressError, EmailAddress};
