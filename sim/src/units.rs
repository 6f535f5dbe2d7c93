//! Conversions between number types that say what they do at the edges, and a small hash for choices
//! that must be the same in every run with the same seed.

/// A float of an unsigned number; exact up to 2^53, which no size or counter here passes.
#[expect(clippy::cast_precision_loss, reason = "values stay far below 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// A float of a signed number; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "values stay far below 2^53")]
pub(crate) fn float_of_signed(value: i64) -> f64 {
    value as f64
}

/// The whole part of `value`; negative numbers and NaN become 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as is wanted"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

/// The whole part of `value`, saturating.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as is wanted")]
pub(crate) fn signed(value: f64) -> i64 {
    value as i64
}

/// A well-mixed number from a seed and a key (SplitMix64's finaliser).
pub(crate) fn mix(seed: u64, key: u64) -> u64 {
    let mut z = seed
        .wrapping_add(key.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A fraction in 0..1 from a seed and a key.
pub(crate) fn fraction(seed: u64, key: u64) -> f64 {
    float(mix(seed, key) >> 11) / float(1 << 53)
}

/// A random-looking UUID of version 4 from a seed.
pub(crate) fn uuid(seed: u64) -> String {
    let (a, b) = (mix(seed, 1), mix(seed, 2));
    let text = hex::encode([a.to_be_bytes(), b.to_be_bytes()].concat());
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_fraction_within_its_range() {
        for key in 0..1000 {
            let value = fraction(7, key);
            assert!((0.0..1.0).contains(&value));
            assert!((value - fraction(7, key)).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn negative_numbers_have_no_whole_part() {
        assert_eq!(whole(-3.5), 0);
        assert_eq!(whole(f64::NAN), 0);
    }
}
