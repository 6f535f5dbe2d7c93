//! Whom PVE writes to.

use super::Checked;

/// A mail address, or the name of a user of the host.
pub(crate) fn mail_or_user(_: &str, text: &str) -> Checked {
    let (name, host) = text.split_once('@').unwrap_or((text, "localhost"));
    if is_mail(name, host) {
        Ok(())
    } else {
        Err("value does not look like a valid email address or user name".to_owned())
    }
}

/// An e-mail address, or nothing.
pub(crate) fn email_or_nothing(_: &str, text: &str) -> Checked {
    let parts = text.split_once('@');
    if text.is_empty() || parts.is_some_and(|(name, host)| is_mail(name, host)) {
        Ok(())
    } else {
        Err("value does not look like a valid email address".to_owned())
    }
}

/// Whether a text is words with dots between them, of ASCII letters, digits and `others`.
fn are_words(text: &str, others: &str) -> bool {
    let is_word = |word: &str| {
        let mut letters = word.chars();
        !word.is_empty() && letters.all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    text.split('.').all(is_word)
}

fn is_mail(name: &str, host: &str) -> bool {
    are_words(name, "_+-~") && are_words(host, "-")
}
