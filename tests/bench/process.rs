//! A real `portico serve`: how long it takes to start, and how much memory it holds.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::Site;
use crate::spread::Spread;
use crate::{client, panel};

/// Starts with a warm cache that are measured.
const STARTS: usize = 7;
/// How long the panel is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Connections and time of the load after which memory is looked at again.
const LOAD: (usize, Duration) = (32, Duration::from_secs(3));

/// What was found.
pub(crate) struct Process {
    /// Milliseconds from the start of the program to the first 200 of `/readyz`, compile cache warm.
    pub(crate) warm: Spread,
    /// The same once with an empty cache.
    pub(crate) cold: Duration,
    /// Memory, idle after the start.
    pub(crate) idle: Memory,
    /// Memory, idle again after many requests.
    pub(crate) after_load: Memory,
}

/// Resident memory, MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: f64,
    /// What is the process's own: heap, stacks, memory of plugins.
    pub(crate) own: f64,
}

/// Measures.
pub(crate) async fn run(site: &Site) -> anyhow::Result<Process> {
    let address = free_address()?;
    let config = site.panel("process", address, true).await?;
    let compiled = config.with_file_name("state").join("compiled");
    let pages = panel::sessions(&config).await?;
    // `apply` looks into components without the cache; to be sure, the first start finds none.
    if compiled.exists() {
        std::fs::remove_dir_all(&compiled)?;
    }
    let (panel, cold) = start(site, &config, address).await?;
    panel.end()?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (panel, took) = start(site, &config, address).await?;
        times.push(took);
        panel.end()?;
    }
    let (panel, _) = start(site, &config, address).await?;
    tokio::time::sleep(IDLE).await;
    let idle = panel.memory()?;
    client::load(address, pages, LOAD.0, LOAD.1).await?;
    tokio::time::sleep(IDLE).await;
    let after_load = panel.memory()?;
    panel.end()?;
    Ok(Process {
        warm: Spread::of_times(&times)?,
        cold,
        idle,
        after_load,
    })
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

async fn start(site: &Site, config: &Path, address: SocketAddr) -> anyhow::Result<(Panel, Duration)> {
    let begun = Instant::now();
    let mut command = Command::new(&site.programs().panel);
    command
        .arg("--config")
        .arg(config)
        .arg("serve")
        .stdin(Stdio::null());
    let mut panel = Panel(command.spawn().context("`portico serve` cannot be run")?);
    let ready = client::get("/readyz", "");
    while client::fetch(address, &ready).await.is_err() {
        if let Some(status) = panel.0.try_wait()? {
            bail!("`portico serve` ended by itself ({status})");
        }
        if begun.elapsed() > PATIENCE {
            bail!("`portico serve` is not ready after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok((panel, begun.elapsed()))
}

/// A running panel; killed if it is dropped before its end.
struct Panel(Child);

impl Panel {
    fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let mib = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line
                .and_then(|line| line.split_whitespace().next())
                .with_context(|| format!("no {name}"))?;
            Ok(kib.parse::<f64>()? / 1024.0)
        };
        Ok(Memory {
            resident: mib("VmRSS:")?,
            own: mib("RssAnon:")?,
        })
    }

    fn end(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
