//! What the control API shows of VMs and tasks.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::console::Guest;
use crate::world::task::Task;
use crate::world::vm::Vm;

/// A VM as it is now, seen from inside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VmView {
    /// Its number.
    pub vmid: u32,
    /// Where its configuration lies.
    pub node: String,
    /// `running`, `stopped` or `paused`.
    pub status: String,
    /// The persistent lock.
    pub lock: Option<String>,
    /// Seconds since QEMU began; 0 when it does not run.
    pub uptime: u64,
    /// The configuration in force, as PVE stores it.
    pub config: BTreeMap<String, String>,
    /// Values that wait for a cold start.
    pub pending: BTreeMap<String, String>,
    /// What each snapshot keeps, by its name, with `parent`, `snaptime`, `snapstate`.
    pub snapshots: BTreeMap<String, BTreeMap<String, String>>,
}

impl VmView {
    pub(super) fn of(vm: &Vm, now: f64) -> Self {
        Self {
            vmid: vm.vmid,
            node: vm.node.clone(),
            status: vm.qmp_status().to_owned(),
            lock: vm.lock().map(str::to_owned),
            uptime: vm.sample(now).uptime,
            config: vm.config.clone(),
            pending: vm.pending.clone(),
            snapshots: vm
                .snapshots
                .iter()
                .map(|(name, s)| (name.clone(), s.section.clone()))
                .collect(),
        }
    }
}

/// The screen of a VM, seen from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsoleView {
    /// The lines of the text on it, from the top, without the blanks at their ends.
    pub lines: Vec<String>,
    /// The cursor's column and row, from 0.
    pub cursor: (usize, usize),
    /// Width and height in pixels.
    pub pixels: (u16, u16),
    /// Where the pointer is, in pixels, and its buttons as a bit mask; none before it was moved.
    pub pointer: Option<(u16, u16, u8)>,
}

impl ConsoleView {
    pub(super) fn of(guest: &Guest) -> Self {
        Self {
            lines: guest.terminal().text(),
            cursor: guest.terminal().cursor(),
            pixels: guest.pixels(),
            pointer: guest
                .pointer()
                .map(|pointer| (pointer.x, pointer.y, pointer.buttons)),
        }
    }

    /// All of the text, without empty lines at the end.
    pub fn text(&self) -> String {
        self.lines.join("\n").trim_end().to_owned()
    }
}

/// A task, seen from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskView {
    /// Its id.
    pub upid: String,
    /// Its type, such as `qmsnapshot`.
    pub kind: String,
    /// What it works on.
    pub id: String,
    /// The user or token that began it.
    pub user: String,
    /// The node that runs it.
    pub node: String,
    /// When it began, in seconds since the epoch.
    pub started: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// How it ended: `OK`, `WARNINGS: n` or the error.
    pub exit: Option<String>,
    /// Its log.
    pub log: Vec<String>,
}

impl TaskView {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            upid: task.upid.text(),
            kind: task.upid.kind.clone(),
            id: task.upid.id.clone(),
            user: task.upid.user.clone(),
            node: task.upid.node.clone(),
            started: task.upid.start,
            ended: task.end.as_ref().map(|end| end.time),
            exit: task.end.as_ref().map(|end| end.status.clone()),
            log: task.log.clone(),
        }
    }
}
