//! The calls that are made, each with how often it was really done.

use portico_proxmox::{
    Client, CloneOptions, ConfigUpdate, Error, FirewallDirection, FirewallOptionsUpdate, FirewallPolicy,
    NewBackup, NewSnapshot, Removal, Restore, RuleDraft, RulePlace, Secret, TaskFilter, Upid,
};
use pve_sim::{Control, Effect};

use crate::lab::{id, node, snapshot, storage};

pub(super) const TEMPLATE: u32 = 9000;
/// What the template is copied to.
pub(super) const COPY: u32 = 2000;
/// A copy of the template that is there to be destroyed.
pub(super) const DOOMED: u32 = 2001;
/// A backup of VM 100 with its disk, which takes the place of another VM.
const ARCHIVE: &str = "backups:backup/vm/100/2026-08-20T03:00:01Z";

/// Where new disks go.
pub(super) const NEW_DISK: &str = "scsi5";

/// A call of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Version,
    Resources,
    Status,
    Config,
    Snapshots,
    Tasks,
    Content,
    Firewall,
    Ping,
    Start,
    Stop,
    Reset,
    Snapshot,
    Describe,
    Update,
    FirewallOptions,
    Rule,
    Password,
    Console,
    Clone,
    Destroy,
    Resize,
    Backup,
    Restore,
    MemorySnapshot,
    NewDisk,
    Import,
}

pub(super) const READS: [Call; 9] = [
    Call::Version,
    Call::Resources,
    Call::Status,
    Call::Config,
    Call::Snapshots,
    Call::Tasks,
    Call::Content,
    Call::Firewall,
    Call::Ping,
];
pub(super) const WRITES: [Call; 7] = [
    Call::Start,
    Call::Stop,
    Call::Reset,
    Call::Snapshot,
    Call::Describe,
    Call::Update,
    Call::FirewallOptions,
];

/// Writes as well: those of a VM's whole life, of its guest and of its screen.
pub(super) const LIFE: [Call; 11] = [
    Call::Rule,
    Call::Password,
    Call::Console,
    Call::Clone,
    Call::Destroy,
    Call::Resize,
    Call::Backup,
    Call::Restore,
    Call::MemorySnapshot,
    Call::NewDisk,
    Call::Import,
];

impl Call {
    pub(super) fn writes(self) -> bool {
        !READS.contains(&self)
    }

