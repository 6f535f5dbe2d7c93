//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::domain::{ClusterId, CustomerId, PluginId};
use crate::jobs::JobId;

/// What `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it could not be done (store, network, system)
  2  the command line is wrong
  3  a file or value was refused, or a question not answered with yes; nothing was changed
  4  `check` found something missing

Results go to stdout, everything else to stderr. While the panel runs, commands go through it.";

/// Client area for virtual machines on Proxmox VE.
#[derive(Debug, Parser)]
#[command(name = "portico", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Args {
    /// The config of the panel.
    #[arg(
        long,
        global = true,
        env = "PORTICO_CONFIG",
        value_name = "FILE",
        default_value = "/etc/portico/portico.toml"
    )]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the panel.
    Serve,
    /// Bring the panel in line with a provider file: clusters, plugins, products, customers, services.
    ///
    /// Shows the plan, asks, and applies it as a whole or not at all. Applying the same file again changes
    /// nothing.
    Apply(ApplyArgs),
    /// Check connection, certificate, token and privileges of a cluster, by feature.
    Check(CheckArgs),
    /// Look into, approve and list plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Make and list customers, give new passwords.
    #[command(subcommand)]
    User(UserCommand),
    /// List services.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// List jobs that failed, retry or dismiss them.
    #[command(subcommand)]
    Job(JobCommand),
    /// Print a sample of the config, or check the config.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `portico apply`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
pub struct ApplyArgs {
    /// The provider file.
    pub file: PathBuf,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Let services go that are no longer in the file. Their VMs are left alone.
    #[arg(long)]
    pub allow_remove_services: bool,
    /// Print the plan as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portico check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The cluster; all of them if left out.
    pub cluster: Option<ClusterId>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portico plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show what a component is, imports, and asks for. Runs it in the sandbox and changes nothing.
    Inspect(InspectArgs),
    /// Approve a component and what it imports.
    Install(InstallArgs),
    /// List approved plugins.
    List(ListArgs),
    /// Take the approval of a plugin away. Its settings go, its data stays.
    Remove(RemoveArgs),
}

/// `portico plugin inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The component, a `.wasm` file.
    pub file: PathBuf,
}

/// `portico plugin install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The component, a `.wasm` file.
    pub file: PathBuf,
    /// An import to approve, such as `snapshots`; may be repeated. All, after a question, if
    /// left out.
    #[arg(long, value_name = "IMPORT")]
    pub approve: Vec<String>,
    /// An origin it may send HTTP requests to, such as `https://api.example.net`; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub http_origin: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// `portico plugin remove`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The plugin's id.
    pub plugin: PluginId,
}

/// The arguments of lists.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portico user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a customer, with a password that is made for him if none is given.
    Add(UserAddArgs),
    /// Give a customer a new password, made for him if none is given, and end his sessions.
    Reset(UserResetArgs),
    /// List customers.
    List(ListArgs),
}

/// `portico user add`.
#[derive(Debug, clap::Args)]
pub struct UserAddArgs {
    /// The address he signs in with.
    pub email: String,
    /// His id, by which a provider file names him; a random one if left out.
    #[arg(long)]
    pub id: Option<CustomerId>,
    /// His name.
    #[arg(long)]
    pub name: Option<String>,
    /// His language, such as `en` or `pt-BR`.
    #[arg(long)]
    pub locale: Option<String>,
    /// His time zone, such as `Europe/Vienna`.
    #[arg(long)]
    pub time_zone: Option<String>,
    /// How the password is given, and how to print.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// `portico user reset`.
#[derive(Debug, clap::Args)]
pub struct UserResetArgs {
    /// His id or e-mail address.
    pub user: String,
    /// How the password is given, and how to print.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// How a password is given. Never as an argument, which other users of the machine can see.
#[derive(Debug, clap::Args)]
pub struct PasswordArgs {
    /// Ask for the password.
    #[arg(long, conflicts_with = "password_stdin")]
    pub ask: bool,
    /// Read the password from stdin, one line.
    #[arg(long)]
    pub password_stdin: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portico service`.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// List services.
    List(ServiceListArgs),
}

/// `portico service list`.
#[derive(Debug, clap::Args)]
pub struct ServiceListArgs {
    /// Only those of this customer.
    #[arg(long, value_name = "ID")]
    pub customer: Option<CustomerId>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portico job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs that failed, with the reason. They are kept for 30 days.
    List(ListArgs),
    /// Run a failed job again, from its first step.
    Retry(JobArgs),
    /// Remove a failed job. What happened stays in the activity log.
    Dismiss(JobArgs),
}

/// A failed job.
#[derive(Debug, clap::Args)]
pub struct JobArgs {
    /// The job's id, as `portico job list` prints it.
    pub job: JobId,
}

/// `portico config`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print a config with every key, its meaning and its default.
    Sample,
    /// Print the reference of the config in Markdown, for the project's own documentation.
    #[command(hide = true)]
    Reference,
    /// Check the config.
    Check,
}
