//! The words of the firewall: policies, directions, levels, and texts that are safe to write into a rule.

use std::fmt;

use serde::Deserializer;

use crate::id::InvalidId;
use crate::lenient;

macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word PVE uses for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the word stands for; `None` for a word that this crate does not know.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What becomes of a packet.
    FirewallPolicy {
        /// It passes.
        Accept = "ACCEPT",
        /// It vanishes without a word.
        Drop = "DROP",
        /// It vanishes and its sender is told.
        Reject = "REJECT",
    }
}

words! {
    /// Which way a rule looks.
    FirewallDirection {
        /// Towards the VM.
        In = "in",
        /// From the VM.
        Out = "out",
    }
}

words! {
    /// How much of a packet that a rule or policy hits goes to the node's log.
    FirewallLogLevel {
        /// Level 0.
        Emergency = "emerg",
        /// Level 1.
        Alert = "alert",
        /// Level 2.
        Critical = "crit",
        /// Level 3.
        Error = "err",
        /// Level 4.
        Warning = "warning",
        /// Level 5.
        Notice = "notice",
        /// Level 6.
        Info = "info",
        /// Level 7.
        Debug = "debug",
        /// Nothing.
        Nothing = "nolog",
    }
}

/// A policy, if there is one that this crate knows.
pub(super) fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FirewallPolicy>, D::Error> {
    Ok(lenient::text(deserializer)?.and_then(|word| FirewallPolicy::from_word(&word)))
}

/// A log level, if there is one that this crate knows.
pub(super) fn level<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<FirewallLogLevel>, D::Error> {
    Ok(lenient::text(deserializer)?.and_then(|word| FirewallLogLevel::from_word(&word)))
}

/// A boolean that makes a difference between unset and off.
pub(super) fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(lenient::u64(deserializer)?.map(|number| number != 0))
}

/// The address, port, protocol or macro of a rule: printable ASCII without blanks and `#`, at most 512 characters.
///
/// PVE keeps rules as lines of a text file. A text with blanks or line breaks in it could become other options of
/// the rule, or other rules. Whether the text makes sense (an address, a known protocol) is PVE's to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleText(String);

impl RuleText {
    const RULE: &'static str = "1 to 512 letters, digits and signs, without blanks and `#`";

    /// Checks the characters.
    ///
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let good = (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        // A lone dash would unset the field.
        if good && text != "-" {
            Ok(Self(text))
        } else {
            Err(InvalidId::new("part of a firewall rule", Self::RULE, &text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A comment that stays a comment: one line, no control characters, at most 256 characters.
///
/// Versions of PVE without a check of their own write a comment's line breaks into the firewall file as they are,
/// and what follows is read as rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RuleComment(String);

impl RuleComment {
    /// How many characters are kept.
    pub const LONGEST: usize = 256;

    /// Makes a comment of any text: control characters and separators of lines become blanks, blanks at both ends
    /// go, the rest beyond [`Self::LONGEST`] is cut. What is left may be empty.
    pub fn cleaned(text: &str) -> Self {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let one_line = text
            .chars()
            .map(|c| if breaks(c) { ' ' } else { c })
            .collect::<String>();
        let short = one_line.trim().chars().take(Self::LONGEST).collect::<String>();
        let short = short.trim_end().to_owned();
        // PVE takes a lone dash for the wish to unset the field.
        Self(if short == "-" { String::new() } else { short })
    }

    /// The text; empty for no comment.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_always_one_line_and_never_a_dash() {
        for (text, clean) in [
            ("web #1", "web #1"),
            (" a\r\nIN ACCEPT\u{0}\tb\u{2028}c ", "a  IN ACCEPT  b c"),
            ("größe ✓", "größe ✓"),
            ("-", ""),
            ("\n", ""),
        ] {
            assert_eq!(RuleComment::cleaned(text).as_str(), clean, "{text:?}");
        }
        let long = RuleComment::cleaned(&"ä".repeat(1000));
        assert_eq!(long.as_str().chars().count(), RuleComment::LONGEST);
    }

    #[test]
    fn parts_of_rules_cannot_hold_other_options() {
        for text in [
            "192.0.2.0/24,192.0.2.9",
            "+dc/office",
            "80:90",
            "tcp",
            "2001:db8::/32",
        ] {
            assert!(RuleText::new(text).is_ok(), "{text}");
        }
        for text in ["", "-", "22 -source x", "a\nIN", "a#b", "ü", &"9".repeat(513)] {
            assert!(RuleText::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_read_back() {
        for policy in FirewallPolicy::ALL {
            assert_eq!(FirewallPolicy::from_word(policy.as_str()), Some(*policy));
        }
        assert_eq!(FirewallLogLevel::from_word("loud"), None);
    }
}
