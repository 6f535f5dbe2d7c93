//! One call of the control API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long the simulator has for its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read: all VMs of a large cluster.
const LONGEST: usize = 256 << 20;

/// Calls `http://ADDRESS/PATH` and gives the JSON of the answer.
///
/// # Errors
/// When `base` is no such address, nobody answers, or the answer is a refusal: with the reason it gives.
pub(super) async fn call(
    base: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let address = base.trim_end_matches('/');
    let address = address.strip_prefix("http://").unwrap_or(address);
    if address.contains('/') || !address.contains(':') {
        bail!("`{base}` is not an address of the form http://127.0.0.1:8007");
    }
    let work = exchange(address, method, path, body);
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("`{base}` does not answer"),
    }
}

async fn exchange(address: &str, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let stream = TcpStream::connect(address).await.with_context(|| {
        format!("nobody listens at `{address}`; was the simulator started with `--control {address}`?")
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let text = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(text)))
        .with_context(|| format!("`{method} {path}` cannot be asked for"))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let collected = Limited::new(response.into_body(), LONGEST).collect().await;
    let answer = collected
        .map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?
        .to_bytes();
    driver.abort();
    let value = serde_json::from_slice::<Value>(&answer)
        .with_context(|| format!("`{address}` is not the control API of a simulator"))?;
    if !status.is_success() {
        let reason = value
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        bail!("the simulator refused: {reason}");
    }
    Ok(value)
}
