//! The forms of answers: success, refusal, and both for the web interface.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use serde_json::{Map, Value};

use super::asked::Format;
use crate::api::Reply;
use crate::calendar::Moment;
use crate::failure::Failure;

/// Where the texts of refusals stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errors {
    /// In the body and, their first line, in the status line.
    WithMessage,
    /// Only in the status line, as before pve-http-server 5.2.0; those of parameters are in the body too.
    ReasonOnly,
}

/// The answer to an outcome, in the form that was asked for, at a time in seconds since the epoch.
pub(super) fn of(
    outcome: Result<Reply, Failure>,
    format: Option<Format>,
    errors: Errors,
    now: i64,
) -> Response<Bytes> {
    let response = match (outcome, format) {
        (Ok(reply), Some(Format::ExtJs)) => told(reply),
        (Ok(reply), _) => succeeded(reply),
        (Err(failure), Some(Format::ExtJs)) if failure.body => told_of(&failure),
        (Err(failure), _) => refused(&failure, errors),
    };
    with_headers(response, now)
}

fn with_headers<T>(mut response: Response<T>, now: i64) -> Response<T> {
    let headers = response.headers_mut();
    // PVE has one text for both: an answer is old at once.
    if let Ok(date) = HeaderValue::try_from(Moment::of(now).in_http()) {
        headers.insert(header::DATE, date.clone());
        headers.insert(header::EXPIRES, date);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=0"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    response
}

fn json_body(value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    let kind = HeaderValue::from_static("application/json;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What every success says. Takes the reply, because a large cluster's lists are long to copy.
fn data_of(reply: Reply) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("data".to_owned(), reply.data);
    if let Some(total) = reply.total {
        body.insert("total".to_owned(), Value::from(total));
    }
    body
}

fn succeeded(reply: Reply) -> Response<Bytes> {
    json_body(&Value::Object(data_of(reply)))
}

/// A success in the form of the web interface.
fn told(reply: Reply) -> Response<Bytes> {
    let mut body = data_of(reply);
    body.insert("success".to_owned(), Value::from(1));
    json_body(&Value::Object(body))
}

/// A refusal in the form of the web interface: HTTP says 200, the body says what is wrong.
fn told_of(failure: &Failure) -> Response<Bytes> {
    let mut body = failure.json();
    if let Some(map) = body.as_object_mut() {
        map.insert("success".to_owned(), Value::from(0));
        map.insert("status".to_owned(), Value::from(failure.status));
    }
    json_body(&body)
}

/// The answer of a refusal: custom reason phrase, no keep-alive.
fn refused(failure: &Failure, errors: Errors) -> Response<Bytes> {
    let mut response = match (failure.body, errors) {
        (false, _) => Response::new(Bytes::new()),
        (true, Errors::WithMessage) => json_body(&failure.json()),
        (true, Errors::ReasonOnly) => json_body(&failure.old_json()),
    };
    *response.status_mut() =
        StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = failure
        .reason()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>();
    if let Ok(reason) = ReasonPhrase::try_from(reason) {
        response.extensions_mut().insert(reason);
    }
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What plain HTTP on the TLS port is answered: go to https.
pub(crate) fn to_https(request: &Request<Incoming>, now: i64) -> Response<Full<Bytes>> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    if let Ok(location) = HeaderValue::try_from(format!("https://{host}{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    with_headers(response, now)
}
