//! Mails: text templates whose first line is the subject.

use super::error::{Excerpt, TemplateError};

/// The longest subject, in characters: what fits into one header line.
const MAX_SUBJECT: usize = 200;

/// A rendered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line without control characters.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl Mail {
    /// Splits the text that template `name` rendered: the first line is the subject, the rest without the empty lines
    /// after it is the body.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Render`] where the first line is empty or longer than 200 characters.
    pub fn split(name: &str, text: &str) -> Result<Self, TemplateError> {
        let (subject, body) = text.split_once('\n').unwrap_or((text, ""));
        let subject: String = subject
            .trim()
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        let message = match subject.chars().count() {
            0 => "the first line, which is the subject, is empty",
            length if length > MAX_SUBJECT => "the first line, which is the subject, is too long",
            _ => {
                return Ok(Self {
                    subject,
                    body: body.trim_start_matches('\n').to_owned(),
                });
            }
        };
        Err(TemplateError::Render {
            template: Excerpt::new(name),
            line: 1,
            message: Excerpt::new(message),
        })
    }
}

/// Frees a rendered text of control characters but line feeds and tabs.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control() || matches!(character, '\n' | '\t'))
        .filter(|character| !matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_subject() {
        let mail = Mail::split("done.txt", "Backup restored\n\nHello\nthere\n").unwrap();
        assert_eq!(
            mail,
            Mail {
                subject: "Backup restored".into(),
                body: "Hello\nthere\n".into()
            }
        );
        assert_eq!(Mail::split("x", "Only a subject").unwrap().body, "");
    }

    #[test]
    fn a_mail_without_a_subject_is_an_error() {
        assert!(Mail::split("x", "").is_err());
        assert!(Mail::split("x", "\nbody").is_err());
        assert!(Mail::split("x", &"s".repeat(201)).is_err());
    }

    #[test]
    fn text_cannot_carry_control_characters() {
        assert_eq!(clean("a\u{1b}[31m\r\nb\tc\u{0}\u{202e}d\u{7f}"), "a[31m\nb\tcd");
    }
}
