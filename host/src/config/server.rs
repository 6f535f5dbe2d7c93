//! `[server]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::ConfigProblem;

/// Where and how the panel listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// The address and port the panel listens on.
    pub listen: SocketAddr,
    /// The address customers have in their browser. Links in mails begin with it, and changes are taken only
    /// from pages of this origin. `https`, but on the machine itself.
    #[schemars(with = "String")]
    pub public_url: Url,
    /// The certificate chain in PEM, when the panel speaks TLS itself. Without it a proxy in front has to.
    #[schemars(extend("examples" = ["/etc/portico/tls/fullchain.pem"]))]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate in PEM.
    #[schemars(extend("examples" = ["/etc/portico/tls/privkey.pem"]))]
    pub tls_key: Option<PathBuf>,
    /// The networks of proxies in front of the panel. Only from these is `X-Forwarded-For` believed, on which
    /// the limits on sign-ins and the activity log rest.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
        Self {
            listen,
            public_url: default_url(),
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant that a test reads")]
fn default_url() -> Url {
    Url::parse("http://localhost:8080/").expect("a constant URL parses")
}

impl ServerConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        let url = &self.public_url;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare {
            problems.push(ConfigProblem::new(
                "server.public_url",
                "is not the base address of a site",
                "write `https://panel.example.com`, without a path, user or password",
            ));
        } else if url.scheme() == "http" && !loopback {
            problems.push(ConfigProblem::new(
                "server.public_url",
                "is not `https`",
                "browsers keep the session cookie only over https: set `tls_cert` and `tls_key`, or put a proxy with a certificate in front",
            ));
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => problems.push(ConfigProblem::new(
                "server.tls_key",
                "is missing beside `tls_cert`",
                "name the file with the certificate's private key",
            )),
            (None, Some(_)) => problems.push(ConfigProblem::new(
                "server.tls_cert",
                "is missing beside `tls_key`",
                "name the file with the certificate chain",
            )),
            (Some(_), Some(_)) if url.scheme() == "http" => problems.push(ConfigProblem::new(
                "server.public_url",
                "is not `https` although the panel has a certificate",
                "write `https://`",
            )),
            _ => {}
        }
        if self
            .trusted_proxies
            .iter()
            .any(|network| network.prefix_len() == 0)
        {
            problems.push(ConfigProblem::new(
                "server.trusted_proxies",
                "trusts everybody",
                "name the proxies' own networks: who is trusted can pretend to be any address",
            ));
        }
    }

    /// Whether browsers reach the panel by TLS, so that cookies can be `Secure` and `__Host-`.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// The origin of the panel's pages, as browsers send it.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }
}
