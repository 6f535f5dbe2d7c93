//! Words for messages: examples, lists, kinds of values, and the word that was probably meant.

use std::fmt::Display;

use toml::de::DeValue;

/// What to write, for keys whose type comes from elsewhere and whose errors have no remedy.
pub(super) fn example(key: &str) -> &'static str {
    match key {
        "email" => "write one such as `anna@example.com`",
        "department" => "write one such as `tickets@example.com`",
        "endpoints" => "write one URL a node, `https://HOST:8006`",
        "ipv4" => "write addresses with their prefix, such as `192.0.2.10/24`",
        "ipv6" => "write addresses with their prefix, such as `2001:db8::10/64`",
        "gateway4" => "write one such as `192.0.2.1`",
        "gateway6" => "write one such as `fe80::1`",
        "dns" => "write addresses, such as `192.0.2.53`",
        _ => "",
    }
}

/// Lists words in backticks.
pub(in crate::provider) fn quoted<T: Display>(words: &[T]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a value is, for messages. Texts are not repeated: they may be what should not be shown.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The known word nearest to `word`, if it is near enough to be a slip of the pen.
pub(in crate::provider) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known
        .iter()
        .map(|&candidate| (distance(word, candidate), candidate))
        .min()?;
    (near.0 <= 2.max(word.len() / 3)).then_some(near.1)
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, character) in left.chars().take(100).enumerate() {
        let mut next = vec![index + 1];
        for (column, (&other, window)) in right.iter().zip(row.windows(2)).enumerate() {
            let &[diagonal, above] = window else { continue };
            let before = next.get(column).copied().unwrap_or(usize::MAX - 1);
            next.push(
                (diagonal + usize::from(other != character))
                    .min(above + 1)
                    .min(before + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_key() {
        assert_eq!(
            closest("tokn_id", &["id", "token_id", "token_secret"]),
            Some("token_id")
        );
        assert_eq!(closest("zzzzzz", &["id", "token_id"]), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
