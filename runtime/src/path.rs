//! Paths under a plugin, which the host puts behind the plugin's prefix.

/// Whether a path, with or without a query, stays under the plugin when the prefix is put before it: relative, made of
/// the characters of RFC 3986, without `.` and `..` segments in any spelling, empty segments, backslashes or a fragment.
pub(crate) fn is_relative(path: &str) -> bool {
    let (segments, query) = path.split_once('?').unwrap_or((path, ""));
    path.len() <= 1_024
        && query.bytes().all(|byte| is_allowed(byte) || byte == b'?')
        && well_escaped(path)
        && (segments.is_empty()
            || segments
                .strip_suffix('/')
                .unwrap_or(segments)
                .split('/')
                .all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    !matches!(plain.as_str(), "" | "." | "..")
        && !plain.contains("%2f")
        && !plain.contains("%5c")
        && !plain.contains("%00")
        && segment
            .bytes()
            .all(|byte| is_allowed(byte) && byte != b'/' && byte != b':')
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

fn well_escaped(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_under_the_plugin_are_let_through() {
        for good in [
            "",
            "list",
            "a/b/c",
            "a/",
            "snapshots/before_update-2?sort=name&dir=a%20b",
            "?page=2",
        ] {
            assert!(is_relative(good), "{good}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for bad in [
            "/",
            "/admin",
            "//evil.example",
            "..",
            "../x",
            "a/../../x",
            "a//b",
            ".",
            "a/.",
            "%2e%2e/x",
            "a/%2E./x",
            "a%2fb",
            "a%5cb",
            "a\\b",
            "\\\\evil",
            "javascript:alert(1)",
            "https://evil.example",
            "a b",
            "a\r\nx: y",
            "a\0",
            "a#b",
            "ä",
            "a%",
            "a%zz",
            "a?x=%4",
            "a?<script>",
        ] {
            assert!(!is_relative(bad), "{bad:?}");
        }
    }
}
