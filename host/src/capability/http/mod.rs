//! HTTP towards the origins that the provider approved for the plugin and the product.
//!
//! What is checked, and when: the origin before anything is sent; the address when the name is resolved, by the
//! resolver that the connection itself uses ([`connect`]), so that no second look-up can bring another one; each redirect
//! anew. A secret is filled in here, only towards the one origin it is bound to, and never comes back: not in an error,
//! not in a log line.
//!
//! - [`address`]: which addresses may be connected to.
//! - [`connect`]: the clients, and the resolver in them.

mod address;
mod connect;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::http::{Body, Method, Request, Response, Value};
use portico_runtime::bindings::types::FieldError;
use portico_runtime::capability::HttpPort;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

pub use self::connect::{Lookup, Sender, SystemLookup};
use super::Binding;
use crate::domain::{HttpOrigin, PluginId, Settings};
use crate::plugins::access;
use crate::plugins::components::chain;
use crate::secret::{Secret, Vault};

/// Bytes of an answer's body.
const ANSWER: usize = 256 << 10;
/// Bytes of an answer's headers, names and values together.
const HEADERS: usize = 32 << 10;
/// Redirects that are followed.
const REDIRECTS: usize = 5;

#[async_trait]
impl HttpPort for Binding {
    async fn send(&self, request: Request, timeout: Duration) -> Result<Response, CapabilityError> {
        let exchange = Exchange {
            sender: &self.parts.http,
            vault: &self.parts.vault,
            plugin: &self.plugin,
            origins: access::http_origins(&self.product, &self.approval),
            settings: &self.approval.settings,
        };
        exchange.within(timeout, request).await
    }
}

/// One request of a plugin, with what it may reach.
struct Exchange<'a> {
    sender: &'a Sender,
    vault: &'a Vault,
    plugin: &'a PluginId,
    /// The origins that are left to the product.
    origins: Vec<&'a HttpOrigin>,
    /// Where the plugin's secrets are.
    settings: &'a Settings,
}

impl Exchange<'_> {
    /// Sends `request` and reads the whole answer, redirects included, in `time`.
    async fn within(&self, time: Duration, request: Request) -> Result<Response, CapabilityError> {
        tokio::time::timeout(time, self.send(request))
            .await
            .unwrap_or(Err(CapabilityError::Unavailable))
    }

    async fn send(&self, request: Request) -> Result<Response, CapabilityError> {
        let mut url: Url = request
            .url
            .parse()
            .map_err(|_| invalid("url", "is not an absolute address"))?;
        let mut method = method(request.method);
        let mut body = request.body;
        for _ in 0..=REDIRECTS {
            let origin = self.approved(&url)?;
            let mut headers = self.headers(&request.headers, origin).await?;
            if matches!(body, Body::Json(_) | Body::Form(_)) {
                // The type follows from the body.
                headers.remove(CONTENT_TYPE);
            }
            let client = self.sender.client(origin);
            let mut outgoing = client.request(method.clone(), url.clone()).headers(headers);
            outgoing = match &body {
                Body::Empty => outgoing,
                Body::Json(text) => outgoing
                    .header(CONTENT_TYPE, "application/json")
                    .body(text.clone()),
                Body::Bytes(bytes) => outgoing.body(bytes.clone()),
                Body::Form(fields) => {
                    let mut form = Vec::with_capacity(fields.len());
                    for (name, value) in fields {
                        form.push((name.as_str(), self.value(value, origin).await?));
                    }
                    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.expose())).collect();
                    outgoing.form(&form)
                }
            };
            let answer = outgoing.send().await.map_err(|error| {
                // Without the address: its path and query are the customer's matter.
                let error = error.without_url();
                tracing::info!(plugin = %self.plugin, origin = origin.origin, error = %chain(&error), "an HTTP request failed");
                CapabilityError::Unavailable
            })?;
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
    fn approved(&self, url: &Url) -> Result<&HttpOrigin, CapabilityError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("url", "must not contain a user name or password"));
        }
        let origin = url.origin().ascii_serialization();
        self.origins
            .iter()
            .copied()
            .find(|approved| approved.origin == origin)
            .ok_or_else(|| CapabilityError::Denied("the origin is not approved".to_owned()))
    }

    async fn headers(
        &self,
        headers: &[(String, Value)],
        origin: &HttpOrigin,
    ) -> Result<HeaderMap, CapabilityError> {
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
    async fn value(&self, value: &Value, origin: &HttpOrigin) -> Result<Secret, CapabilityError> {
        let (prefix, name) = match value {
            Value::Text(text) => return Ok(Secret::new(text.clone())),
            Value::Secret(name) => ("", name),
            Value::PrefixedSecret((prefix, name)) => (prefix.as_str(), name),
        };
        let denied = || CapabilityError::Denied("the secret is not approved for this origin".to_owned());
        if !origin.secrets.contains(name) {
            return Err(denied());
        }
        let reference = self.settings.secret(&format!("/{name}")).ok_or_else(denied)?;
        let secret = self.vault.read(&reference).await.map_err(|error| {
            tracing::error!(plugin = %self.plugin, secret = name, %error, "a secret cannot be read");
            CapabilityError::Unavailable
        })?;
        Ok(Secret::new(format!("{prefix}{}", secret.expose())))
    }
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
    let headers: Vec<(String, String)> = headers.take(100).collect();
    if headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        > HEADERS
    {
        return Err(CapabilityError::Quota(format!(
            "the headers of an answer have at most {HEADERS} bytes"
        )));
    }
    let too_long = || CapabilityError::Quota(format!("an answer has at most {ANSWER} bytes"));
    if answer
        .content_length()
        .is_some_and(|length| length > ANSWER as u64)
    {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| CapabilityError::Unavailable)?;
        if body.len() + chunk.len() > ANSWER {
            return Err(too_long());
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
