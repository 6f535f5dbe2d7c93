//! The demo's files: from `demo/` to `demo-data/`, with what is only known once the simulator runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::build::guest;

/// The logins, with what each is for.
pub(super) const CUSTOMERS: [(&str, &str); 3] = [
    (
        "anna@example.com",
        "Pro and Basic: running, with two disks, stopped",
    ),
    ("ben@example.com", "a VM that ignores Stop, one without snapshots"),
    ("clara@example.com", "a paused VM, one on ZFS"),
];
/// The password of all of them. Public, like everything of the demo.
pub(super) const PASSWORD: &str = "portico-demo-tour";
/// The simulator's token for a panel, as its README has it.
const TOKEN: &str = "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";

/// How the simulator is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The base URL of its API.
    pub(super) endpoint: String,
    /// The base URL of its control API.
    pub(super) control: String,
    /// The SHA-256 of its certificate.
    pub(super) fingerprint: String,
}

impl Cluster {
    /// Reads the line that `pve-sim` prints: `ready URL control URL sha256 FINGERPRINT`.
    pub(super) fn from_ready_line(line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["ready", endpoint, "control", control, "sha256", fingerprint] = words.as_slice() else {
            bail!("`pve-sim` printed `{line}` instead of its address");
        };
        Ok(Self {
            endpoint: (*endpoint).to_owned(),
            control: (*control).to_owned(),
            fingerprint: (*fingerprint).to_owned(),
        })
    }
}

/// Removes what an earlier demo left.
pub(super) fn clear(data: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("`{}` cannot be removed: does a demo still run?", data.display())),
        _ => Ok(()),
    }
}

/// Writes everything. Returns the path of `portico.toml`.
pub(super) fn write(root: &Path, data: &Path, cluster: &Cluster, port: u16) -> anyhow::Result<PathBuf> {
    for folder in ["secrets", "mail"] {
        let folder = data.join(folder);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    }
    secret(&data.join("secrets/pve-token"), TOKEN)?;
    secret(&data.join("secrets/customer-password"), PASSWORD)?;

    let plugins = guest::target_folder(root).join("plugins");
    let words = [
        ("@ENDPOINT@", cluster.endpoint.clone()),
        ("@FINGERPRINT@", cluster.fingerprint.clone()),
        ("@PLUGINS@", plugins.display().to_string()),
        ("@PORT@", port.to_string()),
    ];
    for name in ["provider.toml", "portico.toml"] {
        let from = root.join("demo").join(name);
        let text =
            std::fs::read_to_string(&from).with_context(|| format!("cannot read `{}`", from.display()))?;
        let to = data.join(name);
        std::fs::write(&to, filled_in(&text, &words))
            .with_context(|| format!("cannot write `{}`", to.display()))?;
    }
    Ok(data.join("portico.toml"))
}

fn filled_in(text: &str, words: &[(&str, String)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| {
        // The values stand inside basic strings of TOML.
        text.replace(word, &value.replace('\\', "\\\\").replace('"', "\\\""))
    })
}

/// Writes a secret readable by this user alone.
fn secret(path: &Path, value: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{value}"))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn the_simulators_ready_line_is_read_and_anything_else_is_refused() {
        let cluster =
            Cluster::from_ready_line("ready https://127.0.0.1:1 control http://127.0.0.1:2 sha256 AB:CD");
        assert_eq!(cluster.unwrap().fingerprint, "AB:CD");
        assert!(Cluster::from_ready_line("").is_err());
        assert!(Cluster::from_ready_line("error: address in use").is_err());
    }

    #[test]
    fn no_word_of_the_demos_files_is_left_open() {
        let words = ["@ENDPOINT@", "@FINGERPRINT@", "@PLUGINS@", "@PORT@"].map(|word| (word, "x".to_owned()));
        for name in ["provider.toml", "portico.toml"] {
            let text = std::fs::read_to_string(root().join("demo").join(name)).unwrap();
            let open = filled_in(&text, &words)
                .lines()
                .any(|line| !line.starts_with('#') && line.contains("\"@"));
            assert!(!open, "{name}");
        }
    }
}
