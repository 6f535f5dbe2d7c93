//! Calling HTTP services on the Internet. Scope: `http.send`, towards the origins that the provider approved.
//!
//! ```no_run
//! # use portico_sdk::{http, Error};
//! # fn go() -> Result<(), Error> {
//! let answer = http::Request::get("https://api.example.com/zones").bearer("token").send()?;
//! # Ok(()) }
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::portico::plugin::http as contract;
use crate::import::http as import;

pub use contract::{Body, Method, Response, Value};

/// A request to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    inner: contract::Request,
}

impl Request {
    /// A request of any method, with an empty body and a timeout of 10 seconds.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            inner: contract::Request {
                method,
                url: url.into(),
                headers: Vec::new(),
                body: Body::Empty,
                timeout: 10_000,
            },
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.inner.headers.push((name.into(), value));
        self
    }

    /// Sends `authorization: Bearer` with a secret of the plugin's settings. The host fills it in; the plugin never sees
    /// it.
    #[must_use]
    pub fn bearer(self, secret: &str) -> Self {
        self.header(
            "authorization",
            Value::PrefixedSecret(("Bearer ".into(), secret.into())),
        )
    }

    /// Sends a form.
    #[must_use]
    pub fn form(mut self, fields: Vec<(String, Value)>) -> Self {
        self.inner.body = Body::Form(fields);
        self
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// `failed` when serde cannot write it.
    pub fn json(mut self, data: &impl Serialize) -> Result<Self, Error> {
        self.inner.body =
            Body::Json(serde_json::to_string(data).map_err(|e| Error::failed(format!("json: {e}")))?);
        Ok(self)
    }

    /// Milliseconds to wait, 100…10,000.
    #[must_use]
    pub fn timeout(mut self, milliseconds: u32) -> Self {
        self.inner.timeout = milliseconds;
        self
    }

    /// Sends it and waits for the whole answer. Any status is an answer.
    ///
    /// # Errors
    /// `denied` when the origin or a secret is not approved, `unavailable` when there was no answer, `quota` when it was
    /// longer than 256 KiB.
    pub fn send(self) -> Result<Response, Error> {
        import::send(&self.inner)
    }
}

impl Response {
    /// The body as JSON.
    ///
    /// # Errors
    /// `failed` when it is none, or not of that shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::failed(format!("answer with {}: {error}", self.status)))
    }
}
