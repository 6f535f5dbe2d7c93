//! The task `vncproxy`: a port that waits ten seconds for its one connection and then serves the VM's screen or its
//! serial line; and the way of `vncwebsocket` to that port.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;

use super::rfb::{self, Stage};
use super::ticket::{self, Claim};
use super::{serial, socket};
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

/// A serial line that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The user or token.
    pub(crate) who: String,
    /// The host that answers.
    pub(crate) host: usize,
    /// The VM.
    pub(crate) vmid: u32,
    /// The interface, such as `serial0`; the first one there is, if nobody said.
    pub(crate) interface: Option<String>,
}

/// How the port speaks.
#[derive(Debug)]
enum Speech {
    /// VNC, with this password.
    Vnc(String),
    /// VNC inside of TLS, which nobody speaks through a WebSocket.
    Tls,
    /// A terminal, for who has a ticket of the port.
    Terminal(Line),
}

/// A port that waits, and the ticket for it.
struct Port {
    number: u16,
    serial: u64,
    connected: oneshot::Receiver<DuplexStream>,
    ticket: String,
}

fn listen(sim: &Simulation, world: &mut World, who: &str, host: usize, vmid: u32) -> Option<Port> {
    let (port, serial, connected) = world.consoles.listen(host)?;
    let claim = Claim {
        who,
        vmid,
        port: (!world.consoles.old_tickets).then_some(port),
    };
    let ticket = ticket::ticket(&world.access, claim, sim.clock.seconds());
    Some(Port {
        number: port,
        serial,
        connected,
        ticket,
    })
}

/// Begins the task that waits at a port, on the host that answers; gives the UPID.
fn begin(
    sim: &Arc<Simulation>,
    world: &mut World,
    node: &str,
    (host, vmid, who): (usize, u32, &str),
    port: Port,
    speech: Speech,
) -> String {
    let answering = world.nodes.get_index(host).map(|(name, _)| name.clone());
    let answering = answering.unwrap_or_else(|| node.to_owned());
    let owner = node.to_owned();
    fork(sim, world, &answering, "vncproxy", vmid, who, |worker| {
        serve(worker, owner, vmid, port, speech)
    })
}

/// Lets a port wait for a connection to a VM's screen; `None` if there is none left.
pub(crate) fn open(sim: &Arc<Simulation>, world: &mut World, node: &str, asked: Asked<'_>) -> Option<Opened> {
    let port = listen(sim, world, asked.who, asked.host, asked.vmid)?;
    let (number, bare) = (port.number, port.ticket.clone());
    let old = world.consoles.old_tickets;
    let told = if old {
        asked.password
    } else {
        asked.password || asked.websocket || !asked.serial
    };
    let password = told.then(|| ticket::password(world.seed, port.serial));
    let given = match &password {
        Some(password) if !old => format!("{password}:{bare}"),
        _ => bare,
    };
    let speech = if old || asked.websocket {
        Speech::Vnc(password.clone().unwrap_or_else(|| given.clone()))
    } else {
        Speech::Tls
    };
    let about = (asked.host, asked.vmid, asked.who);
    let upid = begin(sim, world, node, about, port, speech);
    Some(Opened {
        port: number,
        ticket: given,
        password,
        upid,
    })
}

