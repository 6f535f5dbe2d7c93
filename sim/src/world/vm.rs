//! A virtual machine: configuration, pending changes, snapshots, and whether it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use sha1::{Digest as _, Sha1};

use super::figures::{Published, Span};
use super::guest::Guest;
use super::load::Load;
use super::qmp::QmpStatus;
use crate::config::drive::Drive;
use crate::config::{self, Section, cloudinit, keys};

/// What runs.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// When QEMU began, in seconds since the epoch.
    pub(crate) since: f64,
    /// Its process.
    pub(crate) pid: u32,
    /// Whether the virtual processors are halted.
    pub(crate) paused: bool,
    /// Whether QEMU was begun without the guest, as for the backup of a VM that is off.
    pub(crate) prelaunch: bool,
    /// What QEMU says of itself, when that was set from outside.
    pub(crate) said: Option<QmpStatus>,
}

/// The QEMU guest agent inside the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestAgent {
    /// It answers.
    #[default]
    Running,
    /// It is not installed or not started.
    Absent,
    /// It takes so long that commands time out.
    Slow,
    /// It answers what is harmless; what changes the guest is disabled.
    Refusing,
}

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// The configuration it keeps, with `parent`, `snaptime`, `vmstate`, `description`, `snapstate`.
    pub(crate) section: Section,
}

impl Snapshot {
    /// A key's text.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.section.get(key).map(String::as_str)
    }

    /// When it was taken, in seconds since the epoch.
    pub(crate) fn time(&self) -> i64 {
        self.get("snaptime")
            .and_then(|time| time.parse().ok())
            .unwrap_or(0)
    }
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub(crate) struct Vm {
    /// Its number.
    pub(crate) vmid: u32,
    /// Where its configuration lies.
    pub(crate) node: String,
    /// The configuration in force.
    pub(crate) config: Section,
    /// Values for the next cold start.
    pub(crate) pending: Section,
    /// Keys that go away at the next cold start, and whether their disks are then freed, not kept as unused ones.
    pub(crate) pending_delete: BTreeMap<String, bool>,
    /// By name.
    pub(crate) snapshots: IndexMap<String, Snapshot>,
    /// What runs, if it runs.
    pub(crate) run: Option<Run>,
    /// When its processors ran.
    pub(crate) spans: Vec<Span>,
    /// Its load.
    pub(crate) load: Load,
    /// Whether the guest does nothing on the power button.
    pub(crate) ignores_acpi: bool,
    /// How long the guest takes to shut down, in seconds.
    pub(crate) shutdown_seconds: f64,
    /// The agent inside the guest.
    pub(crate) agent: GuestAgent,
    /// What other nodes know of it; `None` if nothing.
    pub(crate) published: Option<Published>,
    /// Guards the configuration file.
    pub(crate) flock: Arc<tokio::sync::RwLock<()>>,
    /// When it was made, in seconds since the epoch; there are no figures from before.
    pub(crate) created: f64,
    /// When nobody had figures of it, because its node was away.
    pub(crate) unseen: Vec<Span>,
    /// What the cloud-init image was made of; `None` while nothing has changed since the beginning.
    pub(crate) seeded: Option<Section>,
    /// The system inside.
    pub(crate) guest: Guest,
}

const MIB: u64 = 1 << 20;

impl Vm {
    /// A stopped VM of a configuration, made now.
    pub(crate) fn new(vmid: u32, node: &str, config: Section, seed: u64, now: f64) -> Self {
        Self {
            vmid,
            node: node.to_owned(),
            config,
            pending: Section::new(),
            pending_delete: BTreeMap::new(),
            snapshots: IndexMap::new(),
            run: None,
            spans: Vec::new(),
            load: Load {
                seed: crate::units::mix(seed, u64::from(vmid)),
                weight: 0.2,
            },
            ignores_acpi: false,
            shutdown_seconds: 6.0,
            agent: GuestAgent::Running,
            published: None,
            flock: Arc::default(),
            created: now,
            unseen: Vec::new(),
            seeded: None,
            guest: Guest::default(),
        }
    }

    /// A key's text in force.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    /// A whole number in the configuration.
    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.get(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    /// The persistent lock.
    pub(crate) fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// PVE's refusal while a lock is set.
    pub(crate) fn check_lock(&self) -> Result<(), String> {
        self.lock()
            .map_or(Ok(()), |lock| Err(format!("VM is locked ({lock})")))
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.get("name")
            .map_or_else(|| format!("VM {}", self.vmid), str::to_owned)
    }

    /// Whether it is a template.
    pub(crate) fn is_template(&self) -> bool {
        self.get("template") == Some("1")
    }

    /// Its virtual processors.
    pub(crate) fn cpus(&self) -> u64 {
        let all = self.number("sockets", 1) * self.number("cores", 1);
        self.get("vcpus")
            .and_then(|v| v.parse().ok())
            .filter(|v| *v > 0)
            .unwrap_or(all)
    }

    /// Its memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.get("memory")
            .map_or(cloudinit::DEFAULT_MEMORY, cloudinit::memory_mib)
            * MIB
    }

