//! What a large simulated cluster costs: the time to start, memory, requests a second.
//!
//! `cargo bench -p pve-sim` runs it on the 10,000 VMs of `scenarios/large.toml`. Each figure is the median of several
//! rounds with the lowest and the highest. Client and simulator share the machine, so the requests a second are
//! those of both together; on a busy machine look at the best round.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOKEN: &str = "PVEAPIToken=portico@pve!panel=7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";
const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/large.toml");

/// A simulator in a process of its own, as people run it.
struct Simulator {
    process: Child,
    url: String,
    started_in: Duration,
}

impl Simulator {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let began = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_pve-sim"))
            .args(["--listen", "127.0.0.1:0", "--scenario", SCENARIO])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("the simulator has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let started_in = began.elapsed();
        let url = line
            .split_whitespace()
            .nth(1)
            .ok_or("the simulator did not start")?;
        Ok(Self {
            url: url.to_owned(),
            process,
            started_in,
        })
    }

    /// Its memory in MiB, where the system tells (Linux).
    fn memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kibibytes = line.split_whitespace().nth(1)?.parse::<f64>().ok()?;
        Some(kibibytes / 1024.0)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It is this program's own child; should it have ended, there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Median, lowest, highest.
fn summary(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    format!(
        "{:.0} ({:.0} to {:.0})",
        at(values.len() / 2),
        at(0),
        at(values.len().saturating_sub(1))
    )
}

/// Requests a second of so many connections over a while.
async fn rate(url: &str, path: &str, connections: usize, lasting: Duration) -> Result<f64, reqwest::Error> {
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .http1_only()
        .build()?;
    let address = format!("{url}/api2/json{path}");
    let began = Instant::now();
    let workers = (0..connections).map(|_| {
        let (client, address) = (client.clone(), address.clone());
        tokio::spawn(async move {
            let mut count = 0_u32;
            while began.elapsed() < lasting {
                let request = client.get(&address).header("authorization", TOKEN);
                request.send().await?.error_for_status()?.bytes().await?;
                count += 1;
            }
            Ok::<_, reqwest::Error>(count)
        })
    });
    let mut total = 0;
    for worker in workers.collect::<Vec<_>>() {
        if let Ok(count) = worker.await {
            total += count?;
        }
    }
    Ok(f64::from(total) / began.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` runs benches too, to see that they build; measuring there would only take time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    // reqwest is built without a provider of its own. Nobody was before us, so this cannot fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut out = std::io::stdout();
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let simulator = Simulator::start()?;
        starts.push(simulator.started_in.as_secs_f64() * 1000.0);
        memory.extend(simulator.memory());
    }
    writeln!(out, "start with 10,000 VMs, ms: {}", summary(starts))?;
    writeln!(out, "memory after the start, MiB: {}", summary(memory))?;
    let simulator = Simulator::start()?;
    for (name, path, connections) in [
        (
            "status/current, 1 connection",
            "/nodes/pve1/qemu/1000/status/current",
            1,
        ),
        (
            "status/current, 8 connections",
            "/nodes/pve1/qemu/1000/status/current",
            8,
        ),
        (
            "cluster/resources of 10,000 VMs, 1 connection",
            "/cluster/resources?type=vm",
            1,
        ),
    ] {
        let mut rounds = Vec::new();
        for _ in 0..7 {
            rounds.push(rate(&simulator.url, path, connections, Duration::from_millis(1500)).await?);
        }
        writeln!(out, "{name}, requests/s: {}", summary(rounds))?;
    }
    if let Some(memory) = simulator.memory() {
        writeln!(out, "memory after all this, MiB: {memory:.0}")?;
    }
    Ok(())
}
