//! `cargo xtask build`: from source to what the panel loads.
//!
//! - [`toolchain`] finds, or sets up, a Rust that can compile for `wasm32-unknown-unknown`.
//! - [`guest`] compiles guest crates with it, as core modules.
//! - [`component`] turns a core module into a component and reads what it imports.
//! - [`web`] builds the web assets with npm.
//!
//! The results are `plugins/<id>.wasm` under the target folder. What is up to date is not built again: cargo knows it of
//! the guests, npm's lock file of the packages, and a component is written only when its bytes differ.
//!
//! Not here: installing plugins into a panel; the host does that, after checking them.

pub mod component;
pub mod guest;
pub mod toolchain;
pub mod web;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{root, say};
use toolchain::{Choice, Toolchain};

/// What to build.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Build the guest crates in this folder instead (each subfolder with a Cargo.toml, or the folder itself).
    /// May be given several times. Web assets are left out then.
    #[arg(long, value_name = "DIR")]
    pub guest_dir: Vec<PathBuf>,
    /// Where to put the components. Default: `plugins` in the target folder, `guests` with `--guest-dir`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Which Rust compiles the guests.
    #[arg(long, value_enum, default_value_t)]
    pub toolchain: Choice,
    /// Leave the web assets out.
    #[arg(long)]
    pub no_web: bool,
}

/// Builds what the options say.
///
/// # Errors
/// When no toolchain can be had (the text names the commands that help), when a guest does not compile, when a guest is
/// not a component the panel could load, when npm fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.guest_dir.is_empty() {
        if !options.no_web {
            web::build(&root())?;
        }
        plugins(options.toolchain, options.out.as_deref())?;
    } else {
        guests(&options.guest_dir, options.toolchain, options.out.as_deref())?;
    }
    Ok(())
}

/// Builds the plugins of this repository. Returns the components.
///
/// # Errors
/// As [`run`].
pub fn plugins(choice: Choice, out: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let root = root();
    let crates = guest::crates_in(&root.join("plugins"))?;
    let out = out.map_or_else(|| guest::target_folder(&root).join("plugins"), Path::to_path_buf);
    let components = assemble(&crates, choice, &out)?;
    for path in &components {
        if !component::is_plugin(&std::fs::read(path)?)? {
            bail!(
                "`{}` exports no plugin: does its crate call `portico_sdk::export!`?",
                path.display()
            );
        }
    }
    Ok(components)
}

/// Builds the guest crates in some folders. Guests for tests need not be plugins. Returns the components.
///
/// # Errors
/// As [`run`].
pub fn guests(folders: &[PathBuf], choice: Choice, out: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let mut crates = Vec::new();
    for folder in folders {
        crates.extend(guest::crates_in(folder)?);
    }
    let out = out.map_or_else(|| guest::target_folder(&root()).join("guests"), Path::to_path_buf);
    assemble(&crates, choice, &out)
}

fn assemble(crates: &[guest::GuestCrate], choice: Choice, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let toolchain = Toolchain::find(choice)?;
    say(&format!("guests are compiled by {toolchain}"));
    let modules = guest::compile(&toolchain, crates)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder `{}`", out.display()))?;
    let mut components = Vec::new();
    for module in &modules {
        let bytes = std::fs::read(&module.path)
            .with_context(|| format!("cannot read `{}`", module.path.display()))?;
        let encoded =
            component::encode(&bytes).with_context(|| format!("guest `{}` is no component", module.id))?;
        if !module.is_example {
            component::without_wasi(&encoded).with_context(|| format!("guest `{}`", module.id))?;
        }
        let path = out.join(format!("{}.wasm", module.id));
        let state = write_if_new(&path, &encoded)?;
        let imports = component::imports(&encoded)?.join(", ");
        say(&format!(
            "{} {state}: {} KiB, imports {imports}",
            path.display(),
            encoded.len().div_ceil(1024)
        ));
        components.push(path);
    }
    Ok(components)
}

/// Leaves a file alone that already holds the bytes, so that nothing that watches it wakes up for nothing.
fn write_if_new(path: &Path, bytes: &[u8]) -> anyhow::Result<&'static str> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok("is up to date");
    }
    // Written beside and renamed: a panel that reads the folder never sees half a component.
    let half = path.with_extension("wasm.part");
    std::fs::write(&half, bytes).with_context(|| format!("cannot write `{}`", half.display()))?;
    std::fs::rename(&half, path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok("written")
}
