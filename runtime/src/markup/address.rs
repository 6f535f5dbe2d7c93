//! Addresses in attributes: where a plugin's page may send a browser.

/// What an address is for, which decides where it may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A link that the customer follows: anywhere in the panel, an http or https page, a place in the page.
    Link,
    /// What a form, a button or htmx sends to, and what a custom element asks: only under the plugin's own prefix.
    Own,
    /// An image: the panel's assets or under the plugin's own prefix.
    Image,
    /// The symbol of an icon: the panel's assets with a fragment.
    Icon,
}

/// An address that may be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// To be written as it is.
    pub(super) text: String,
    /// Whether it leads to another origin.
    pub(super) external: bool,
}

/// Where the panel's own assets are.
const ASSETS: &str = "/assets/";

/// The longest address, in bytes.
const MAX_LENGTH: usize = 2048;

/// Judges an address, decoded from its attribute, and writes it out in full: a browser has nothing left to resolve.
///
/// A browser strips space around an address and tabs and line ends within (URL standard, 4.4), so `java\tscript:` is
/// judged as `javascript:`. Everything else that could be read in two ways is refused: backslashes, other control
/// characters, addresses that begin with two slashes, encoded slashes, climbing above the root.
pub(super) fn judge(base_path: &str, address: &str, purpose: Use) -> Result<Address, &'static str> {
    if address.len() > MAX_LENGTH {
        return Err("it is too long");
    }
    let trimmed = address.trim_matches(|character: char| character <= ' ');
    let clean: String = trimmed
        .chars()
        .filter(|character| !matches!(character, '\t' | '\n' | '\r'))
        .collect();
    if clean
        .chars()
        .any(|character| character.is_control() || character == '\\' || is_invisible(character))
    {
        return Err("it holds a control character or a backslash");
    }
    if clean.starts_with("//") {
        return Err("it begins with two slashes");
    }
    if let Some(scheme) = scheme(&clean) {
        return if purpose == Use::Link {
            external(&clean, scheme)
        } else {
            Err("it leads out of the plugin")
        };
    }
    if purpose == Use::Link && clean.starts_with('#') {
        return Ok(Address {
            text: fragment(&clean),
            external: false,
        });
    }
    let text = internal(base_path, &clean)?;
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let allowed = match purpose {
        Use::Link => true,
        Use::Own => path.starts_with(base_path),
        Use::Image => path.starts_with(base_path) || path.starts_with(ASSETS),
        Use::Icon => path.starts_with(ASSETS),
    };
    if !allowed {
        return Err("it leads out of the plugin");
    }
    Ok(Address {
        text,
        external: false,
    })
}

/// Characters that show nothing, which make an address look like another.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn scheme(address: &str) -> Option<&str> {
    let (scheme, _) = address.split_once(':')?;
    // A colon after a slash, a question mark or a number sign does not end a scheme. One after anything else is
    // treated as if it did, although a browser asks for a letter in front: such an address is never needed.
    (!scheme.contains(['/', '?', '#'])).then_some(scheme)
}

fn external(address: &str, scheme: &str) -> Result<Address, &'static str> {
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err("only http and https lead out of the panel");
    }
    let rest = address.get(scheme.len() + 1..).unwrap_or_default();
    let host = rest.strip_prefix("//").unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Err("it has no host");
    }
    if host.contains(['@', ' ', '%', '<', '>', '"']) {
        return Err("its host is not plain");
    }
    Ok(Address {
        text: address.to_owned(),
        external: true,
    })
}

/// `#name` as `#p-name`: ids are prefixed, see [`super::attribute`].
fn fragment(address: &str) -> String {
    let name = address.trim_start_matches('#');
    format!("#{}", super::attribute::prefixed(name))
}

