//! Where cargo has put the plugins and programs, and compiled components that tests share.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The folder with the programs of this profile, such as `target/debug`.
///
/// # Errors
/// When the test's own program is not where cargo puts it.
pub fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of the test's program is not known")?;
    let folder = own
        .ancestors()
        .nth(2)
        .context("the test's program is not in cargo's folder")?;
    Ok(folder.to_owned())
}

/// The program `portico`.
///
/// # Errors
/// When it is not built.
pub fn portico() -> anyhow::Result<PathBuf> {
    let path = programs()?.join("portico");
    if !path.is_file() {
        bail!(
            "`{}` is missing: run `cargo build --workspace --all-targets`",
            path.display()
        );
    }
    Ok(path)
}

/// The folder with the built plugins.
///
/// # Errors
/// When they are not built.
pub fn plugins() -> anyhow::Result<PathBuf> {
    let programs = programs()?;
    let folder = programs
        .parent()
        .context("cargo's folder has no parent")?
        .join("plugins");
    for plugin in ["overview.wasm", "snapshots.wasm"] {
        if !folder.join(plugin).is_file() {
            bail!(
                "`{}` is missing: run `cargo xtask build`",
                folder.join(plugin).display()
            );
        }
    }
    Ok(folder)
}

/// Compiled components of earlier tests. All tests have the same key, so that the panel believes in them.
fn compiled() -> anyhow::Result<PathBuf> {
    let programs = programs()?;
    Ok(programs
        .parent()
        .context("cargo's folder has no parent")?
        .join("tmp/e2e-compiled"))
}

/// Gives a new panel the components that earlier tests have compiled.
///
/// # Errors
/// When a folder or file cannot be made.
pub fn lend_compiled(state: &Path) -> anyhow::Result<()> {
    copy(&compiled()?, &state.join("compiled"))
}

/// Keeps what a panel has compiled for the tests after it.
///
/// # Errors
/// When a folder or file cannot be made.
pub fn keep_compiled(state: &Path) -> anyhow::Result<()> {
    copy(&state.join("compiled"), &compiled()?)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)?;
    let Ok(entries) = std::fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().extension().is_some_and(|kind| kind == "compiled") && !target.exists() {
            // Renamed into place: another test may be reading.
            let part = to.join(format!(
                "{}-{}.part",
                entry.file_name().to_string_lossy(),
                rand::random::<u64>()
            ));
            std::fs::copy(entry.path(), &part)?;
            std::fs::rename(&part, &target)?;
        }
    }
    Ok(())
}
