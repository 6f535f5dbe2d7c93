//! The WebSocket of `vncwebsocket`: the handshake's rules and the copying in both directions.
//!
//! As pveproxy does: no close frame is ever sent, the connection just ends; a client that breaks a rule is cut off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use super::frame::{self, Frame, Kind, MAX_PAYLOAD};
use crate::failure::Failure;

/// Between the WebSocket and the VNC server, in bytes: what a socket would hold.
pub(super) const PIPE: usize = 64 * 1024;

/// Makes the accepting key out of the client's (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request wants another protocol.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// The answer that switches protocols, or the refusal.
pub(crate) fn handshake(headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Failure> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let protocol = text(header::UPGRADE).unwrap_or_default().to_ascii_lowercase();
    if protocol != "websocket" {
        return Err(Failure::bare(
            501,
            format!("unable to upgrade to protocol '{protocol}'"),
        ));
    }
    let version = text(header::SEC_WEBSOCKET_VERSION).unwrap_or_default();
    if version != "13" {
        return Err(Failure::bare(
            501,
            format!("unsupported websocket-version '{version}'"),
        ));
    }
    let key = text(header::SEC_WEBSOCKET_KEY).unwrap_or_default();
    if key.is_empty() {
        return Err(Failure::bare(501, "missing websocket-key"));
    }
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    // pveproxy gives back whatever was asked for, as it stands.
    if let Some(asked) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, asked.clone());
    }
    Ok(response)
}

/// Why a connection was cut off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Refused(#[from] frame::Refused),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Copies between a WebSocket and a port until one of them ends.
pub(super) async fn serve(socket: impl AsyncRead + AsyncWrite, port: DuplexStream) {
    let (mut from_client, mut to_client) = tokio::io::split(socket);
    let (mut from_port, mut to_port) = tokio::io::split(port);
    let (pings, mut pinged) = mpsc::channel(4);
    let inbound = async {
        let mut buffer = BytesMut::new();
        loop {
            match frame::decode(&mut buffer)? {
                Some(Frame::Data(payload)) => to_port.write_all(&payload).await?,
                Some(Frame::Close) => return Ok(()),
                Some(Frame::Ping(payload)) => {
                    // The other direction ends only together with this one.
                    let _ = pings.send(payload).await;
                }
                None if from_client.read_buf(&mut buffer).await? == 0 => return Ok(()),
                Some(Frame::Pong) | None => {}
            }
        }
    };
    let outbound = async {
        let mut chunk = vec![0; MAX_PAYLOAD];
        loop {
            tokio::select! {
                Some(payload) = pinged.recv() => {
                    let payload: Bytes = payload;
                    to_client.write_all(&frame::header(Kind::Pong, payload.len())).await?;
                    to_client.write_all(&payload).await?;
                }
                read = from_port.read(&mut chunk) => {
                    let read = chunk.get(..read?).unwrap_or_default();
                    if read.is_empty() {
                        return Ok(());
                    }
                    to_client.write_all(&frame::header(Kind::Binary, read.len())).await?;
                    to_client.write_all(read).await?;
                }
            }
            to_client.flush().await?;
        }
    };
    let ended: Result<(), Broken> = tokio::select! {
        ended = inbound => ended,
        ended = outbound => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a console's WebSocket was cut off");
    }
    if let Err(error) = to_client.shutdown().await {
        tracing::debug!(%error, "a console's WebSocket ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "binary, x"),
    ];

    #[test]
    fn the_key_is_answered_as_in_the_example_of_the_rfc_and_the_protocol_verbatim() {
        let response = handshake(&headers(&GOOD)).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(response.headers()["sec-websocket-protocol"], "binary, x");
    }

    #[test]
    fn the_subprotocol_may_be_left_out_and_nothing_else() {
        assert!(handshake(&headers(&GOOD[..3])).is_ok());
        let reason = |pairs: &[_]| handshake(&headers(pairs)).unwrap_err().message;
        assert_eq!(reason(&GOOD[..2]), "missing websocket-key");
        assert_eq!(reason(&GOOD[..1]), "unsupported websocket-version ''");
        assert_eq!(
            reason(&[("upgrade", "h2c")]),
            "unable to upgrade to protocol 'h2c'"
        );
    }
}
