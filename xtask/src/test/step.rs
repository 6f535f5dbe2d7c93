//! The steps of `cargo xtask test`.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;

use super::tally::Tally;
use super::tools;
use crate::{build, generate, root, say};

/// A step. The order here is the order of a run: what is quick and what others need comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    /// The layout of the code.
    Fmt,
    /// The web assets, the plugins and the guests of the tests.
    Guests,
    /// The lints.
    Clippy,
    /// Everything native.
    Build,
    /// All tests that cargo runs: unit, conformance, hostile, end-to-end, compile-fail, documentation.
    Test,
    /// The simulator, driven by a client that others wrote.
    Proxmoxer,
    /// The documentation.
    Doc,
    /// The files made from the code.
    Generate,
    /// The tests in a real browser.
    Browser,
}

/// Why a step failed, and what its tests said before.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) tally: Tally,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            reason: format!("{error:#}"),
            tally: Tally::default(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmt => "fmt",
            Self::Guests => "guests",
            Self::Clippy => "clippy",
            Self::Build => "build",
            Self::Test => "test",
            Self::Proxmoxer => "proxmoxer",
            Self::Doc => "doc",
            Self::Generate => "generate",
            Self::Browser => "browser",
        })
    }
}

/// What every call of cargo selects.
const SELECTION: [&str; 2] = ["--workspace", "--locked"];

impl Step {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// One line for the log.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Fmt => "cargo fmt --check",
            Self::Guests => "web assets, plugins and the guests of the tests",
            Self::Clippy => "cargo clippy, warnings are errors",
            Self::Build => "cargo build of everything, tests included",
            Self::Test => "all tests that cargo runs",
            Self::Proxmoxer => "the simulator, driven by proxmoxer as both major versions",
            Self::Doc => "cargo doc, warnings are errors",
            Self::Generate => "the files made from the code are up to date",
            Self::Browser => "Playwright in Chromium",
        }
    }

    /// The steps without which this one makes no sense.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::Fmt | Self::Guests | Self::Clippy | Self::Build | Self::Doc => &[],
            Self::Test | Self::Browser => &[Self::Guests, Self::Build],
            Self::Generate | Self::Proxmoxer => &[Self::Build],
        }
    }

    pub(super) fn run(self) -> Result<Tally, Failure> {
        match self {
            Self::Fmt => {
                tools::component("rustfmt")?;
                plain(cargo("fmt").args(["--all", "--check"]))
            }
            Self::Guests => Ok(guests().map(|()| Tally::default())?),
            Self::Clippy => {
                tools::component("clippy")?;
                plain(
                    cargo("clippy")
                        .args(SELECTION)
                        .args(["--all-targets", "--features", "portico-tests/bench"])
                        .args(["--", "-D", "warnings"]),
                )
            }
            // `--all-targets`, though the tests follow: without it the features that only tests switch on would be
            // missing, and the heaviest dependencies would be compiled a second time.
            Self::Build => plain(cargo("build").args(SELECTION).arg("--all-targets")),
            Self::Test => counted(
                cargo("test")
                    .args(SELECTION)
                    .args(["--no-fail-fast", "--", "--quiet"]),
            ),
            Self::Doc => plain(
                cargo("doc")
                    .args(SELECTION)
                    .args(["--no-deps", "--document-private-items"])
                    // Private items are documented too, so links to them lead somewhere.
                    .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"),
            ),
            Self::Generate => {
                Ok(generate::run(&generate::Options { check: true }).map(|()| Tally::default())?)
            }
            Self::Proxmoxer => proxmoxer(),
            Self::Browser => browser(),
        }
    }
}

/// Where crates of guests that only tests use are looked for, besides the plugins.
const TEST_GUESTS: [&str; 2] = ["tests/hostile/guests", "tests/guests"];

fn guests() -> anyhow::Result<()> {
    tools::node()?;
    build::run(&build::Options::default())?;
    let root = root();
    let folders: Vec<_> = TEST_GUESTS
        .iter()
        .map(|folder| root.join(folder))
        .filter(|folder| folder.is_dir())
        .collect();
    if !folders.is_empty() {
        build::guests(&folders, build::toolchain::Choice::Auto, None)?;
    }
    Ok(())
}

fn browser() -> Result<Tally, Failure> {
    tools::node()?;
    let chromium = tools::chromium()?;
    let folder = root().join("tests/browser");
    tools::npm_ci(&folder)?;
    counted(
        Command::new("npx")
            .args(["--no-install", "playwright", "test"])
            .current_dir(&folder)
            .env("PORTICO_CHROMIUM", chromium)
            .env("PORTICO_BIN_DIR", bin_dir()),
    )
}

fn proxmoxer() -> Result<Tally, Failure> {
    let folder = root().join("sim/tests/proxmoxer");
    let python = tools::python(
        &build::guest::target_folder(&root()).join("proxmoxer"),
        &folder.join("requirements.txt"),
    )?;
    let simulator = bin_dir().join(format!("pve-sim{}", std::env::consts::EXE_SUFFIX));
    let mut sum = Tally::default();
    for major in ["8", "9"] {
        let run = counted(
            Command::new(&python)
                .arg("-B")
                .arg(folder.join("run.py"))
                .arg("--binary")
                .arg(&simulator)
                .args(["--pve", major]),
        );
        match run {
            Ok(tally) => sum += tally,
            Err(failure) => {
                sum += failure.tally;
                return Err(Failure {
                    reason: format!("as PVE {major}: {}", failure.reason),
                    tally: sum,
                });
            }
        }
    }
    Ok(sum)
}

/// The folder cargo puts programs of the dev profile into.
pub(crate) fn bin_dir() -> std::path::PathBuf {
    build::guest::target_folder(&root()).join("debug")
}

fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).current_dir(root());
    // `cargo run` tells this program about the xtask package; build scripts of others would see it and run again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command that tests nothing.
fn plain(command: &mut Command) -> Result<Tally, Failure> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("`{}` cannot be run", name(command)))?;
    if status.success() {
        Ok(Tally::default())
    } else {
        Err(anyhow!("`{}` failed ({status})", name(command)).into())
    }
}

/// Runs a test runner: passes on what it prints, and counts.
fn counted(command: &mut Command) -> Result<Tally, Failure> {
    let (success, tally) = follow(command)?;
    let reason = match (success, tally) {
        (
            true,
            Tally {
                failed: 0,
                passed: 1..,
            },
        ) => return Ok(tally),
        (true, Tally { passed: 0, failed: 0 }) => format!("`{}` ran no test", name(command)),
        (true, _) => format!("`{}` succeeded although tests failed", name(command)),
        (false, Tally { failed: 0, .. }) => format!("`{}` failed outside of a test", name(command)),
        (false, _) => format!("{} tests failed", tally.failed),
    };
    Err(Failure { reason, tally })
}

fn follow(command: &mut Command) -> anyhow::Result<(bool, Tally)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` cannot be run", name(command)))?;
    let Some(output) = child.stdout.take() else {
        bail!("no pipe");
    };
    let mut tally = Tally::default();
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("the output of the tests cannot be read")?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        tally.read_line(&String::from_utf8_lossy(&line));
    }
    Ok((child.wait()?.success(), tally))
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    let first = program
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    std::iter::once(first).chain(words).collect::<Vec<_>>().join(" ")
}

/// Says that a program is about to be installed.
pub(super) fn installing(what: &str) {
    say(&format!("installing {what}"));
}
