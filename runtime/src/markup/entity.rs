//! Character references: decoding attribute values before they are judged, and writing them out again.
//!
//! Only the decoded value is judged, and what is written is that value encoded anew. A reference that this module does
//! not know is therefore not a hole: its `&` is written as `&amp;`, so that a browser reads it as plain text.

use std::borrow::Cow;

/// The named references that authors use in attribute values, and those that disguise an address.
const NAMED: &[(&str, &str)] = &[
    ("AMP", "&"),
    ("GT", ">"),
    ("LT", "<"),
    ("NewLine", "\n"),
    ("QUOT", "\""),
    ("Tab", "\t"),
    ("amp", "&"),
    ("apos", "'"),
    ("auml", "ä"),
    ("bsol", "\\"),
    ("bull", "•"),
    ("colon", ":"),
    ("commat", "@"),
    ("copy", "©"),
    ("deg", "°"),
    ("eacute", "é"),
    ("equals", "="),
    ("euro", "€"),
    ("excl", "!"),
    ("gt", ">"),
    ("hellip", "…"),
    ("laquo", "«"),
    ("larr", "←"),
    ("ldquo", "“"),
    ("lpar", "("),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("micro", "µ"),
    ("middot", "·"),
    ("nbsp", "\u{a0}"),
    ("ndash", "–"),
    ("num", "#"),
    ("ouml", "ö"),
    ("percnt", "%"),
    ("period", "."),
    ("plus", "+"),
    ("quest", "?"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("reg", "®"),
    ("rpar", ")"),
    ("rsquo", "’"),
    ("sect", "§"),
    ("shy", "\u{ad}"),
    ("sol", "/"),
    ("szlig", "ß"),
    ("times", "×"),
    ("trade", "™"),
    ("uuml", "ü"),
];

/// What a browser makes of the numbers 0x80 to 0x9f, which name Windows-1252 characters (HTML standard, 13.2.5.80).
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decodes the character references of an attribute value.
pub(super) fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let after = from.get(1..).unwrap_or_default();
        let taken = match after.strip_prefix('#') {
            Some(number) => numeric(number, &mut decoded).map(|length| length + 1),
            None => named(after, &mut decoded),
        };
        rest = if let Some(length) = taken {
            after.get(length..).unwrap_or_default()
        } else {
            decoded.push('&');
            after
        };
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// Decodes what follows `&#` and gives the number of bytes it took, none if it is not a reference.
fn numeric(text: &str, decoded: &mut String) -> Option<usize> {
    let (digits, radix, skipped) = match text.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => (hexadecimal, 16, 1),
        None => (text, 10, 0),
    };
    let length = digits
        .find(|character: char| !character.is_digit(radix))
        .unwrap_or(digits.len());
    let number = digits.get(..length).filter(|number| !number.is_empty())?;
    // More digits than a code point can have are an invalid code point, whatever their value.
    let code = u32::from_str_radix(number.trim_start_matches('0'), radix).ok();
    let code = if number.bytes().all(|digit| digit == b'0') {
        Some(0)
    } else {
        code
    };
    decoded.push(match code {
        Some(code @ 0x80..=0x9f) => WINDOWS_1252
            .get(code as usize - 0x80)
            .copied()
            .unwrap_or(char::REPLACEMENT_CHARACTER),
        Some(code) if code != 0 => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::REPLACEMENT_CHARACTER,
    });
    let semicolon = usize::from(digits.get(length..).is_some_and(|rest| rest.starts_with(';')));
    Some(skipped + length + semicolon)
}

/// Decodes what follows `&` and gives the number of bytes it took, none if it is not a reference that is known.
fn named(text: &str, decoded: &mut String) -> Option<usize> {
    let length = text
        .find(|character: char| !character.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let name = text.get(..length)?;
    if !text.get(length..).is_some_and(|rest| rest.starts_with(';')) {
        return None;
    }
    let index = NAMED.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    decoded.push_str(NAMED.get(index)?.1);
    Some(length + 1)
}

/// Writes an attribute value for double quotes. Control characters are left out.
pub(super) fn write_value(out: &mut String, value: &str) {
    write_replaced(out, value, |byte| match byte {
        b'&' => Some("&amp;"),
        b'"' => Some("&quot;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\'' => Some("&#39;"),
        b'`' => Some("&#96;"),
        b'\t' | b'\n' => None,
        b'\r' => Some("\n"),
        0..=0x1f | 0x7f => Some(""),
        _ => None,
    });
}

/// Writes text between tags. Character references in it stay: whatever they stand for, a browser shows it as text.
pub(super) fn write_text(out: &mut String, text: &str) {
    write_replaced(out, text, |byte| match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\t' | b'\n' => None,
        // A carriage return is a line feed to the HTML parser; the other control characters have no use in a page.
        b'\r' | 0xc => Some(" "),
        0..=0x1f | 0x7f => Some(""),
        _ => None,
    });
}

/// Writes `text` with the ASCII characters for which `replacement` gives something replaced.
fn write_replaced(out: &mut String, text: &str, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(written) = replacement(byte) {
            out.push_str(text.get(done..at).unwrap_or_default());
            out.push_str(written);
            done = at + 1;
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names_is_sorted_for_the_binary_search() {
        assert!(NAMED.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn references_are_decoded_as_a_browser_does() {
        for (from, to) in [
            ("plain", "plain"),
            ("a&amp;b", "a&b"),
            ("&#106;&#x61;&#X76;a", "java"),
            ("&#0000106;", "j"),
            ("&#106avascript", "javascript"),
            ("java&Tab;script&colon;", "java\tscript:"),
            ("&#0;", "\u{fffd}"),
            ("&#x110000;", "\u{fffd}"),
            ("&#99999999999999999999;", "\u{fffd}"),
            ("&#xd800;", "\u{fffd}"),
            ("&#128;", "€"),
            ("&", "&"),
            ("&;", "&;"),
            ("&#;", "&#;"),
            ("&#x;", "&#x;"),
            ("&unknown;x", "&unknown;x"),
            ("a&b=c", "a&b=c"),
            ("?a=1&copy=2", "?a=1&copy=2"),
        ] {
            assert_eq!(decode(from), to, "{from}");
        }
    }

    #[test]
    fn an_encoded_value_decodes_to_itself() {
        for value in ["&amp;", "\"><script>", "a&lt;b", "'`&#39;", "&Tab;&unknown;"] {
            let mut written = String::new();
            write_value(&mut written, value);
            assert_eq!(decode(&written), value);
            assert!(!written.contains(['"', '<', '>', '`', '\'']));
        }
    }
}
