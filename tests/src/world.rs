//! The simulator and the panel's folder together.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use portico_host::cli::Exit;
use pve_sim::{Control, Handle, Simulator};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::panel::{Inside, Printed, Program, command};
use crate::setup::Setup;
use crate::target;
use crate::wait::until;

/// A cluster and a panel, alone on their ports, with a folder of their own. Dropping it ends everything.
#[derive(Debug)]
pub struct World {
    simulator: Handle,
    panel: Running,
    folder: TempDir,
    port: u16,
}

#[derive(Debug)]
enum Running {
    Not,
    Inside(Inside),
    Program(Program),
}

impl World {
    /// A world with the panel in this process, as the seed has it.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::inside(Setup::default()).await
    }

    /// A world with the panel in this process.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn inside(setup: Setup) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let mut world = Self::prepare(&setup, listener.local_addr()?.port()).await?;
        world.panel = Running::Inside(Inside::start(&world.config(), listener).await?);
        world.apply_seed().await?;
        Ok(world)
    }

    /// A world with the panel as a program of its own, which can be killed.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn program(setup: Setup) -> anyhow::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut world = Self::prepare(&setup, port).await?;
        world.restart().await?;
        world.apply_seed().await?;
        Ok(world)
    }

    async fn prepare(setup: &Setup, port: u16) -> anyhow::Result<Self> {
        // One provider of cryptography in the process; a second attempt changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        crate::setup::log();
        let simulator = Simulator::start(setup.simulator()?).await?;
        let folder = tempfile::Builder::new().prefix("portico-e2e-").tempdir()?;
        setup.write(folder.path(), port, simulator.addr(), simulator.fingerprint())?;
        target::lend_compiled(&folder.path().join("state"))?;
        Ok(Self {
            simulator,
            panel: Running::Not,
            folder,
            port,
        })
    }

    async fn apply_seed(&self) -> anyhow::Result<()> {
        let printed = self
            .command(&["apply", &self.provider().display().to_string(), "--yes"])
            .await?;
        if printed.exit != Exit::Done {
            bail!("the provider file of the tests was not applied: {}", printed.talk);
        }
        target::keep_compiled(&self.folder.path().join("state"))
    }

    /// The panel's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The panel's config.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("portico.toml")
    }

    /// The provider file.
    pub fn provider(&self) -> PathBuf {
        self.folder.path().join("provider.toml")
    }

    /// The origin of the panel's pages.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The simulator's other side: faults, counters, tweaks.
    pub fn pve(&self) -> Control {
        self.simulator.control()
    }

    /// A new browser.
    ///
    /// # Errors
    /// When the system gives no HTTP client.
    pub fn browser(&self) -> anyhow::Result<Browser> {
        Browser::new(&self.origin())
    }

    /// A new browser with a customer signed in.
    ///
    /// # Errors
    /// When the panel does not let him in.
    pub async fn signed_in(&self, email: &str) -> anyhow::Result<Browser> {
        let browser = self.browser()?;
        browser.sign_in(email).await?;
        Ok(browser)
    }

    /// Runs a command of `portico`; while the panel runs, it goes through it.
    ///
    /// # Errors
    /// When the command line is wrong.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<Printed> {
        command(&self.config(), words).await
    }

    /// Changes the provider file and applies it.
    ///
    /// # Errors
    /// When there is nothing to replace, or the file cannot be written.
    pub async fn apply_with(&self, from: &str, to: &str) -> anyhow::Result<Printed> {
        let path = self.provider();
        let text = std::fs::read_to_string(&path)?;
        if !text.contains(from) {
            bail!("the provider file has no `{from}`");
        }
        std::fs::write(&path, text.replace(from, to))?;
        self.command(&["apply", &path.display().to_string(), "--yes"])
            .await
    }

    /// Starts the program again after [`World::kill`], and waits until it is ready.
    ///
    /// # Errors
    /// When it ends at once or does not get ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let mut program = Program::start(&self.config())?;
        let browser = self.browser()?;
        until("the panel is ready", async || {
            if program.has_ended()? {
                let log = std::fs::read_to_string(self.folder.path().join("panel.log")).unwrap_or_default();
                bail!("the panel ended at its start: {log}");
            }
            Ok(browser
                .get("/readyz")
                .await
                .ok()
                .filter(|page| page.status == 200))
        })
        .await?;
        self.panel = Running::Program(program);
        Ok(())
    }

    /// Kills the program, as `kill -9` does.
    ///
    /// # Errors
    /// When the panel is no program of its own.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match std::mem::replace(&mut self.panel, Running::Not) {
            Running::Program(program) => program.kill().await,
            _ => bail!("the panel is no program of its own"),
        }
    }

    /// Ends the program as a supervisor does and returns its folder, for looking into what it has left.
    ///
    /// # Errors
    /// When the program ends with a failure.
    pub async fn stop_panel(self) -> anyhow::Result<TempDir> {
        if let Running::Program(program) = self.panel {
            program.stop().await.context("the panel did not end well")?;
        }
        Ok(self.folder)
    }

    /// Ends the panel and the simulator, and waits for what is under way.
    ///
    /// # Errors
    /// When the program ends with a failure.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.panel {
            Running::Not => {}
            Running::Inside(inside) => inside.stop().await,
            Running::Program(program) => program.stop().await.context("the panel did not end well")?,
        }
        self.simulator.shutdown().await;
        Ok(())
    }
}

/// The id of the service of a VM.
pub fn service(vmid: u32) -> String {
    format!("11111111-1111-4111-8111-{vmid:012}")
}

/// The path of a plugin's page, action or fragment on the service of a VM.
pub fn at(vmid: u32, path: &str) -> String {
    format!("/services/{}/{path}", service(vmid))
}