    /// The memory that the balloon leaves at least, in bytes; none if it takes none.
    pub(crate) fn least_memory(&self) -> Option<u64> {
        Some(self.number("balloon", 0) * MIB).filter(|least| *least > 0)
    }

    /// `running` or `stopped`.
    pub(crate) fn status(&self) -> &'static str {
        if self.run.is_some() { "running" } else { "stopped" }
    }

    /// What QEMU says of itself.
    pub(crate) fn qmp_status(&self) -> &'static str {
        match &self.run {
            None => "stopped",
            Some(Run { said: Some(said), .. }) => said.text(),
            Some(Run { prelaunch: true, .. }) => "prelaunch",
            Some(Run { paused: true, .. }) => "paused",
            Some(_) => "running",
        }
    }

    /// Whether QEMU runs and the guest does not, so that it cannot be asked for anything.
    pub(crate) fn is_halted(&self) -> bool {
        matches!(self.qmp_status(), "paused" | "prelaunch")
    }

    /// Whether the configuration has the agent switched on.
    pub(crate) fn agent_enabled(&self) -> bool {
        self.get("agent").is_some_and(cloudinit::agent_enabled)
    }

    /// The drives in force, by key.
    pub(crate) fn drives(&self) -> impl Iterator<Item = (&str, Drive)> {
        drives_of(&self.config)
    }

    /// The disk that the VM boots from: by boot order, by `bootdisk`, or the first there is.
    pub(crate) fn boot_disk(&self) -> Option<Drive> {
        let disk = |key: &str| {
            let drive = Drive::parse(key, self.get(key)?)?;
            (keys::is_drive(key) && !drive.is_cdrom()).then_some(drive)
        };
        let order = self
            .get("boot")
            .and_then(|boot| boot.split(',').find_map(|p| p.strip_prefix("order=")));
        order
            .unwrap_or_default()
            .split(';')
            .find_map(disk)
            .or_else(|| disk(self.get("bootdisk")?))
            .or_else(|| {
                self.drives()
                    .find(|(_, drive)| !drive.is_cdrom())
                    .map(|(_, drive)| drive)
            })
    }

    /// Size of the boot disk in bytes.
    pub(crate) fn max_disk(&self) -> u64 {
        self.boot_disk().map_or(0, |drive| drive.size())
    }

    /// The digest of its configuration file.
    pub(crate) fn digest(&self) -> String {
        let snapshots = self
            .snapshots
            .iter()
            .map(|(name, snapshot)| (name.as_str(), &snapshot.section));
        let deleted = self
            .pending_delete
            .iter()
            .map(|(key, force)| format!("{}{key}", if *force { "!" } else { "" }));
        hex::encode(Sha1::digest(config::file_text(
            &self.config,
            &self.pending,
            deleted,
            snapshots,
        )))
    }

    /// The configuration with pending changes applied.
    pub(crate) fn with_pending(&self) -> Section {
        let mut out = self.config.clone();
        out.retain(|key, _| !self.pending_delete.contains_key(key));
        out.extend(self.pending.clone());
        out
    }

    /// QEMU begins, the guest does not.
    pub(super) fn begin_prelaunch(&mut self, now: f64, pid: u32) {
        self.make_seed();
        self.guest.forget();
        self.run = Some(Run {
            since: now,
            pid,
            paused: true,
            prelaunch: true,
            said: None,
        });
    }

    /// QEMU ends.
    pub(super) fn end_run(&mut self, now: f64) {
        self.close_span(now);
        self.run = None;
    }

    /// Halts or resumes the processors.
    pub(crate) fn set_paused(&mut self, paused: bool, now: f64) {
        let Some(run) = &mut self.run else { return };
        run.said = None;
        if run.paused != paused {
            run.paused = paused;
            run.prelaunch = false;
            if paused {
                self.close_span(now);
            } else {
                self.open_span(now);
            }
        }
    }

    /// The keys that the cloud-init image is made of.
    pub(crate) fn seed_keys(&self) -> Section {
        self.config
            .iter()
            .filter(|(key, _)| keys::is_seed(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Makes the cloud-init image anew, of what the configuration says now.
    pub(crate) fn make_seed(&mut self) {
        self.seeded = Some(self.seed_keys());
    }

    /// What an address family's cloud-init configuration says, by number of the network device.
    pub(crate) fn addresses(&self, index: u16) -> BTreeMap<&'static str, (String, u8)> {
        let mut out = BTreeMap::new();
        if let Some(text) = self.get(&format!("ipconfig{index}")) {
            for (part, family) in [("ip", "ipv4"), ("ip6", "ipv6")] {
                if let Some(address) = cloudinit::address_of(text, part) {
                    out.insert(family, address);
                }
            }
        }
        out
    }
}

/// The drives of a section, by key.
pub(crate) fn drives_of(section: &Section) -> impl Iterator<Item = (&str, Drive)> {
    section
        .iter()
        .filter(|(key, _)| keys::is_drive(key))
        .filter_map(|(key, text)| Drive::parse(key, text).map(|drive| (key.as_str(), drive)))
}
