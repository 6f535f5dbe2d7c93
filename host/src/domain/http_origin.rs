//! Origins that a plugin may send HTTP requests to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// An origin that the provider approved for a plugin, and what is true of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct HttpOrigin {
    /// Scheme, host and port in the one spelling by which origins are compared (RFC 6454, 6.2).
    pub origin: String,
    /// Whether its host name may lead to private addresses.
    pub allow_private: bool,
    /// The paths of the secrets in the plugin's settings that may be sent to it, and to no other.
    pub secrets: BTreeSet<String>,
}

/// How it may be written in a record: once it was only a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Full {
        origin: String,
        allow_private: bool,
        secrets: BTreeSet<String>,
    },
}

impl From<Written> for HttpOrigin {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(origin) => Self::public(origin),
            Written::Full {
                origin,
                allow_private,
                secrets,
            } => Self {
                origin,
                allow_private,
                secrets,
            },
        }
    }
}

/// The scope that is granted for every origin.
pub const HTTP_SEND: &str = "http.send";

impl HttpOrigin {
    /// An origin on the Internet that gets no secret.
    pub fn public(origin: String) -> Self {
        Self {
            origin,
            allow_private: false,
            secrets: BTreeSet::new(),
        }
    }

    /// The scope that a product grants for this origin alone.
    pub fn scope(&self) -> String {
        format!("{HTTP_SEND}:{}", self.origin)
    }
}

/// An origin in the one spelling that everything compares by; none when `text` is more or less than one, or nothing that
/// can be connected to.
pub fn http_origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let reachable = match url.host()? {
        Host::Domain(name) => !name.is_empty(),
        Host::Ipv4(address) => {
            !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
        }
        Host::Ipv6(address) => !address.is_unspecified() && !address.is_multicast(),
    };
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        // A star would read as a pattern, which it is not.
        && !text.contains('*');
    (bare && reachable).then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (written, origin) in [
            ("https://api.example.net", "https://api.example.net"),
            ("HTTPS://API.example.net:443/", "https://api.example.net"),
            ("http://10.0.0.1:8081", "http://10.0.0.1:8081"),
            ("http://0x7f.1/", "http://127.0.0.1"),
            ("https://[FD00::1]:8443", "https://[fd00::1]:8443"),
        ] {
            assert_eq!(http_origin(written).as_deref(), Some(origin), "{written}");
        }
        for wrong in [
            "",
            "*",
            "https://",
            "https://*.example.net",
            "api.example.net",
            "ftp://api.example.net",
            "https://api.example.net/v1",
            "https://api.example.net?x",
            "https://user@api.example.net",
            "https://0.0.0.0",
            "https://[::]",
            "https://224.0.0.1",
        ] {
            assert_eq!(http_origin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_record_that_has_only_the_text_is_read() {
        let origin: HttpOrigin = serde_json::from_str("\"https://api.example.net\"").unwrap();
        assert_eq!(origin, HttpOrigin::public("https://api.example.net".to_owned()));
        let text = serde_json::to_string(&origin).unwrap();
        assert_eq!(serde_json::from_str::<HttpOrigin>(&text).unwrap(), origin);
    }
}
