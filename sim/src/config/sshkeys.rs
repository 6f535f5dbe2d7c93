//! Public keys: percent-encoded text with one key a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Checks what `ssh-keygen -l` would check of each line.
///
/// # Errors
/// PVE's text, which does not say which key is wrong.
pub(super) fn validate(encoded: &str) -> Result<(), String> {
    let text = decode(encoded);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if lines.all(is_key) {
        Ok(())
    } else {
        Err("SSH public key validation error".to_owned())
    }
}

/// The keys as plain text.
pub(super) fn decode(encoded: &str) -> String {
    percent_encoding::percent_decode_str(encoded)
        .decode_utf8_lossy()
        .into_owned()
}

/// `TYPE BASE64 COMMENT`, with options in front of it or not; the type is in the data again.
fn is_key(line: &str) -> bool {
    let words = line.split_whitespace().collect::<Vec<_>>();
    words.windows(2).any(|pair| match pair {
        [kind, data] => {
            let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
            let decoded = STANDARD.decode(data).unwrap_or_default();
            let length = u32::try_from(kind.len()).unwrap_or(0).to_be_bytes();
            let rest = decoded.strip_prefix(&length);
            known && rest.is_some_and(|rest| rest.len() > kind.len() && rest.starts_with(kind.as_bytes()))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQhIQ== me@home";

    #[test]
    fn keys_are_taken_by_lines_with_blank_ones_between() {
        let encoded = format!("{KEY}\n\n{KEY}\n")
            .replace(' ', "%20")
            .replace('\n', "%0A");
        assert_eq!(validate(&encoded), Ok(()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let wrong_type = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        for text in [
            "nonsense",
            "ssh-ed25519",
            "ssh-ed25519%20AAAA",
            wrong_type.as_str(),
        ] {
            let refusal = validate(&text.replace(' ', "%20")).unwrap_err();
            assert_eq!(refusal, "SSH public key validation error", "{text}");
        }
    }
}
