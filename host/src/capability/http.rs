//! HTTP towards the origins that the provider approved for the plugin.
//!
//! What is checked, and when: the origin before anything is sent; the address when the name is resolved, by the
//! resolver that the connection itself uses, so that no second look-up can bring another one; each redirect anew. A
//! secret is filled in here, only towards its own origin, and never comes back: not in an error, not in a log line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::http::{Body, Method, Request, Response, Value};
use portico_runtime::bindings::types::FieldError;
use portico_runtime::capability::HttpPort;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

use super::Binding;
use crate::secret::Secret;

/// Bytes of an answer.
const ANSWER: usize = 256 << 10;
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Two clients: for public addresses only, and for approved origins that are private addresses themselves.
#[derive(Clone, Debug)]
pub struct Sender {
    public: reqwest::Client,
    private: reqwest::Client,
}

impl Sender {
    /// Clients without proxies, cookies or automatic redirects.
    pub fn new(tls: &rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        let client = |guard: bool| {
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .connect_timeout(Duration::from_secs(5));
            if guard {
                builder.dns_resolver(Arc::new(PublicOnly)).build()
            } else {
                builder.build()
            }
        };
        Ok(Self {
            public: client(true)?,
            private: client(false)?,
        })
    }
}

/// A resolver that gives public addresses only.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet. IPv6 forms of IPv4 addresses are judged as those.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => {
            let embedded = v6.to_ipv4_mapped().or_else(|| match v6.segments() {
                // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    let [a, b] = high.to_be_bytes();
                    let [c, d] = low.to_be_bytes();
                    Some(Ipv4Addr::new(a, b, c, d))
                }
                _ => None,
            });
            if let Some(v4) = embedded {
                return is_public_v4(v4);
            }
            let [first, second, ..] = v6.segments();
            // Only 2000::/3 is in use as global unicast; documentation (2001:db8::/32) and Teredo are not.
            first & 0xe000 == 0x2000 && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99);
    !special
}

#[async_trait]
impl HttpPort for Binding {
    async fn send(&self, request: Request, timeout: Duration) -> Result<Response, CapabilityError> {
        tokio::time::timeout(timeout, self.exchange(request))
            .await
            .unwrap_or(Err(CapabilityError::Unavailable))
    }
}

impl Binding {
    async fn exchange(&self, request: Request) -> Result<Response, CapabilityError> {
        let mut url: Url = request
            .url
            .parse()
            .map_err(|_| invalid("url", "not an absolute URL"))?;
        let mut method = method(request.method);
        let mut body = request.body;
        for _ in 0..=REDIRECTS {
            let origin = self.approved(&url)?;
            let headers = self.headers(&request.headers, &origin).await?;
            let client = if names_an_address(&url) {
                &self.parts.http.private
            } else {
                &self.parts.http.public
            };
            let mut outgoing = client.request(method.clone(), url.clone()).headers(headers);
            outgoing = match &body {
                Body::Empty => outgoing,
                Body::Json(text) => outgoing
                    .header(reqwest::header::CONTENT_TYPE, "application/json")
                    .body(text.clone()),
                Body::Bytes(bytes) => outgoing.body(bytes.clone()),
                Body::Form(fields) => {
                    let mut form = Vec::with_capacity(fields.len());
                    for (name, value) in fields {
                        form.push((name.as_str(), self.value(value, &origin).await?));
                    }
                    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.expose())).collect();
                    outgoing.form(&form)
                }
            };
            // The error of a request can hold its URL with a secret in the query: it is not logged.
            let answer = outgoing.send().await.map_err(|_| CapabilityError::Unavailable)?;
            let Some(next) = redirect(&url, &answer) else {
                return read(answer).await;
            };
            // RFC 9110, 15.4: a POST that was answered with 301, 302 or 303 goes on as a GET.
            if matches!(answer.status().as_u16(), 301..=303) && method != reqwest::Method::GET {
                method = reqwest::Method::GET;
                body = Body::Empty;
            }
            url = next;
        }
        Err(CapabilityError::Failed("too many redirects".to_owned()))
    }

    /// The approved origin of a URL.
    fn approved(&self, url: &Url) -> Result<String, CapabilityError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("url", "must not contain a user name or password"));
        }
        let origin = url.origin().ascii_serialization();
        let known = self.approval.http_origins.iter().any(|approved| {
            approved
                .parse::<Url>()
                .is_ok_and(|approved| approved.origin().ascii_serialization() == origin)
        });
        if known {
            Ok(origin)
        } else {
            Err(CapabilityError::Denied("the origin is not approved".to_owned()))
        }
    }

    async fn headers(&self, headers: &[(String, Value)], origin: &str) -> Result<HeaderMap, CapabilityError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(|_| invalid("headers", "not a header's name"))?;
            let value = self.value(value, origin).await?;
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|_| invalid("headers", "a value has characters that a header cannot have"))?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        Ok(map)
    }

    /// A value with its secret filled in, if the secret may go to `origin`.
    async fn value(&self, value: &Value, origin: &str) -> Result<Secret, CapabilityError> {
        let (prefix, name) = match value {
            Value::Text(text) => return Ok(Secret::new(text.clone())),
            Value::Secret(name) => ("", name),
            Value::PrefixedSecret((prefix, name)) => (prefix.as_str(), name),
        };
        let denied = || CapabilityError::Denied("the secret is not approved for this origin".to_owned());
        let reference = self
            .approval
            .settings
            .secret(&format!("/{name}"))
            .ok_or_else(denied)?;
        // A secret belongs to the one origin the plugin was approved for; with several it would be a guess.
        let [own] = self.approval.http_origins.as_slice() else {
            return Err(denied());
        };
        if own
            .parse::<Url>()
            .is_ok_and(|own| own.origin().ascii_serialization() == origin)
        {
            let secret = self.parts.vault.read(&reference).await.map_err(|error| {
                tracing::error!(plugin = %self.plugin, secret = name, %error, "a secret cannot be read");
                CapabilityError::Unavailable
            })?;
            Ok(Secret::new(format!("{prefix}{}", secret.expose())))
        } else {
            Err(denied())
        }
    }
}

/// Whether the URL's host is an address or this machine: approved by name, so the provider means it.
fn names_an_address(url: &Url) -> bool {
    !matches!(url.host(), Some(url::Host::Domain(name)) if name != "localhost")
}

fn redirect(from: &Url, answer: &reqwest::Response) -> Option<Url> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()
}

async fn read(answer: reqwest::Response) -> Result<Response, CapabilityError> {
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers = headers.take(100).collect();
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| CapabilityError::Unavailable)?;
        if body.len() + chunk.len() > ANSWER {
            return Err(CapabilityError::Quota(format!(
                "an answer has at most {ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

fn invalid(field: &str, message: &str) -> CapabilityError {
    CapabilityError::Invalid(FieldError {
        field: field.to_owned(),
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in [
            "1.1.1.1",
            "93.184.215.14",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
