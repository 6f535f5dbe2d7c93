//! Mail: from the step that wants one sent to the server that takes it.
//!
//! A mail is put into the [`Outbox`] by the same batch that records why it is sent, under an id that says which
//! mail it is, so that it is queued once however often the step is repeated. The [`MailWorker`] takes what is
//! due, makes an RFC 5322 message of it and hands it to a [`MailTransport`]. What is refused for now is tried
//! again later and later; what is refused for good, or too often, becomes a dead letter with the reason, for
//! the provider to see and retry.
//!
//! Delivery is at least once: when the connection is lost between the message and the server's answer, the
//! message goes out again, byte for byte the same and with the same `Message-ID`, by which mail systems
//! recognise it. Contents are sealed in the store, because they may hold a new password, and erased when sent.
//!
//! To add a way of sending: a type that implements [`MailTransport`] in a file of its own. Deliberately not
//! here: the wording (templates belong to who sends the mail) and the choice of recipients.

mod address;
mod file;
mod memory;
mod message;
mod outbox;
mod smtp;
mod transport;
mod worker;

#[cfg(test)]
mod smtp_tests;

pub use self::address::{AddressError, EmailAddress};
pub use self::file::FileTransport;
pub use self::memory::MemoryTransport;
pub use self::message::{Letter, Mail, MailError, MailSender};
pub use self::outbox::{DeadLetter, Enqueued, MailState, MailStatus, Outbox, OutboxError};
pub use self::smtp::{SmtpLogin, SmtpOptions, SmtpSecurity, SmtpSetupError, SmtpTransport};
pub use self::transport::{MailTransport, SendError};
pub use self::worker::{MailWorker, RetryPolicy, WorkerReport};
