//! The command `portico`.
//!
//! - [`args`] is the command line; [`run`] sends each command to its file (`apply`, `check`, `plugin`, `user`,
//!   `service`, `job`).
//! - `access` finds the way to the records: through the running panel, or the store itself.
//! - [`ports`] is what other modules do for the command line, put in by the composition root.
//! - `console` is where a command prints and asks: results to stdout, talk and questions to stderr.
//!
//! Exit codes are in [`Exit`] and in `portico --help`.
//!
//! To add a command: its arguments in [`args`], a file here, and a line in [`run`]; what it does goes to
//! [`crate::admin`].

mod access;
mod apply;
pub mod args;
mod check;
mod console;
mod job;
mod plugin;
pub mod ports;
mod service;
mod table;
mod user;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use self::access::Access;
use self::args::{Args, Command, ConfigCommand, JobCommand, PluginCommand, ServiceCommand, UserCommand};
pub use self::console::Console;
pub use self::ports::Ports;
use crate::admin::protocol::FailureKind;
use crate::admin::{AdminAnswer, AdminFailure};
use crate::config::{Config, ConfigError, reference};

/// How a command ends. 2 is clap's, for a wrong command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: it could not be done.
    Failed,
    /// 3: a file or value was refused, or the question was not answered with yes; nothing was changed.
    Refused,
    /// 4: `check` found something missing.
    Lacking,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 3,
            Self::Lacking => 4,
        }
    }
}

/// Why a command ends without having done what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    hint: String,
}

impl CliError {
    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn failed(error: &(dyn std::error::Error + 'static), hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: AdminFailure::failed(error).message,
            hint: hint.into(),
        }
    }

    /// The panel answered something that is no answer to the question.
    fn unexpected(_: &AdminAnswer) -> Self {
        Self {
            exit: Exit::Failed,
            message: "the running panel answered something else than was asked".to_owned(),
            hint: "use the command of the same version as the panel".to_owned(),
        }
    }
}

impl From<AdminFailure> for CliError {
    fn from(failure: AdminFailure) -> Self {
        let exit = match failure.kind {
            FailureKind::Refused => Exit::Refused,
            FailureKind::Failed => Exit::Failed,
        };
        Self {
            exit,
            message: failure.message,
            hint: failure.hint,
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(&error, "")
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self {
            exit: Exit::Failed,
            message: format!("{error:#}"),
            hint: String::new(),
        }
    }
}

/// Reads the command line and does what it says.
pub async fn main(ports: Arc<dyn Ports>) -> ExitCode {
    let args = Args::parse();
    let exit = run(args, &ports, &mut Console::system()).await;
    ExitCode::from(exit.code())
}

/// Does what `args` say.
pub async fn run(args: Args, ports: &Arc<dyn Ports>, console: &mut Console<'_>) -> Exit {
    match dispatch(args, ports, console).await {
        Ok(exit) => exit,
        Err(error) => {
            console.error(&error.message, &error.hint);
            error.exit
        }
    }
}

async fn dispatch(args: Args, ports: &Arc<dyn Ports>, console: &mut Console<'_>) -> Result<Exit, CliError> {
    let path = args.config.as_path();
    match args.command {
        Command::Config(ConfigCommand::Sample) => {
            console.print(&reference::sample())?;
            return Ok(Exit::Done);
        }
        Command::Config(ConfigCommand::Reference) => {
            console.print(&reference::page())?;
            return Ok(Exit::Done);
        }
        Command::Config(ConfigCommand::Check) => {
            load(path)?;
            console.talk(&format!("`{}` is good", path.display()))?;
            return Ok(Exit::Done);
        }
        Command::Plugin(PluginCommand::Inspect(args)) => {
            // An author looks into his component without having a panel.
            let config = if path.exists() {
                load(path)?
            } else {
                Config::default()
            };
            return plugin::inspect(&args, &config, ports, console).await;
        }
        Command::Serve => {
            ports.serve(load(path)?).await?;
            return Ok(Exit::Done);
        }
        _ => {}
    }

    let config = load(path)?;
    let access = Access::open(&config, ports).await?;
    match args.command {
        Command::Apply(args) => apply::run(&args, &access, console).await,
        Command::Check(args) => check::run(&args, &access, console).await,
        Command::Plugin(PluginCommand::Install(args)) => {
            plugin::install(&args, &config, ports, &access, console).await
        }
        Command::Plugin(PluginCommand::List(args)) => plugin::list(&args, &access, console).await,
        Command::Plugin(PluginCommand::Remove(args)) => plugin::remove(&args, &access, console).await,
        Command::User(UserCommand::Add(args)) => user::add(args, &access, console).await,
        Command::User(UserCommand::Reset(args)) => user::reset(args, &access, console).await,
        Command::User(UserCommand::List(args)) => user::list(&args, &access, console).await,
        Command::Job(JobCommand::List(args)) => job::list(&args, &access, console).await,
        Command::Job(JobCommand::Retry(args)) => job::retry(&args, &access, console).await,
        Command::Job(JobCommand::Dismiss(args)) => job::dismiss(&args, &access, console).await,
        Command::Service(ServiceCommand::List(args)) => service::list(&args, &access, console).await,
        // Done above.
        Command::Config(_) | Command::Serve | Command::Plugin(PluginCommand::Inspect(_)) => Ok(Exit::Done),
    }
}

fn load(path: &Path) -> Result<Config, CliError> {
    Config::load(path).map_err(|error| match &error {
        ConfigError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            CliError::refused(
                error.to_string(),
                "name it with `--config`, or begin one with `portico config sample`",
            )
        }
        ConfigError::Read { .. } => CliError::failed(&error, ""),
        ConfigError::Form { .. } | ConfigError::Values { .. } => CliError::refused(error.to_string(), ""),
    })
}
