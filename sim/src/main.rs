//! The `pve-sim` program: reads its arguments, starts the simulator, prints one line, ends on Ctrl-C; or drives a
//! simulator that runs (`pve-sim ctl`).

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use pve_sim::{Scenario, Simulator};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Should stderr be closed too, there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let cli = cli::Cli::parse();
    let mut out = std::io::stdout();
    if let Some(cli::Command::Ctl(ctl)) = cli.command {
        let shown = ctl.run().await?;
        return out.write_all(shown.as_bytes()).context("cannot print the answer");
    }
    if cli.print_demo() {
        return out
            .write_all(Scenario::DEMO.as_bytes())
            .context("cannot print the scenario");
    }
    let mut end = End::expected()?;
    let handle = Simulator::start(cli.options()?).await?;
    let control = handle
        .control_addr()
        .map_or_else(|| "none".to_owned(), |address| format!("http://{address}"));
    writeln!(
        out,
        "ready {} control {control} sha256 {}",
        handle.url(),
        handle.fingerprint()
    )?;
    out.flush()?;
    end.came().await?;
    handle.shutdown().await;
    Ok(())
}

/// Ctrl-C or SIGTERM.
struct End {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl End {
    /// From here on the program ends in order: whoever reads the ready line may send a signal at once.
    fn expected() -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for it.
    async fn came(&mut self) -> anyhow::Result<()> {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}
