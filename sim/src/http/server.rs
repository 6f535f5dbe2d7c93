//! Accepting connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{answer, pipeline};
use crate::simulation::Simulation;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves the API on a listener until shutdown.
pub(crate) async fn serve(sim: Arc<Simulation>, host: usize, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = sim.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let mut down = sim.down.subscribe();
        if *down.borrow_and_update() {
            reset(stream);
            continue;
        }
        let mut identity = sim.identity.subscribe();
        let acceptor = identity.borrow_and_update().acceptor.clone();
        let sim = Arc::clone(&sim);
        sim.clone().tracker.spawn(async move {
            tokio::select! {
                () = sim.stop.cancelled() => {}
                _ = down.wait_for(|down| *down) => {}
                // pveproxy restarts to take a new certificate.
                _ = identity.changed() => {}
                () = connection(Arc::clone(&sim), host, stream, acceptor) => {}
            }
        });
    }
}

/// Closes a connection as a host does on which nothing listens.
fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "the connection is closed in order instead");
    }
    drop(stream);
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(64)
        .max_buf_size(16 * 1024)
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30));
    builder
}

async fn connection(sim: Arc<Simulation>, host: usize, stream: TcpStream, acceptor: TlsAcceptor) {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [TLS_HANDSHAKE] => {}
        Ok(1) => {
            let now = sim.clock.seconds();
            let redirect =
                service_fn(|request| async move { Ok::<_, Infallible>(answer::to_https(&request, now)) });
            let served = builder().serve_connection(TokioIo::new(stream), redirect).await;
            if let Err(error) = served {
                tracing::debug!(%error, "a plain connection ended early");
            }
            return;
        }
        _ => return,
    }
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| pipeline::pass(Arc::clone(&sim), host, request));
    let served = builder().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.with_upgrades().await {
        tracing::debug!(%error, "a connection ended early");
    }
}
