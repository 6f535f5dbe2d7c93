//! Sending e-mail. Scopes: `mail.owner`, `mail.department`.

use crate::bindings::portico::plugin::mail as import;
use crate::{Error, Template, host};

pub use import::Recipient;

/// Queues a mail. The template's name ends in `.txt`; its first line is the subject. In a job the mail goes out once, also
/// when the step is run again.
///
/// # Errors
/// `quota` beyond 5 mails a call, `failed` when the data cannot be written as JSON.
pub fn send<T: Template>(to: Recipient, data: &T) -> Result<(), Error> {
    let data = data.data()?;
    host!("mail.send", import::send(to, T::NAME, &data), |host| {
        host.mails.push(crate::testing::Mail {
            to,
            template: T::NAME,
            data,
        });
        Ok(())
    })
}
