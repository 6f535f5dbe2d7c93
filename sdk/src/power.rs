//! Switching the VM of the service. A scope each: `power.start`, `.shutdown`, `.stop`, `.reboot`, `.reset`.
//!
//! All functions start work and are allowed only in a step of an exclusive job; elsewhere they are `denied`. Hand the task
//! to [`Step::wait_for`](crate::Step::wait_for).

#[cfg(target_arch = "wasm32")]
use crate::bindings::portico::plugin::power as import;
use crate::{Error, Task, host};

/// Starts the VM.
///
/// # Errors
/// `busy` when another operation holds the VM, `unavailable` when nothing was started.
pub fn start() -> Result<Task, Error> {
    host!("power.start", import::start(), |host| host
        .start_task("power.start", ""))
}

/// Asks the guest to shut down and waits up to `timeout` seconds (10…600). A guest that does not obey makes the task fail
/// with reason `timeout`; the VM then runs on.
///
/// # Errors
/// As [`start`].
pub fn shutdown(timeout: u32) -> Result<Task, Error> {
    host!("power.shutdown", import::shutdown(timeout), |host| {
        crate::testing::check("timeout", (10..=600).contains(&timeout), "10 to 600 seconds")?;
        host.start_task("power.shutdown", &timeout.to_string())
    })
}

/// Switches the VM off at once. Unsaved data in the guest is lost.
///
/// # Errors
/// As [`start`].
pub fn stop() -> Result<Task, Error> {
    host!("power.stop", import::stop(), |host| host
        .start_task("power.stop", ""))
}

/// Asks the guest to shut down and starts it again. `timeout` as for [`shutdown`].
///
/// # Errors
/// As [`start`].
pub fn reboot(timeout: u32) -> Result<Task, Error> {
    host!("power.reboot", import::reboot(timeout), |host| {
        crate::testing::check("timeout", (10..=600).contains(&timeout), "10 to 600 seconds")?;
        host.start_task("power.reboot", &timeout.to_string())
    })
}

/// Resets the VM at once, as the button on a computer does.
///
/// # Errors
/// As [`start`].
pub fn reset() -> Result<Task, Error> {
    host!("power.reset", import::reset(), |host| host
        .start_task("power.reset", ""))
}
