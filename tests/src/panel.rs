//! The two ways to run a panel: in this process, or as the program `portico`.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use portico_host::cli::args::Args;
use portico_host::cli::{Console, Exit, Ports};
use portico_host::config::Config;
use portico_host::serve::{Panel, Root};
use portico_host::web::{self, Peer};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::target;

/// A panel in this process.
#[derive(Debug)]
pub struct Inside {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Inside {
    /// Starts a panel on a listener that is bound already.
    ///
    /// # Errors
    /// When the panel cannot be put together.
    pub async fn start(config: &Path, listener: TcpListener) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let panel = Panel::build(&config).await?;
        let tasks = panel.start(&config).await?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let make = web::router(panel.app.clone()).into_make_service_with_connect_info::<Peer>();
        let stop = panel.stop.clone();
        let server = axum::serve(listener, make).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move {
            // It only ends by the stop token.
            let _ = server.await;
        });
        Ok(Self { stop, tasks })
    }

    /// Ends it and waits for what is under way.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A panel as a program of its own.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it. Its log goes to `panel.log` beside the config.
    ///
    /// # Errors
    /// When the program is not built or cannot be run.
    pub fn start(config: &Path) -> anyhow::Result<Self> {
        let log = config.with_file_name("panel.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(target::portico()?)
            .arg("--config")
            .arg(config)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("`portico` cannot be run")?;
        Ok(Self { child })
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When the system does not let it be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the panel cannot be killed")
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it ends with a failure.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .context("the panel is gone")?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)?;
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("the panel ended with {status}");
        }
        Ok(())
    }
}

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// How it ended.
    pub exit: Exit,
    /// The results.
    pub out: String,
    /// Everything else.
    pub talk: String,
}

/// Runs a command of `portico` in this process; nobody is there to answer questions.
///
/// # Errors
/// When the command line is wrong.
pub async fn command(config: &Path, words: &[&str]) -> anyhow::Result<Printed> {
    let config = config.display().to_string();
    let line = ["portico", "--config", &config]
        .into_iter()
        .chain(words.iter().copied());
    let args = Args::try_parse_from(line)?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let ports: Arc<dyn Ports> = Arc::new(Root);
    let exit = {
        let mut console = Console::new(&mut out, &mut talk, std::io::empty(), false);
        portico_host::cli::run(args, &ports, &mut console).await
    };
    Ok(Printed {
        exit,
        out: String::from_utf8(out)?,
        talk: String::from_utf8(talk)?,
    })
}
