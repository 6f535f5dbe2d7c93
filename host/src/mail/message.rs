//! What is sent, and the message that is made of it.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use serde::{Deserialize, Serialize};

use super::EmailAddress;
use crate::clock::span;

/// The longest subject, in characters.
const SUBJECT: usize = 200;
/// The longest text and the longest HTML, in bytes.
const BODY: usize = 256 << 10;
/// The longest id, in bytes.
const ID: usize = 200;

/// A mail to be sent. Subject and texts are ready to send: nothing is filled in later.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Says which mail this is, for example `job/17/done`: a mail of the same id is queued only once. 1 to 200
    /// printable ASCII characters without spaces.
    pub id: String,
    /// To whom.
    pub to: EmailAddress,
    /// The subject, one line of at most 200 characters.
    pub subject: String,
    /// The text, at most 256 KiB.
    pub text: String,
    /// The same as HTML, if there is one, at most 256 KiB.
    pub html: Option<String>,
}

/// What is wrong with a mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} of the mail {reason}")]
pub struct MailError {
    /// Which part.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Mail {
    /// Checks what the types do not say.
    pub fn check(&self) -> Result<(), MailError> {
        let wrong = |field, reason| Err(MailError { field, reason });
        if !(1..=ID).contains(&self.id.len()) || !self.id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong("id", "must be 1 to 200 printable ASCII characters without spaces");
        }
        if self.subject.chars().any(char::is_control) {
            return wrong("subject", "contains a line break or another control character");
        }
        if self.subject.trim().is_empty() || self.subject.chars().count() > SUBJECT {
            return wrong("subject", "must have 1 to 200 characters");
        }
        if self.text.len() > BODY || self.html.as_ref().is_some_and(|html| html.len() > BODY) {
            return wrong("text", "is over 256 KiB");
        }
        if self.text.contains('\0') || self.html.as_ref().is_some_and(|html| html.contains('\0')) {
            return wrong("text", "contains a zero byte");
        }
        Ok(())
    }
}

/// What of a mail is kept sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: Option<String>,
    /// Where answers go, if not to where the sender has them go.
    #[serde(default)]
    pub(super) reply_to: Option<EmailAddress>,
}

/// In whose name mails are sent.
#[derive(Clone, Debug)]
pub struct MailSender {
    /// The `From` address; its domain is also that of the `Message-ID`.
    pub from: EmailAddress,
    /// The name beside it, if any.
    pub name: Option<String>,
    /// Where answers go, if not to `from`.
    pub reply_to: Option<EmailAddress>,
}

/// A message as it goes to the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The content of the `Message-ID`, without the brackets; the same in every attempt.
    pub message_id: String,
    /// When the mail was queued, which is also its `Date`.
    pub queued: Timestamp,
    /// The sender of the envelope.
    pub from: EmailAddress,
    /// The recipient of the envelope.
    pub to: EmailAddress,
    /// The message, RFC 5322, lines ended by CR LF.
    pub bytes: Vec<u8>,
}

fn mailbox(address: &EmailAddress, name: Option<&str>) -> Result<Mailbox, MailError> {
    let parsed = address.as_str().parse();
    let address = parsed.map_err(|_| MailError {
        field: "address",
        reason: "is refused by the mail library",
    })?;
    // A control character in a name could end the header; lettre encodes everything else.
    let name = name.map(|name| name.chars().filter(|c| !c.is_control()).collect::<String>());
    Ok(Mailbox::new(name.filter(|name| !name.trim().is_empty()), address))
}

/// Makes the message. The same input makes the same bytes: no clock, no randomness.
pub(super) fn compose(
    id: &str,
    to: &EmailAddress,
    queued: Timestamp,
    content: Content,
    sender: &MailSender,
) -> Result<Letter, MailError> {
    let digest = blake3::derive_key("portico mail id, version 1", id.as_bytes());
    let name = hex::encode(
        digest
            .split_first_chunk::<16>()
            .map(|(head, _)| *head)
            .unwrap_or_default(),
    );
    let message_id = format!("{name}@{}", sender.from.domain());
    let mut builder = MessageBuilder::new()
        .message_id(Some(format!("<{message_id}>")))
        .date(SystemTime::UNIX_EPOCH + span(Timestamp::UNIX_EPOCH, queued))
        .from(mailbox(&sender.from, sender.name.as_deref())?)
        .to(mailbox(to, None)?)
        .subject(content.subject)
        // RFC 3834: an automatic answer to an automatic mail helps nobody.
        .header(AutoSubmitted);
    if let Some(reply_to) = content.reply_to.as_ref().or(sender.reply_to.as_ref()) {
        builder = builder.reply_to(mailbox(reply_to, None)?);
    }
    let plain = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(content.text);
    let message = match content.html {
        None => builder.singlepart(plain),
        Some(html) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html);
            let parts = MultiPart::alternative().boundary(format!("part-{name}"));
            builder.multipart(parts.singlepart(plain).singlepart(html))
        }
    };
    let message = message.map_err(|_| MailError {
        field: "message",
        reason: "is refused by the mail library",
    })?;
    Ok(Letter {
        message_id,
        queued,
        from: sender.from.clone(),
        to: to.clone(),
        bytes: message.formatted(),
    })
}

