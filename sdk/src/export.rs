//! From a [`Feature`](crate::Feature) to the exports of a component.

/// Makes a component of a feature. Once in a crate, at its top: `portico_sdk::export!(MyFeature);`.
///
/// The crate must be a `cdylib` (`crate-type = ["cdylib", "rlib"]`; the `rlib` is for its tests). Compiled for anything
/// but WebAssembly it exports nothing and only checks that the type is a feature.
#[macro_export]
macro_rules! export {
    ($feature:ty) => {
        const _: () = {
            struct PorticoExport;

            impl $crate::__private::Guest for PorticoExport {
                fn describe() -> $crate::Description {
                    $crate::__private::describe::<$feature>()
                }

                fn templates() -> ::std::vec::Vec<$crate::__private::GuestTemplate> {
                    $crate::__private::templates::<$feature>()
                }

                fn handle(
                    context: $crate::Context,
                    request: $crate::Request,
                ) -> ::core::result::Result<$crate::Response, $crate::Error> {
                    $crate::__private::handle::<$feature>(&context, &request)
                }

                fn advance(context: $crate::Context, job: $crate::Job, event: $crate::Event) -> $crate::Step {
                    $crate::__private::advance::<$feature>(&context, &job, &event)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_guest!(PorticoExport with_types_in $crate::bindings);
        };
    };
}

/// What the macro needs from here. Not for plugins.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::exports::portico::plugin::guest::{Guest, Template as GuestTemplate};
    use crate::{Context, Description, Error, Event, Feature, Job, Request, Response, Step, panic};

    pub fn describe<F: Feature>() -> Description {
        panic::log_panics();
        F::describe()
    }

    pub fn templates<F: Feature>() -> Vec<GuestTemplate> {
        panic::log_panics();
        F::templates().into_guest()
    }

    pub fn handle<F: Feature>(context: &Context, request: &Request) -> Result<Response, Error> {
        panic::log_panics();
        F::handle(context, request)
    }

    pub fn advance<F: Feature>(context: &Context, job: &Job, event: &Event) -> Step {
        panic::log_panics();
        F::advance(context, job, event)
    }
}
