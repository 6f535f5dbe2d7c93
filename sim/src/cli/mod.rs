//! The command line of `pve-sim`: starting a simulator, and driving one that runs.
//!
//! [`ctl`] turns commands into calls of the control API, [`client`] makes them.

mod client;
pub(crate) mod ctl;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use pve_sim::{CertificateFiles, Major, Options, Scenario};

/// Simulates the Proxmox VE API on loopback, for tests and demos without a cluster.
///
/// Without --scenario it plays the built-in demo: nodes pve1 and pve2, VMs 100 to 106 and template 9000, login
/// root@pam with password `demo-root-password`, API token `portico@pve!panel` with secret
/// `7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4`. State is kept in memory and ends with the process.
#[derive(Debug, Parser)]
#[command(
    name = "pve-sim",
    version,
    max_term_width = 110,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Where the API listens (HTTPS, loopback only); port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8006")]
    listen: SocketAddr,
    /// Further address of the same cluster, another host of it; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    more_hosts: Vec<SocketAddr>,
    /// Where the control API listens (plain HTTP, loopback only); none if left out
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Scenario file (TOML); the built-in demo if left out
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Print the built-in demo scenario, as a start for your own, and end
    #[arg(long)]
    print_demo: bool,
    /// Major version of PVE: 8 or 9
    #[arg(long, value_name = "MAJOR", default_value = "9")]
    pve: Major,
    /// How many times faster than real time tasks, delays and timeouts run; timestamps stay true
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    time_scale: f64,
    /// Give VNC tickets of the form from before April 2026
    #[arg(long)]
    old_vnc_tickets: bool,
    /// Give the texts of refusals only in the status line, and take bodies up to 64 KiB, as PVE 8.3 and older do
    #[arg(long)]
    old_errors: bool,
    /// Makes everything that looks random reproducible
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Directory that keeps the self-signed certificate across runs; a new one each time if left out
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Certificate (PEM) to use instead of a self-signed one
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "data")]
    cert: Option<PathBuf>,
    /// Private key (PEM) of --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Drives a running simulator: faults, changes from outside, counters
    Ctl(ctl::Ctl),
}

impl Cli {
    /// Whether only the demo scenario is to be printed.
    pub(crate) fn print_demo(&self) -> bool {
        self.print_demo
    }

    /// The options that the arguments mean.
    pub(crate) fn options(self) -> anyhow::Result<Options> {
        let scenario = match &self.scenario {
            Some(path) => Scenario::load(path)?,
            None => Scenario::demo(),
        };
        let certificate = self
            .cert
            .zip(self.key)
            .map(|(certificate, key)| CertificateFiles { certificate, key });
        Ok(Options {
            listen: self.listen,
            more_hosts: self.more_hosts,
            control: self.control,
            scenario,
            pve: self.pve,
            time_scale: self.time_scale,
            old_vnc_tickets: self.old_vnc_tickets,
            old_errors: self.old_errors,
            seed: self.seed,
            data_dir: self.data,
            certificate,
        })
    }
}
