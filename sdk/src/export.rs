//! From a [`Feature`](crate::Feature) to the exports of a component.

/// Makes a component of a feature. Once in a crate, at its top: `portico_sdk::export!(MyFeature);`.
///
/// The crate must be a `cdylib` (`crate-type = ["cdylib", "rlib"]`; the `rlib` is for its tests). Compiled for anything
/// but WebAssembly it exports nothing and only checks that the type is a feature.
#[macro_export]
macro_rules! export {
    ($feature:ty) => {
        const _: () = {
            $crate::__private::is_a_feature::<$feature>();

            #[cfg(target_arch = "wasm32")]
            type PorticoExport = $crate::__private::Export<$feature>;

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_guest!(PorticoExport with_types_in $crate::bindings);
        };
    };
}

/// What the macro needs from here. Not for plugins.
#[doc(hidden)]
pub mod __private {
    use std::marker::PhantomData;

    use crate::bindings::exports::portico::plugin::guest::{Guest, Template};
    use crate::{Context, Description, Error, Event, Feature, Job, Request, Response, Step, panic};

    /// Fails to compile for anything else.
    pub const fn is_a_feature<F: Feature>() {}

    /// The exports of a feature.
    #[derive(Debug)]
    pub struct Export<F>(PhantomData<F>);

    impl<F: Feature> Guest for Export<F> {
        fn describe() -> Description {
            panic::log_panics();
            F::describe()
        }

        fn templates() -> Vec<Template> {
            panic::log_panics();
            F::templates().into_guest()
        }

        fn handle(context: Context, request: Request) -> Result<Response, Error> {
            panic::log_panics();
            F::handle(&context, &request)
        }

        fn advance(context: Context, job: Job, event: Event) -> Step {
            panic::log_panics();
            F::advance(&context, &job, &event)
        }
    }
}
