//! Faults that are injected by the control API.

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
        /// The lock, such as `firewall-vm-100` or `storage-local`.
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

/// What befalls a task halfway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It fails with this text.
    Fail(String),
    /// It hangs.
    Stick,
    /// It is killed.
    Kill,
    /// It logs this warning.
    Warn(String),
}

/// What a request is, for matching.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The HTTP method.
    pub(crate) method: &'a str,
    /// The path template; empty if no endpoint has the path.
    pub(crate) template: &'a str,
    /// The VM in the path.
    pub(crate) vmid: Option<u32>,
    /// The node in the path, if requests are forwarded to it.
    pub(crate) node: Option<&'a str>,
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
}

fn fits(wanted: Option<&String>, value: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == value)
}

impl Faults {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    /// Removes all faults.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The faults in force.
    pub(crate) fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Whether a storage has no free space.
    pub(crate) fn storage_is_full(&self, id: &str) -> bool {
        self.list
            .iter()
            .any(|fault| matches!(fault, Fault::StorageFull { storage } if storage == id))
    }

    /// Whether a storage cannot be reached.
    pub(crate) fn storage_is_offline(&self, id: &str) -> bool {
        self.list
            .iter()
            .any(|fault| matches!(fault, Fault::StorageOffline { storage } if storage == id))
    }

    /// How many times as long work on a storage takes.
    pub(crate) fn slowness(&self, id: &str) -> f64 {
        let each = self.list.iter().map(|fault| match fault {
            Fault::SlowStorage { storage, factor } if storage == id => f64::from((*factor).max(1)),
            _ => 1.0,
        });
        each.fold(1.0, f64::max)
    }

    /// How long this request waits, in milliseconds.
    pub(crate) fn latency(&self, target: Target<'_>) -> u64 {
        let each = self.list.iter().map(|fault| match fault {
            Fault::Latency { milliseconds, path } if fits(path.as_ref(), target.template) => *milliseconds,
            _ => 0,
        });
        each.sum()
    }

    /// Whether this request's connection is cut at that moment; uses the fault up.
    pub(crate) fn cut(&mut self, target: Target<'_>, now: Moment) -> bool {
        let hit = self.list.iter_mut().any(|fault| match fault {
            Fault::Cut {
                method,
                path,
                vmid,
                moment,
                times,
            } if *moment == now
                && *times > 0
                && fits(method.as_ref(), target.method)
                && fits(path.as_ref(), target.template)
                && vmid.is_none_or(|id| target.vmid == Some(id)) =>
            {
                *times -= 1;
                true
            }
            _ => false,
        });
        self.list
            .retain(|fault| !matches!(fault, Fault::Cut { times: 0, .. }));
        hit
    }

    /// The status that this request is answered with at that moment; uses the fault up.
    pub(crate) fn status(&mut self, target: Target<'_>, now: Moment) -> Option<(u16, String)> {
        let hit = self.list.iter_mut().find_map(|fault| match fault {
            Fault::Status {
                node,
                method,
                path,
                status,
                reason,
                moment,
                times,
            } if *moment == now
                && *times != Some(0)
                && fits(method.as_ref(), target.method)
                && fits(path.as_ref(), target.template)
                && node.as_ref().is_none_or(|n| target.node == Some(n)) =>
            {
                if let Some(times) = times {
                    *times -= 1;
                }
                Some((
                    *status,
                    reason.clone().unwrap_or_else(|| usual_reason(*status).to_owned()),
                ))
            }
            _ => None,
        });
        self.list
            .retain(|fault| !matches!(fault, Fault::Status { times: Some(0), .. }));
        hit
    }

    /// At which fraction of its work the fault of a task strikes.
    pub(crate) fn point(&self, kind: &str) -> f64 {
        let set = self.list.iter().rev().find_map(|fault| match fault {
            Fault::StrikeTasksAt { task, percent } if task == kind => Some(*percent),
            _ => None,
        });
        f64::from(set.unwrap_or(50).min(100)) / 100.0
    }

    /// Why a cluster-wide lock is not to be had; uses the fault up.
    pub(crate) fn cfs_lock(&mut self, name: &str) -> Option<String> {
        let hit = self.list.iter_mut().find_map(|fault| match fault {
            Fault::HoldCfsLock { lock, text, times } if lock == name && *times != Some(0) => {
                if let Some(times) = times {
                    *times -= 1;
                }
                let text = text.as_deref().unwrap_or("got lock request timeout");
                Some(format!("cfs-lock '{name}' error: {text}"))
            }
            _ => None,
        });
        self.list
            .retain(|fault| !matches!(fault, Fault::HoldCfsLock { times: Some(0), .. }));
        hit
    }

