//! The task `vncproxy`: a port that waits ten seconds for its one connection and then serves the VM's screen; and the
//! way of `vncwebsocket` to that port.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::rfb::{self, Stage};
use super::socket;
use super::ticket::{self, Claim};
use crate::simulation::Simulation;
use crate::work::{Outcome, Worker, fork};
use crate::world::World;

/// How long the port waits, in seconds.
const WAIT: f64 = 10.0;
/// The shortest wait in real time: at a high time scale a busy machine must still manage to connect.
const SHORTEST_WAIT: Duration = Duration::from_secs(3);

/// What was asked of `vncproxy`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The user or token.
    pub(crate) who: &'a str,
    /// The host that answers.
    pub(crate) host: usize,
    /// The VM.
    pub(crate) vmid: u32,
    /// Whether a WebSocket will follow.
    pub(crate) websocket: bool,
    /// Whether a password was asked for.
    pub(crate) password: bool,
    /// Whether the VM's display is a serial line.
    pub(crate) serial: bool,
}

/// What `vncproxy` gives back.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The port.
    pub(crate) port: u16,
    /// For `vncwebsocket`.
    pub(crate) ticket: String,
    /// For VNC, if it is told apart.
    pub(crate) password: Option<String>,
    /// The task.
    pub(crate) upid: String,
}

/// How the port speaks.
#[derive(Debug)]
enum Speech {
    /// VNC, with this password.
    Vnc(String),
    /// VNC inside of TLS, which nobody speaks through a WebSocket.
    Tls,
}

/// Lets a port wait for a connection to a VM's screen; `None` if there is none left.
pub(crate) fn open(sim: &Arc<Simulation>, world: &mut World, node: &str, asked: Asked<'_>) -> Option<Opened> {
    let (port, serial, connected) = world.consoles.listen(asked.host)?;
    let now = sim.clock.seconds();
    let old = world.consoles.old_tickets;
    let claim = Claim {
        who: asked.who,
        vmid: asked.vmid,
        port: (!old).then_some(port),
    };
    let bare = ticket::ticket(&world.access, claim, now);
    let told = if old {
        asked.password
    } else {
        asked.password || asked.websocket || !asked.serial
    };
    let password = told.then(|| ticket::password(world.seed, serial));
    let given = match &password {
        Some(password) if !old => format!("{password}:{bare}"),
        _ => bare,
    };
    let speech = if old || asked.websocket {
        Speech::Vnc(password.clone().unwrap_or_else(|| given.clone()))
    } else {
        Speech::Tls
    };
    let answering = world.nodes.get_index(asked.host).map(|(name, _)| name.clone());
    let answering = answering.unwrap_or_else(|| node.to_owned());
    let (owner, vmid) = (node.to_owned(), asked.vmid);
    let upid = fork(sim, world, &answering, "vncproxy", vmid, asked.who, |worker| {
        serve(worker, owner, vmid, (port, serial), connected, speech)
    });
    Some(Opened {
        port,
        ticket: given,
        password,
        upid,
    })
}

/// Whether a ticket lets its holder connect.
pub(crate) fn admits(world: &World, text: &str, who: &str, vmid: u32, port: u16, now: i64) -> bool {
    let port = (!world.consoles.old_tickets).then_some(port);
    ticket::valid(&world.access, text, Claim { who, vmid, port }, now)
}

/// Connects an upgraded connection to a port of a host. `None` when nothing waits there: pveproxy's own connection to
/// the port is refused then, and the client gets no answer.
pub(crate) fn attach(sim: &Arc<Simulation>, (host, port): (usize, u16), upgrade: OnUpgrade) -> Option<()> {
    let connect = sim.world().consoles.connect(host, port)?;
    let (near, far) = tokio::io::duplex(socket::PIPE);
    connect.send(far).ok()?;
    let mut down = sim.down.subscribe();
    let mut identity = sim.identity.subscribe();
    let sim = Arc::clone(sim);
    sim.clone().tracker.spawn(async move {
        let served = async {
            match upgrade.await {
                Ok(upgraded) => socket::serve(TokioIo::new(upgraded), near).await,
                Err(error) => tracing::debug!(%error, "a console's connection was not upgraded"),
            }
        };
        tokio::select! {
            () = sim.stop.cancelled() => {}
            _ = down.wait_for(|down| *down) => {}
            // pveproxy restarts to take a new certificate.
            _ = identity.changed() => {}
            () = served => {}
        }
    });
    Some(())
}

async fn serve(
    worker: Arc<Worker>,
    node: String,
    vmid: u32,
    (port, serial): (u16, u64),
    connected: oneshot::Receiver<DuplexStream>,
    speech: Speech,
) -> Outcome {
    let patience = worker.sim.clock.real(WAIT).max(SHORTEST_WAIT);
    let connected = tokio::select! {
        () = worker.interrupted() => Err("interrupted by signal"),
        stream = tokio::time::timeout(patience, connected) => stream.ok().and_then(Result::ok).ok_or("connection timed out"),
    };
    worker.world().consoles.forget(port, serial);
    let mut stream = connected?;
    let Some(stage) = Stage::of(&worker.sim, &node, vmid) else {
        return Err("Failed to run vncproxy.".into());
    };
    let shown = async {
        match speech {
            Speech::Vnc(password) => rfb::serve(&stage, &mut stream, &password).await,
            Speech::Tls => rfb::silent(&mut stream).await,
        }
    };
    let ended = tokio::select! {
        () = worker.interrupted() => return Err("interrupted by signal".into()),
        ended = shown => ended,
    };
    ended.map_err(|error| {
        tracing::debug!(%error, vmid, "a console ended");
        "Failed to run vncproxy.".into()
    })
}
