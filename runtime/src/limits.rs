//! The bounds of every call, of the pool and of a component.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Time that one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeLimits {
    /// Processor time of the guest and of the host functions it waits for, milliseconds, to the precision of `tick_ms`.
    pub cpu_ms: u32,
    /// Time from the entry of the guest to its answer, milliseconds. Time in the queue does not count.
    pub wall_ms: u32,
    /// Time for one call of a host function, milliseconds.
    pub hostcall_ms: u32,
}

impl TimeLimits {
    pub(crate) fn cpu(self) -> Duration {
        Duration::from_millis(self.cpu_ms.into())
    }

    pub(crate) fn wall(self) -> Duration {
        Duration::from_millis(self.wall_ms.into())
    }

    pub(crate) fn hostcall(self) -> Duration {
        Duration::from_millis(self.hostcall_ms.into())
    }
}

const PAGE: TimeLimits = TimeLimits {
    cpu_ms: 250,
    wall_ms: 10_000,
    hostcall_ms: 5_000,
};
const JOB: TimeLimits = TimeLimits {
    cpu_ms: 1_000,
    wall_ms: 60_000,
    hostcall_ms: 30_000,
};
const INSTALL: TimeLimits = TimeLimits {
    cpu_ms: 2_000,
    wall_ms: 5_000,
    hostcall_ms: 1_000,
};

/// Times of which some are left out. What is left out differs between page, job and install, so that a default of
/// [`TimeLimits`] itself would be wrong for two of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SomeTimes {
    cpu_ms: Option<u32>,
    wall_ms: Option<u32>,
    hostcall_ms: Option<u32>,
}

impl SomeTimes {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, default: TimeLimits) -> Result<TimeLimits, D::Error> {
        let some = Self::deserialize(deserializer)?;
        Ok(TimeLimits {
            cpu_ms: some.cpu_ms.unwrap_or(default.cpu_ms),
            wall_ms: some.wall_ms.unwrap_or(default.wall_ms),
            hostcall_ms: some.hostcall_ms.unwrap_or(default.hostcall_ms),
        })
    }
}

fn page_times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeLimits, D::Error> {
    SomeTimes::read(deserializer, PAGE)
}

fn job_times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeLimits, D::Error> {
    SomeTimes::read(deserializer, JOB)
}

fn install_times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeLimits, D::Error> {
    SomeTimes::read(deserializer, INSTALL)
}

/// The bounds of the runtime. The defaults suit Rust plugins; components with an interpreter in them need more memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Time for a page or an action. Default 250 ms CPU, 10 s in all, 5 s for a host call.
    #[serde(deserialize_with = "page_times")]
    pub page: TimeLimits,
    /// Time for a step of a job. Default 1 s CPU, 60 s in all, 30 s for a host call.
    #[serde(deserialize_with = "job_times")]
    pub job: TimeLimits,
    /// Time for `describe` and for `templates` at install. Default 2 s CPU, 5 s in all.
    #[serde(deserialize_with = "install_times")]
    pub install: TimeLimits,
    /// Interval at which CPU time is checked and a busy guest lets others run, milliseconds, 1…100. Default 5.
    pub tick_ms: u32,
    /// Linear memory of a call, bytes, all memories together. Default 32 MiB.
    pub memory_bytes: usize,
    /// Memories of a component, 1…8. Default 2.
    pub memories: u32,
    /// Tables of a component, 1…32. Default 8.
    pub tables: u32,
    /// Elements of all tables of a call together. Default 20,000.
    pub table_elements: usize,
    /// Core instances of a component, 1…64. Default 16.
    pub core_instances: u32,
    /// Handles that a guest may hold (WASI only). Default 256.
    pub handles: usize,
    /// Resources that the host keeps for a guest (WASI only). Default 64.
    pub resources: usize,
    /// Bytes that a guest hands to the host in one call of a host function or in one answer. Default 1 MiB.
    pub hostcall_fuel: usize,
    /// Bytes of a view's data or a JSON answer. Default 256 KiB.
    pub response_bytes: usize,
    /// Bytes of the context that the host hands in. Default 128 KiB.
    pub context_bytes: usize,
    /// Bytes of a job's state. Default 64 KiB.
    pub state_bytes: usize,
    /// Calls of host functions in one call, `log` not counted. Default 200.
    pub host_calls: u32,
    /// Mails of one call. Default 5.
    pub mails: u32,
    /// Bytes of a line of the log. Default 2 KiB.
    pub log_line_bytes: usize,
    /// Bytes of the log of one call. Default 16 KiB.
    pub log_bytes: usize,
    /// Bytes of a component. Default 16 MiB.
    pub component_bytes: usize,
    /// Calls at a time, all plugins together: the number of instances in the pool. Default 64.
    pub pool_size: u32,
    /// Calls of one plugin at a time. Default 32.
    pub plugin_concurrency: u32,
    /// Calls of one customer at a time. Default 8.
    pub customer_concurrency: u32,
    /// How long a call waits for its turn before it is refused, milliseconds. Default 2,000.
    pub queue_ms: u32,
    /// When a failing plugin is left alone.
    pub breaker: BreakerLimits,
}

