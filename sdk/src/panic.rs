//! A panic's message in the provider's log.
//!
//! A panic ends a guest with the instruction `unreachable`, and with it the message would be lost: the host sees only a
//! trap and the names of the functions on the stack.

/// Writes the message of a panic to the log before the guest traps. Natively the test harness shows it.
pub(crate) fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        crate::log::write(crate::log::Level::Error, &panic.to_string(), &[]);
    }));
}