/// Resolves a path against the plugin's prefix, without dot segments.
fn internal(base_path: &str, address: &str) -> Result<String, &'static str> {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let (path, rest) = address.split_at(end);
    let mut segments: Vec<&str> = Vec::new();
    let full = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{base_path}{path}")
    };
    let mut directory = true;
    for segment in full.split('/').skip(1) {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        let lower = segment.to_ascii_lowercase();
        if ["%2f", "%5c", "%00"].iter().any(|code| lower.contains(code)) {
            return Err("it holds an encoded slash");
        }
        directory = false;
        match plain.as_str() {
            "." => directory = true,
            ".." => {
                segments.pop().ok_or("it climbs above the root")?;
                directory = true;
            }
            "" => {
                // An empty segment in the middle would let the result begin with two slashes.
                directory = true;
            }
            _ => segments.push(segment),
        }
    }
    let mut resolved = String::with_capacity(full.len() + rest.len());
    for segment in &segments {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if directory || segments.is_empty() {
        resolved.push('/');
    }
    resolved.push_str(rest);
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/services/7/snapshots/";

    fn text(address: &str, purpose: Use) -> Result<String, &'static str> {
        judge(BASE, address, purpose).map(|address| address.text)
    }

    #[test]
    fn what_is_relative_is_written_in_full() {
        for (from, to) in [
            ("create", "/services/7/snapshots/create"),
            ("", "/services/7/snapshots/"),
            (".", "/services/7/snapshots/"),
            ("./a/../b", "/services/7/snapshots/b"),
            ("a/", "/services/7/snapshots/a/"),
            ("?page=2", "/services/7/snapshots/?page=2"),
            ("/services/7/snapshots/a?b=c#d", "/services/7/snapshots/a?b=c#d"),
            ("  create\n", "/services/7/snapshots/create"),
            (
                "a?next=http://x/../..",
                "/services/7/snapshots/a?next=http://x/../..",
            ),
            ("a%20b", "/services/7/snapshots/a%20b"),
        ] {
            assert_eq!(text(from, Use::Own).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn actions_stay_under_the_plugins_prefix() {
        for address in [
            "/profile",
            "/services/7/firewall/add",
            "/services/7/snapshots",
            "/services/7/snapshots-evil/x",
            "../firewall/add",
            "a/../../firewall/add",
            "%2e%2e/firewall",
            "%2E./firewall",
            ".%2e/firewall",
            "..%2ffirewall",
            "..%5cfirewall",
            "..\\firewall",
            "\\\\host\\x",
            "/\\host/x",
            "//host/x",
            "\t//host/x",
            "/\t/host/x",
            "http:/profile",
            "https://host/",
            "javascript:alert(1)",
            "java\tscript:alert(1)",
            "\u{1}javascript:alert(1)",
            "data:text/html,x",
            "../../../../../../x",
            "/services/7/snapshots/../../../profile",
            "/services/7/snapshots//../../../x",
            "a\u{0}b",
        ] {
            assert!(judge(BASE, address, Use::Own).is_err(), "{address:?}");
        }
    }

    #[test]
    fn links_lead_into_the_panel_to_web_pages_and_into_the_page() {
        for (from, to, external) in [
            ("../backups/", "/services/7/backups/", false),
            ("/profile", "/profile", false),
            ("https://docs.example/a?b#c", "https://docs.example/a?b#c", true),
            ("HTTP://docs.example", "HTTP://docs.example", true),
            ("#list", "#p-list", false),
            ("#", "#p-", false),
            ("/a//../b", "/b", false),
        ] {
            let address = judge(BASE, from, Use::Link);
            assert_eq!(
                address,
                Ok(Address {
                    text: to.to_owned(),
                    external
                }),
                "{from}"
            );
        }
        for address in [
            "javascript:x",
            "JaVaScRiPt:x",
            " javascript:x",
            "vbscript:x",
            "data:text/html;base64,x",
            "blob:x",
            "file:///etc/passwd",
            "//evil.example/",
            "/\\evil.example",
            "\\/evil.example",
            "https:evil.example",
            "https:///evil.example",
            "https://user@evil.example/",
            "https://panel.example%40evil.example/",
            "https://\u{202e}elpmaxe.live/",
            "java\nscript:x",
            "view-source:https://x/",
            "mailto:a@b.example",
            "1:x",
        ] {
            assert!(judge(BASE, address, Use::Link).is_err(), "{address:?}");
        }
    }

    #[test]
    fn images_come_from_the_panel_only() {
        assert!(judge(BASE, "/assets/logo.svg", Use::Image).is_ok());
        assert!(judge(BASE, "graph.png", Use::Image).is_ok());
        for address in [
            "https://tracker.example/p.gif",
            "//tracker.example/p.gif",
            "data:image/png;base64,x",
            "/logout",
        ] {
            assert!(judge(BASE, address, Use::Image).is_err(), "{address}");
        }
        assert!(judge(BASE, "/assets/icons.svg#x", Use::Icon).is_ok());
        assert!(judge(BASE, "/assets/../logout#x", Use::Icon).is_err());
    }
}
