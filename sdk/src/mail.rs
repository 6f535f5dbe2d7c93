//! Sending e-mail. Scopes: `mail.owner`, `mail.department`.

use crate::bindings::portico::plugin::mail as contract;
use crate::import::mail as import;
use crate::{Error, Template};

pub use contract::Recipient;

/// Queues a mail. The template's name ends in `.txt`; its first line is the subject. In a job the mail goes out once, also
/// when the step is run again.
///
/// # Errors
/// `quota` beyond 5 mails a call, `failed` when the data cannot be written as JSON.
pub fn send<T: Template>(to: Recipient, data: &T) -> Result<(), Error> {
    let data = data.data()?;
    import::send(to, T::NAME, &data)
}