/// `Auto-Submitted: auto-generated`.
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> MailSender {
        MailSender {
            from: EmailAddress::parse("panel@host.example").unwrap(),
            name: Some("Hosting\r\nBcc: all@host.example, Größe".to_owned()),
            reply_to: Some(EmailAddress::parse("support@host.example").unwrap()),
        }
    }

    fn mail() -> Mail {
        Mail {
            id: "job/1/done".to_owned(),
            to: EmailAddress::parse("Me@customer.example").unwrap(),
            subject: "Ihr Server läuft".to_owned(),
            text: "Hello\nPassword: kX9#\n.\nBye".to_owned(),
            html: None,
        }
    }

    fn letter(mail: &Mail) -> Letter {
        let content = Content {
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            reply_to: None,
        };
        compose(
            &mail.id,
            &mail.to,
            Timestamp::from_second(1_800_000_000).unwrap(),
            content,
            &sender(),
        )
        .unwrap()
    }

    fn headers(letter: &Letter) -> Vec<String> {
        let text = String::from_utf8(letter.bytes.clone()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ")
            .split("\r\n")
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_message_is_the_same_in_every_attempt_and_has_the_headers_it_needs() {
        let letter = letter(&mail());
        assert_eq!(letter, super::tests::letter(&mail()));
        let headers = headers(&letter);
        let has = |start: &str| headers.iter().filter(|header| header.starts_with(start)).count();
        for name in [
            "Message-ID: <",
            "Date: Fri, 15 Jan 2027 08:00:00",
            "From: ",
            "To: Me@customer.example",
            "Subject: Ihr Server =?utf-8?",
        ] {
            assert_eq!(has(name), 1, "{name}: {headers:#?}");
        }
        assert_eq!(has("Auto-Submitted: auto-generated"), 1);
        assert_eq!(has("Reply-To: support@host.example"), 1);
        assert!(letter.message_id.ends_with("@host.example"));
        let other = super::tests::letter(&Mail {
            id: "job/2/done".to_owned(),
            ..mail()
        });
        assert_ne!(other.message_id, letter.message_id);
    }

    #[test]
    fn no_header_follows_from_a_hostile_name_and_no_line_ends_without_a_return() {
        let with_html = Mail {
            html: Some("<p>Hello\n</p>".repeat(200)),
            ..mail()
        };
        for mail in [mail(), with_html] {
            let letter = letter(&mail);
            assert!(
                headers(&letter)
                    .iter()
                    .all(|header| !header.to_lowercase().starts_with("bcc"))
            );
            let bytes = &letter.bytes;
            for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                assert_eq!(bytes[at - 1], b'\r');
            }
            assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
        }
    }

    #[test]
    fn a_mail_that_cannot_be_sent_safely_names_the_field() {
        let wrong = |change: fn(&mut Mail)| {
            let mut mail = mail();
            change(&mut mail);
            mail.check().unwrap_err().field
        };
        assert_eq!(mail().check(), Ok(()));
        assert_eq!(
            wrong(|mail| mail.subject = "x\r\nBcc: all@host.example".into()),
            "subject"
        );
        assert_eq!(wrong(|mail| mail.subject = "x\u{85}y".into()), "subject");
        assert_eq!(wrong(|mail| mail.subject = " ".into()), "subject");
        assert_eq!(wrong(|mail| mail.subject = "ä".repeat(201)), "subject");
        assert_eq!(wrong(|mail| mail.id = String::new()), "id");
        assert_eq!(wrong(|mail| mail.id = "a b".into()), "id");
        assert_eq!(wrong(|mail| mail.id = "x".repeat(201)), "id");
        assert_eq!(wrong(|mail| mail.text = "x".repeat((256 << 10) + 1)), "text");
        assert_eq!(wrong(|mail| mail.html = Some("x\0".into())), "text");
    }
}
