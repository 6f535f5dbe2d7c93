//! The system inside a VM, as far as the guest agent shows it.

use std::collections::BTreeMap;

/// A command that was run in the guest.
#[derive(Debug, Clone)]
pub(crate) struct Executed {
    /// How it ended.
    pub(crate) exit: i64,
    /// What it wrote.
    pub(crate) output: String,
    /// When it ends, in seconds since the epoch.
    pub(crate) ends: f64,
}

/// The system inside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guest {
    /// Commands by the process they ran in; gone with the guest's restart, and once asked for after their end.
    pub(crate) executed: BTreeMap<i64, Executed>,
    /// Whether file systems are frozen.
    pub(crate) frozen: bool,
    /// How long after a start the agent is silent, in seconds.
    pub(crate) boot_seconds: f64,
    processes: i64,
}

impl Guest {
    /// A guest whose agent answers so many seconds after a start.
    pub(crate) fn of_boot_time(boot_seconds: f64) -> Self {
        Self {
            boot_seconds,
            ..Self::default()
        }
    }

    /// The guest begins anew.
    pub(crate) fn forget(&mut self) {
        self.executed.clear();
        self.frozen = false;
    }

    /// Remembers a command and gives its process.
    pub(crate) fn execute(&mut self, executed: Executed) -> i64 {
        self.processes += 7;
        let pid = 1_000 + self.processes;
        self.executed.insert(pid, executed);
        pid
    }
}
