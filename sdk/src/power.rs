//! Switching the VM of the service. A scope each: `power.start`, `.shutdown`, `.stop`, `.reboot`, `.reset`.
//!
//! All functions start work and are allowed only in a step of an exclusive job; elsewhere they are `denied`. Hand the task
//! to [`Step::wait_for`](crate::Step::wait_for).

use crate::import::power as import;
use crate::{Error, Task};

/// Starts the VM.
///
/// # Errors
/// `busy` when another operation holds the VM, `unavailable` when nothing was started.
pub fn start() -> Result<Task, Error> {
    import::start()
}

/// Asks the guest to shut down and waits up to `timeout` seconds (10…600). A guest that does not obey makes the task fail
/// with reason `timeout`; the VM then runs on.
///
/// # Errors
/// As [`start`].
pub fn shutdown(timeout: u32) -> Result<Task, Error> {
    import::shutdown(timeout)
}

/// Switches the VM off at once. Unsaved data in the guest is lost.
///
/// # Errors
/// As [`start`].
pub fn stop() -> Result<Task, Error> {
    import::stop()
}

/// Asks the guest to shut down and starts it again. `timeout` as for [`shutdown`].
///
/// # Errors
/// As [`start`].
pub fn reboot(timeout: u32) -> Result<Task, Error> {
    import::reboot(timeout)
}

/// Resets the VM at once, as the button on a computer does.
///
/// # Errors
/// As [`start`].
pub fn reset() -> Result<Task, Error> {
    import::reset()
}
