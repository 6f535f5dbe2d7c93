//! What a store holds: everything one call may touch, and nothing of any other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::capability::{Phase, Ports};
use crate::error::{Fault, LimitKind};
use crate::limits::{Limits, TimeLimits};
use crate::scope::ScopeSet;
use crate::tally::Tally;
use crate::wasi::EmptyWasi;

/// The data of a store.
pub(crate) struct CallState {
    pub(crate) ports: Ports,
    pub(crate) scopes: ScopeSet,
    pub(crate) phase: Phase,
    pub(crate) limits: Arc<Limits>,
    pub(crate) hostcall_time: Duration,
    pub(crate) tally: Arc<Tally>,
    /// Calls refused so far.
    pub(crate) refused: u32,
    /// The next call number.
    pub(crate) numbered: u32,
    /// Mails queued so far.
    pub(crate) mails: u32,
    pub(crate) memory: MemoryMeter,
    pub(crate) wasi: Option<Box<EmptyWasi>>,
    cpu: Duration,
    templates: Option<Arc<BTreeSet<String>>>,
}

impl CallState {
    pub(crate) fn new(
        ports: Ports,
        scopes: ScopeSet,
        phase: Phase,
        limits: &Arc<Limits>,
        templates: Option<Arc<BTreeSet<String>>>,
    ) -> Self {
        let time = Self::time(limits, phase);
        let tally = Arc::new(Tally::default());
        Self {
            ports,
            scopes,
            phase,
            limits: Arc::clone(limits),
            hostcall_time: time.hostcall(),
            memory: MemoryMeter {
                tally: Arc::clone(&tally),
                most_bytes: limits.memory_bytes,
                most_elements: limits.table_elements,
                bytes: 0,
                elements: 0,
                last_bytes: 0,
                last_elements: 0,
                memories: limits.memories as usize,
                tables: limits.tables as usize,
                instances: limits.core_instances as usize,
            },
            tally,
            refused: 0,
            numbered: 0,
            mails: 0,
            wasi: None,
            cpu: time.cpu(),
            templates,
        }
    }

    pub(crate) fn time(limits: &Limits, phase: Phase) -> TimeLimits {
        match phase {
            Phase::Describe => limits.install,
            Phase::Get | Phase::Post => limits.page,
            Phase::Job { .. } => limits.job,
        }
    }

    pub(crate) fn has_template(&self, name: &str) -> bool {
        self.templates
            .as_ref()
            .is_some_and(|templates| templates.contains(name))
    }

    /// The table of WASI resources. A guest without WASI never gets here.
    pub(crate) fn wasi(&mut self) -> (&mut wasmtime_wasi::WasiCtx, &mut ResourceTable) {
        let most = self.limits.resources;
        let wasi = self.wasi.get_or_insert_with(|| Box::new(EmptyWasi::new(most)));
        (&mut wasi.context, &mut wasi.table)
    }

    /// Called at each tick while the guest runs: ends it when its CPU time is over, else lets other tasks run.
    pub(crate) fn on_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.tally.cpu() >= self.cpu {
            return Err(Fault::Limit(LimitKind::Cpu).into());
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

/// Adds up memories and tables of a call and ends the guest, with a type, when they are over the limit.
///
/// A plain refusal (`Ok(false)`) would reach a Rust guest as a failed allocation, and the provider as
/// `unreachable` without a cause.
pub(crate) struct MemoryMeter {
    tally: Arc<Tally>,
    most_bytes: usize,
    most_elements: usize,
    bytes: usize,
    elements: usize,
    last_bytes: usize,
    last_elements: usize,
    memories: usize,
    tables: usize,
    instances: usize,
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let bytes = self.bytes.saturating_add(growth);
        if bytes > self.most_bytes {
            return Err(Fault::Limit(LimitKind::Memory).into());
        }
        self.bytes = bytes;
        self.last_bytes = growth;
        self.tally.saw_memory(bytes);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut self.last_bytes));
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let elements = self.elements.saturating_add(growth);
        if elements > self.most_elements {
            return Err(Fault::Limit(LimitKind::Tables).into());
        }
        self.elements = elements;
        self.last_elements = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.elements = self
            .elements
            .saturating_sub(std::mem::take(&mut self.last_elements));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
