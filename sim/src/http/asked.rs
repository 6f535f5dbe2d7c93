//! A request, taken apart.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;

use super::answer::Errors;
use super::params::{self, Given};
use super::upload::{self, Upload};
use crate::api::{self, Endpoint};
use crate::failure::Failure;
use crate::world::faults::Target;

/// The largest body PVE takes, in bytes.
const MAX_BODY: usize = 512 * 1024;

/// The same before pve-http-server 5.2.1. That is taken for one with 5.2.0, which changed the bodies of refusals.
const OLD_MAX_BODY: usize = 64 * 1024;

/// The form of answers that a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Refusals have their status.
    Json,
    /// Refusals of handlers are successes that tell of their failure, for the web interface.
    ExtJs,
}

impl Format {
    /// The form, if the path is one of the API, and the rest of the path.
    pub(super) fn of(path: &str) -> (Option<Self>, &str) {
        for (prefix, format) in [("/api2/json", Self::Json), ("/api2/extjs", Self::ExtJs)] {
            if let Some(rest) = path.strip_prefix(prefix)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return (Some(format), rest);
            }
        }
        (None, path)
    }
}

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) format: Option<Format>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) too_large: bool,
    pub(super) route: Option<(&'static Endpoint, BTreeMap<String, String>)>,
    pub(super) upload: Option<Result<Upload, Failure>>,
}

impl Asked {
    pub(super) async fn read(request: Request<Incoming>, errors: Errors) -> Self {
        let most = match errors {
            Errors::WithMessage => MAX_BODY,
            Errors::ReasonOnly => OLD_MAX_BODY,
        };
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let (format, rest) = Format::of(&path);
        let route = format.and_then(|_| api::find(parts.method.as_str(), rest));
        let kind = parts.headers.get(header::CONTENT_TYPE);
        let (collected, upload) = if route
            .as_ref()
            .is_some_and(|(endpoint, _)| endpoint.path.ends_with("/upload"))
        {
            let upload = upload::read(kind.and_then(|kind| kind.to_str().ok()), body).await;
            (Ok(Collected::default()), Some(upload))
        } else {
            (Limited::new(body, most).collect().await, None)
        };
        Self {
            upload,
            format,
            method: parts.method.as_str().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            too_large: collected.is_err(),
            body: collected.map(Collected::to_bytes).unwrap_or_default(),
            headers: parts.headers,
            path,
            route,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn vmid(&self) -> Option<u32> {
        self.route.as_ref()?.1.get("vmid")?.parse().ok()
    }

    pub(super) fn target(&self) -> Target<'_> {
        let node = self.route.as_ref().filter(|(endpoint, _)| endpoint.forwarded);
        Target {
            method: &self.method,
            template: self.route.as_ref().map_or("", |(endpoint, _)| endpoint.path),
            vmid: self.vmid(),
            node: node
                .and_then(|(_, values)| values.get("node"))
                .map(String::as_str),
        }
    }

    pub(super) fn given(&self) -> Result<Given, Failure> {
        if let Some(upload) = &self.upload {
            let query = self.query.as_deref();
            return upload
                .as_ref()
                .map(|upload| upload.given(query))
                .map_err(Clone::clone);
        }
        params::read(self.query.as_deref(), self.header("content-type"), &self.body)
    }
}
