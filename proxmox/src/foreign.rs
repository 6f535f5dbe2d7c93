//! Texts of PVE and of guests, made fit to be kept.

/// The longest word of PVE that is kept where this crate knows none of its meaning, in characters.
const WORD: usize = 64;

/// A text without control characters, cut to so many characters.
pub(crate) fn kept(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(longest).collect()
}

/// A word that nobody here knows: without control characters, cut to 64 characters.
pub(crate) fn word(text: &str) -> String {
    kept(text, WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_no_control_characters_and_an_end() {
        assert_eq!(kept("a\u{1b}[31m\nbü", 6), "a[31mb");
        assert_eq!(word(&"ü".repeat(100)).chars().count(), WORD);
    }
}
