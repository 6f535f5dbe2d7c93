//! What was asked and what was done: request counters, the request log, counters of effects.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A change that really happened in the cluster, as opposed to one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// A task was begun; the name is its type.
    TaskStarted,
    /// A VM came up.
    Started,
    /// A VM was stopped hard.
    Stopped,
    /// A VM shut itself down when asked.
    ShutDown,
    /// A VM was reset.
    Reset,
    /// A VM was paused.
    Paused,
    /// A VM was resumed.
    Resumed,
    /// A VM was suspended to disk.
    Suspended,
    /// A snapshot exists; the name is the snapshot's.
    SnapshotCreated,
    /// A VM was set back to a snapshot; the name is the snapshot's.
    SnapshotRolledBack,
    /// A snapshot is gone; the name is the snapshot's.
    SnapshotRemoved,
    /// A snapshot's description was changed.
    SnapshotDescribed,
    /// The configuration was changed by PUT or POST.
    ConfigChanged,
    /// A VM was made as a copy; the VM is the copy, the name the original's number.
    Cloned,
    /// A VM was made from nothing.
    Created,
    /// A VM is gone, with its disks.
    Destroyed,
    /// A disk was grown; the name is its key.
    Resized,
    /// A disk is on another storage, or belongs to another VM; the name is the key it had.
    DiskMoved,
    /// The guest agent set a password; the name is the user's.
    PasswordSet,
    /// A VM is on another node; the name is the node's.
    Migrated,
    /// A VM became a template.
    Templated,
    /// The cloud-init image was made anew by request.
    CloudinitRegenerated,
    /// A disk was made as a copy of another volume; the name is the key it was put under.
    Imported,
    /// A VM's firewall file was written, or the datacenter's, which is VM 0.
    FirewallChanged,
    /// A backup is complete; the name is its volume.
    BackupCreated,
    /// A backup is gone, by a request or by retention; the name is its volume.
    BackupRemoved,
    /// Notes or protection of a backup were changed by a request; the name is its volume.
    BackupEdited,
    /// A VM was replaced by a backup, to the end; the name is the backup's volume.
    Restored,
    /// The disks of a VM were freed to be replaced by those of a backup, whatever came after; the name is the
    /// backup's volume.
    RestoreBegun,
    /// A volume came into a storage by a request: allocated, downloaded or uploaded; VM 0 if it belongs to none; the name
    /// is its volume.
    VolumeAdded,
    /// A volume that is no backup was removed by a request; VM 0 if it belongs to none; the name is its volume.
    VolumeRemoved,
}

/// How often one effect happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectCount {
    /// What happened.
    pub effect: Effect,
    /// To which VM.
    pub vmid: u32,
    /// Name of a snapshot, type of a task or volume, where the effect has one.
    pub name: Option<String>,
    /// How often.
    pub count: u64,
}

/// How often one endpoint was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointCount {
    /// The HTTP method.
    pub method: String,
    /// The path template, such as `/nodes/{node}/qemu/{vmid}/config`; `-` for paths that no endpoint has.
    pub path: String,
    /// How often, whatever came of it.
    pub count: u64,
}

/// One request, as the log keeps it. Passwords and keys are masked; tokens and tickets are not kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestRecord {
    /// When it arrived, in seconds since the epoch.
    pub time: f64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The path template, if an endpoint has it.
    pub template: Option<String>,
    /// The parameters from body and query.
    pub params: BTreeMap<String, String>,
    /// The user or token, once known.
    pub user: Option<String>,
    /// The status that was answered; `None` when the connection was cut instead.
    pub status: Option<u16>,
    /// The reason phrase that was answered.
    pub reason: String,
}

/// How many requests the log keeps.
const LOGGED: usize = 10_000;

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: BTreeMap<(String, String), u64>,
    total: u64,
    effects: BTreeMap<(Effect, u32, Option<String>), u64>,
    log: VecDeque<RequestRecord>,
}

impl Counters {
    /// Counts and logs a request.
    pub(crate) fn request(&mut self, record: RequestRecord) {
        self.total += 1;
        let path = record.template.clone().unwrap_or_else(|| "-".to_owned());
        *self.requests.entry((record.method.clone(), path)).or_default() += 1;
        if self.log.len() >= LOGGED {
            self.log.pop_front();
        }
        self.log.push_back(record);
    }

    /// Counts an effect.
    pub(crate) fn effect(&mut self, effect: Effect, vmid: u32, name: Option<&str>) {
        *self
            .effects
            .entry((effect, vmid, name.map(str::to_owned)))
            .or_default() += 1;
    }

    /// All requests so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Per endpoint.
    pub(crate) fn endpoints(&self) -> Vec<EndpointCount> {
        self.requests
            .iter()
            .map(|((method, path), count)| EndpointCount {
                method: method.clone(),
                path: path.clone(),
                count: *count,
            })
            .collect()
    }

    /// Per effect.
    pub(crate) fn effects(&self) -> Vec<EffectCount> {
        self.effects
            .iter()
            .map(|((effect, vmid, name), count)| EffectCount {
                effect: *effect,
                vmid: *vmid,
                name: name.clone(),
                count: *count,
            })
            .collect()
    }

    /// The last requests, oldest first.
    pub(crate) fn log(&self, last: usize) -> Vec<RequestRecord> {
        self.log
            .iter()
            .skip(self.log.len().saturating_sub(last))
            .cloned()
            .collect()
    }

    /// Sets every counter to zero and empties the log.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}
