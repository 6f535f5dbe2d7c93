//! HTTP towards origins that the provider approved (`wit/http.wit`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::http::{Body, Host, Request, Response, Value};
use crate::scope::Scope;
use crate::state::CallState;

const SEND: Function = Function::new("http", "http.send", &[Scope::HttpSend], Effect::Read);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[SEND];

/// Longest address, bytes.
const MAX_URL: usize = 8 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// Longest name or value of a header, bytes.
const MAX_HEADER: usize = 8 << 10;
/// Most bytes of an answer's body.
const MAX_BODY: usize = 256 << 10;
/// Time a plugin may ask for, milliseconds.
const TIMEOUT: std::ops::RangeInclusive<u32> = 100..=10_000;
/// Headers that say how a message travels, or to whom. They are the host's.
const HOST_HEADERS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends requests for the plugin.
#[async_trait]
pub trait HttpPort: Send + Sync {
    /// Sends a request and waits for the whole answer, at most `timeout`. The implementation checks origin, secrets,
    /// redirects and the address it connects to, and reads at most 256 KiB of the body. Headers have valid names and
    /// values and none of them is hop-by-hop when they arrive here.
    ///
    /// # Errors
    /// `denied` when origin or secret is not approved, `unavailable` when there was no answer, `quota` when it was longer.
    async fn send(&self, request: Request, timeout: Duration) -> Result<Response, CapabilityError>;
}

impl Host for CallState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, CapabilityError>> {
        let port = Arc::clone(&self.ports.http);
        let checked = check(&request);
        // The port gives up a little before the gate would, so that the guest reads `unavailable` from the one that
        // knows why.
        let timeout = Duration::from_millis(request.timeout.into()).min(self.hostcall_time * 9 / 10);
        let answer = self
            .gate(&SEND, Scope::HttpSend, checked, move |_| async move {
                port.send(request, timeout).await
            })
            .await?;
        Ok(answer.and_then(|response| {
            if response.body.len() > MAX_BODY {
                return Err(CapabilityError::Quota(format!(
                    "body of an answer: {MAX_BODY} bytes at most"
                )));
            }
            Ok(response)
        }))
    }
}

fn check(request: &Request) -> Result<(), CapabilityError> {
    bounds::bytes("url", &request.url, 1..=MAX_URL)?;
    if !(request.url.starts_with("https://") || request.url.starts_with("http://")) {
        return Err(bounds::invalid("url", "is not an absolute `https` address"));
    }
    bounds::number("timeout", request.timeout, TIMEOUT)?;
    if request.headers.len() > MAX_HEADERS {
        return Err(bounds::invalid("headers", format!("are more than {MAX_HEADERS}")));
    }
    for (name, value) in &request.headers {
        check_header_name(name)?;
        check_header_value(name, value)?;
    }
    if let Body::Json(text) = &request.body {
        bounds::json("body", text, usize::MAX)?;
    }
    Ok(())
}

/// Token characters of RFC 9110, section 5.6.2.
fn check_header_name(name: &str) -> Result<(), CapabilityError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_HEADER || !name.bytes().all(token) {
        return Err(bounds::invalid(
            "headers",
            "hold a name with a character that HTTP does not allow",
        ));
    }
    if HOST_HEADERS
        .iter()
        .any(|header| header.eq_ignore_ascii_case(name))
    {
        return Err(bounds::invalid(
            "headers",
            format!("hold `{name}`, which is the host's"),
        ));
    }
    Ok(())
}

fn check_header_value(name: &str, value: &Value) -> Result<(), CapabilityError> {
    let text = match value {
        Value::Text(text) | Value::Secret(text) => text,
        Value::PrefixedSecret((prefix, _)) => prefix,
    };
    if text.len() > MAX_HEADER
        || text
            .bytes()
            .any(|byte| byte != b'\t' && (byte < b' ' || byte == 0x7f))
    {
        return Err(bounds::invalid(
            "headers",
            format!("hold a value of `{name}` that HTTP does not allow"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::http::Method;

    fn request(headers: Vec<(&str, &str)>) -> Request {
        Request {
            method: Method::Get,
            url: "https://example.net/".into(),
            headers: headers
                .into_iter()
                .map(|(n, v)| (n.to_owned(), Value::Text(v.to_owned())))
                .collect(),
            body: Body::Empty,
            timeout: 1000,
        }
    }

    #[test]
    fn headers_of_the_host_are_refused_in_any_case_of_letters() {
        for name in ["Host", "TRANSFER-ENCODING", "connection", "Content-Length"] {
            assert!(
                matches!(
                    check(&request(vec![(name, "x")])),
                    Err(CapabilityError::Invalid(_))
                ),
                "{name}"
            );
        }
        assert_eq!(check(&request(vec![("X-Api", "x")])), Ok(()));
    }

    #[test]
    fn a_header_cannot_smuggle_a_second_line() {
        assert!(check(&request(vec![("x-a", "1\r\nhost: evil")])).is_err());
        assert!(check(&request(vec![("x-a: b\r\nc", "1")])).is_err());
    }

    #[test]
    fn an_address_that_is_not_http_is_refused() {
        for url in ["file:///etc/passwd", "//example.net", "", "ftp://example.net"] {
            assert!(
                check(&Request {
                    url: url.into(),
                    ..request(vec![])
                })
                .is_err(),
                "{url}"
            );
        }
    }
}
