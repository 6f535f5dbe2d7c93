//! The WebSocket to PVE.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// The largest frame that pveproxy takes, in bytes; a larger one ends the connection.
pub(super) const MAX_FRAME: usize = 128 * 1024;
/// The largest message that is received, in bytes. pveproxy sends what it has read, 128 KiB at most.
const MAX_RECEIVED: usize = 1024 * 1024;

/// How long PVE may take to end a connection after the farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the connection of a console ends that nobody says farewell on.
const ENDS: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

/// Bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) type Inner = WebSocketStream<Box<dyn Stream>>;

/// The connection to PVE broke.
#[derive(Debug, thiserror::Error)]
#[error("the console's connection broke")]
pub struct SocketError(#[source] Box<tungstenite::Error>);

/// A WebSocket to a VM's screen: bytes of VNC, in messages whose bounds mean nothing.
///
/// What is sent leaves in masked frames of at most 128 KiB, unfragmented: pveproxy takes no others. Pings are
/// answered while somebody receives. Dropping it ends the connection without a farewell; PVE does not mind.
pub struct ConsoleSocket {
    pub(super) inner: Inner,
}

impl ConsoleSocket {
    /// Takes over a connection whose handshake is done.
    pub(crate) async fn over(stream: impl Stream + 'static) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(32 * 1024)
            // Nothing waits for more to be sent, and what cannot be sent is never piled up.
            .write_buffer_size(0)
            .max_write_buffer_size(4 * MAX_FRAME)
            .max_frame_size(Some(MAX_RECEIVED))
            .max_message_size(Some(MAX_RECEIVED));
        let stream: Box<dyn Stream> = Box::new(stream);
        Self {
            inner: WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await,
        }
    }

    /// The next bytes; `None` when PVE has ended the connection.
    ///
    /// # Errors
    /// When the connection broke, or what came is against the protocol.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, SocketError> {
        loop {
            match received(self.inner.next().await)? {
                Received::Data(data) => return Ok(Some(data)),
                Received::Life => {}
                Received::End => return Ok(None),
            }
        }
    }

    /// Sends bytes, of any number, and waits until they are on their way.
    ///
    /// Not to be dropped halfway and the socket used further: part of the bytes may have been sent, and what is sent next
    /// would be taken for the rest of them.
    ///
    /// # Errors
    /// When the connection broke, and also when PVE has ended it: [`Self::receive`] still gives what it said before, and
    /// tells the one from the other.
    pub async fn send(&mut self, data: Bytes) -> Result<(), SocketError> {
        for part in parts(data) {
            self.inner.send(Message::Binary(part)).await.map_err(broken)?;
        }
        Ok(())
    }

    /// Says farewell and waits until PVE has ended the connection, for two seconds at most.
    pub async fn close(mut self) {
        let ended = async {
            if self.inner.send(farewell()).await.is_ok() {
                while let Ok(Received::Data(_) | Received::Life) = received(self.inner.next().await) {}
            }
        };
        // Who does not end it in that time is left behind.
        let _ = timeout(FAREWELL, ended).await;
    }
}

impl fmt::Debug for ConsoleSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSocket").finish_non_exhaustive()
    }
}

/// What came from PVE.
pub(super) enum Received {
    /// Bytes of VNC.
    Data(Bytes),
    /// Nothing but a sign of life.
    Life,
    /// The end, in whichever way.
    End,
}

/// Sorts what the WebSocket gave. pveproxy never says farewell, its connection just ends: that is no error. When it has
/// not read all that was sent, as of somebody who types while the VM stops, its system resets the connection.
pub(super) fn received(
    message: Option<Result<Message, tungstenite::Error>>,
) -> Result<Received, SocketError> {
    use tungstenite::Error;
    match message {
        Some(Ok(Message::Binary(data))) => Ok(Received::Data(data)),
        Some(Ok(Message::Text(text))) => Ok(Received::Data(text.into())),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Received::Life),
        None
        | Some(
            Ok(Message::Close(_))
            | Err(
                Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ),
        ) => Ok(Received::End),
        Some(Err(Error::Io(error))) if ENDS.contains(&error.kind()) => Ok(Received::End),
        Some(Err(error)) => Err(broken(error)),
    }
}

pub(super) fn broken(error: tungstenite::Error) -> SocketError {
    SocketError(Box::new(error))
}

/// Cuts bytes into frames that pveproxy takes.
pub(super) fn parts(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let size = data.len().min(MAX_FRAME);
        (size > 0).then(|| data.split_to(size))
    })
}

/// The close frame that a client sends which wants no more.
pub(super) fn farewell() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_into_frames_without_losing_any() {
        for (size, frames) in [(0, 0), (1, 1), (MAX_FRAME, 1), (MAX_FRAME + 1, 2), (300_000, 3)] {
            let data = (0..size)
                .map(|n| u8::try_from(n % 251).unwrap())
                .collect::<Bytes>();
            let cut = parts(data.clone()).collect::<Vec<_>>();
            assert_eq!(cut.len(), frames, "{size}");
            assert!(cut.iter().all(|part| part.len() <= MAX_FRAME));
            assert_eq!(cut.concat(), data);
        }
    }

    #[tokio::test]
    async fn a_farewell_that_is_never_answered_is_not_waited_for_forever() {
        let (near, _far) = tokio::io::duplex(1 << 20);
        let socket = ConsoleSocket::over(near).await;
        timeout(15 * FAREWELL, socket.close()).await.unwrap();
    }

    #[tokio::test]
    async fn frames_are_masked_and_not_fragmented() {
        use tokio::io::AsyncReadExt as _;
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut socket = ConsoleSocket::over(near).await;
        socket.send(Bytes::from(vec![7; MAX_FRAME + 5])).await.unwrap();
        for length in [MAX_FRAME, 5] {
            assert_eq!(far.read_u8().await.unwrap(), 0x82, "final, binary");
            let size = match far.read_u8().await.unwrap() {
                0xFF => usize::try_from(far.read_u64().await.unwrap()).unwrap(),
                short => usize::from(short & 0x7F),
            };
            assert_eq!(size, length);
            let mut mask = [0; 4];
            far.read_exact(&mut mask).await.unwrap();
            let mut payload = vec![0; size];
            far.read_exact(&mut payload).await.unwrap();
            let plain = payload.iter().zip(mask.iter().cycle()).all(|(b, m)| b ^ m == 7);
            assert!(plain, "masked");
        }
    }
}