    /// Why a running VM does not take a change of a device; uses the fault up.
    pub(crate) fn hotplug(&mut self, of: u32, device: &str) -> Option<String> {
        let hit = self.list.iter_mut().find_map(|fault| match fault {
            Fault::FailHotplug {
                vmid,
                key,
                text,
                times,
            } if *vmid == of && key == device && *times > 0 => {
                *times -= 1;
                Some(text.clone())
            }
            _ => None,
        });
        self.list
            .retain(|fault| !matches!(fault, Fault::FailHotplug { times: 0, .. }));
        hit
    }

    /// What befalls a new task; uses the fault up.
    pub(crate) fn mishap(&mut self, kind: &str, id: &str) -> Option<Mishap> {
        let own = super::task::vmid_of(id);
        let of = |vmid: &Option<u32>| vmid.is_none_or(|vmid| own == Some(vmid));
        let hit = self.list.iter_mut().find_map(|fault| match fault {
            Fault::FailTasks {
                task,
                vmid,
                text,
                times,
            } if task == kind && of(vmid) && *times > 0 => {
                *times -= 1;
                Some(Mishap::Fail(text.clone()))
            }
            Fault::StickTasks { task, vmid, times } if task == kind && of(vmid) && *times > 0 => {
                *times -= 1;
                Some(Mishap::Stick)
            }
            Fault::KillTasks { task, vmid, times } if task == kind && of(vmid) && *times > 0 => {
                *times -= 1;
                Some(Mishap::Kill)
            }
            Fault::WarnTasks {
                task,
                vmid,
                text,
                times,
            } if task == kind && of(vmid) && *times > 0 => {
                *times -= 1;
                Some(Mishap::Warn(text.clone()))
            }
            _ => None,
        });
        self.list.retain(|fault| {
            !matches!(
                fault,
                Fault::FailTasks { times: 0, .. }
                    | Fault::StickTasks { times: 0, .. }
                    | Fault::KillTasks { times: 0, .. }
                    | Fault::WarnTasks { times: 0, .. }
            )
        });
        hit
    }
}

fn usual_reason(status: u16) -> &'static str {
    match status {
        595 => "Connection refused",
        596 => "Connection timed out",
        597 => "Broken pipe",
        599 => "Too many redirections",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target<'static> {
        Target {
            method: "POST",
            template: "/a",
            vmid: Some(100),
            node: Some("pve1"),
        }
    }

    #[test]
    fn a_cut_hits_as_often_as_it_says() {
        let mut faults = Faults::default();
        let moment = Moment::AfterEffect;
        faults.add(Fault::Cut {
            method: None,
            path: None,
            vmid: Some(100),
            moment,
            times: 2,
        });
        assert!(!faults.cut(target(), Moment::BeforeEffect));
        assert!(!faults.cut(
            Target {
                vmid: Some(101),
                ..target()
            },
            moment
        ));
        assert!(faults.cut(target(), moment) && faults.cut(target(), moment));
        assert!(!faults.cut(target(), moment));
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_status_without_a_count_stays() {
        let mut faults = Faults::default();
        let node = Some("pve1".to_owned());
        faults.add(Fault::Status {
            node,
            method: None,
            path: None,
            status: 595,
            reason: None,
            moment: Moment::AfterEffect,
            times: None,
        });
        let now = Moment::AfterEffect;
        assert_eq!(
            faults.status(target(), now),
            Some((595, "Connection refused".to_owned()))
        );
        assert!(faults.status(target(), now).is_some());
        assert!(faults.status(target(), Moment::BeforeEffect).is_none());
        let elsewhere = Target {
            node: Some("pve2"),
            ..target()
        };
        assert!(faults.status(elsewhere, now).is_none());
    }

    #[test]
    fn faults_read_from_json_refuse_unknown_keys() {
        assert!(serde_json::from_str::<Fault>(r#"{"fault":"latency","milliseconds":5}"#).is_ok());
        assert!(serde_json::from_str::<Fault>(r#"{"fault":"latency","milliseconds":5,"x":1}"#).is_err());
    }

    #[test]
    fn faults_of_storages_last_until_they_are_cleared() {
        let mut faults = Faults::default();
        for text in [
            r#"{"fault":"storage-full","storage":"local"}"#,
            r#"{"fault":"storage-offline","storage":"nas"}"#,
            r#"{"fault":"slow-storage","storage":"local","factor":20}"#,
            r#"{"fault":"warn-tasks","task":"vzdump","text":"odd"}"#,
        ] {
            faults.add(serde_json::from_str(text).unwrap());
        }
        for _ in 0..3 {
            assert!(faults.storage_is_full("local") && !faults.storage_is_full("nas"));
            assert!(faults.storage_is_offline("nas") && !faults.storage_is_offline("local"));
            assert!((faults.slowness("local") - 20.0).abs() < f64::EPSILON);
            assert!((faults.slowness("nas") - 1.0).abs() < f64::EPSILON);
        }
        assert_eq!(
            faults.mishap("vzdump", "100"),
            Some(Mishap::Warn("odd".to_owned()))
        );
        assert_eq!(faults.mishap("vzdump", "100"), None, "tasks count down");
        faults.clear();
        assert!(!faults.storage_is_full("local"));
    }
}
