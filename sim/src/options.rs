//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::scenario::{Scenario, ScenarioError};

/// The major version of Proxmox VE that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Major {
    /// Proxmox VE 8.4.
    V8,
    /// Proxmox VE 9.1.
    #[default]
    V9,
}

impl std::str::FromStr for Major {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "8" => Ok(Self::V8),
            "9" => Ok(Self::V9),
            other => Err(format!("`{other}` is not simulated; give `8` or `9`")),
        }
    }
}

/// A certificate and its key, both as PEM files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, or a chain that starts with it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a simulator is started with; [`Options::default`] suits tests: a free port on loopback, the demo
/// scenario, PVE 9, real time, everything in memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the API listens (HTTPS). Must be a loopback address: the demo secrets are public. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Further addresses (loopback too), each another host of the same cluster, in the order of the scenario's nodes:
    /// `listen` is the first node, these the next ones. Only consoles tell the hosts apart.
    pub more_hosts: Vec<SocketAddr>,
    /// Where the control API listens (plain HTTP, loopback only); `None` for no such listener.
    pub control: Option<SocketAddr>,
    /// What the cluster looks like at the start.
    pub scenario: Scenario,
    /// Which PVE is simulated.
    pub pve: Major,
    /// How many times faster than real time tasks, delays and timeouts run; 1 is real time. Timestamps stay true.
    pub time_scale: f64,
    /// Whether VNC tickets have the form from before April 2026: no password in front, not bound to a port, the
    /// ticket itself as VNC password unless one is asked for. Serial terminals take no tokens then.
    pub old_vnc_tickets: bool,
    /// Whether refusals are those of pve-http-server before 5.2.0 (PVE 8.3 and older): their text is only in the
    /// status line, the body says `{"data":null}` and what is wrong with parameters. Bodies of requests are then
    /// limited to 64 KiB, not 512.
    pub old_errors: bool,
    /// Makes everything that looks random reproducible.
    pub seed: u64,
    /// Where the self-signed certificate is kept across runs; `None` makes a new one each time.
    pub data_dir: Option<PathBuf>,
    /// A certificate to use instead of a self-signed one.
    pub certificate: Option<CertificateFiles>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            more_hosts: Vec::new(),
            control: None,
            scenario: Scenario::demo(),
            pve: Major::V9,
            time_scale: 1.0,
            old_vnc_tickets: false,
            old_errors: false,
            seed: 1,
            data_dir: None,
            certificate: None,
        }
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that is reachable from other machines was given.
    #[error("`{0}` is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The time scale is zero, negative or not a number.
    #[error("the time scale must be a number above 0, not `{0}`")]
    TimeScale(f64),
    /// The port is taken, or may not be used.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be made, read or kept.
    #[error("cannot set up the certificate: {0}")]
    Certificate(String),
    /// The scenario contradicts itself.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}
