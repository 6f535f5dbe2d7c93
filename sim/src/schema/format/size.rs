//! Sizes of disks.

use super::Checked;

/// `32G`, `528K`, `1.5T`, `4GiB`.
pub(crate) fn disk_size(_: &str, text: &str) -> Checked {
    if size_in_bytes(text).is_some() {
        Ok(())
    } else {
        Err(format!("value does not look like a valid disk size: {text}"))
    }
}

/// The bytes that a disk size text means.
pub(crate) fn size_in_bytes(text: &str) -> Option<u64> {
    let text = text.strip_suffix("iB").unwrap_or(text);
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1 << 10),
        b'M' => (text.strip_suffix('M')?, 1 << 20),
        b'G' => (text.strip_suffix('G')?, 1 << 30),
        b'T' => (text.strip_suffix('T')?, 1_u64 << 40),
        _ => (text, 1),
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !digits.starts_with('.');
    let number = digits.parse::<f64>().ok().filter(|n| plain && n.is_finite())?;
    Some(crate::units::whole(number * crate::units::float(factor)))
}

/// What a disk is resized to: `32G`, or by how much it grows: `+5G`.
pub(crate) fn is_new_size(text: &str) -> bool {
    let bare = text.strip_prefix('+').unwrap_or(text);
    let digits = bare.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(bare);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(size_in_bytes("32G"), Some(32 << 30));
        assert_eq!(size_in_bytes("528K"), Some(528 << 10));
        assert_eq!(size_in_bytes("1.5T"), Some(3 << 39));
        assert_eq!(size_in_bytes("100"), Some(100));
        assert_eq!(size_in_bytes("G"), None);
        assert_eq!(size_in_bytes("x1G"), None);
    }
}
