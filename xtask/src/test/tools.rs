//! The programs that the tests need besides Rust.
//!
//! What is missing is installed where that needs no question: components by rustup, packages by apt-get for root on a
//! Debian, Python packages by pip into an environment in the target folder. Else the error names what is missing and the command that helps. None of them is optional: a run without the
//! browser tests is `cargo xtask test --skip browser`, and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::step::installing;
use crate::say;

/// The oldest Node.js that the web assets and Playwright run on.
const NODE: u32 = 20;
const BROWSERS: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Makes sure of a component of the toolchain: `rustfmt`, `clippy`.
pub(super) fn component(name: &str) -> anyhow::Result<()> {
    let subcommand = if name == "rustfmt" { "fmt" } else { name };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if succeeds(Command::new(&cargo).args([subcommand, "--version"])) {
        return Ok(());
    }
    installing(name);
    if succeeds(Command::new("rustup").args(["component", "add", name])) {
        return Ok(());
    }
    bail!("`cargo {subcommand}` is missing: `rustup component add {name}`")
}

/// Makes sure of Node.js and npm.
pub(super) fn node() -> anyhow::Result<()> {
    if node_version().is_none() {
        apt("nodejs and npm", &["nodejs", "npm"])?;
    }
    match node_version() {
        Some(major) if major >= NODE && succeeds(Command::new("npm").arg("--version")) => Ok(()),
        Some(major) if major < NODE => {
            bail!("Node.js {major} is too old: install {NODE} or newer, with npm (nodejs.org)")
        }
        _ => bail!("Node.js is missing: install {NODE} or newer, with npm (nodejs.org)"),
    }
}

fn node_version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Finds Chromium: `PORTICO_CHROMIUM`, else where packages put it.
pub(super) fn chromium() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTICO_CHROMIUM").map(PathBuf::from) {
        if path.exists() {
            return Ok(path);
        }
        bail!(
            "`PORTICO_CHROMIUM` names `{}`, which does not exist",
            path.display()
        );
    }
    let find = || BROWSERS.iter().map(Path::new).find(|path| path.exists());
    if let Some(path) = find() {
        return Ok(path.to_path_buf());
    }
    apt("Chromium", &["chromium"])?;
    find()
        .map(Path::to_path_buf)
        .context("Chromium is missing: `apt-get install chromium`, or name a Chromium in `PORTICO_CHROMIUM`")
}

/// Installs the packages of a lock file, unless that was done since it changed.
pub(super) fn npm_ci(folder: &Path) -> anyhow::Result<()> {
    let modified = |name: &str| {
        std::fs::metadata(folder.join(name))
            .and_then(|meta| meta.modified())
            .ok()
    };
    let done = modified("node_modules/.package-lock.json");
    if done.is_some() && done >= modified("package-lock.json") {
        return Ok(());
    }
    say(&format!("npm ci in {}", folder.display()));
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .context("`npm` cannot be run")?;
    if !status.success() {
        bail!("`npm ci` failed in `{}` ({status})", folder.display());
    }
    Ok(())
}

/// Makes a Python environment with the packages of a requirements file, unless that was done since it changed, and
/// names its interpreter.
pub(super) fn python(folder: &Path, requirements: &Path) -> anyhow::Result<PathBuf> {
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let interpreter = programs.join(format!("python{}", std::env::consts::EXE_SUFFIX));
    let wanted = std::fs::read_to_string(requirements)
        .with_context(|| format!("`{}` cannot be read", requirements.display()))?;
    // Written last, so that it is only there when everything is.
    let done = folder.join("installed.txt");
    if interpreter.exists() && std::fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return Ok(interpreter);
    }
    let has_venv = || succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if !has_venv() {
        apt("Python with venv", &["python3", "python3-venv"])?;
    }
    if !has_venv() {
        bail!("Python 3 with venv is missing: `apt-get install python3 python3-venv` (python.org)");
    }
    installing("proxmoxer into a Python environment");
    let run = |command: &mut Command, what: &str| {
        let status = command
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .with_context(|| format!("`{what}` cannot be run"))?;
        if !status.success() {
            bail!("`{what}` failed ({status})");
        }
        Ok(())
    };
    let shown = folder.display();
    run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder),
        &format!("python3 -m venv --clear {shown}"),
    )?;
    run(
        Command::new(&interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements),
        &format!("pip install --requirement {}", requirements.display()),
    )?;
    std::fs::write(&done, wanted).with_context(|| format!("`{}` cannot be written", done.display()))?;
    Ok(interpreter)
}

/// Installs packages of Debian, for root. Does nothing elsewhere: the caller then says what is missing.
fn apt(what: &str, packages: &[&str]) -> anyhow::Result<()> {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        return Ok(());
    }
    installing(what);
    let apt_get = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .context("`apt-get` cannot be run")
    };
    apt_get(&["update"])?;
    let arguments = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    let status = apt_get(&arguments)?;
    if !status.success() {
        bail!("`apt-get install {}` failed ({status})", packages.join(" "));
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
