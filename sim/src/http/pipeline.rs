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
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;

use super::asked::{Asked, Format};
use super::credentials::Credentials;
use super::params::{self, Given};
use super::upload::Upload;
use super::{answer, caller, compression};
use crate::api::{Call, Endpoint, Reply};
use crate::console::{self, socket};
use crate::failure::Failure;
use crate::schema::{self, Params, Raw};
use crate::simulation::Simulation;
use crate::work::{flock_patience, flock_refusal};
use crate::world::World;
use crate::world::counters::RequestRecord;
use crate::world::faults::Moment;
use crate::world::quorum;

/// How long a refused login is made to wait, in seconds.
const AUTH_DELAY: f64 = 3.0;

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut by an injected fault")]
pub(crate) struct Cut;

/// Answers one request, or cuts its connection.
pub(crate) async fn pass(
    sim: Arc<Simulation>,
    host: usize,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let began = sim.clock.now();
    let upgrade = hyper::upgrade::on(&mut request);
    let asked = Asked::read(request, sim.errors).await;
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
    let response = answer::of(outcome, asked.format, sim.errors, sim.clock.seconds());
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
    let credentials = Credentials::of(asked.header("cookie"), asked.header("authorization"));
    let by_token = matches!(credentials, Some(Credentials::Token(_)));
    if !open {
        *user = Some(caller::authenticate(sim, asked, credentials, unsafe_method)?);
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
        // PVE's text ends its line before the bracket, so that the reason phrase has none.
        let text = format!("URI '{rest}' not available with API token, need proper ticket.\n");
        return Err(Failure::forbidden(&text));
    }
    let who = user.clone().unwrap_or_default();
    caller::permitted(&sim.world(), endpoint, values, &given, &who)?;
    let failed = |moment| {
        let fault = sim.world().faults.status(asked.target(), moment);
        fault.map(|(status, reason)| Failure::bare(status, reason))
    };
    if let Some(failure) = failed(Moment::BeforeEffect) {
        return Err(failure);
    }
    let outcome = passed_on(sim, host, (endpoint, values, &asked.upload), given, &who).await;
    failed(Moment::AfterEffect).map_or(outcome, Err)
}

/// An endpoint, the values in the path, and the file that came along.
type Passed<'a> = (
    &'static Endpoint,
    &'a BTreeMap<String, String>,
    &'a Option<Result<Upload, Failure>>,
);

/// What the node in the path, or pvedaemon, does with a call that may be made.
async fn passed_on(
    sim: &Arc<Simulation>,
    host: usize,
    (endpoint, values, upload): Passed<'_>,
    given: Given,
    who: &str,
) -> Result<Reply, Failure> {
    if endpoint.forwarded {
        forwarded(
            &sim.world(),
            values.get("node").map(String::as_str).unwrap_or_default(),
        )?;
    }
    let major = sim.world().major;
    let mut params = schema::check(endpoint.properties(), &given, major).map_err(Failure::invalid)?;
    if let Some(Ok(upload)) = upload {
        let name = sim.world().uploads.add(upload.file.clone());
        params.set("tmpfilename", name);
    }
    let vmid = params.get("vmid").and_then(|text| text.parse().ok());
    let _guard = flock(sim, endpoint, &params, vmid).await?;
    let reply = {
        let mut world = sim.world();
        let call = (endpoint.method, endpoint.path);
        quorum::call(&mut world, call, params.text("node"), vmid)?;
        (endpoint.run)(&mut Call {
            sim,
            world: &mut world,
            host,
            who,
            params,
        })?
    };
    match reply.wait.clone() {
        Some((upid, seconds)) => awaited(sim, reply, &upid, seconds).await,
        None => Ok(reply),
    }
}

fn contradictions(given: &Given, values: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in values {
        if given
            .get(name)
            .is_some_and(|raw| *raw != Raw::Null && *raw != Raw::Text(value.clone()))
        {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Failure::parameter(name, text));
        }
    }
    Ok(())
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
    params: &Params,
    vmid: Option<u32>,
) -> Result<Option<tokio::sync::OwnedRwLockWriteGuard<()>>, Failure> {
    let lock = sim
        .world()
        .vms
        .get(&vmid.unwrap_or(0))
        .map(|vm| Arc::clone(&vm.flock));
    let (Some(how), Some(lock), Some(vmid)) = (&endpoint.flock, lock, vmid) else {
        return Ok(None);
    };
    let wait = flock_patience(&sim.clock, how.seconds);
    let had = tokio::time::timeout(wait, lock.write_owned()).await;
    had.map(Some)
        .map_err(|_| Failure::died((how.refused)(params, flock_refusal(vmid))))
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
