//! Write a feature of the Portico client area in Rust.
#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod alloc;
#[doc(hidden)]
pub mod bindings;
