//! A simulator of the Proxmox VE API for tests, demos and development without a cluster.
//!
//! It behaves as PVE does where a client can see it: TLS, tokens and tickets, the order of checks, the forms of
//! errors, locks, tasks with durations and logs, snapshots that really restore the configuration. It validates
//! parameters strictly. State lives in memory and ends with the process.
//!
//! ```no_run
//! # async fn example() -> Result<(), pve_sim::StartError> {
//! use pve_sim::{Effect, Options, Simulator};
//!
//! let handle = Simulator::start(Options { time_scale: 50.0, ..Options::default() }).await?;
//! let url = handle.url(); // https://127.0.0.1:PORT, certificate in handle.certificate_pem()
//! // … let the client under test take the snapshot `first` of VM 100 …
//! assert_eq!(handle.control().effect_count(Effect::SnapshotCreated, 100, Some("first")), 1);
//! handle.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! How the parts meet: `http` takes a request through the checks and calls a handler in `api`; the handler reads
//! or changes the `world`, or forks a task whose steps are in `work`; `config` and `schema` know what values
//! are right; `control` looks at everything from outside and injects faults. `scenario` builds the first world.
//!
//! Deliberately not here: any code of the client in `proxmox/`. A wrong assumption must not cancel itself out.

mod api;
mod calendar;
mod clock;
mod config;
mod console;
mod control;
mod failure;
mod http;
mod options;
mod scenario;
mod schema;
mod simulation;
mod units;
mod work;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::http::answer::Errors;

pub use crate::control::{Action, ConsoleView, Control, ControlError, TaskView, VmView};
pub use crate::options::{CertificateFiles, Major, Options, StartError};
pub use crate::scenario::{Durations, Scenario, ScenarioError};
pub use crate::world::counters::{Effect, EffectCount, EndpointCount, RequestRecord};
pub use crate::world::faults::{Fault, Moment};
pub use crate::world::ha::Wanted;
pub use crate::world::qmp::QmpStatus;
pub use crate::world::vm::GuestAgent;

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts a simulator in this process, on the current Tokio runtime; it serves once this returns.
    ///
    /// # Errors
    /// [`StartError`] when an address is not loopback or taken, the certificate cannot be had, or the scenario
    /// contradicts itself.
    pub async fn start(options: Options) -> Result<Handle, StartError> {
        if !(options.time_scale > 0.0 && options.time_scale.is_finite()) {
            return Err(StartError::TimeScale(options.time_scale));
        }
        let clock = clock::Clock::new(options.time_scale);
        let mut world = options.scenario.build(options.pve, options.seed, clock.now())?;
        let nodes = world.nodes.keys().cloned().collect::<Vec<_>>();
        let identity = http::tls::identity(&options, &nodes)?;
        let mut listeners = Vec::new();
        let mut hosts = Vec::new();
        for address in std::iter::once(&options.listen).chain(&options.more_hosts) {
            let (listener, address) = listen(*address).await?;
            listeners.push(listener);
            hosts.push(address);
        }
        let errors = if options.old_errors {
            Errors::ReasonOnly
        } else {
            Errors::WithMessage
        };
        world.consoles.old_tickets = options.old_vnc_tickets;
        let control_listener = match options.control {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let control_address = control_listener.as_ref().map(|(_, address)| *address);
        let sim = simulation::Simulation::new(world, clock, identity.clone(), errors);
        let control = Control::new(Arc::clone(&sim));
        sim.tracker.spawn(Arc::clone(&sim).publish());
        sim.tracker.spawn(work::ha::rounds(Arc::clone(&sim)));
        for (host, listener) in listeners.into_iter().enumerate() {
            sim.tracker
                .spawn(http::server::serve(Arc::clone(&sim), host, listener));
        }
        if let Some((listener, _)) = control_listener {
            sim.tracker
                .spawn(control::http::serve(Arc::clone(&sim), control.clone(), listener));
        }
        Ok(Handle {
            sim,
            control,
            hosts,
            control_address,
            pem: identity.pem,
            fingerprint: identity.fingerprint,
        })
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// A running simulator. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Handle {
    sim: Arc<simulation::Simulation>,
    control: Control,
    hosts: Vec<SocketAddr>,
    control_address: Option<SocketAddr>,
    pem: String,
    fingerprint: String,
}

impl Handle {
    /// Where the API listens.
    pub fn addr(&self) -> SocketAddr {
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        // There is always one: the simulator does not start without.
        self.hosts.first().copied().unwrap_or(unknown)
    }

    /// Where the hosts of the cluster listen: [`Handle::addr`] and those of [`Options::more_hosts`].
    pub fn hosts(&self) -> &[SocketAddr] {
        &self.hosts
    }

    /// The API's base URL, without `/api2/json`.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr())
    }

    /// Where the control API listens, if it does.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control_address
    }

    /// SHA-256 of the certificate at the start: `AB:CD:…`, as PVE prints it. Later ones: [`Control::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate at the start as PEM. Later ones: [`Control::certificate_pem`].
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// Counters, faults and tweaks.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops it and waits until all its connections and tasks are gone.
    pub async fn shutdown(self) {
        self.sim.stop.cancel();
        self.sim.tracker.close();
        self.sim.tracker.wait().await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.sim.stop.cancel();
    }
}

/// The examples in Rust of the document are run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