/// When a plugin that keeps failing is left alone. Only failures that are its own fault count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerLimits {
    /// Failures within the window that open the breaker, at least 1. Default 10.
    pub failures: u32,
    /// The window, milliseconds. Default 60,000.
    pub window_ms: u32,
    /// How long the plugin is left alone before one call tries it again, milliseconds. Default 30,000.
    pub pause_ms: u32,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures: 10,
            window_ms: 60_000,
            pause_ms: 30_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page: PAGE,
            job: JOB,
            install: INSTALL,
            tick_ms: 5,
            memory_bytes: 32 << 20,
            memories: 2,
            tables: 8,
            table_elements: 20_000,
            core_instances: 16,
            handles: 256,
            resources: 64,
            hostcall_fuel: 1 << 20,
            response_bytes: 256 << 10,
            context_bytes: 128 << 10,
            state_bytes: 64 << 10,
            host_calls: 200,
            mails: 5,
            log_line_bytes: 2 << 10,
            log_bytes: 16 << 10,
            component_bytes: 16 << 20,
            pool_size: 64,
            plugin_concurrency: 32,
            customer_concurrency: 8,
            queue_ms: 2_000,
            breaker: BreakerLimits::default(),
        }
    }
}

/// A limit that cannot be, with what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}; it must be {allowed}")]
pub struct LimitsError {
    /// The key, dotted: `page.cpu_ms`.
    pub key: String,
    /// What it is.
    pub value: u64,
    /// What it may be.
    pub allowed: String,
}

impl Limits {
    /// Checks every limit.
    ///
    /// # Errors
    /// The first one that cannot be.
    pub fn validate(&self) -> Result<(), LimitsError> {
        for (name, time) in [("page", self.page), ("job", self.job), ("install", self.install)] {
            range(&format!("{name}.cpu_ms"), time.cpu_ms, 1, 600_000)?;
            range(&format!("{name}.wall_ms"), time.wall_ms, 1, 3_600_000)?;
            range(&format!("{name}.hostcall_ms"), time.hostcall_ms, 1, 3_600_000)?;
        }
        range("tick_ms", self.tick_ms, 1, 100)?;
        range("memory_bytes", self.memory_bytes, 64 << 10, 1 << 30)?;
        range("memories", self.memories, 1, 8)?;
        range("tables", self.tables, 1, 32)?;
        range("table_elements", self.table_elements, 100, 1_000_000)?;
        range("core_instances", self.core_instances, 1, 64)?;
        range("handles", self.handles, 16, 100_000)?;
        range("resources", self.resources, 16, 100_000)?;
        range("hostcall_fuel", self.hostcall_fuel, 64 << 10, 128 << 20)?;
        range("response_bytes", self.response_bytes, 1 << 10, self.hostcall_fuel)?;
        range("context_bytes", self.context_bytes, 1 << 10, 16 << 20)?;
        range("state_bytes", self.state_bytes, 1 << 10, self.hostcall_fuel)?;
        range("host_calls", self.host_calls, 1, 100_000)?;
        range("mails", self.mails, 0, 1_000)?;
        range("log_line_bytes", self.log_line_bytes, 64, 64 << 10)?;
        range("log_bytes", self.log_bytes, self.log_line_bytes as u64, 16 << 20)?;
        range("component_bytes", self.component_bytes, 1 << 10, 256 << 20)?;
        range("pool_size", self.pool_size, 1, 1_000)?;
        range("plugin_concurrency", self.plugin_concurrency, 1, self.pool_size)?;
        range(
            "customer_concurrency",
            self.customer_concurrency,
            1,
            self.pool_size,
        )?;
        range("queue_ms", self.queue_ms, 0, 600_000)?;
        range("breaker.failures", self.breaker.failures, 1, 10_000)?;
        range("breaker.window_ms", self.breaker.window_ms, 1, 86_400_000)?;
        range("breaker.pause_ms", self.breaker.pause_ms, 1, 86_400_000)
    }

    pub(crate) fn queue(&self) -> Duration {
        Duration::from_millis(self.queue_ms.into())
    }
}

fn range<T: TryInto<u64>>(key: &str, value: T, low: u64, high: impl TryInto<u64>) -> Result<(), LimitsError> {
    let value = value.try_into().unwrap_or(u64::MAX);
    let high = high.try_into().unwrap_or(u64::MAX);
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(LimitsError {
            key: key.to_owned(),
            value,
            allowed: format!("{low} to {high}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Limits::default().validate(), Ok(()));
    }

    #[test]
    fn a_limit_that_cannot_be_is_named_with_what_is_allowed() {
        let limits = Limits {
            plugin_concurrency: 65,
            ..Limits::default()
        };
        let error = limits.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`plugin_concurrency` is 65; it must be 1 to 64"
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Limits>(r#"{"memory": 1}"#).is_err());
        let limits: Limits = serde_json::from_str(r#"{"pool_size": 3}"#).unwrap();
        assert_eq!(limits.pool_size, 3);
    }

    #[test]
    fn a_time_that_is_left_out_keeps_the_default_of_its_kind() {
        let limits: Limits = serde_json::from_str(r#"{"job": {"wall_ms": 7}, "page": {}}"#).unwrap();
        assert_eq!(limits.page, Limits::default().page);
        assert_eq!(limits.job.wall_ms, 7);
        assert_eq!(limits.job.cpu_ms, Limits::default().job.cpu_ms);
        assert!(serde_json::from_str::<Limits>(r#"{"job": {"wall": 7}}"#).is_err());
    }
}
