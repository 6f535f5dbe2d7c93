//! What a plugin's author implements.

use crate::{Context, Description, Error, Event, Job, Request, Response, Step, Templates};

/// A feature of the client area.
///
/// Implement it for a unit struct and hand that to [`export!`](macro@crate::export). There is no `self`: each call runs in a
/// fresh instance, and nothing is kept in memory from one call to the next.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a feature",
    label = "`portico_sdk::Feature` is not implemented for this type"
)]
pub trait Feature {
    /// Says what the plugin is. Called at install, without any capability: every call to the host is `denied` in it.
    fn describe() -> Description;

    /// The plugin's templates. Called at install, once.
    fn templates() -> Templates {
        Templates::new()
    }

    /// Answers a request of the customer's browser. A GET changes nothing.
    ///
    /// # Errors
    /// What it returns decides what the customer sees: the panel's page for access denied, not found, busy, or
    /// “Something went wrong”. A form that needs correcting is not an error but a page with status 422.
    fn handle(cx: &Context, request: &Request) -> Result<Response, Error>;

    /// Moves a job by one step. Called only for the kinds that [`Description::background`] names; see
    /// [`Background`](crate::Background) for how to write it.
    ///
    /// May be called again with the same job and event after a crash. Calls to the host that start work then answer with
    /// what they had started.
    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        let _ = (cx, event);
        Step::fail(format!("this plugin has no work of the kind `{}`", job.kind))
    }
}
