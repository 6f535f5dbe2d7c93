//! The system inside a VM, as far as the guest agent shows it.
//!
//! [`Guest`] is what it does and remembers, [`files`] what lies on its disk.

pub(crate) mod files;

use std::collections::BTreeMap;

use self::files::Written;
use super::vm::Vm;

/// `/etc/os-release` of every guest that is no Windows.
pub(crate) const OS_RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"
NAME=\"Debian GNU/Linux\"
VERSION_ID=\"13\"
VERSION=\"13 (trixie)\"
VERSION_CODENAME=trixie
ID=debian
HOME_URL=\"https://www.debian.org/\"
";

/// Whether the guest is a Windows.
pub(crate) fn is_windows(vm: &Vm) -> bool {
    vm.get("ostype").is_some_and(|os| os.starts_with('w'))
}

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
    /// What was written to its disk; gone when the system is installed anew.
    pub(crate) files: Written,
    /// What its disk had when snapshots were taken, by their names.
    kept: BTreeMap<String, Written>,
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

    /// Another system is on the disk.
    pub(crate) fn reinstall(&mut self) {
        self.forget();
        self.files.clear();
    }

    /// A snapshot keeps what is on the disk.
    pub(crate) fn keep(&mut self, snapshot: &str) {
        self.kept.insert(snapshot.to_owned(), self.files.clone());
    }

    /// The disk is what it was at a snapshot; those of a scenario had nothing written to them.
    pub(crate) fn go_back(&mut self, snapshot: &str) {
        self.files = self.kept.get(snapshot).cloned().unwrap_or_default();
    }

    /// A snapshot is gone.
    pub(crate) fn let_go(&mut self, snapshot: &str) {
        self.kept.remove(snapshot);
    }

    /// Remembers a command and gives its process.
    pub(crate) fn execute(&mut self, executed: Executed) -> i64 {
        self.processes += 7;
        let pid = 1_000 + self.processes;
        self.executed.insert(pid, executed);
        pid
    }
}
