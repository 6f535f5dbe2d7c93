//! What wit-bindgen makes of `wit/`.
//!
//! Nothing outside this crate names it: the modules of the crate hand out its types under shorter paths. Compiled for
//! anything but WebAssembly its functions cannot be called; the capability modules then ask [`crate::testing`].
#![expect(
    clippy::same_length_and_capacity,
    reason = "generated: the canonical ABI hands over exact allocations"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "feature",
    pub_export_macro: true,
    export_macro_name: "export_guest",
    default_bindings_module: "portico_sdk::bindings",
    additional_derives: [PartialEq, Clone],
    generate_all,
});
