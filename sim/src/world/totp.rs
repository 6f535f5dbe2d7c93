//! One-time passwords of the second factor (RFC 6238: SHA-1, six digits, thirty seconds).

use sha1::{Digest as _, Sha1};

/// Seconds for which one password is good.
const STEP: i64 = 30;

/// Reads a secret in base32 (RFC 4648), blanks and padding aside.
pub(crate) fn secret(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for c in text.bytes().filter(|c| !matches!(c, b' ' | b'=')) {
        let value = match c.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (buffer >> bits).to_be_bytes();
            out.push(byte);
            buffer &= (1 << bits) - 1;
        }
    }
    (!out.is_empty()).then_some(out)
}

/// HMAC with SHA-1 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    const BLOCK: usize = 64;
    let mut padded = if key.len() > BLOCK {
        Sha1::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    padded.resize(BLOCK, 0);
    let with = |mask: u8| padded.iter().map(|byte| byte ^ mask).collect::<Vec<_>>();
    let inner = Sha1::new()
        .chain_update(with(0x36))
        .chain_update(message)
        .finalize();
    Sha1::new()
        .chain_update(with(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// The password of a step.
fn password(secret: &[u8], step: i64) -> String {
    let hash = hmac(secret, &step.to_be_bytes());
    let at = usize::from(hash.last().unwrap_or(&0) & 15);
    let number = hash
        .iter()
        .skip(at)
        .take(4)
        .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

/// The step whose password this is, among the one of `now` and its neighbours; only steps after `last` count, so
/// that no password is good twice.
pub(crate) fn step_of(secret: &[u8], given: &str, now: i64, last: Option<i64>) -> Option<i64> {
    let here = now.div_euclid(STEP);
    (here - 1..=here + 1)
        .filter(|step| last.is_none_or(|last| *step > last))
        .find(|step| password(secret, *step) == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `12345678901234567890`, the secret of the RFC's examples.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn passwords_are_those_of_the_rfc() {
        let key = secret(SECRET).unwrap();
        assert_eq!(key, b"12345678901234567890");
        for (time, given) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(&key, given, time, None), Some(time / 30), "{time}");
        }
    }

    #[test]
    fn a_password_is_good_for_its_neighbours_in_time_and_only_once() {
        let key = secret(SECRET).unwrap();
        assert_eq!(step_of(&key, "287082", 59 + 30, None), Some(1));
        assert_eq!(step_of(&key, "287082", 59 + 60, None), None);
        assert_eq!(step_of(&key, "287082", 59, Some(1)), None, "used already");
    }

    #[test]
    fn other_texts_are_no_secrets() {
        for text in ["", "A", "1", "ABC!"] {
            assert_eq!(secret(text), None, "{text}");
        }
    }
}
