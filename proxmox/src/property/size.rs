//! Sizes of disks as PVE writes them.

/// Reads a size such as `32G`, `1.5T`, `4M`, `528K` or `540672`, also `32GiB`, into bytes. The units are
/// powers of 1024; fractions of a byte are cut off. `None` for other texts and for more than 64 bits hold.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u128 = match unit.strip_suffix("iB").unwrap_or(unit) {
        // `iB` alone is no unit.
        "" if unit.is_empty() => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (number, ""),
    };
    // More decimals than a byte of a terabyte has would only overflow.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let tail: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    u64::try_from(whole * factor + tail * factor / scale).ok()
}

/// Writes a size as PVE does: the largest of the units T, G, M, K in which it is a whole number, else bytes.
pub fn format_size(bytes: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    match units
        .into_iter()
        .find(|(bits, _)| bytes > 0 && bytes.trailing_zeros() >= *bits)
    {
        Some((bits, unit)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_in_every_unit_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("540672", 540_672),
            ("528K", 540_672),
            ("4M", 4 << 20),
            ("32G", 32 << 30),
            ("2T", 2 << 40),
            ("32GiB", 32 << 30),
            ("1.5G", 3 << 29),
            ("0.001K", 1),
            ("3.8147M", 4_000_002),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_sizes() {
        for text in [
            "",
            "G",
            "-1G",
            "+1G",
            "1.G",
            ".5G",
            "1 G",
            "1g",
            "1GB",
            "1iB",
            "1.2.3",
            "1P",
            "1e3",
            "16777216T",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(parse_size("99999999999999999999999999999999999999999"), None);
        assert_eq!(parse_size(&format!("0.{}G", "1".repeat(400))), Some(119_304_647));
    }

    #[test]
    fn sizes_are_written_in_the_largest_whole_unit() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1023, "1023"),
            (540_672, "528K"),
            (1 << 40, "1T"),
            (3 << 29, "1536M"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn written_sizes_are_read_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_is_a_panic(text in ".*") {
            let _ = parse_size(&text);
        }
    }
}
