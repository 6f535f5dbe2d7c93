//! What is measured: a simulated cluster, and folders with all that a panel needs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use pve_sim::{Options, Scenario, Simulator};
use tempfile::TempDir;

/// The customers. Several, because one alone may only call few plugins at a time; each has one service.
pub(crate) const CUSTOMERS: [&str; 4] = ["anna", "ben", "clara", "dilek"];
/// The token's secret, as in `cluster.toml`.
const TOKEN: &str = "5f1cf0e9-4d4d-4a0b-8f0e-52a2b5d3a7c1";

/// The cluster, and where the folders of panels are made.
pub(crate) struct Site {
    simulator: pve_sim::Handle,
    programs: Programs,
    folder: TempDir,
}

/// What was built before.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The panel.
    pub(crate) panel: PathBuf,
    /// The plugins, by name.
    pub(crate) plugins: Vec<PathBuf>,
}

impl Programs {
    /// The panel beside this program, and the components in a folder.
    pub(crate) fn find(plugins: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let panel = own.with_file_name(format!("portico{}", std::env::consts::EXE_SUFFIX));
        ensure!(
            panel.exists(),
            "`{}` is not there: use `cargo xtask bench`",
            panel.display()
        );
        let mut found = Vec::new();
        for entry in
            std::fs::read_dir(plugins).with_context(|| format!("cannot read `{}`", plugins.display()))?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                found.push(path.canonicalize()?);
            }
        }
        found.sort();
        ensure!(
            !found.is_empty(),
            "`{}` holds no component: use `cargo xtask bench`",
            plugins.display()
        );
        Ok(Self {
            panel,
            plugins: found,
        })
    }
}

impl Site {
    /// Starts the cluster.
    pub(crate) async fn new(programs: Programs) -> anyhow::Result<Self> {
        let text = include_str!("cluster.toml").replace("@VMS@", &vms());
        let simulator = Simulator::start(Options {
            scenario: Scenario::from_toml(&text)?,
            ..Options::default()
        });
        Ok(Self {
            simulator: simulator.await?,
            programs,
            folder: TempDir::with_prefix("portico-bench-")?,
        })
    }

    /// The programs.
    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A folder for something else.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a panel's folder with its config, and fills its store by `portico apply`. Returns the path of the config.
    pub(crate) async fn panel(
        &self,
        name: &str,
        listen: SocketAddr,
        fast_reset: bool,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder(name);
        std::fs::create_dir_all(folder.join("mail"))?;
        secret(&folder.join("token"), TOKEN)?;
        let config = folder.join("portico.toml");
        let text = include_str!("portico.toml")
            .replace("@LISTEN@", &listen.to_string())
            .replace("@FAST_RESET@", if fast_reset { "true" } else { "false" });
        std::fs::write(&config, text)?;
        let provider = folder.join("provider.toml");
        std::fs::write(&provider, self.provider()?)?;
        let applied = tokio::process::Command::new(&self.programs.panel)
            .arg("--config")
            .arg(&config)
            .arg("apply")
            .arg(&provider)
            .arg("--yes")
            .stdin(Stdio::null())
            .output()
            .await
            .context("`portico apply` cannot be run")?;
        if !applied.status.success() {
            bail!(
                "`portico apply` failed ({}):\n{}",
                applied.status,
                String::from_utf8_lossy(&applied.stderr)
            );
        }
        Ok(config)
    }

    fn provider(&self) -> anyhow::Result<String> {
        let mut text = include_str!("provider.toml")
            .replace("@ENDPOINT@", &self.simulator.url())
            .replace("@FINGERPRINT@", self.simulator.fingerprint());
        for plugin in &self.programs.plugins {
            let id = plugin.file_stem().and_then(|stem| stem.to_str());
            let id = id.context("a component's file has no name")?;
            write!(
                text,
                "[[plugin]]\nid = \"{id}\"\nfile = '{}'\napprove = \"as-built\"\n\n",
                plugin.display()
            )?;
        }
        for (number, customer) in CUSTOMERS.iter().enumerate() {
            write!(
                text,
                "[[customer]]\nid = \"{customer}\"\nemail = \"{customer}@example.com\"\nname = \"{customer}\"\n\n\
                 [[service]]\ncustomer = \"{customer}\"\nproduct = \"pro\"\ncluster = \"bench\"\nvmid = {}\n\
                 hostname = \"{customer}.example.net\"\nipv4 = [\"192.0.2.{}/24\"]\ngateway4 = \"192.0.2.1\"\n\n",
                100 + number,
                10 + number
            )?;
        }
        Ok(text)
    }
}

/// One VM a customer, with a manual, a scheduled and a foreign snapshot.
fn vms() -> String {
    let mut text = String::new();
    for vmid in 100..100 + CUSTOMERS.len() {
        text.push_str(
            &r#"
[[vm]]
vmid = @VMID@
node = "pve1"
  [vm.config]
  name = "vm@VMID@"
  cores = 2
  memory = "2048"
  ostype = "l26"
  scsihw = "virtio-scsi-single"
  scsi0 = "local-lvm:vm-@VMID@-disk-0,size=20G"
  net0 = "virtio=BC:24:11:10:01:@VMID@,bridge=vmbr0"
  boot = "order=scsi0"
  [[vm.snapshot]]
  name = "before-upgrade"
  age_seconds = 864_000
  [[vm.snapshot]]
  name = "s20261120T030000"
  description = "Weekly schedule"
  age_seconds = 345_600
  [[vm.snapshot]]
  name = "p20261123T174512"
  description = "Before the new kernel"
  age_seconds = 86_400
"#
            .replace(":@VMID@", &format!(":{:02X}", vmid - 84))
            .replace("@VMID@", &vmid.to_string()),
        );
    }
    text
}

fn secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut { file }, text.as_bytes())?;
    Ok(())
}
