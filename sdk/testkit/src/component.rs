//! A built plugin in the real runtime, as what stands on the SDK's bench.

use std::sync::Arc;

use portico_runtime::bindings::guest as host;
use portico_runtime::{Approval, Call, JobStep, Plugin, PluginError, Runtime, RuntimeConfig, Scope};
use portico_sdk::testing::Subject;
use portico_sdk::{Context, Description, Error, Event, Job, Request, Response, Step};

use crate::cross::Cross as _;
use crate::{LoadError, ports};

/// A component, installed with all the checks that a panel makes.
pub struct Component {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    /// One thread: the ports find the played host on it.
    thread: tokio::runtime::Runtime,
}

impl Component {
    pub(crate) fn install(bytes: Vec<u8>, config: RuntimeConfig) -> Result<Self, LoadError> {
        let thread = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LoadError::Thread)?;
        let runtime = Runtime::new(config)?;
        let plugin = thread.block_on(runtime.install(bytes, &Approval::everything()))?;
        Ok(Self {
            runtime,
            plugin,
            thread,
        })
    }

    /// The plugin, with its imports, schemas and templates.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    fn call(context: &Context) -> Call {
        Call {
            context: context.clone().cross(),
            scopes: context
                .scopes
                .iter()
                .filter_map(|scope| scope.parse::<Scope>().ok())
                .collect(),
            ports: ports::played(),
            customer: "customer".into(),
        }
    }
}

/// What a customer's page would make of it; what is the plugin's fault and no answer ends the test.
fn answered<T>(result: Result<T, PluginError>) -> Result<T, Error> {
    match result {
        Ok(answer) => Ok(answer),
        Err(PluginError::Denied(text)) => Err(Error::Denied(text)),
        Err(PluginError::Guest(error)) => Err(error.cross()),
        Err(failure) => broken(&failure),
    }
}

/// Ends the test with what the plugin logged: the message of a panic is there.
#[expect(
    clippy::panic,
    reason = "a test helper: a plugin that traps or breaks the contract fails the test"
)]
fn broken(failure: &PluginError) -> ! {
    let mut text = format!("the plugin failed: {failure}");
    for line in portico_sdk::testing::played::log::lines() {
        text.push_str("\nlog: ");
        text.push_str(&line.message);
    }
    if let PluginError::Trap { backtrace, .. } = failure {
        text.push('\n');
        text.push_str(backtrace);
    }
    panic!("{text}")
}

impl Subject for Component {
    fn describe(&self) -> Description {
        self.plugin.description().clone().cross()
    }

    fn handle(&self, cx: &Context, request: &Request) -> Result<Response, Error> {
        let answer = self
            .runtime
            .handle(&self.plugin, Self::call(cx), request.clone().cross());
        answered(self.thread.block_on(answer)).map(host::Response::cross)
    }

    fn advance(&self, cx: &Context, job: &Job, event: &Event, exclusive: bool) -> Step {
        let step = JobStep {
            job: job.clone().cross(),
            event: event.clone().cross(),
            exclusive,
        };
        match self
            .thread
            .block_on(self.runtime.advance(&self.plugin, Self::call(cx), step))
        {
            Ok(step) => step.cross(),
            Err(failure) => broken(&failure),
        }
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}
