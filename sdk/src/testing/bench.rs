//! Calls a feature as the panel does.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use serde_json::Value;

use super::host::{Call, Host};
use super::jobs::Next;
use crate::bindings::portico::plugin::jobs::{JobView, Phase};
use crate::{Context, Description, Error, Event, Feature, Job, Method, Request, Response, Step};

/// A feature on the bench, compiled natively: [`Stand::get`] and [`Stand::post`] are the customer, [`Stand::run`] is the
/// panel at work, [`Stand::host`] is what it works on.
pub type Bench<F> = Stand<Native<F>>;

/// What stands on the bench: a plugin, however it is run.
///
/// Its calls go to the [`Host`] of the thread, through the functions in [`played`](super::played).
pub trait Subject {
    /// See [`Feature::describe`].
    fn describe(&self) -> Description;

    /// See [`Feature::handle`].
    ///
    /// # Errors
    /// What the plugin answers.
    fn handle(&self, cx: &Context, request: &Request) -> Result<Response, Error>;

    /// See [`Feature::advance`].
    fn advance(&self, cx: &Context, job: &Job, event: &Event, exclusive: bool) -> Step;
}

/// A feature that is compiled into the test.
#[derive(Debug)]
pub struct Native<F>(PhantomData<F>);

impl<F: Feature> Subject for Native<F> {
    fn describe(&self) -> Description {
        F::describe()
    }

    fn handle(&self, cx: &Context, request: &Request) -> Result<Response, Error> {
        F::handle(cx, request)
    }

    fn advance(&self, cx: &Context, job: &Job, event: &Event, _: bool) -> Step {
        F::advance(cx, job, event)
    }
}

/// A plugin on the bench. See [`Bench`].
#[derive(Debug)]
pub struct Stand<S> {
    /// What the capabilities answer from.
    pub host: Host,
    /// What each call is told. Its permissions and scopes are set by [`Stand::permit`].
    pub context: Context,
    crash: bool,
    subject: S,
}

impl<F: Feature> Default for Bench<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Feature> Bench<F> {
    /// The feature with all its permissions and without settings.
    pub fn new() -> Self {
        Self::of(Native(PhantomData))
    }
}

impl<S: Subject> Stand<S> {
    /// A plugin with all its permissions and without settings.
    pub fn of(subject: S) -> Self {
        let mut bench = Self {
            host: Host::default(),
            context: super::context(),
            crash: false,
            subject,
        };
        let all: Vec<_> = bench
            .describe()
            .permissions
            .into_iter()
            .map(|permission| permission.name)
            .collect();
        bench.permit(&all.iter().map(String::as_str).collect::<Vec<_>>());
        bench
    }

    /// What stands on the bench.
    pub fn subject(&self) -> &S {
        &self.subject
    }

    /// What the feature says of itself.
    pub fn describe(&mut self) -> Description {
        self.call(Call::Free, S::describe)
    }

    /// Grants these permissions, with the scopes they declare, and no others. Scopes that no permission declares are
    /// granted in any case, as the host does.
    pub fn permit(&mut self, permissions: &[&str]) {
        let declared = self.describe().permissions;
        let mut scopes: BTreeSet<String> = super::host::SCOPES
            .iter()
            .map(|scope| (*scope).to_owned())
            .collect();
        scopes.retain(|scope| {
            !declared
                .iter()
                .any(|permission| permission.scopes.contains(scope))
        });
        for name in permissions {
            let Some(permission) = declared.iter().find(|permission| permission.name == *name) else {
                panic!("the plugin has no permission `{name}`");
            };
            scopes.extend(permission.scopes.iter().cloned());
        }
        self.context.permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
        self.context.scopes = scopes.iter().cloned().collect();
        self.host.scopes = Some(scopes);
    }

    /// Sets the settings.
    pub fn settings(&mut self, settings: &Value) {
        self.context.settings = settings.to_string();
    }

    /// Lets every step of a job run twice, as after a crash between the step and its being stored. A step that would start
    /// other work the second time ends the test.
    pub fn crash_every_step(&mut self) {
        self.crash = true;
    }

    /// Turns the clock.
    pub fn pass(&mut self, seconds: i64) {
        self.host.now += seconds;
    }

    /// Opens a page.
    ///
    /// # Errors
    /// What the feature answers.
    pub fn get(&mut self, path: &str) -> Result<Response, Error> {
        self.request(Call::Get, Method::Get, path, &[])
    }

