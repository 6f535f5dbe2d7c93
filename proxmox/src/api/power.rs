//! Starting and stopping. Every action is a task: an answer means "begun", its end tells whether it worked. Where PVE
//! refuses before it begins, `# Errors` says so; a time-out is rounded up to whole seconds.
//!
//! Two traps. A `qmreboot` task ends when the VM is down; PVE then starts it by another task, so watch the
//! status too. With high availability the tasks are `hastart` and `hastop`, which end at once while the
//! effect comes later: watch the status there as well.

use std::time::Duration;

use http::Method;

use crate::client::Vm;
use crate::error::Error;
use crate::route::Params;
use crate::transport::Class;
use crate::upid::Upid;

impl Vm {
    /// Starts the VM. In the task: [`Reason::AlreadyRunning`](crate::Reason::AlreadyRunning),
    /// [`Reason::Locked`](crate::Reason::Locked), [`Reason::Template`](crate::Reason::Template), and what the storages
    /// of its drives and media are in for.
    pub async fn start(&self) -> Result<Upid, Error> {
        self.action("/status/start", Params::new()).await
    }

    /// Stops the VM like pulling the plug. With `overrule_shutdown`, a shutdown that is under way and holds
    /// the VM is broken off first.
    pub async fn stop(&self, overrule_shutdown: bool) -> Result<Upid, Error> {
        self.action(
            "/status/stop",
            Params::new().flag("overrule-shutdown", overrule_shutdown),
        )
        .await
    }

    /// Asks the guest to power down, by the agent or ACPI. PVE waits 60 s unless told otherwise; with
    /// `force_stop` it then stops the VM, else the task fails with
    /// [`Reason::ShutdownTimeout`](crate::Reason::ShutdownTimeout). Meanwhile other operations on the VM
    /// meet [`Reason::LockTimeout`](crate::Reason::LockTimeout).
    ///
    /// # Errors
    /// [`Reason::Paused`](crate::Reason::Paused) at once, unless `force_stop`. A VM that is off already ends the task
    /// well.
    pub async fn shutdown(&self, timeout: Option<Duration>, force_stop: bool) -> Result<Upid, Error> {
        let params = Params::new()
            .opt("timeout", seconds(timeout))
            .flag("forceStop", force_stop);
        self.action("/status/shutdown", params).await
    }

    /// Asks the guest to power down and starts it anew, with pending changes of its config.
    ///
    /// # Errors
    /// At once: [`Reason::NotRunning`](crate::Reason::NotRunning), [`Reason::Paused`](crate::Reason::Paused).
    pub async fn reboot(&self, timeout: Option<Duration>) -> Result<Upid, Error> {
        self.action("/status/reboot", Params::new().opt("timeout", seconds(timeout)))
            .await
    }

    /// Resets the VM like the reset button. Pending changes stay pending.
    ///
    /// # Errors
    /// [`Reason::NotRunning`](crate::Reason::NotRunning) at once.
    pub async fn reset(&self) -> Result<Upid, Error> {
        self.action("/status/reset", Params::new()).await
    }

    /// Pauses the VM or, with `to_disk`, saves its memory and ends it; starting then resumes it.
    ///
    /// # Errors
    /// [`Reason::NotRunning`](crate::Reason::NotRunning) at once.
    pub async fn suspend(&self, to_disk: bool) -> Result<Upid, Error> {
        self.action("/status/suspend", Params::new().flag("todisk", to_disk))
            .await
    }

    /// Lets a paused VM go on.
    ///
    /// # Errors
    /// [`Reason::NotRunning`](crate::Reason::NotRunning) at once.
    pub async fn resume(&self) -> Result<Upid, Error> {
        self.action("/status/resume", Params::new()).await
    }

    async fn action(&self, path: &'static str, params: Params) -> Result<Upid, Error> {
        self.call(Class::Write, Method::POST, |vm| vm.word(path), params)
            .await
    }
}

/// Whole seconds, rounded up: less time than asked for would be a surprise.
fn seconds(timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|timeout| {
        timeout
            .as_secs()
            .saturating_add(u64::from(timeout.subsec_nanos() > 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_seconds_count_as_whole_ones() {
        assert_eq!(seconds(Some(Duration::from_millis(1500))), Some(2));
        assert_eq!(seconds(Some(Duration::from_mins(1))), Some(60));
        assert_eq!(seconds(Some(Duration::MAX)), Some(u64::MAX));
        assert_eq!(seconds(None), None);
    }
}
