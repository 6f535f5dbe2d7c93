//! One request to one endpoint, and what its answer or its failure is.

use std::error::Error as StdError;
use std::sync::Arc;

use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::ext::ReasonPhrase;
use serde::de::DeserializeOwned;

use super::Transport;
use super::endpoints::Endpoint;
use crate::answer::{self, Answer};
use crate::error::{Cause, Error};
use crate::route::{Params, Route};

impl Transport {
    /// Sends one request to one endpoint and reads the whole answer.
    pub(super) async fn exchange<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> Result<Answer<T>, Error> {
        let request = self.request(endpoint, route, params);
        let response = request.send().await.map_err(|e| self.fault(route, e))?;
        if !response.status().is_success() {
            return Err(self.refusal(response, route, params).await);
        }
        let body = self.body(response).await.map_err(|e| self.fault(route, e))?;
        let target = route.target(&self.cluster);
        let Some(body) = body else {
            let problem = format!("it is larger than {} bytes", self.limits.max_body);
            return Err(Error::Malformed { target, problem });
        };
        answer::read(target, &body)
    }

    pub(super) fn request(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> reqwest::RequestBuilder {
        let mut url = endpoint.url.clone();
        url.set_path(&format!("/api2/json{}", route.path));
        // PVE answers 501 to a body with GET or DELETE, and to a body of unknown length with any method.
        let in_query = matches!(route.method, Method::GET | Method::DELETE);
        if in_query && !params.is_empty() {
            url.set_query(Some(&params.encode()));
        }
        let mut request = self.http.request(route.method.clone(), url);
        if !in_query {
            let body = params.encode().to_string();
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                // Left to itself, the HTTP library states no length for an empty body.
                .header(CONTENT_LENGTH, body.len())
                .body(body);
        }
        request
    }

    /// The error that an answer stands for which is no success.
    pub(super) async fn refusal(&self, response: reqwest::Response, route: &Route, params: &Params) -> Error {
        let status = response.status();
        let phrase = reason_phrase(&response);
        // The status line says enough when the body cannot be had.
        let body = self.body(response).await.ok().flatten().unwrap_or_default();
        let secrets = params.secrets().chain([&self.token_secret]).collect::<Vec<_>>();
        let target = route.target(&self.cluster);
        answer::refusal(target, status, &phrase, &body, secrets.iter().copied())
    }

    /// The body, or `None` when it is larger than allowed.
    async fn body(&self, mut response: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.limits.max_body {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    pub(super) fn fault(&self, route: &Route, error: reqwest::Error) -> Error {
        let target = route.target(&self.cluster);
        let (connect, tls) = (error.is_connect(), is_tls(&error));
        let source: Cause = Arc::new(error.without_url());
        match (connect, tls) {
            (true, true) => Error::Tls { target, source },
            (true, false) => Error::Connect { target, source },
            (false, _) => Error::Transport { target, source },
        }
    }
}

/// Whether rustls is somewhere below. An I/O error does not name what it carries as its source, and they are
/// nested here.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.is::<rustls::Error>() {
            return true;
        }
        cause = match current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(carried) => Some(carried),
            None => current.source(),
        };
    }
    false
}

/// The words after the status code, where they are not the standard ones.
fn reason_phrase(response: &reqwest::Response) -> String {
    match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => response
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
    }
}
