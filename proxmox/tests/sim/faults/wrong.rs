//! What goes wrong while a call is made.

use pve_sim::{Action, Fault, Moment};

use super::call::Call;
use super::field::Field;
use crate::gate::Way;
use crate::lab::PANEL;

/// What is wrong while the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Nothing,
    Slow,
    TooSlow,
    CutBefore(u32),
    CutAfter(u32),
    Status(u16, u32),
    /// After what was asked for was done.
    LateStatus(u16, u32),
    FlockHeld,
    Locked,
    TokenRevoked,
    FirstEndpointShut,
    BothEndpointsShut,
    NodeOff,
    VmMoved,
    TaskFails,
    TaskSticks,
    ClockSkewed,
    CfsLockHeld,
    StorageOffline,
    StorageFull,
    StorageLockHeld,
    StorageSlow,
    TaskWarns,
    ApiDown,
    /// The list that tells where VMs are, and nothing else.
    ListCut,
    ListStatus(u16),
    ListTooSlow,
}

/// The call for the list that tells where VMs are.
pub(super) const LIST: (&str, &str) = ("GET", "/cluster/resources");

impl Wrong {
    /// Whether it only is about the list that tells where VMs are.
    pub(super) fn is_of_the_list(self) -> bool {
        matches!(self, Self::ListCut | Self::ListStatus(_) | Self::ListTooSlow)
    }
}

pub(super) const WRONGS: [Wrong; 38] = [
    Wrong::Nothing,
    Wrong::Slow,
    Wrong::TooSlow,
    Wrong::CutBefore(1),
    Wrong::CutBefore(9),
    Wrong::CutAfter(1),
    Wrong::CutAfter(9),
    Wrong::Status(595, 1),
    Wrong::Status(595, 9),
    Wrong::Status(596, 1),
    Wrong::Status(596, 9),
    Wrong::Status(597, 1),
    Wrong::Status(597, 9),
    Wrong::Status(599, 1),
    Wrong::Status(599, 9),
    Wrong::LateStatus(596, 1),
    Wrong::LateStatus(596, 9),
    Wrong::LateStatus(599, 1),
    Wrong::FlockHeld,
    Wrong::Locked,
    Wrong::TokenRevoked,
    Wrong::FirstEndpointShut,
    Wrong::BothEndpointsShut,
    Wrong::NodeOff,
    Wrong::VmMoved,
    Wrong::TaskFails,
    Wrong::TaskSticks,
    Wrong::ClockSkewed,
    Wrong::CfsLockHeld,
    Wrong::StorageOffline,
    Wrong::StorageFull,
    Wrong::StorageLockHeld,
    Wrong::StorageSlow,
    Wrong::TaskWarns,
    Wrong::ApiDown,
    Wrong::ListCut,
    Wrong::ListStatus(596),
    Wrong::ListTooSlow,
];

impl Field {
    /// Makes one thing go wrong.
    pub(super) fn spoil(&self, wrong: Wrong, call: Call) {
        let (method, path) = if wrong.is_of_the_list() {
            LIST
        } else {
            call.endpoint()
        };
        let (method, path) = (Some(method.to_owned()), Some(path.to_owned()));
        let vmid = call.vmid();
        let cut = |moment, times| Fault::Cut {
            method: method.clone(),
            path: path.clone(),
            vmid: None,
            moment,
            times,
        };
        let latency = |milliseconds| Fault::Latency {
            milliseconds,
            path: path.clone(),
        };
        let status = |status, moment, times| Fault::Status {
            node: None,
            method: method.clone(),
            path: path.clone(),
            status,
            reason: None,
            moment,
            times: Some(times),
        };
        let task = call.task().unwrap_or("none").to_owned();
        match wrong {
            Wrong::Nothing => {}
            Wrong::Slow => self.control.inject(latency(20)),
            Wrong::TooSlow | Wrong::ListTooSlow => self.control.inject(latency(1500)),
            Wrong::ListCut => self.control.inject(cut(Moment::BeforeEffect, 9)),
            Wrong::CutBefore(times) => self.control.inject(cut(Moment::BeforeEffect, times)),
            Wrong::CutAfter(times) => self.control.inject(cut(Moment::AfterEffect, times)),
            Wrong::Status(code, times) => {
                self.control.inject(status(code, Moment::BeforeEffect, times));
            }
            Wrong::LateStatus(code, times) => {
                self.control.inject(status(code, Moment::AfterEffect, times));
            }
            Wrong::ListStatus(code) => self.control.inject(status(code, Moment::BeforeEffect, 9)),
            Wrong::FlockHeld => self.act(Action::HoldFlock { vmid, held: true }),
            Wrong::Locked => self.control.set_lock(vmid, Some("backup")).unwrap(),
            Wrong::TokenRevoked => self.act(Action::SetTokenRevoked {
                token: PANEL.0.to_owned(),
                revoked: true,
            }),
            Wrong::FirstEndpointShut => self.gates[0].set(Way::Shut),
            Wrong::BothEndpointsShut => self.gates.iter().for_each(|gate| gate.set(Way::Shut)),
            Wrong::NodeOff => self.control.set_node_online("pve1", false).unwrap(),
            Wrong::VmMoved => self.move_to(vmid, "pve2"),
            Wrong::TaskFails => self.control.inject(Fault::FailTasks {
                task,
                vmid: None,
                text: "no space left".to_owned(),
                times: 1,
            }),
            Wrong::TaskSticks => self.control.inject(Fault::StickTasks {
                task,
                vmid: None,
                times: 1,
            }),
            Wrong::ClockSkewed => self.act(Action::SetClockSkew { seconds: -200 }),
            Wrong::CfsLockHeld => self.control.inject(Fault::HoldCfsLock {
                lock: format!("firewall-vm-{vmid}"),
                text: None,
                times: None,
            }),
            Wrong::StorageFull => self.inject_for(&["local-lvm", "backups"], |storage| Fault::StorageFull {
                storage,
            }),
            Wrong::StorageLockHeld => {
                self.inject_for(&["local-lvm", "backups"], |storage| Fault::HoldCfsLock {
                    lock: format!("storage-{storage}"),
                    text: None,
                    times: None,
                });
            }
            Wrong::StorageSlow => {
                self.inject_for(&["local-lvm", "backups"], |storage| Fault::SlowStorage {
                    storage,
                    factor: 5,
                });
            }
            Wrong::TaskWarns => self.control.inject(Fault::WarnTasks {
                task,
                vmid: None,
                text: "something is odd".to_owned(),
                times: 1,
            }),
            Wrong::ApiDown => self.control.set_api_down(true),
            Wrong::StorageOffline => {
                self.inject_for(&["local", "backups"], |storage| Fault::StorageOffline { storage });
            }
        }
    }

    fn inject_for(&self, storages: &[&str], fault: impl Fn(String) -> Fault) {
        for storage in storages {
            self.control.inject(fault((*storage).to_owned()));
        }
    }
}
