//! Where the panel is: its public address, and which proxies speak for others.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;
use url::Url;

/// The panel's place.
#[derive(Debug, Clone)]
pub struct Site {
    origin: String,
    https: bool,
    proxies: Vec<IpNet>,
}

impl Site {
    /// From the public URL and the networks of trusted proxies.
    pub fn new(public_url: &Url, proxies: Vec<IpNet>) -> Self {
        Self {
            origin: public_url.origin().ascii_serialization(),
            https: public_url.scheme() == "https",
            proxies,
        }
    }

    /// Scheme, host and port as browsers write them in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers reach it by TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The name of a cookie. `__Host-` ties it to this host and to TLS; browsers refuse it without TLS.
    pub fn cookie(&self, name: &str) -> String {
        if self.https {
            format!("__Host-{name}")
        } else {
            name.to_owned()
        }
    }

    /// The attributes of a cookie of ours.
    pub fn cookie_attributes(&self) -> &'static str {
        if self.https {
            "; Path=/; HttpOnly; SameSite=Lax; Secure"
        } else {
            "; Path=/; HttpOnly; SameSite=Lax"
        }
    }

    /// Who asks. `X-Forwarded-For` counts only as far as trusted proxies wrote it: from its end to the first address
    /// that is not one of theirs.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |address: IpAddr| self.proxies.iter().any(|net| net.contains(&address));
        let mut client = peer.ip().to_canonical();
        if !trusted(client) {
            return client;
        }
        let values = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        for hop in hops.into_iter().rev() {
            let Ok(address) = hop.parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !trusted(client) {
                break;
            }
        }
        client
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(axum::http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let site = Site::new(
            &"https://panel.example".parse().unwrap(),
            vec!["10.0.0.0/8".parse().unwrap()],
        );
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        site.client(SocketAddr::new(peer.parse().unwrap(), 1), &headers)
            .to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_as_far_as_trusted_proxies_wrote_them() {
        assert_eq!(client("198.51.100.1", "1.2.3.4"), "198.51.100.1");
        assert_eq!(client("10.0.0.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "9.9.9.9, 1.2.3.4, 10.0.0.2"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", "xa=1; a=2; ab=3".parse().unwrap());
        assert_eq!(cookie(&headers, "a"), Some("2"));
        assert_eq!(cookie(&headers, "b"), None);
    }
}
