//! Faults that are injected by the control API: [`Fault`] says which there are, [`Faults`] which are in force and whom
//! they hit.

mod fault;

pub use self::fault::{Fault, Moment};

/// What befalls a task halfway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It fails with this text.
    Fail(String),
    /// It hangs.
    Stick,
    /// It is killed.
    Kill,
    /// It hangs, does not hear that it is asked to stop, and is killed a while after that.
    Deaf,
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
        let own = crate::world::task::vmid_of(id);
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
            Fault::DeafTasks { task, vmid, times } if task == kind && of(vmid) && *times > 0 => {
                *times -= 1;
                Some(Mishap::Deaf)
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
                    | Fault::DeafTasks { times: 0, .. }
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
