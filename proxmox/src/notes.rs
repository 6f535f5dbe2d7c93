//! The notes of a backup, checked and escaped when they are made.

use std::fmt;

/// The longest text, in characters. PVE takes this much with a new backup; later changes are held to the same.
const MAX: usize = 1024;

/// Notes that PVE would refuse, cut short or take for something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNotes {
    /// More than 1024 characters, line breaks and backslashes counted as two with a new backup.
    #[error("notes are too long: {0} characters, at most {MAX} are possible")]
    TooLong(usize),
    /// A control character other than a line break or tab.
    #[error("notes contain control characters")]
    Control,
}

/// The notes of a backup, as people read them. Line breaks are kept; lists show the first line alone.
///
/// ```
/// use portico_proxmox::Notes;
///
/// assert_eq!(Notes::new("before the update\r\nof May").unwrap().as_str(), "before the update\nof May");
/// assert!(Notes::new("\u{1b}[31m").is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes(String);

impl Notes {
    /// Checks a text. Line breaks of all systems become `\n`; blanks at the end go.
    ///
    /// # Errors
    /// See [`InvalidNotes`].
    pub fn new(text: &str) -> Result<Self, InvalidNotes> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end();
        if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(InvalidNotes::Control);
        }
        match text.chars().count() {
            length if length > MAX => Err(InvalidNotes::TooLong(length)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text; empty for no notes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The template that makes these notes: one line, in which PVE's escapes and variables mean nothing.
    ///
    /// # Errors
    /// When the escapes make it longer than PVE takes.
    pub(crate) fn template(&self) -> Result<String, InvalidNotes> {
        let escaped = self.0.replace('\\', r"\\").replace('\n', r"\n");
        // PVE fills variables in after the escapes are gone, so that braces cannot be escaped: they are moved apart.
        let template = escaped.replace("{{", "{ {");
        let template = template.replace("{{", "{ {");
        match template.chars().count() {
            length if length > MAX => Err(InvalidNotes::TooLong(length)),
            _ => Ok(template),
        }
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_variables_or_escapes_of_a_template() {
        let template = |text: &str| Notes::new(text).unwrap().template().unwrap();
        assert_eq!(template("two\nlines"), r"two\nlines");
        assert_eq!(template(r"C:\new"), r"C:\\new");
        for text in ["{{vmid}}", "{{{cluster}}}", "{{{{node}}}}", "{\n{vmid}}"] {
            assert!(!template(text).contains("{{"), "{text}");
        }
    }

    #[test]
    fn notes_have_no_control_characters_and_an_end() {
        for bad in ["a\u{0}", "\u{1b}[31mred", "a\u{85}b"] {
            assert_eq!(Notes::new(bad), Err(InvalidNotes::Control), "{bad:?}");
        }
        assert_eq!(Notes::new("a\r\nb\rc\n\n").unwrap().as_str(), "a\nb\nc");
        assert!(Notes::new(&"ü".repeat(1024)).is_ok());
        assert_eq!(Notes::new(&"ü".repeat(1025)), Err(InvalidNotes::TooLong(1025)));
    }

    #[test]
    fn notes_that_only_their_escapes_make_too_long_are_refused_with_a_new_backup() {
        let notes = Notes::new(&r"\".repeat(1000)).unwrap();
        assert_eq!(notes.template(), Err(InvalidNotes::TooLong(2000)));
    }
}
