//! The one place where wasmtime is configured, and the clock of epochs.

use std::num::NonZeroUsize;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::Limits;

/// Stack of a guest, bytes.
const WASM_STACK: usize = 512 << 10;
/// Stack of a guest and of the host functions that it calls, bytes. Ports run on it: they need no less than the 2 MiB of a
/// thread of the executor. Only what is touched is real memory.
const FIBER_STACK: usize = 4 << 20;
/// Frames of a backtrace that are kept.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(19);

/// The configuration that every engine of this product has. Compiled code is only exchanged between engines that were
/// made here: a second way to configure one would make the compile cache useless at best.
pub(crate) fn config(limits: &Limits, fast_reset: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .async_stack_zeroing(true)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // Proposals that no toolchain for plugins needs: less code to trust. RUSTSEC-2026-0096 needed memory64.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, fast_reset)));
    config
}

/// A pool in which every permitted call finds a slot even if each is of the largest component that is permitted.
fn pool(limits: &Limits, fast_reset: bool) -> PoolingAllocationConfig {
    let calls = limits.pool_size;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(limits.core_instances))
        .total_memories(calls.saturating_mul(limits.memories))
        .total_tables(calls.saturating_mul(limits.tables))
        .total_stacks(calls)
        .max_core_instances_per_component(limits.core_instances)
        .max_memories_per_component(limits.memories)
        .max_tables_per_component(limits.tables)
        .max_tables_per_module(limits.tables)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements);
    if fast_reset {
        pool.linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
    }
    pool
}

/// Whether the machine has no swap, by the text of `/proc/swaps`.
///
/// With `pagemap_scan` a page of a guest's memory that was swapped out is neither cleared nor given back, and the next
/// guest in the slot could read it (wasmtime pull request 14357). Without swap that cannot happen. Where the list cannot
/// be read there might be some.
pub(crate) fn has_no_swap(swaps: Option<&str>) -> bool {
    swaps.is_some_and(|text| {
        text.starts_with("Filename") && text.lines().skip(1).all(|line| line.trim().is_empty())
    })
}

/// Advances the engine's epoch every `tick` on a thread of its own until the engine is gone.
///
/// A thread, not a task: the executor's threads may all be inside guests.
pub(crate) fn start_ticker(engine: &Engine, tick: Duration) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("plugin-epochs".to_owned())
        .stack_size(64 << 10)
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(tick);
            }
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_seen_and_doubt_counts_as_swap() {
        let header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(has_no_swap(Some(header)));
        assert!(!has_no_swap(Some(&format!(
            "{header}/dev/zram0 partition 8388604 0 100\n"
        ))));
        assert!(!has_no_swap(Some("")));
        assert!(!has_no_swap(None));
    }
}
