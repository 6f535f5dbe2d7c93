//! Commands, run by a shell as a reader would type them, with the built `pve-sim` on the path.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::path::Path;

use tokio::process::Command;

/// A shell that runs a text in a folder.
pub(crate) fn shell(folder: &Path, text: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pve-sim"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(program.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", text])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("no_proxy", "127.0.0.1")
        .kill_on_drop(true);
    command
}

/// Runs a text, which must succeed, and gives what it prints.
pub(crate) async fn run(mut shell: Command) -> String {
    let output = shell.output().await.unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{shell:?}: {err}{out}");
    out.into_owned()
}
