//! The web assets: what `web/` makes with npm.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::say;

/// Installs the packages that `web/package-lock.json` names and runs the `build` script. Does nothing when there is no
/// `web/package.json`.
///
/// # Errors
/// When npm is missing or one of its commands fails.
pub fn build(root: &Path) -> anyhow::Result<()> {
    let web = root.join("web");
    if !web.join("package.json").exists() {
        return Ok(());
    }
    if installed(&web) {
        say("web: packages are up to date");
    } else {
        say("web: npm ci");
        npm(&web, &["ci", "--no-audit", "--no-fund"])?;
    }
    say("web: npm run build");
    npm(&web, &["run", "--silent", "build"])
}

/// Whether `node_modules` was made from the present lock file. npm leaves a copy of it there when it has finished.
fn installed(web: &Path) -> bool {
    let modified = |path: &str| {
        std::fs::metadata(web.join(path))
            .and_then(|meta| meta.modified())
            .ok()
    };
    match (
        modified("node_modules/.package-lock.json"),
        modified("package-lock.json"),
    ) {
        (Some(done), Some(wanted)) => done >= wanted,
        _ => false,
    }
}

fn npm(web: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .status()
        .context("cannot run `npm`: install Node.js 20 or newer, which brings it")?;
    if !status.success() {
        bail!(
            "`npm {}` failed in `{}` ({status})",
            arguments.join(" "),
            web.display()
        );
    }
    Ok(())
}
