//! The runtime: one engine, and the way a call takes through breaker, queues, limits and the guest.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use wasmtime::{Engine, Store};

use crate::answer;
use crate::bindings::context_types::Context;
use crate::bindings::guest::{Event, Job, Method, Request, Response, Step};
use crate::bindings::{Feature, FeaturePre};
use crate::cache::{Cache, CacheConfig, CacheError};
use crate::capability::{Phase, Ports};
use crate::engine;
use crate::error::{Blame, Fault, PluginError};
use crate::limits::{Limits, LimitsError};
use crate::observe::{NoObserver, Observer, Reporting};
use crate::plugin::Plugin;
use crate::pool::Pool;
use crate::scope::ScopeSet;
use crate::state::CallState;
use crate::template::TemplateLimits;

/// How a runtime is set up.
pub struct RuntimeConfig {
    /// The bounds of calls, pool and components.
    pub limits: Limits,
    /// The bounds of templates.
    pub template_limits: TemplateLimits,
    /// Whether slots of the pool may be reset the fast way. Taken only on a machine without swap: see
    /// [`Runtime::fast_reset`].
    pub fast_reset: bool,
    /// Where compiled components are kept; none to compile at every start.
    pub cache: Option<CacheConfig>,
    /// The names of the icons that descriptions may use.
    pub icons: BTreeSet<String>,
    /// Is told of every call.
    pub observer: Arc<dyn Observer>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            template_limits: TemplateLimits::default(),
            fast_reset: false,
            cache: None,
            icons: BTreeSet::new(),
            observer: Arc::new(NoObserver),
        }
    }
}

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A limit cannot be.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The engine refused its configuration: mostly address space, which `pool_size` and `memories` reduce.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The thread that advances epochs did not start.
    #[error("the thread that measures plugins does not start")]
    Ticker(#[source] std::io::Error),
}

/// One call of a plugin, without what is asked.
pub struct Call {
    /// What the plugin is told. `scopes` is filled in from the field below.
    pub context: Context,
    /// The scopes that the product grants the plugin.
    pub scopes: ScopeSet,
    /// The ports, bound to the service and, in a job, to the step.
    pub ports: Ports,
    /// Whose share of the calls at a time it counts to: the customer's id.
    pub customer: String,
}

/// A step of a job.
pub struct JobStep {
    /// The job.
    pub job: Job,
    /// Why it is moved.
    pub event: Event,
    /// Whether the job holds the VM: only then may the step start work on it.
    pub exclusive: bool,
}

/// The future of a guest's export. Boxed, so that one function can enter every export.
pub(crate) type Entry<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// Loads plugins and calls them. Cheap to clone; all clones are one runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    limits: Arc<Limits>,
    template_limits: TemplateLimits,
    pool: Pool,
    cache: Option<Cache>,
    icons: BTreeSet<String>,
    observer: Arc<dyn Observer>,
    fast_reset: bool,
}