    /// Method and path, by which faults are aimed.
    pub(super) fn endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::Version => ("GET", "/version"),
            Self::Resources => ("GET", "/cluster/resources"),
            Self::Status => ("GET", "/nodes/{node}/qemu/{vmid}/status/current"),
            Self::Config => ("GET", "/nodes/{node}/qemu/{vmid}/config"),
            Self::Snapshots => ("GET", "/nodes/{node}/qemu/{vmid}/snapshot"),
            Self::Tasks => ("GET", "/nodes/{node}/tasks"),
            Self::Content => ("GET", "/nodes/{node}/storage/{storage}/content"),
            Self::Firewall => ("GET", "/nodes/{node}/qemu/{vmid}/firewall/rules"),
            Self::Ping => ("POST", "/nodes/{node}/qemu/{vmid}/agent/ping"),
            Self::Start => ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
            Self::Stop => ("POST", "/nodes/{node}/qemu/{vmid}/status/stop"),
            Self::Reset => ("POST", "/nodes/{node}/qemu/{vmid}/status/reset"),
            Self::Snapshot | Self::MemorySnapshot => ("POST", "/nodes/{node}/qemu/{vmid}/snapshot"),
            Self::Describe => ("PUT", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"),
            Self::Update | Self::NewDisk => ("PUT", "/nodes/{node}/qemu/{vmid}/config"),
            Self::Import => ("POST", "/nodes/{node}/qemu/{vmid}/config"),
            Self::FirewallOptions => ("PUT", "/nodes/{node}/qemu/{vmid}/firewall/options"),
            Self::Rule => ("POST", "/nodes/{node}/qemu/{vmid}/firewall/rules"),
            Self::Password => ("POST", "/nodes/{node}/qemu/{vmid}/agent/set-user-password"),
            Self::Console => ("POST", "/nodes/{node}/qemu/{vmid}/vncproxy"),
            Self::Clone => ("POST", "/nodes/{node}/qemu/{vmid}/clone"),
            Self::Destroy => ("DELETE", "/nodes/{node}/qemu/{vmid}"),
            Self::Resize => ("PUT", "/nodes/{node}/qemu/{vmid}/resize"),
            Self::Backup => ("POST", "/nodes/{node}/vzdump"),
            Self::Restore => ("POST", "/nodes/{node}/qemu"),
        }
    }

    pub(super) fn vmid(self) -> u32 {
        match self {
            Self::Start | Self::Restore | Self::NewDisk | Self::Import => 102,
            Self::Stop => 105,
            Self::Reset | Self::Resize => 101,
            Self::Clone | Self::Backup => TEMPLATE,
            Self::Destroy => DOOMED,
            _ => 100,
        }
    }

    /// What a task of it is called; none if it is done without one.
    pub(super) fn task(self) -> Option<&'static str> {
        match self {
            Self::Start => Some("qmstart"),
            Self::Stop => Some("qmstop"),
            Self::Reset => Some("qmreset"),
            Self::Snapshot | Self::MemorySnapshot => Some("qmsnapshot"),
            Self::Import => Some("qmconfig"),
            Self::Console => Some("vncproxy"),
            Self::Clone => Some("qmclone"),
            Self::Destroy => Some("qmdestroy"),
            Self::Resize => Some("resize"),
            Self::Backup => Some("vzdump"),
            Self::Restore => Some("qmrestore"),
            _ => None,
        }
    }

    /// How often it was really done: tasks that began, or changes that were made.
    pub(super) fn done(self, control: &Control) -> u64 {
        let effect = match self {
            Self::Describe => Effect::SnapshotDescribed,
            Self::Update | Self::NewDisk => Effect::ConfigChanged,
            Self::FirewallOptions | Self::Rule => Effect::FirewallChanged,
            Self::Password => Effect::PasswordSet,
            _ => Effect::TaskStarted,
        };
        let name = match effect {
            Effect::TaskStarted => self.task(),
            _ => None,
        };
        control.effect_count(effect, self.vmid(), name)
    }

    /// What its task brings about at its end, and to which VM.
    pub(super) fn outcome(self) -> Option<(Effect, u32)> {
        match self {
            Self::Clone => Some((Effect::Cloned, COPY)),
            Self::Destroy => Some((Effect::Destroyed, DOOMED)),
            Self::Resize => Some((Effect::Resized, 101)),
            Self::Backup => Some((Effect::BackupCreated, TEMPLATE)),
            Self::Restore => Some((Effect::Restored, 102)),
            Self::MemorySnapshot => Some((Effect::SnapshotCreated, 100)),
            Self::Import => Some((Effect::Imported, 102)),
            _ => None,
        }
    }

    pub(super) async fn make(self, client: &Client, round: u64) -> Result<Option<Upid>, Error> {
        let vm = client.vm(id(self.vmid()));
        match self {
            Self::Version => client.version().await.map(|_| None),
            Self::Resources => client.vm_resources().await.map(|_| None),
            Self::Status => vm.status().await.map(|_| None),
            Self::Config => vm.config().await.map(|_| None),
            Self::Snapshots => vm.snapshots().await.map(|_| None),
            Self::Tasks => {
                let filter = TaskFilter::default();
                client.tasks(&node("pve1"), &filter).await.map(|_| None)
            }
            Self::Content => {
                let (node, storage) = (node("pve1"), storage("local"));
                let content = client.storage_content(&node, &storage, None, None);
                content.await.map(|_| None)
            }
            Self::Firewall => vm.firewall_rules().await.map(|_| None),
            Self::Ping => vm.agent_ping().await.map(|_| None),
            Self::Start => vm.start().await.map(Some),
            Self::Stop => vm.stop(false).await.map(Some),
            Self::Reset => vm.reset().await.map(Some),
            Self::Snapshot | Self::MemorySnapshot => {
                let new = NewSnapshot {
                    name: snapshot(&format!("round-{round}")),
                    description: None,
                    with_memory: self == Self::MemorySnapshot,
                };
                vm.create_snapshot(&new).await.map(Some)
            }
            Self::NewDisk => {
                let update = ConfigUpdate::new().set(NEW_DISK, "local-lvm:1");
                vm.update_config(&update.unwrap()).await.map(|()| None)
            }
            Self::Import => {
                let disk = "local-lvm:0,import-from=local-lvm:base-9000-disk-0";
                let update = ConfigUpdate::new().set(NEW_DISK, disk);
                vm.update_config_task(&update.unwrap()).await
            }
            Self::Describe => {
                let (name, text) = (snapshot("before-upgrade"), format!("round {round}"));
                let done = vm.describe_snapshot(&name, &text);
                done.await.map(|()| None)
            }
            Self::Update => {
                let update = ConfigUpdate::new().set("description", &format!("round {round}"));
                vm.update_config(&update.unwrap()).await.map(|()| None)
            }
            Self::FirewallOptions => {
                let update = FirewallOptionsUpdate {
                    macfilter: Some(round.is_multiple_of(2)),
                    ..FirewallOptionsUpdate::default()
                };
                vm.set_firewall_options(update, None).await.map(|()| None)
            }
            Self::Rule => {
                let draft = RuleDraft::new(FirewallDirection::In, FirewallPolicy::Accept);
                vm.add_firewall_rule(&draft, RulePlace::Top, None)
                    .await
                    .map(|()| None)
            }
            Self::Password => {
                let password = Secret::new("correct horse battery");
                let set = vm.agent_set_password("debian", &password, false);
                set.await.map(|()| None)
            }
            Self::Console => vm.vnc_proxy().await.map(|_| None),
            Self::Clone => vm.clone_to(&CloneOptions::new(id(COPY))).await.map(Some),
            Self::Destroy => vm.destroy(Removal::WHOLE).await.map(Some),
            Self::Resize => {
                let slot = "scsi1".parse().unwrap();
                vm.resize(slot, (200 + round) << 30).await.map(Some)
            }
            Self::Backup => {
                let new = NewBackup::on(storage("backups"));
                vm.create_backup(&new).await.map(Some)
            }
            Self::Restore => {
                let restore = Restore::from(ARCHIVE.parse().unwrap()).unwrap();
                vm.restore(&restore).await.map(Some)
            }
        }
    }
}
