//! The control API over plain HTTP with JSON; `sim/README.md` documents it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Action, Control};
use crate::simulation::Simulation;
use crate::world::faults::Fault;

/// The largest body taken.
const MAX_BODY: usize = 64 * 1024;

/// Serves the control API until shutdown.
pub(crate) async fn serve(sim: Arc<Simulation>, control: Control, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = sim.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (control, stop) = (control.clone(), sim.stop.clone());
        sim.tracker.spawn(async move {
            let service = service_fn(move |request| {
                let control = control.clone();
                async move { Ok::<_, Infallible>(answer(&control, request).await) }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                ended = served => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a control connection ended early");
                    }
                }
            }
        });
    }
}

type Reply = Result<Value, (StatusCode, String)>;

async fn answer(control: &Control, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    // A page in a browser must not be able to drive the simulator: such requests carry an Origin.
    let outcome = if parts.headers.contains_key(header::ORIGIN) {
        Err((
            StatusCode::FORBIDDEN,
            "requests from web pages are refused".to_owned(),
        ))
    } else {
        match Limited::new(body, MAX_BODY).collect().await {
            Err(_) => Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body may have {MAX_BODY} bytes"),
            )),
            Ok(body) => {
                let path = parts.uri.path().trim_matches('/').to_owned();
                let query = parts.uri.query().unwrap_or_default();
                handle(control, parts.method.as_str(), &path, query, &body.to_bytes())
            }
        }
    };
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err((status, error)) => (status, json!({ "error": error })),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn handle(control: &Control, method: &str, path: &str, query: &str, body: &[u8]) -> Reply {
    let parts = path.split('/').collect::<Vec<_>>();
    match (method, parts.as_slice()) {
        ("GET", ["requests"]) => {
            shown(&json!({ "total": control.request_count(), "endpoints": control.requests() }))
        }
        ("GET", ["requests", "log"]) => {
            let last = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("last=")?.parse().ok())
                .unwrap_or(100);
            shown(&control.request_log(last))
        }
        ("GET", ["effects"]) => shown(&control.effects()),
        ("DELETE", ["counters"]) => {
            control.reset_counters();
            Ok(Value::Null)
        }
        ("GET", ["faults"]) => shown(&control.faults()),
        ("POST", ["faults"]) => {
            control.inject(read::<Fault>(body)?);
            Ok(Value::Null)
        }
        ("DELETE", ["faults"]) => {
            control.clear_faults();
            Ok(Value::Null)
        }
        ("POST", ["actions"]) => {
            let done = control.act(read::<Action>(body)?);
            done.map(|()| Value::Null)
                .map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))
        }
        ("GET", ["vms"]) => shown(&control.vms()),
        ("GET", ["vms", vmid]) => match vmid.parse().ok().and_then(|vmid| control.vm(vmid)) {
            Some(vm) => shown(&vm),
            None => Err((StatusCode::NOT_FOUND, format!("there is no VM {vmid}"))),
        },
        ("GET", ["vms", vmid, "console"]) => match vmid.parse().ok().and_then(|vmid| control.console(vmid)) {
            Some(console) => shown(&console),
            None => Err((StatusCode::NOT_FOUND, format!("no VM {vmid} runs"))),
        },
        ("GET", ["certificate"]) => {
            shown(&json!({ "sha256": control.fingerprint(), "pem": control.certificate_pem() }))
        }
        ("GET", ["tasks"]) => shown(&control.tasks()),
        _ => Err((
            StatusCode::NOT_FOUND,
            format!("there is no `{method} /{path}`; see sim/README.md"),
        )),
    }
}

fn shown(value: &impl serde::Serialize) -> Reply {
    serde_json::to_value(value).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}
