//! One request, through all checks in PVE's order.
//!
//! Path prefix, method, transfer encoding and size; authentication; unexpected bodies and content types; the
//! route; parameters that contradict the path; whether tokens may call it; privileges; the other node; the
//! schema; the handler. So a refusal for lack of rights comes before one for bad parameters, and an unknown path
//! is told only to who is logged in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use serde_json::{Map, Value};

use super::compression;
use super::params::{self, Given};
use super::upload::{self, Upload};
use crate::api::{self, Allow, Call, Endpoint, Reply};
use crate::console::{self, socket};
use crate::failure::Failure;
use crate::options::Major;
use crate::schema::{self, Raw};
use crate::simulation::Simulation;
use crate::work::{flock_patience, flock_refusal};
use crate::world::World;
use crate::world::access::tickets::Ticket;
use crate::world::counters::RequestRecord;
use crate::world::faults::{Moment, Target};

/// The largest body PVE takes.
const MAX_BODY: usize = 512 * 1024;
/// How long a refused login is made to wait, in seconds.
const AUTH_DELAY: f64 = 3.0;

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut by an injected fault")]
pub(crate) struct Cut;

/// The form of answers that a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Refusals have their status.
    Json,
    /// Refusals of handlers are successes that tell of their failure, for the web interface.
    ExtJs,
}

