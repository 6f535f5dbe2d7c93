//! The empty WASI p2 for components whose language cannot do without: no files, environment, arguments or sockets;
//! clocks and random; standard output and error become lines of the plugin's log.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::log::Level;
use crate::state::CallState;

/// Most bytes that are kept of each of a call's two streams.
const MAX_OUTPUT: usize = 16 << 10;
/// Most random bytes of one request.
const MAX_RANDOM: u64 = 64 << 10;
/// Interfaces of WASI that a plugin may import. `wasi:filesystem` is among them because standard libraries import it
/// without need; it has nothing to open. Sockets and HTTP are not: a plugin that wants them would not work.
const PACKAGES: [&str; 5] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
];

/// Whether an import, by its full name, belongs to WASI.
pub(crate) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
}

/// Whether the empty WASI has the interface.
pub(crate) fn is_offered(import: &str) -> bool {
    let version_0_2 = import
        .split_once('@')
        .is_some_and(|(_, version)| version.starts_with("0.2."));
    version_0_2 && PACKAGES.iter().any(|package| import.starts_with(package))
}

/// Links the empty WASI.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// The WASI of one call.
pub(crate) struct EmptyWasi {
    pub(super) context: WasiCtx,
    pub(super) table: ResourceTable,
    stdout: Captured,
    stderr: Captured,
}

impl EmptyWasi {
    pub(crate) fn new(most_resources: usize) -> Self {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let context = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .max_random_size(MAX_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(most_resources);
        Self {
            context,
            table,
            stdout,
            stderr,
        }
    }

    /// The lines written so far, output before errors.
    pub(crate) fn lines(&self) -> Vec<(Level, String)> {
        let lines = |level, stream: &Captured| {
            let text = stream.text();
            text.lines()
                .map(|line| (level, line.to_owned()))
                .collect::<Vec<_>>()
        };
        let mut all = lines(Level::Info, &self.stdout);
        all.extend(lines(Level::Warn, &self.stderr));
        all
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = self.wasi();
        WasiCtxView { ctx, table }
    }
}

/// An output stream that keeps its first bytes and swallows the rest.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn take(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_OUTPUT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Captured {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_http_and_other_versions_are_not_offered() {
        for offered in [
            "wasi:cli/environment@0.2.6",
            "wasi:filesystem/preopens@0.2.0",
            "wasi:io/poll@0.2.3",
        ] {
            assert!(is_offered(offered), "{offered}");
        }
        for refused in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/types@0.2.6",
            "wasi:cli/environment@0.3.0",
            "wasi:io/poll",
        ] {
            assert!(!is_offered(refused), "{refused}");
        }
    }

    #[test]
    fn a_flood_of_output_is_kept_to_its_first_bytes() {
        let stream = Captured::default();
        for _ in 0..100 {
            stream.take(&[b'x'; 1024]);
        }
        assert_eq!(stream.text().len(), MAX_OUTPUT);
    }
}
