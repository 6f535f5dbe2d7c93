//! `cargo xtask generate`: the files in `docs/` that are made from the code.
//!
//! The text itself comes from the panel's own hidden command `portico config`, which makes it from the doc lines of its
//! config structs. To add a file: a line in [`FILES`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::build::guest;
use crate::{root, say};

/// What to do with the files.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// Change nothing; fail with the differences when a file is not up to date
    #[arg(long)]
    pub check: bool,
}

/// Each file, and the arguments of `portico` that print its text.
const FILES: [(&str, [&str; 2]); 2] = [
    ("docs/portico.sample.toml", ["config", "sample"]),
    ("docs/config.md", ["config", "reference"]),
];

/// Writes the files, or checks them.
///
/// # Errors
/// When the panel does not compile, a file cannot be written, or with `check` a file differs.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let root = root();
    let panel = panel(&root)?;
    let mut stale = Vec::new();
    for (name, arguments) in FILES {
        let output = Command::new(&panel)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{}` cannot be run", panel.display()))?;
        if !output.status.success() {
            bail!("`portico {}` failed ({})", arguments.join(" "), output.status);
        }
        let path = root.join(name);
        let is = std::fs::read(&path).unwrap_or_default();
        if is == output.stdout {
            continue;
        }
        if options.check {
            show(
                &String::from_utf8_lossy(&is),
                &String::from_utf8_lossy(&output.stdout),
                name,
            );
            stale.push(name);
        } else {
            std::fs::write(&path, &output.stdout)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            say(&format!("{name} written"));
        }
    }
    if !stale.is_empty() {
        bail!(
            "not up to date: {}. Run `cargo xtask generate` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Builds the panel. The selection has the features of `cargo xtask test` switched on, so that nothing is compiled twice.
fn panel(root: &Path) -> anyhow::Result<PathBuf> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--workspace", "--bins", "--examples", "--quiet"])
        .current_dir(root)
        .stdout(std::io::stderr())
        .status()
        .context("`cargo build` cannot be run")?;
    if !status.success() {
        bail!("the panel did not compile");
    }
    Ok(guest::target_folder(root)
        .join("debug")
        .join(format!("portico{}", std::env::consts::EXE_SUFFIX)))
}

/// Shows where two texts differ: the lines between their common beginning and end.
fn show(is: &str, should: &str, name: &str) {
    let (is, should): (Vec<_>, Vec<_>) = (is.lines().collect(), should.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = is.iter().zip(&should).take_while(same).count();
    let (is, should) = (is.get(start..).unwrap_or(&[]), should.get(start..).unwrap_or(&[]));
    let end = is.iter().rev().zip(should.iter().rev()).take_while(same).count();
    say(&format!("{name} differs from line {}:", start + 1));
    for (sign, lines) in [("-", is), ("+", should)] {
        for line in lines.iter().take(lines.len() - end) {
            say(&format!("{sign} {line}"));
        }
    }
}
