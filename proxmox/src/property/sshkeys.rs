//! Public keys of users, as the `sshkeys` key has them: percent-encoded, one a line.
//!
//! The value itself is encoded, and the form that carries it encodes it once more. PVE refuses a value with a
//! plus sign or a blank in it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::PropertyError;

/// What stays as it is: the unreserved characters of RFC 3986.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes keys for the `sshkeys` key of a config.
///
/// # Errors
/// When one is not `TYPE BASE64 [COMMENT]` on one line: PVE would refuse all of them without saying which.
pub fn encode_ssh_keys<K: AsRef<str>>(keys: &[K]) -> Result<String, PropertyError> {
    let mut lines = String::new();
    for key in keys {
        let key = key.as_ref().trim();
        if !is_public_key(key) {
            return Err(PropertyError::Form {
                key: "sshkeys".to_owned(),
                wanted: "a public key such as `ssh-ed25519 AAAA… name`",
            });
        }
        lines.push_str(key);
        lines.push('\n');
    }
    Ok(utf8_percent_encode(lines.trim_end(), KEPT).to_string())
}

/// The keys in the value of the `sshkeys` key.
pub fn decode_ssh_keys(encoded: &str) -> Vec<String> {
    let text = percent_decode_str(encoded).decode_utf8_lossy();
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Whether this is one key: a known type, its data in base64, and maybe a comment. No options before the type:
/// they would run commands and restrict sources, which is no business of a customer's form.
pub fn is_public_key(line: &str) -> bool {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let (Some(kind), Some(data)) = (words.next(), words.next()) else {
        return false;
    };
    let known = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let body = data.trim_end_matches('=');
    let is_base64 = body.len() >= 32
        && data.len() - body.len() <= 2
        && data.len().is_multiple_of(4)
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    // The data begin with the length of the type's name, which is below 256: three zero bytes.
    known.contains(&kind)
        && is_base64
        && data.starts_with("AAAA")
        && line.len() <= 16_384
        && !line.contains(|c: char| c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh me@home";

    #[test]
    fn blanks_plus_signs_slashes_and_line_breaks_are_encoded() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC+/abcdefgh+/8 a+b";
        let encoded = encode_ssh_keys(&[KEY, rsa]).unwrap();
        assert!(!encoded.contains(['+', ' ', '/', '\n', '@', '=']), "{encoded}");
        assert!(encoded.starts_with("ssh-ed25519%20AAAAC3"));
        assert!(encoded.contains("me%40home%0Assh-rsa%20"));
        assert!(encoded.ends_with("a%2Bb"));
        assert_eq!(decode_ssh_keys(&encoded), [KEY, rsa]);
    }

    #[test]
    fn no_keys_are_an_empty_value() {
        assert_eq!(encode_ssh_keys::<&str>(&[]).unwrap(), "");
        assert!(decode_ssh_keys("").is_empty());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let two_lines = format!("{KEY}\n{KEY}");
        let options = format!("command=\"rm\" {KEY}");
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-ed25519 !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
            "nonsense AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh",
            &two_lines,
            &options,
        ] {
            assert!(encode_ssh_keys(&[bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn keys_with_any_comment_come_back_as_they_were(comment in "[^\\p{Cc}\\s]{1,30}") {
            let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh {comment}");
            let encoded = encode_ssh_keys(&[&key]).unwrap();
            let plain = encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b));
            prop_assert!(plain);
            prop_assert_eq!(decode_ssh_keys(&encoded), [key]);
        }
    }
}
