//! The socket by which a command reaches the running panel.
//!
//! A Unix domain socket in the store's directory, mode 0600, for the panel's own user and root: what comes over
//! it is the provider's word. One request and one answer a connection, each a length in four bytes, big-endian,
//! and that many bytes of JSON.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::protocol::{AdminAnswer, AdminFailure, AdminRequest};
use super::service::Admin;

/// The largest request or answer, in bytes: a provider's file with tens of thousands of services.
const LARGEST: u32 = 64 << 20;

/// How long a command may take to send its request.
const PATIENCE: Duration = Duration::from_secs(30);

/// The commands that are served at once.
const AT_ONCE: usize = 16;

/// Why the socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system says no.
    #[error("the socket `{}` cannot be used", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What came is not what the protocol says, as between two versions of the program.
    #[error("the running panel answered in a way this command does not understand")]
    Protocol(#[source] serde_json::Error),
}

/// The panel's end. Removes the socket when dropped.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl AdminSocket {
    /// Opens the socket. The caller holds the store, so a socket that is there belongs to a panel that is gone.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: path.to_owned(),
            source,
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        // Until here the directory, which is the panel's user's alone, keeps others out; so does the check of
        // who connects.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }

    /// Serves commands until `stop`, then waits for those it has begun.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                break;
            };
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a command could not connect");
                        // Out of file descriptors, most likely: do not spin.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let admin = admin.clone();
            tasks.spawn(async move {
                let _place = place;
                if let Err(error) = answer(stream, &admin).await {
                    tracing::warn!(%error, "a command went away");
                }
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // It may be gone already, with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, admin: &Admin) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    let own = nix::unistd::geteuid().as_raw();
    if caller != own && caller != 0 {
        tracing::warn!(uid = caller, "a command of another user was refused");
        return Ok(());
    }
    let request = tokio::time::timeout(PATIENCE, read(&mut stream)).await??;
    let result = match serde_json::from_slice::<AdminRequest>(&request) {
        Ok(request) => admin.handle(request).await,
        // The error may quote the request, which may hold a password.
        Err(_) => Err(AdminFailure::refused(
            "the running panel does not understand the command",
            "use the command of the same version as the panel",
        )),
    };
    write(&mut stream, &result).await
}

/// Asks the running panel; none when no panel runs on this store.
pub async fn ask(
    path: &Path,
    request: &AdminRequest,
) -> Result<Option<Result<AdminAnswer, AdminFailure>>, SocketError> {
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    write(&mut stream, request).await.map_err(failed)?;
    // No time limit: checking a cluster with dead nodes takes as long as it takes, and a person waits.
    let answer = read(&mut stream).await.map_err(failed)?;
    decode(&answer).map(Some)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SocketError> {
    serde_json::from_slice(bytes).map_err(SocketError::Protocol)
}

async fn read(stream: &mut UnixStream) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let length = stream.read_u32().await?;
    if length > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the message is too long",
        ));
    }
    // Grows with what really comes, not with what was announced.
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    stream.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == u64::from(length) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

async fn write<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(message)?);
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| *length <= LARGEST);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    stream.write_u32(length).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await
}
