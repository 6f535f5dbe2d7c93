//! Starting work that goes on when the page is closed. Scope: `jobs.use`.
//!
//! What such work does is written with [`JobKind`].
//!
//! ```
//! # use portico_sdk::prelude::*;
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # enum Boot { Start }
//! # impl JobKind for Boot {
//! #     const KIND: &'static str = "boot";
//! #     fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> { Ok(Step::done("")) }
//! # }
//! fn start(_: &Context, _: &Request) -> Result<Response, Error> {
//!     jobs::Spec::new(&Boot::Start, "Starting the VM")?.exclusive("start").start()?;
//!     Ok(Response::redirect(""))
//! }
//! ```

use crate::bindings::portico::plugin::jobs as contract;
use crate::import::jobs as import;
use crate::{Error, JobKind};

pub use contract::{Calendar, JobView as View, Phase, Weekday};

/// A job to be started.
#[derive(Clone, Debug)]
pub struct Spec {
    inner: contract::JobSpec,
}

impl Spec {
    /// A job that begins with a state. `title` is what the customer reads while it runs, at most 120 characters. It gives
    /// up after an hour.
    ///
    /// # Errors
    /// `failed` when the state cannot be written as JSON.
    pub fn new<K: JobKind>(state: &K, title: &str) -> Result<Self, Error> {
        let state =
            serde_json::to_string(state).map_err(|error| Error::failed(format!("job state: {error}")))?;
        let inner = contract::JobSpec {
            kind: K::KIND.into(),
            title: title.into(),
            state,
            key: None,
            exclusive: false,
            operation: K::KIND.into(),
            deadline: 3_600,
        };
        Ok(Self { inner })
    }

    /// Makes it the only unfinished job of the plugin and service with this key, at most 128 characters.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.inner.key = Some(key.into());
        self
    }

    /// Says that it changes the VM: only one such job of a service runs at a time. `operation` is what other pages call
    /// it while they are dimmed: `snapshot`, `rollback`.
    #[must_use]
    pub fn exclusive(mut self, operation: &str) -> Self {
        self.inner.exclusive = true;
        self.inner.operation = operation.into();
        self
    }

    /// Seconds from its start after which the host gives up, 10…86,400.
    #[must_use]
    pub fn deadline(mut self, seconds: u32) -> Self {
        self.inner.deadline = seconds;
        self
    }

    /// Starts it now. Returns its id once it is durable.
    ///
    /// # Errors
    /// `busy` when it is exclusive and another such job is under way, `conflict` when its key is taken.
    pub fn start(self) -> Result<String, Error> {
        import::start(&self.inner)
    }

    /// Starts it at a time, seconds since the epoch; a time in the past is now. Replaces a waiting job of the same key.
    ///
    /// # Errors
    /// `quota` when too many wait.
    pub fn at(self, due: i64) -> Result<String, Error> {
        import::at(&self.inner, due)
    }

    /// Starts it at each time of a calendar. Replaces the calendar of the same key, which is needed.
    ///
    /// # Errors
    /// `invalid` without a key, or when the calendar is wrong.
    pub fn every(self, calendar: &Calendar) -> Result<(), Error> {
        import::every(&self.inner, calendar)
    }
}

/// Unfinished jobs of this plugin and service and those that ended within the last day, the newest first. At most 50.
///
/// # Errors
/// `denied` only.
pub fn list() -> Result<Vec<View>, Error> {
    import::list()
}

/// Removes a waiting job or a calendar by its key. One that is not there is no error.
///
/// # Errors
/// `busy` when it runs.
pub fn cancel(key: &str) -> Result<(), Error> {
    import::cancel(key)
}
