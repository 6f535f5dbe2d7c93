//! The clients, and the resolver in them that lets only addresses through that may be connected to.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::address::{Reach, reach};
use crate::domain::HttpOrigin;

/// Looks names up.
#[async_trait]
pub trait Lookup: Debug + Send + Sync {
    /// The addresses of a host.
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// As the machine does.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Two clients, so that a connection that one origin may have is never lent to another.
#[derive(Clone, Debug)]
pub struct Sender {
    /// For names that lead to the Internet.
    public: reqwest::Client,
    /// For names that may lead to private addresses, and for addresses.
    private: reqwest::Client,
}

impl Sender {
    /// Clients without proxies, cookies or automatic redirects.
    pub fn new(tls: &rustls::ClientConfig, lookup: &Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let client = |private: bool| {
            let lookup = Arc::clone(lookup);
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .user_agent(concat!("Portico/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(5))
                .dns_resolver(Arc::new(Checked { lookup, private }))
                .build()
        };
        Ok(Self {
            public: client(false)?,
            private: client(true)?,
        })
    }

    /// The client for an approved origin. A host that is an address needs no look-up: it was approved by itself.
    pub(super) fn client(&self, origin: &HttpOrigin) -> &reqwest::Client {
        let host = origin.origin.parse::<Url>().ok();
        let by_name =
            matches!(host.as_ref().and_then(Url::host), Some(Host::Domain(name)) if name != "localhost");
        if by_name && !origin.allow_private {
            &self.public
        } else {
            &self.private
        }
    }
}

/// A resolver that gives only addresses that may be connected to. The connection is made to one of those it gave: there
/// is no second look-up between check and use that could bring another address.
#[derive(Debug)]
struct Checked {
    lookup: Arc<dyn Lookup>,
    private: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, private) = (Arc::clone(&self.lookup), self.private);
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            let may = |address: &IpAddr| match reach(*address) {
                Reach::Public => true,
                Reach::Private => private,
                Reach::Never => false,
            };
            let approved: Vec<SocketAddr> = found
                .into_iter()
                .filter(may)
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if approved.is_empty() {
                let message = if private {
                    "the name has no address that may be connected to"
                } else {
                    "the name has no public address: if it is meant to be private, say `allow_private` for its origin"
                };
                return Err(message.into());
            }
            Ok(Box::new(approved.into_iter()) as Addrs)
        })
    }
}