impl Runtime {
    /// Starts a runtime and the thread that advances its epochs; the thread ends with the last clone.
    ///
    /// # Errors
    /// When limits, cache directory or engine do not allow it.
    pub fn new(config: RuntimeConfig) -> Result<Self, StartError> {
        config.limits.validate()?;
        let swaps = std::fs::read_to_string("/proc/swaps").ok();
        let fast_reset = config.fast_reset && engine::has_no_swap(swaps.as_deref());
        if config.fast_reset && !fast_reset {
            tracing::warn!("fast reset of plugin memory is off: the machine has swap");
        }
        let engine = Engine::new(&engine::config(&config.limits, fast_reset))
            .map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let cache = config
            .cache
            .map(|cache| Cache::open(cache, &engine))
            .transpose()?;
        let tick = Duration::from_millis(config.limits.tick_ms.into());
        engine::start_ticker(&engine, tick).map_err(StartError::Ticker)?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool: Pool::new(&config.limits),
                engine,
                limits: Arc::new(config.limits),
                template_limits: config.template_limits,
                cache,
                icons: config.icons,
                observer: config.observer,
                fast_reset,
            }),
        })
    }

    /// Whether slots are reset the fast way: asked for, and the machine has no swap.
    pub fn fast_reset(&self) -> bool {
        self.inner.fast_reset
    }

    /// Slots of the pool that are free now, for metrics.
    pub fn free_slots(&self) -> usize {
        self.inner.pool.free_slots()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.inner.limits
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.inner.cache.as_ref()
    }

    pub(crate) fn icons(&self) -> &BTreeSet<String> {
        &self.inner.icons
    }

    pub(crate) fn template_limits(&self) -> &TemplateLimits {
        &self.inner.template_limits
    }

    /// Asks a plugin to answer a browser's request. May be dropped at any point.
    ///
    /// # Errors
    /// See [`PluginError`]; nothing of the plugin's work in memory stays.
    pub async fn handle(
        &self,
        plugin: &Plugin,
        call: Call,
        request: Request,
    ) -> Result<Response, PluginError> {
        answer::check_request(&request)?;
        let phase = match request.method {
            Method::Get => Phase::Get,
            Method::Post => Phase::Post,
        };
        self.call(
            plugin,
            "handle",
            phase,
            call,
            move |feature, store, context| {
                Box::pin(async move {
                    feature
                        .portico_plugin_guest()
                        .call_handle(store, &context, &request)
                        .await
                })
            },
            |answer| {
                let response = answer.map_err(answer::guest_error)?;
                answer::check_response(response, &plugin.template_names, &self.inner.limits)
            },
        )
        .await
    }

    /// Asks a plugin to move a job by one step. May be dropped at any point; the step is then run again.
    ///
    /// # Errors
    /// See [`PluginError`].
    pub async fn advance(&self, plugin: &Plugin, call: Call, step: JobStep) -> Result<Step, PluginError> {
        let JobStep {
            job,
            event,
            exclusive,
        } = step;
        answer::check_job(&job, &self.inner.limits)?;
        self.call(
            plugin,
            "advance",
            Phase::Job { exclusive },
            call,
            move |feature, store, context| {
                Box::pin(async move {
                    feature
                        .portico_plugin_guest()
                        .call_advance(store, &context, &job, &event)
                        .await
                })
            },
            |step| answer::check_step(step, &self.inner.limits),
        )
        .await
    }

    /// The way of every call of an installed plugin: breaker, context, queues, guest, check of the answer.
    async fn call<T: Send, U>(
        &self,
        plugin: &Plugin,
        export: &'static str,
        phase: Phase,
        call: Call,
        guest: impl for<'a> FnOnce(&'a Feature, &'a mut Store<CallState>, Context) -> Entry<'a, T> + Send,
        check: impl FnOnce(T) -> Result<U, PluginError> + Send,
    ) -> Result<U, PluginError> {
        let version = &plugin.description.version;
        let mut reporting = Reporting::new(&*self.inner.observer, plugin.id(), version, export);
        let mut context = call.context;
        context.scopes = call
            .scopes
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        let result = async {
            let pass = plugin
                .breaker
                .admit(Instant::now().into_std())
                .map_err(|retry_after| PluginError::Suspended { retry_after })?;
            answer::check_context(&context, &self.inner.limits)?;
            let _permit = self.inner.pool.enter(&plugin.slots, Some(&call.customer)).await?;
            let templates = Some(Arc::clone(&plugin.template_names));
            let state = CallState::new(call.ports, call.scopes, phase, &self.inner.limits, templates);
            reporting.entered(&state.tally);
            let answer = self
                .enter(&plugin.pre, state, |feature, store| {
                    guest(feature, store, context)
                })
                .await;
            let result = answer.and_then(check);
            match &result {
                Err(error) if error.blame() == Blame::Plugin => pass.failed(Instant::now().into_std()),
                Err(error) if error.blame() == Blame::Host => drop(pass),
                Ok(_) | Err(_) => pass.succeeded(),
            }
            result
        }
        .await;
        reporting.ended(&result);
        result
    }

    /// A call at install, of a component that is not a plugin yet.
    pub(crate) async fn enter_unlisted<T: Send>(
        &self,
        pre: &FeaturePre<CallState>,
        state: CallState,
        export: &'static str,
        guest: impl for<'a> FnOnce(&'a Feature, &'a mut Store<CallState>) -> Entry<'a, T> + Send,
    ) -> Result<T, PluginError> {
        let mut reporting = Reporting::new(&*self.inner.observer, "(new)", "", export);
        let alone = Arc::new(Semaphore::new(1));
        let _permit = self.inner.pool.enter(&alone, None).await?;
        reporting.entered(&state.tally);
        let result = self.enter(pre, state, guest).await;
        reporting.ended(&result);
        result
    }

    /// Makes a store and an instance, calls the guest under every limit, and drops both.
    async fn enter<T: Send>(
        &self,
        pre: &FeaturePre<CallState>,
        state: CallState,
        guest: impl for<'a> FnOnce(&'a Feature, &'a mut Store<CallState>) -> Entry<'a, T> + Send,
    ) -> Result<T, PluginError> {
        let limits = &self.inner.limits;
        let wall = CallState::time(limits, state.phase).wall();
        let tally = Arc::clone(&state.tally);
        let mut store = Store::new(&self.inner.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.hostcall_fuel);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| store.data().on_tick());
        let result = {
            let run = async {
                let instance = pre.instantiate_async(&mut store).await;
                let feature = instance.map_err(|error| PluginError::from_instantiation(&error))?;
                guest(&feature, &mut store)
                    .await
                    .map_err(|error| PluginError::from_wasmtime(&error))
            };
            // A panic in a host function is caught where it is called; this is for one in wasmtime or in the glue.
            let mut run = std::pin::pin!(AssertUnwindSafe(tally.metered(run)).catch_unwind());
            tokio::select! {
                biased;
                result = &mut run => match result {
                    Ok(result) => result,
                    Err(panic) => Err(Fault::panicked("the engine", &*panic).into()),
                },
                () = sleep(wall) => {
                    Err(PluginError::Timeout { after: wall, waiting_on: tally.waiting_on() })
                }
            }
        };
        store.data_mut().finish_log();
        result
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}
