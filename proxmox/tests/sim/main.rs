//! The client against the simulator of `sim/`, which shares no code with it.
//!
//! `console` looks at screens.

#[cfg(test)]
mod console;
