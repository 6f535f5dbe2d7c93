//! Writing to the provider's log: [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn),
//! [`error!`](macro@crate::error).
//!
//! A line carries plugin, version, service and request id by itself. The customer never sees it.

pub use crate::bindings::portico::plugin::log::Level;

/// Writes a line. The macros are shorter.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    crate::import::log::write(level, message, fields);
}

/// Writes a line to the provider's log, with fields after a semicolon: `info!("kept {n}"; job = job.id)`.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Info, [] $($line)+) };
}

/// As [`info!`](crate::info), for what only somebody looking for a fault wants to read.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Debug, [] $($line)+) };
}

/// As [`info!`](crate::info), for what the provider should look at some day.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Warn, [] $($line)+) };
}

/// As [`info!`](crate::info), for what the provider should look at now.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Error, [] $($line)+) };
}

/// Splits a line at the semicolon.
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, [$($text:tt)+] ; $($key:ident = $value:expr),+ $(,)?) => {
        $crate::log::write($level, &::std::format!($($text)+), &[$(
            (::std::string::String::from(::core::stringify!($key)), ::std::string::ToString::to_string(&$value))
        ),+])
    };
    ($level:expr, [$($text:tt)+]) => {
        $crate::log::write($level, &::std::format!($($text)+), &[])
    };
    ($level:expr, [$($text:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__log!($level, [$($text)* $next] $($rest)*)
    };
}