    /// Sends a form.
    ///
    /// # Errors
    /// What the feature answers.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Response, Error> {
        self.request(Call::Post, Method::Post, path, form)
    }

    /// Opens a page or fragment and gives the data of its template.
    pub fn data(&mut self, path: &str) -> Value {
        match self.get(path) {
            Ok(response) => Self::data_of(&response),
            Err(error) => panic!("GET `{path}` answered {error:?}"),
        }
    }

    /// The data of a page's template.
    pub fn data_of(response: &Response) -> Value {
        let (Response::Page(page) | Response::Fragment(page)) = response else {
            panic!("not a page: {response:?}");
        };
        serde_json::from_str(&page.view.data).unwrap_or_else(|error| panic!("the data is no JSON: {error}"))
    }

    fn request(
        &mut self,
        call: Call,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Response, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let request = Request {
            method,
            path: path.into(),
            query: query.map(owned).collect(),
            form: form.iter().copied().map(owned).collect(),
        };
        self.context.now = self.host.now;
        let context = self.context.clone();
        self.call(call, |subject| subject.handle(&context, &request))
    }

    /// All jobs, the newest first.
    pub fn jobs(&self) -> Vec<JobView> {
        self.host.job_views()
    }

    /// The newest job of a kind.
    pub fn job(&self, kind: &str) -> JobView {
        match self.jobs().into_iter().find(|job| job.kind == kind) {
            Some(job) => job,
            None => panic!("there is no job of kind `{kind}`"),
        }
    }

    /// Runs jobs until none is due any more. Tasks end at once, as [`Host::end_next`] says.
    pub fn run(&mut self) {
        for _ in 0..1_000 {
            if self.step().is_none() {
                return;
            }
        }
        panic!("jobs do not come to an end: {:?}", self.jobs());
    }

    /// Runs one step of one job that is due; none when nothing is due.
    pub fn step(&mut self) -> Option<Step> {
        let now = self.host.now;
        let index = self.host.jobs.next(now)?;
        let entry = self.host.jobs.jobs.get_mut(index)?;
        entry.started.get_or_insert(now);
        entry.phase = Phase::Running;
        let exclusive = entry.spec.exclusive;
        let job = entry.job();
        let event = match entry.next.clone() {
            Next::Event(event) => event,
            Next::Task(task) => Event::TaskEnded(self.host.end_task(&task)),
        };
        // A step that runs again gets the event it got before.
        if let Some(entry) = self.host.jobs.jobs.get_mut(index) {
            entry.next = Next::Event(event.clone());
        }
        self.host.jobs.set_current(Some(index));
        let mails = self.host.mails.len();
        let mut step = self.advance(exclusive, &job, &event);
        if self.crash {
            // Mails belong to the step that is stored.
            self.host.mails.truncate(mails);
            self.host.replay = Some(0);
            step = self.advance(exclusive, &job, &event);
            self.host.replay = None;
        }
        self.host.jobs.set_current(None);
        self.take(index, &step);
        Some(step)
    }

    fn advance(&mut self, exclusive: bool, job: &Job, event: &Event) -> Step {
        self.context.now = self.host.now;
        let context = self.context.clone();
        self.call(Call::Step { exclusive }, |subject| {
            subject.advance(&context, job, event, exclusive)
        })
    }

    fn take(&mut self, index: usize, step: &Step) {
        let now = self.host.now;
        let Some(entry) = self.host.jobs.jobs.get_mut(index) else {
            return;
        };
        let retries = entry.attempt;
        entry.step += 1;
        entry.attempt = 0;
        match step {
            Step::AwaitTask(next) => {
                entry.spec.state.clone_from(&next.state);
                entry.next = Next::Task(next.task.clone());
                entry.text.clone_from(&next.progress.text);
                entry.fraction = next.progress.fraction;
            }
            Step::SleepUntil(next) => {
                entry.spec.state.clone_from(&next.state);
                entry.next = Next::Event(Event::Woke);
                entry.due = next.until;
                entry.text.clone_from(&next.progress.text);
            }
            Step::Continue(next) => {
                entry.spec.state.clone_from(&next.state);
                entry.next = Next::Event(Event::Continued);
                entry.text.clone_from(&next.progress.text);
            }
            Step::Failed(failure) if failure.retryable && retries < 3 => {
                entry.step -= 1;
                entry.attempt = retries + 1;
                entry.text.clone_from(&failure.reason);
            }
            Step::Done(text) | Step::Failed(crate::job::Failure { reason: text, .. }) => {
                entry.phase = if matches!(step, Step::Done(_)) {
                    Phase::Done
                } else {
                    Phase::Failed
                };
                entry.ended = Some(now);
                entry.text.clone_from(text);
            }
        }
    }

    fn call<T>(&mut self, call: Call, what: impl FnOnce(&S) -> T) -> T {
        let mut host = std::mem::take(&mut self.host);
        host.call = call;
        let (mut host, result) = super::with(host, || what(&self.subject));
        host.call = Call::Free;
        self.host = host;
        result
    }
}
