//! Types and traits generated from `wit/`, under the names the rest of the crate and its users use.
//!
//! Each interface is a module here: `bindings::vm::StatusView`, `bindings::guest::Response`. The generated `Host` traits
//! are implemented in [`crate::capability`] and nowhere else.

mod generated {
    #![expect(missing_docs, reason = "generated from wit/, where the documentation is")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "feature",
        imports: { default: async | trappable },
        exports: { default: async },
        additional_derives: [PartialEq],
    });
}

pub(crate) use generated::{Feature, FeaturePre};

pub use generated::exports::portico::plugin::guest;
pub use generated::portico::plugin::{
    context_types, http, jobs, log, mail, power, provision, snapshots, storage, types, vm,
};

/// What every fallible capability function answers instead of a value.
pub use types::Error as CapabilityError;
