//! The faults that there are, as the control API takes and shows them.

use serde::{Deserialize, Serialize};

/// When a connection is cut, or an answer replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the request is looked at: nothing happens in the cluster.
    #[default]
    BeforeEffect,
    /// After it was carried out: the client does not learn of it.
    AfterEffect,
}

/// Something that goes wrong. `times` counts down with each use; a fault that is used up is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Every matching request waits that long (real time) before it is looked at, until the fault is cleared.
    Latency {
        /// How long, in milliseconds of real time.
        milliseconds: u64,
        /// Only this path template; all requests if absent.
        #[serde(default)]
        path: Option<String>,
    },
    /// The connection of a matching request is closed without an answer.
    Cut {
        /// Only this method.
        #[serde(default)]
        method: Option<String>,
        /// Only this path template.
        #[serde(default)]
        path: Option<String>,
        /// Only requests for this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// Before or after the effect.
        moment: Moment,
        /// How many requests are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// Matching requests that pveproxy would pass on are answered with this status, reason and an empty body, as it
    /// answers 595, 596… when a node or a daemon fails it.
    Status {
        /// Only requests that are forwarded to this node; all if absent.
        #[serde(default)]
        node: Option<String>,
        /// Only this method.
        #[serde(default)]
        method: Option<String>,
        /// Only this path template.
        #[serde(default)]
        path: Option<String>,
        /// The status, such as 595.
        status: u16,
        /// The reason phrase; PVE's usual one for the status if absent.
        #[serde(default)]
        reason: Option<String>,
        /// Before or after the effect, as with 596 when the answer takes more than 30 seconds; before it if absent.
        #[serde(default)]
        moment: Moment,
        /// How many requests are hit; all until cleared if absent.
        #[serde(default)]
        times: Option<u32>,
    },
    /// A cluster-wide lock is not to be had: who wants it waits ten seconds (scaled) and gets
    /// `cfs-lock 'NAME' error: …`. The lock on a storage that nodes do not share is a file on the node, and the text
    /// names that.
    HoldCfsLock {
        /// The lock, such as `firewall-vm-100`, `storage-local`, `file-user_cfg` (users, rights and pools),
        /// `file-storage_cfg`, `file-datacenter_cfg` or `domain-ha`.
        lock: String,
        /// The error's text; PVE's usual one for a lock that others hold if absent.
        #[serde(default)]
        text: Option<String>,
        /// How many callers are hit; all until cleared if absent.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Tasks of a type fail halfway with a text, cleaning up as PVE does.
    FailTasks {
        /// The type, such as `qmsnapshot`.
        task: String,
        /// Only tasks of this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// The exit status.
        text: String,
        /// How many tasks are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// The other faults of a type of tasks strike at that percent of their work, not halfway, until cleared. Where a
    /// task works in several stretches, the first one counts.
    StrikeTasksAt {
        /// The type.
        task: String,
        /// 0 to 100; more counts as 100.
        percent: u8,
    },
    /// Tasks of a type hang halfway until they are stopped or released.
    StickTasks {
        /// The type.
        task: String,
        /// Only tasks of this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// How many tasks are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// Tasks of a type are killed halfway: nothing is cleaned up, so that locks stay and what was begun is left
    /// behind; the log has no last line, and the exit status is `unexpected status`.
    KillTasks {
        /// The type.
        task: String,
        /// Only tasks of this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// How many tasks are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// Tasks of a type hang halfway and at no time end when they are stopped: five seconds later (scaled) they are
    /// killed, as by [`Fault::KillTasks`]. Released, they go on.
    DeafTasks {
        /// The type.
        task: String,
        /// Only tasks of this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// How many tasks are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// Tasks of a type warn halfway and go on; those that end well end with `WARNINGS: 1`, which is success.
    WarnTasks {
        /// The type.
        task: String,
        /// Only tasks of this VM.
        #[serde(default)]
        vmid: Option<u32>,
        /// The warning.
        text: String,
        /// How many tasks are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// A running VM does not take a change of a device: the change waits, the call fails with that key's
    /// `hotplug problem - …`, and the other keys of the same call are saved.
    FailHotplug {
        /// The VM.
        vmid: u32,
        /// The key, such as `net0`.
        key: String,
        /// What QEMU says.
        text: String,
        /// How many changes are hit.
        #[serde(default = "one")]
        times: u32,
    },
    /// A storage has no free space: what would write to it fails, until the fault is cleared.
    StorageFull {
        /// Its name.
        storage: String,
    },
    /// A storage cannot be reached: it is listed as not active, whatever needs it fails, until the fault is
    /// cleared.
    StorageOffline {
        /// Its name.
        storage: String,
    },
    /// Work on a storage (backup, restore, removal, moves of disks and VMs) takes that many times as long, until the fault is cleared.
    SlowStorage {
        /// Its name.
        storage: String,
        /// How many times as long, at least 1.
        factor: u32,
    },
}

fn one() -> u32 {
    1
}
