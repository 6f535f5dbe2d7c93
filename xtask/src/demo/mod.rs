//! `cargo xtask demo`: the panel with sample data on this machine, in front of a simulated cluster.
//!
//! The way, one step a module: everything is built ([`crate::build`], and cargo for the two programs); [`seed`] fills
//! in the files of `demo/` and writes them to `demo-data/`; [`children`] starts the simulator and the panel, waits
//! until they answer, and ends them with this program.
//!
//! The simulated cluster lives in memory. So that the panel's memory fits it, `demo-data/` is made anew at each start.
//!
//! Not here: what the demo sells (`demo/provider.toml`) and the cluster it is sold on (built into `pve-sim`).
#![expect(
    clippy::print_stdout,
    reason = "the address and the logins are what this command is for"
)]

mod children;
mod seed;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::build::guest;
use crate::{build, root, say};
use children::Children;

/// How the demo is started.
#[derive(Debug, Args)]
pub struct Options {
    /// The panel's port on this machine
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Open the panel in the browser once it answers
    #[arg(long)]
    open: bool,
    /// Build the panel optimised: takes longer to build, answers faster
    #[arg(long)]
    release: bool,
    /// End by itself once the panel answers, for trying out whether it starts
    #[arg(long, hide = true)]
    until_ready: bool,
}

/// How long a program may take from its start to its first answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Builds, starts, waits for Ctrl-C.
///
/// # Errors
/// When the port is taken, a build fails, or a program ends by itself.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    // Asked first: a build of minutes for a port that cannot be had would be a poor joke.
    drop(TcpListener::bind(address).with_context(|| {
        format!(
            "port {} cannot be used: `--port N` takes another one",
            options.port
        )
    })?);
    let (interrupt, interrupted) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more when the demo is ending already.
        let _ = interrupt.send(());
    })
    .context("Ctrl-C cannot be caught")?;

    let start = Instant::now();
    let root = root();
    step(1, "web assets and plugins");
    build::run(&build::Options::default())?;
    step(2, "the panel and the simulator");
    let programs = programs(&root, options.release)?;
    if interrupted.try_recv().is_ok() {
        bail!("interrupted");
    }

    step(3, "simulated cluster");
    let data = root.join("demo-data");
    seed::clear(&data)?;
    let mut children = Children::default();
    let result = serve(
        options,
        &Places {
            root: &root,
            data: &data,
            programs: &programs,
            address,
        },
        &mut children,
        start,
        &interrupted,
    );
    children.end();
    result
}

struct Places<'a> {
    root: &'a Path,
    data: &'a Path,
    programs: &'a Programs,
    address: SocketAddr,
}

fn serve(
    options: &Options,
    places: &Places<'_>,
    children: &mut Children,
    start: Instant,
    interrupted: &mpsc::Receiver<()>,
) -> anyhow::Result<()> {
    let data = places.data;
    let mut simulator = Command::new(&places.programs.simulator);
    simulator
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .stdin(Stdio::null());
    let ready = children.start_and_read_line("pve-sim", &mut simulator, PATIENCE)?;
    let cluster = seed::Cluster::from_ready_line(&ready)?;

    step(4, "sample data");
    let config = seed::write(places.root, data, &cluster, options.port)?;
    let status = Command::new(&places.programs.panel)
        .arg("--config")
        .arg(&config)
        .arg("apply")
        .arg(data.join("provider.toml"))
        .arg("--yes")
        .stdout(std::io::stderr())
        .status()
        .context("`portico apply` cannot be run")?;
    if !status.success() {
        bail!("`portico apply` failed ({status}): what it wrote is above");
    }

    step(5, "panel");
    let mut panel = Command::new(&places.programs.panel);
    panel
        .arg("--config")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null());
    children.start("portico", &mut panel)?;
    children.wait_for_page(places.address, PATIENCE, interrupted)?;

    let url = format!("http://localhost:{}/", options.port);
    println!(
        "\nPortico runs at {url}   (ready after {} s)\n",
        start.elapsed().as_secs()
    );
    for (customer, shows) in seed::CUSTOMERS {
        println!("  {customer:<20} {}   {shows}", seed::PASSWORD);
    }
    println!(
        "\nMails are files in {}. The simulated cluster's own switches: {} (see sim/README.md).\nCtrl-C ends it.",
        data.join("mail").display(),
        cluster.control
    );
    if options.open {
        open(&url);
    }
    if options.until_ready {
        return Ok(());
    }
    children.watch(interrupted)
}

fn step(number: usize, what: &str) {
    say(&format!("[{number}/5] {what}"));
}

struct Programs {
    panel: PathBuf,
    simulator: PathBuf,
}

fn programs(root: &Path, release: bool) -> anyhow::Result<Programs> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args([
        // All of the workspace, as the tests do: another selection could give the dependencies other features, and
        // they would be compiled a second time. The examples are what makes cargo switch on the tests' features.
        "build",
        "--workspace",
        "--bins",
        "--examples",
    ]);
    if release {
        command.arg("--release");
    }
    let status = command
        .stdout(std::io::stderr())
        .status()
        .context("`cargo build` cannot be run")?;
    if !status.success() {
        bail!("the panel did not compile");
    }
    let folder = guest::target_folder(root).join(if release { "release" } else { "debug" });
    let program = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    Ok(Programs {
        panel: program("portico"),
        simulator: program("pve-sim"),
    })
}

/// Opens the browser; where that does not work the address stands above.
fn open(url: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        say(&format!(
            "`{opener}` cannot be run ({error}): open {url} yourself"
        ));
    }
}
