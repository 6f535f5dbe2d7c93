//! What stands around every request: its id, the security headers of its answer, and the check that a request that
//! changes something came from a page of this panel.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use rand::Rng;
use tracing::Instrument;

use super::error::PageError;
use super::state::App;
use crate::view::CONTENT_SECURITY_POLICY;

/// The id of a request, in the log, in the answer's header and on error pages.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The answer's header with the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request its id, and the answer its headers.
pub async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId(format!("{:012x}", rand::rng().next_u64() & 0xffff_ffff_ffff));
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("http", request_id = %id.0, method = %request.method());
    let asked = request.headers().clone();
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = span.in_scope(|| super::error::render(&app, &asked, &id.0, response));
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    );
    // Pages hold a customer's data: no cache, shared or the browser's own, may show them after he has signed out.
    set(header::CACHE_CONTROL, "no-store");
    if app.site.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Turns a panic of a handler into a 500: the process and every other request go on.
pub async fn caught(request: Request, next: Next) -> Response {
    if let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await {
        return response;
    }
    tracing::error!("a handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.\n").into_response()
}

/// Refuses a request with an unsafe method that another site caused.
///
/// Browsers tell by `Sec-Fetch-Site` since 2020 and by `Origin` on every POST; a request with neither comes from a
/// program, which has no cookie unless somebody gave it one, and is refused all the same.
pub async fn same_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || comes_from_here(request.headers(), app.site.origin()) {
        return next.run(request).await;
    }
    let panel = app.site.origin().to_owned();
    tracing::warn!(
        path = request.uri().path(),
        origin = ?request.headers().get(header::ORIGIN),
        %panel,
        "refused a request that did not come from a page of the panel"
    );
    PageError::CrossOrigin { panel }.into_response()
}

fn comes_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let from = text(header::ORIGIN);
    let site_agrees = site.is_none_or(|site| site == "same-origin");
    let origin_agrees = from.is_none_or(|from| from == origin);
    site_agrees && origin_agrees && (site.is_some() || from.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_here(site: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert("sec-fetch-site", site.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        comes_from_here(&headers, "https://panel.example")
    }

    #[test]
    fn only_a_request_of_our_own_pages_may_change_something() {
        assert!(from_here(Some("same-origin"), Some("https://panel.example")));
        assert!(from_here(None, Some("https://panel.example")));
        assert!(from_here(Some("same-origin"), None));
        for (site, origin) in [
            (None, None),
            (Some("cross-site"), None),
            (Some("same-site"), Some("https://panel.example")),
            (Some("none"), None),
            (Some("same-origin"), Some("https://evil.example")),
            (None, Some("null")),
            (None, Some("https://panel.example.evil")),
            (None, Some("http://panel.example")),
            (None, Some("https://panel.example:444")),
        ] {
            assert!(!from_here(site, origin), "{site:?} {origin:?}");
        }
    }
}
