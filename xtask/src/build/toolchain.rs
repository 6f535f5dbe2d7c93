//! Finds a Rust toolchain that compiles for `wasm32-unknown-unknown`.
//!
//! First choice is rustup, which has the standard library for that target ready-made. Where rustup cannot be had or
//! cannot download, Debian helps: its package `rustc-web` is a recent Rust without the WebAssembly standard library, but
//! `rust-web-src` has the source of it, and cargo builds it from that (`-Zbuild-std`). This is an unstable option of
//! cargo, so `RUSTC_BOOTSTRAP=1` is set for this one command; Portico's own code stays on stable Rust.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::say;

/// The target of every guest.
pub const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "rust-web-src", "rust-web-llvm", "lld-22"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// rustc calls the linker for this target by this name.
const DEBIAN_LINKER: &str = "/usr/bin/rust-lld";

/// Which toolchain to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// rustup if it can, else Debian's packages.
    #[default]
    Auto,
    /// The toolchain that cargo runs with, with the target added by rustup where it is missing.
    Rustup,
    /// Debian's packages `rustc-web` and `rust-web-src`.
    Debian,
}

/// A toolchain that compiles guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The standard library for the target is installed.
    Installed,
    /// The standard library is compiled along, by Debian's Rust.
    BuildStd,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(f, "the installed toolchain ({TARGET})"),
            Self::BuildStd => write!(f, "Debian's Rust, with the standard library from source"),
        }
    }
}

impl Toolchain {
    /// Finds a toolchain; installs what is missing where that is possible without a question.
    ///
    /// # Errors
    /// When there is none. The text names the commands that help, for both ways.
    pub fn find(choice: Choice) -> anyhow::Result<Self> {
        let rustup = match choice {
            Choice::Debian => Err(anyhow::anyhow!("not tried")),
            Choice::Auto | Choice::Rustup => rustup(),
        };
        let rustup = match rustup {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let debian = match choice {
            Choice::Rustup => Err(anyhow::anyhow!("not tried")),
            Choice::Auto | Choice::Debian => debian(),
        };
        let debian = match debian {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        bail!(
            "no Rust here compiles for {TARGET}.\n\
             With rustup: `rustup target add {TARGET}` ({rustup:#})\n\
             On Debian, as root: `apt-get install {}` ({debian:#})",
            DEBIAN_PACKAGES.join(" ")
        )
    }

    /// `cargo build` for the target with this toolchain. Flags of the caller's environment that are meant for native
    /// code (coverage, `-D warnings`) are left out.
    pub fn cargo_build(&self) -> Command {
        let mut command = match self {
            Self::Installed => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Self::BuildStd => {
                let mut command = Command::new(DEBIAN_CARGO);
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.args(["build", "--target", TARGET]);
        if *self == Self::BuildStd {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
}

/// The toolchain cargo runs with, if it has the target or rustup can add it.
fn rustup() -> anyhow::Result<Toolchain> {
    if has_target()? {
        return Ok(Toolchain::Installed);
    }
    say(&format!("rustup target add {TARGET}"));
    let output = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output()
        .context("`rustup` cannot be run")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("it failed: {}", stderr.lines().last().unwrap_or_default().trim());
    }
    if !has_target()? {
        bail!("it succeeded, but the standard library is not there");
    }
    Ok(Toolchain::Installed)
}

fn has_target() -> anyhow::Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("`rustc` cannot be run")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(output.status.success()
        && std::fs::read_dir(folder).is_ok_and(|files| {
            files
                .flatten()
                .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        }))
}

/// Debian's packages, installed where this is root on a Debian.
fn debian() -> anyhow::Result<Toolchain> {
    if debian_is_complete() {
        return Ok(Toolchain::BuildStd);
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this is not Debian");
    }
    if !is_root() {
        bail!("packages are missing and this is not root");
    }
    say(&format!("apt-get install {}", DEBIAN_PACKAGES.join(" ")));
    let status = Command::new("apt-get")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(DEBIAN_PACKAGES)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::io::stderr())
        .status()
        .context("`apt-get` cannot be run")?;
    if !status.success() {
        bail!("`apt-get install` failed ({status})");
    }
    if !debian_is_complete() {
        bail!("the packages are installed, but `{DEBIAN_SOURCE}` or `{DEBIAN_LINKER}` is not there");
    }
    Ok(Toolchain::BuildStd)
}

fn debian_is_complete() -> bool {
    [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCE, DEBIAN_LINKER]
        .iter()
        .all(|path| Path::new(path).exists())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