/// Lets a port wait for a connection to a VM's serial line; `None` if there is none left.
pub(crate) fn open_terminal(
    sim: &Arc<Simulation>,
    world: &mut World,
    node: &str,
    line: Line,
) -> Option<Opened> {
    let port = listen(sim, world, &line.who, line.host, line.vmid)?;
    let (number, ticket) = (port.number, port.ticket.clone());
    let who = line.who.clone();
    let about = (line.host, line.vmid, who.as_str());
    let upid = begin(sim, world, node, about, port, Speech::Terminal(line));
    Some(Opened {
        port: number,
        ticket,
        password: None,
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

async fn serve(worker: Arc<Worker>, node: String, vmid: u32, port: Port, speech: Speech) -> Outcome {
    let patience = worker.sim.clock.real(WAIT).max(SHORTEST_WAIT);
    let connected = tokio::select! {
        () = worker.interrupted() => Err("interrupted by signal"),
        stream = tokio::time::timeout(patience, port.connected) => {
            stream.ok().and_then(Result::ok).ok_or("connection timed out")
        }
    };
    worker.world().consoles.forget(port.number, port.serial);
    let mut stream = connected?;
    let shown = async {
        match speech {
            Speech::Terminal(line) => terminal(&worker, &node, port.number, &line, &mut stream).await,
            other => screen(&worker, &node, vmid, &other, &mut stream).await,
        }
    };
    tokio::select! {
        () = worker.interrupted() => Err("interrupted by signal".into()),
        ended = shown => ended,
    }
}

async fn screen(
    worker: &Worker,
    node: &str,
    vmid: u32,
    speech: &Speech,
    stream: &mut DuplexStream,
) -> Outcome {
    let Some(stage) = Stage::of(&worker.sim, node, vmid) else {
        return Err("Failed to run vncproxy.".into());
    };
    let ended = match speech {
        Speech::Vnc(password) => rfb::serve(&stage, stream, password).await,
        Speech::Tls | Speech::Terminal(_) => rfb::silent(stream).await,
    };
    ended.map_err(|error| {
        tracing::debug!(%error, vmid, "a console ended");
        "Failed to run vncproxy.".into()
    })
}

/// What the program `termproxy` does: it asks who is there, then runs `qm terminal`, whose words the client sees.
async fn terminal(worker: &Worker, node: &str, port: u16, line: &Line, stream: &mut DuplexStream) -> Outcome {
    let vmid = line.vmid;
    let failed = || {
        let command = format!("/usr/bin/termproxy {port} --path /vms/{vmid} --perm VM.Console");
        format!("command '{command} -- /usr/sbin/qm terminal {vmid} -escape 0' failed: exit code 1").into()
    };
    let known = match serial::login(stream).await {
        Ok((user, ticket)) => user == line.who && lets_in(worker, &user, &ticket, vmid, port),
        Err(error) => {
            tracing::debug!(%error, vmid, "nobody logged in to a terminal");
            false
        }
    };
    if !known {
        return Err(failed());
    }
    let told = async |stream: &mut DuplexStream, text: &str| {
        if let Err(error) = stream.write_all(text.as_bytes()).await {
            tracing::debug!(%error, vmid, "a terminal was left");
        }
    };
    told(stream, "OK").await;
    let found = interface_of(&worker.world(), node, line);
    let interface = match found {
        Ok(interface) => interface,
        Err(reason) => {
            told(stream, &format!("{reason}\r\n")).await;
            return Err(failed());
        }
    };
    let Some(stage) = Stage::of(&worker.sim, node, vmid) else {
        told(stream, &format!("VM {vmid} not running\r\n")).await;
        return Err(failed());
    };
    told(
        stream,
        &format!("starting serial terminal on interface {interface}\r\n"),
    )
    .await;
    serial::serve(&stage, stream).await.map_err(|error| {
        tracing::debug!(%error, vmid, "a terminal ended");
        failed()
    })
}

/// Whether a ticket is good for a terminal. Before the fix it was looked at by `/access/ticket`, which takes no tokens.
fn lets_in(worker: &Worker, user: &str, text: &str, vmid: u32, port: u16) -> bool {
    let world = worker.world();
    let takes_tokens = !world.consoles.old_tickets;
    let now = worker.sim.clock.seconds();
    (takes_tokens || !user.contains('!')) && admits(&world, text, user, vmid, port, now)
}

/// The serial interface that `qm terminal` takes, or why there is none.
fn interface_of(world: &World, node: &str, line: &Line) -> Result<String, String> {
    let vm = world.vm(node, line.vmid)?;
    if let Some(name) = &line.interface {
        return match vm.get(name) {
            None => Err(format!("serial interface '{name}' is not configured")),
            Some("socket") => Ok(name.clone()),
            Some(_) => Err(format!("wrong serial type on interface '{name}'")),
        };
    }
    (0..4)
        .map(|number| format!("serial{number}"))
        .find(|name| vm.get(name) == Some("socket"))
        .ok_or_else(|| "unable to find a serial interface".to_owned())
}
