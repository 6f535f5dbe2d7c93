//! Compiles guest crates to core modules.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::toolchain::{TARGET, Toolchain};
use crate::{root, say};

/// Memory a guest starts with, in bytes. The SDK's allocator hands out what lies between the program's own data and
/// this; a guest that stays within it never pays for `memory.grow`, which costs more than a whole small call.
const INITIAL_MEMORY: u32 = 2 << 20;
/// The part of it that is the stack, in bytes. Serde's own depth limit fits several times.
const STACK: u32 = 256 << 10;

/// The `guest` profile of this workspace, for crates that are not in it.
const PROFILE: &[&str] = &[
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=\"s\"",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    "profile.guest.panic=\"abort\"",
    "profile.guest.debug=false",
    "profile.guest.strip=\"debuginfo\"",
];

/// A crate to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCrate {
    manifest: PathBuf,
}

/// A compiled guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The package's name without `portico-plugin-`: the plugin's id for the plugins of this repository.
    pub id: String,
    /// The core module.
    pub path: PathBuf,
    /// Whether it is one of the guests that tests keep as examples of one crate.
    pub is_example: bool,
}

/// The guest crates in a folder, by name: the folder itself if it is one, else its subfolders.
///
/// # Errors
/// When the folder cannot be read or holds no crate.
pub fn crates_in(folder: &Path) -> anyhow::Result<Vec<GuestCrate>> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot read `{}`", folder.display()))?;
    let own = folder.join("Cargo.toml");
    if own.exists() {
        return Ok(vec![GuestCrate { manifest: own }]);
    }
    let mut manifests = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.exists() {
            manifests.push(manifest);
        }
    }
    if manifests.is_empty() {
        bail!("there is no crate in `{}`", folder.display());
    }
    manifests.sort();
    Ok(manifests
        .into_iter()
        .map(|manifest| GuestCrate { manifest })
        .collect())
}

/// The folder cargo builds into: `CARGO_TARGET_DIR`, else `target` of the workspace.
pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path))
}

/// Compiles crates. Members of this workspace are compiled in one go; other crates each by themselves, with the same
/// profile and into the same target folder. A member whose examples are `cdylib`s holds one guest an example: small
/// guests of tests, for which a crate each would be too much.
///
/// # Errors
/// When cargo fails (it has then said why) or a crate makes no `cdylib`.
pub fn compile(toolchain: &Toolchain, crates: &[GuestCrate]) -> anyhow::Result<Vec<Module>> {
    let root = root();
    let members = members(&root)?;
    let member = |guest: &GuestCrate| {
        members
            .iter()
            .find(|member| member.manifest_path == guest.manifest)
    };
    let (folders, crates): (Vec<_>, Vec<_>) = crates
        .iter()
        .partition(|guest| member(guest).is_some_and(|member| member.guest_examples() > 0));
    let (ours, others): (Vec<_>, Vec<_>) = crates.into_iter().partition(|guest| member(guest).is_some());

    let mut modules = Vec::new();
    for guest in folders {
        let Some(found) = member(guest) else { continue };
        let mut command = cargo(toolchain, &root);
        command
            .current_dir(&root)
            .args(["--examples", "--all-features", "--package", &found.name])
            // Nobody waits for these guests' bytes to load; optimising each with all it uses takes far longer.
            .args(["--config", "profile.guest.lto=\"off\""]);
        modules.extend(run(command, &[guest], found.guest_examples())?);
    }
    if !ours.is_empty() {
        let mut command = cargo(toolchain, &root);
        command.current_dir(&root);
        for guest in &ours {
            for member in members
                .iter()
                .filter(|member| member.manifest_path == guest.manifest)
            {
                command.args(["--package", &member.name]);
            }
        }
        command.arg("--lib");
        modules.extend(run(command, &ours, ours.len())?);
    }
    for guest in others {
        let mut command = cargo(toolchain, &root);
        command.arg("--manifest-path").arg(&guest.manifest);
        for setting in PROFILE {
            command.args(["--config", setting]);
        }
        command.arg("--lib");
        modules.extend(run(command, &[guest], 1)?);
    }
    modules.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(modules)
}

fn cargo(toolchain: &Toolchain, root: &Path) -> Command {
    let mut command = toolchain.cargo_build();
    command
        .args([
            "--profile",
            "guest",
            "--message-format",
            "json-render-diagnostics",
        ])
        .env("CARGO_TARGET_DIR", target_folder(root))
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            flags(root).join(" "),
        )
        .stdout(Stdio::piped());
    command
}

/// The flags of rustc. Folder names of this machine are cut from panic messages: the same source then gives the same
/// component, and with it the same digest, wherever it is built.
fn flags(root: &Path) -> Vec<String> {
    let mut flags = vec![
        format!("-Clink-arg=--initial-memory={INITIAL_MEMORY}"),
        format!("-Clink-arg=-zstack-size={STACK}"),
    ];
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let folders = [(Some(root.to_path_buf()), "/portico"), (cargo_home, "/cargo")];
    for (folder, name) in folders {
        // Flags are separated by spaces here, and a folder with one cannot be quoted.
        if let Some(folder) = folder
            .map(|f| f.display().to_string())
            .filter(|f| !f.contains(' '))
        {
            flags.push(format!("--remap-path-prefix={folder}={name}"));
        }
    }
    flags
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<MemberTarget>,
}

#[derive(Debug, Deserialize)]
struct MemberTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
}

impl Member {
    /// How many of its examples are guests.
    fn guest_examples(&self) -> usize {
        let has = |words: &[String], word: &str| words.iter().any(|found| found == word);
        self.targets
            .iter()
            .filter(|target| has(&target.kind, "example") && has(&target.crate_types, "cdylib"))
            .count()
    }
}

fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("`cargo metadata` cannot be run")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed ({})", output.status);
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` is unreadable")?;
    Ok(metadata.packages)
}

/// A line of cargo's messages; others than artifacts have none of these fields.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<MessageTarget>,
}

#[derive(Debug, Deserialize)]
struct MessageTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
}

fn run(mut command: Command, guests: &[&GuestCrate], count: usize) -> anyhow::Result<Vec<Module>> {
    say(&format!(
        "cargo build: {count} guest{} for {TARGET}",
        if count == 1 { "" } else { "s" }
    ));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("`cargo build` cannot be run")?;
    if !output.status.success() {
        bail!("a guest did not compile");
    }
    let mut modules = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Message>(line) else {
            continue;
        };
        let target = message.target.as_ref();
        let is_example = target.is_some_and(|target| target.kind.iter().any(|kind| kind == "example"));
        let is_guest = message.reason == "compiler-artifact"
            && target.is_some_and(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            && guests.iter().any(|guest| guest.manifest == message.manifest_path);
        if !is_guest {
            continue;
        }
        let Some(path) = message
            .filenames
            .into_iter()
            .find(|file| file.extension().is_some_and(|e| e == "wasm"))
        else {
            continue;
        };
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('_', "-");
        let id = stem.strip_prefix("portico-plugin-").unwrap_or(&stem).to_owned();
        modules.push(Module { id, path, is_example });
    }
    if modules.len() != count {
        bail!(
            "{count} guests were compiled, but only {} are `cdylib` crates",
            modules.len()
        );
    }
    Ok(modules)
}