impl Format {
    /// The form, if the path is one of the API, and the rest of the path.
    fn of(path: &str) -> (Option<Self>, &str) {
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
struct Asked {
    format: Option<Format>,
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
    too_large: bool,
    route: Option<(&'static Endpoint, BTreeMap<String, String>)>,
    upload: Option<Result<Upload, Failure>>,
}

impl Asked {
    async fn read(request: Request<Incoming>) -> Self {
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
            (Limited::new(body, MAX_BODY).collect().await, None)
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

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn vmid(&self) -> Option<u32> {
        self.route.as_ref()?.1.get("vmid")?.parse().ok()
    }

    fn target(&self) -> Target<'_> {
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

    fn given(&self) -> Result<Given, Failure> {
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

/// Answers one request, or cuts its connection.
pub(crate) async fn answer(
    sim: Arc<Simulation>,
    host: usize,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let began = sim.clock.now();
    let upgrade = hyper::upgrade::on(&mut request);
    let asked = Asked::read(request).await;
    let latency = sim.world().faults.latency(asked.target());
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let mut record = RequestRecord {
        time: began,
        method: asked.method.clone(),
        path: asked.path.clone(),
        template: asked.route.as_ref().map(|(endpoint, _)| endpoint.path.to_owned()),
        params: asked
            .given()
            .map(|given| params::masked(&given))
            .unwrap_or_default(),
        user: None,
        status: None,
        reason: "connection cut".to_owned(),
    };
    if sim.world().faults.cut(asked.target(), Moment::BeforeEffect) {
        sim.world().counters.request(record);
        return Err(Cut);
    }
    let outcome = decide(&sim, host, &asked, &mut record.user).await;
    let switch = match &outcome {
        Ok(Reply {
            console: Some(port), ..
        }) if socket::wants_upgrade(&asked.headers) => Some((*port, socket::handshake(&asked.headers))),
        _ => None,
    };
    let (outcome, switched) = match switch {
        Some((_, Err(refusal))) => (Err(refusal), None),
        Some((port, Ok(response))) => (outcome, Some((port, response))),
        None => (outcome, None),
    };
    let delay = match &outcome {
        Err(failure) if failure.status == 401 => AUTH_DELAY,
        Err(failure) => failure.delay,
        Ok(_) => 0.0,
    };
    if delay > 0.0 {
        tokio::time::sleep(sim.clock.real(delay)).await;
    }
    if sim.world().faults.cut(asked.target(), Moment::AfterEffect) {
        sim.world().counters.request(record);
        return Err(Cut);
    }
    if let Some((port, response)) = switched {
        record.status = Some(101);
        "Switching Protocols".clone_into(&mut record.reason);
        sim.world().counters.request(record);
        console::attach(&sim, (host, port), upgrade).ok_or(Cut)?;
        return Ok(response);
    }
    record.status = Some(outcome.as_ref().map_or_else(|failure| failure.status, |_| 200));
    record.reason = outcome
        .as_ref()
        .map_or_else(|failure| failure.reason().to_owned(), |_| "OK".to_owned());
    sim.world().counters.request(record);
    let response = match (outcome, asked.format) {
        (Ok(reply), Some(Format::ExtJs)) => told(reply),
        (Ok(reply), _) => succeeded(reply),
        (Err(failure), Some(Format::ExtJs)) if failure.body => told_of(&failure),
        (Err(failure), _) => refused(&failure),
    };
    let accepted = asked.header("accept-encoding").unwrap_or_default();
    Ok(compression::compress(response, accepted).map(Full::new))
}

async fn decide(
    sim: &Arc<Simulation>,
    host: usize,
    asked: &Asked,
    user: &mut Option<String>,
) -> Result<Reply, Failure> {
    // Plain forms of web pages cannot send the header with the token; an upload does without.
    let unsafe_method = asked.method != "GET" && asked.upload.is_none();
    let (format, rest) = Format::of(&asked.path);
    if format.is_none() {
        return Err(Failure::bare(501, "no such uri"));
    }
    if !["GET", "POST", "PUT", "DELETE"].contains(&asked.method.as_str()) {
        return Err(Failure::bare(
            501,
            format!("method '{}' not available", asked.method),
        ));
    }
    if asked.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Failure::bare(501, "chunked transfer encoding not supported"));
    }
    if asked.too_large {
        return Err(Failure::bare(501, "for data too large"));
    }
    let open = matches!(
        (asked.method.as_str(), rest),
        ("GET", "/access/domains") | ("GET" | "POST", "/access/ticket") | ("POST", "/access/vncticket")
    );
    let token = token_header(asked);
    let cookie = cookie(asked);
    let by_token = cookie.is_none() && token.is_some();
    if !open {
        *user = Some(authenticate(sim, asked, cookie, token, unsafe_method)?);
    }
    if ["GET", "DELETE"].contains(&asked.method.as_str()) && !asked.body.is_empty() {
        return Err(Failure::bare(
            501,
            format!("Unexpected content for method '{}'", asked.method),
        ));
    }
    let mut given = asked.given()?;
    let Some((endpoint, values)) = &asked.route else {
        return Err(Failure::new(
            501,
            format!("Method '{} {rest}' not implemented", asked.method),
        ));
    };
    contradictions(&given, values)?;
    for (name, value) in values {
        given.insert(name.clone(), Raw::Text(value.clone()));
    }
    if by_token && !endpoint.token {
        let text = format!(
            "URI '{}' not available with API token, need proper ticket.",
            endpoint.path
        );
        return Err(Failure::new(403, format!("Permission check failed ({text})")));
    }
    let who = user.clone().unwrap_or_default();
    permitted(&sim.world(), endpoint, values, &given, &who)?;
    if let Some((status, reason)) = sim.world().faults.status(asked.target()) {
        return Err(Failure::bare(status, reason));
    }
    if endpoint.forwarded {
        forwarded(
            &sim.world(),
            values.get("node").map(String::as_str).unwrap_or_default(),
        )?;
    }
    let major = sim.world().major;
    let mut params = schema::check(endpoint.properties(), &given, major).map_err(Failure::invalid)?;
    if let Some(Ok(upload)) = &asked.upload {
        let name = sim.world().uploads.add(upload.file.clone());
        params.set("tmpfilename", name);
    }
    let vmid = params.get("vmid").and_then(|text| text.parse().ok());
    let _guard = flock(sim, endpoint, vmid).await?;
    let reply = {
        let mut world = sim.world();
        (endpoint.run)(&mut Call {
            sim,
            world: &mut world,
            host,
            who: &who,
            params,
        })?
    };
    match reply.wait.clone() {
        Some((upid, seconds)) => awaited(sim, reply, &upid, seconds).await,
        None => Ok(reply),
    }
}

/// The value of an API token's header: `PVEAPIToken=…` or `PVEAPIToken …`.
fn token_header(asked: &Asked) -> Option<String> {
    let text = asked.header("authorization")?;
    let value = text
        .strip_prefix("PVEAPIToken=")
        .or_else(|| text.strip_prefix("PVEAPIToken "))?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

fn cookie(asked: &Asked) -> Option<String> {
    let all = asked.header("cookie")?;
    let value = all
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("PVEAuthCookie="))?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

fn authenticate(
    sim: &Simulation,
    asked: &Asked,
    cookie: Option<String>,
    token: Option<String>,
    unsafe_method: bool,
) -> Result<String, Failure> {
    let now = sim.clock.seconds();
    let world = sim.world();
    let failed = || Failure::bare(401, "Authentication failed!");
    if let Some(ticket) = cookie {
        let user = match world.access.read_ticket(&ticket, now) {
            Some(Ticket::Of(user)) => user,
            Some(Ticket::Half) => return Err(Failure::bare(401, "No ticket")),
            None => return Err(failed()),
        };
        let csrf = asked.header("csrfpreventiontoken").unwrap_or_default();
        if unsafe_method && !world.access.csrf_valid(csrf, &user, now) {
            return Err(Failure::bare(401, "Permission denied - invalid csrf token"));
        }
        return Ok(user);
    }
    match token {
        Some(token) => world.access.token(&token, now).ok_or_else(failed),
        None => Err(Failure::bare(401, "No ticket")),
    }
}

fn contradictions(given: &Given, values: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in values {
        if given
            .get(name)
            .is_some_and(|raw| *raw != Raw::Text(value.clone()))
        {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Failure::parameter(name, text));
        }
    }
    Ok(())
}

fn permitted(
    world: &World,
    endpoint: &Endpoint,
    values: &BTreeMap<String, String>,
    given: &Given,
    who: &str,
) -> Result<(), Failure> {
    let (template, any) = match endpoint.allow {
        Allow::Judged(judge) => return judge(world, given, who),
        Allow::World | Allow::User => return Ok(()),
        Allow::On(path, any) => (path, any),
        Allow::ByMajor(path, eight, nine) => (path, if world.major == Major::V8 { eight } else { nine }),
    };
    let mut path = template.to_owned();
    for (name, value) in values {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    let had = world.access.privileges(who, &path);
    if any.iter().any(|privilege| had.contains_key(*privilege)) {
        Ok(())
    } else {
        Err(Failure::forbidden(&format!("{path}, {}", any.join("|"))))
    }
}

fn forwarded(world: &World, node: &str) -> Result<(), Failure> {
    match world.nodes.get(node) {
        None => Err(Failure::died(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        ))),
        Some(known) if !known.online => Err(Failure::bare(595, "No route to host")),
        Some(_) => Ok(()),
    }
}

async fn flock(
    sim: &Simulation,
    endpoint: &Endpoint,
    vmid: Option<u32>,
) -> Result<Option<tokio::sync::OwnedRwLockWriteGuard<()>>, Failure> {
    let lock = sim
        .world()
        .vms
        .get(&vmid.unwrap_or(0))
        .map(|vm| Arc::clone(&vm.flock));
    let (true, Some(lock), Some(vmid)) = (endpoint.flock, lock, vmid) else {
        return Ok(None);
    };
    let wait = flock_patience(&sim.clock);
    let had = tokio::time::timeout(wait, lock.write_owned()).await;
    had.map(Some).map_err(|_| Failure::died(flock_refusal(vmid)))
}

/// Waits for a task as `background_delay` or `delay` asks: null if it ends well in time, an error if it does not.
async fn awaited(sim: &Simulation, reply: Reply, upid: &str, seconds: f64) -> Result<Reply, Failure> {
    let deadline = tokio::time::Instant::now() + sim.clock.real(seconds);
    loop {
        let changed = sim.changed.notified();
        let end = sim
            .world()
            .tasks
            .get(upid)
            .map(|task| (task.upid.clone(), task.end.clone()));
        match end {
            Some((_, Some(end))) if end.status == "OK" || end.status.starts_with("WARNINGS") => {
                return Ok(Value::Null.into());
            }
            Some((upid, Some(end))) if upid.kind == "qmconfig" => {
                return Err(Failure::died(format!(
                    "failed to update VM {}: {}",
                    upid.id, end.status
                )));
            }
            Some((_, Some(end))) => return Err(Failure::died(end.status)),
            _ => {}
        }
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            return Ok(reply);
        }
    }
}

fn with_headers<T>(mut response: Response<T>) -> Response<T> {
    let headers = response.headers_mut();
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
    with_headers(json_body(&Value::Object(data_of(reply))))
}

/// A success in the form of the web interface.
fn told(reply: Reply) -> Response<Bytes> {
    let mut body = data_of(reply);
    body.insert("success".to_owned(), Value::from(1));
    with_headers(json_body(&Value::Object(body)))
}

/// A refusal in the form of the web interface: HTTP says 200, the body says what is wrong.
fn told_of(failure: &Failure) -> Response<Bytes> {
    let mut body = failure.json();
    if let Some(map) = body.as_object_mut() {
        map.insert("success".to_owned(), Value::from(0));
        map.insert("status".to_owned(), Value::from(failure.status));
    }
    with_headers(json_body(&body))
}

/// The answer of a refusal: custom reason phrase, no keep-alive.
fn refused(failure: &Failure) -> Response<Bytes> {
    let mut response = if failure.body {
        json_body(&failure.json())
    } else {
        Response::new(Bytes::new())
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
    with_headers(response)
}

/// What plain HTTP on the TLS port is answered: go to https.
pub(crate) fn to_https(request: &Request<Incoming>) -> Response<Full<Bytes>> {
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
    with_headers(response)
}
