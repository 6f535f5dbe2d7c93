//! A server of RFB 3.8 (RFC 6143) as QEMU is one: VNC authentication only, the desktop's size and the keyboard by
//! their pseudo-encodings.
//!
//! [`auth`] answers the challenge, [`message`] reads what a client says, [`mod@format`] knows pixels, [`picture`] what is
//! to be seen, [`view`] what the client has seen of it. Whatever a client sends has a largest size; what is not
//! known or too large ends the connection.

mod auth;
mod format;
mod message;
mod picture;
mod stage;
mod view;

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use self::message::Message;
pub(crate) use self::stage::Stage;
use self::view::View;

/// How often the screen is looked at.
const REFRESH: Duration = Duration::from_millis(30);

/// Why a client was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The client's version is none.
    #[error("the client speaks no RFB")]
    Version,
    /// It chose a security type that was not offered.
    #[error("the client chose security type {0}")]
    Security(u8),
    /// The password is wrong or too old.
    #[error("the client did not know the password in time")]
    Password,
    /// It said what cannot be understood.
    #[error(transparent)]
    Message(#[from] message::Malformed),
    /// The VM was stopped, moved or cut off.
    #[error("the VM is gone")]
    Gone,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Waits for the client to speak TLS, and ends when it says anything.
pub(crate) async fn silent(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Ended> {
    stream.read_u8().await?;
    Err(Ended::Version)
}

/// Serves a client until it leaves.
pub(crate) async fn serve<S>(stage: &Stage, stream: &mut S, password: &str) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let begun = stage.now();
    auth::admit(stage, stream, password, begun).await?;
    // Shared or not: QEMU lets everybody stay by default.
    stream.read_u8().await?;
    let (width, height) = stage.picture(0).map_or((720, 400), |picture| picture.pixels);
    let mut view = View::new(width, height);
    let name = format!("QEMU ({})", stage.name());
    let mut hello = BytesMut::new();
    hello.put_u16(width);
    hello.put_u16(height);
    hello.put_slice(&view.format().encode());
    hello.put_u32(u32::try_from(name.len()).unwrap_or(0));
    hello.put_slice(name.as_bytes());
    stream.write_all(&hello).await?;
    converse(stage, stream, &mut view).await
}

async fn converse<S>(stage: &Stage, stream: &mut S, view: &mut View) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = message::Reader::default();
    let mut buffer = BytesMut::with_capacity(4096);
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while let Some(said) = reader.next(&mut buffer)? {
            heard(stage, view, said);
        }
        let told = view.announcements();
        if !told.is_empty() {
            stream.write_all(&told).await?;
        }
        if view.wants_update()
            && let Some(picture) = stage.picture(view.generation())
        {
            view.look(picture);
        }
        // Piece by piece: a large screen is never in memory as a whole.
        while let Some(piece) = view.next_piece() {
            stream.write_all(&piece).await?;
        }
        stream.flush().await?;
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 {
                return Ok(());
            },
            _ = refresh.tick() => if !stage.lives() {
                return Err(Ended::Gone);
            },
        }
    }
}

fn heard(stage: &Stage, view: &mut View, said: Message) {
    match said {
        Message::Format(format) => view.set_format(format),
        Message::Encodings(list) => view.set_encodings(&list),
        Message::Request { incremental, area } => view.request(incremental, area),
        Message::Key { keysym, down } => stage.key(keysym, down),
        Message::Pointer(pointer) => stage.point(pointer),
        Message::Resize { width, height, sound } => {
            let status = stage.resize(width, height, sound);
            view.resized(width, height, status);
        }
        Message::CutText => {}
    }
}
