//! What every engine must do, run against every engine.
//!
//! A further engine implements [`Engine`] and gets a line at the end of this file. [`basics`] proves the trait
//! itself, [`coordination`] leases and due queues over it, `durability` kills a process that writes.

mod basics;
mod coordination;
mod durability;

use async_trait::async_trait;

use super::{MemoryStore, SharedStore, SledOptions, SledStore};

/// A place where a store of one kind lives.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// Opens the store, with whatever an earlier store of this engine value left in it. The caller has
    /// dropped the earlier one.
    async fn open(&self) -> SharedStore;
}

/// The memory store "reopens" by handing out the same memory.
struct Memory(MemoryStore);

#[async_trait]
impl Engine for Memory {
    async fn open(&self) -> SharedStore {
        std::sync::Arc::new(self.0.clone())
    }
}

/// A directory that lives as long as the engine value.
struct Sled(tempfile::TempDir);

#[async_trait]
impl Engine for Sled {
    async fn open(&self) -> SharedStore {
        std::sync::Arc::new(SledStore::open(&SledOptions::new(self.0.path())).expect("the store opens"))
    }
}

/// Makes one test of each function named, run with a fresh engine.
macro_rules! suite {
    ($engine:ident: $new:expr; $($module:ident { $($test:ident)+ })+) => {
        mod $engine {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$module::$test(&$new).await;
                }
            )+)+
        }
    };
}

macro_rules! conformance {
    ($engine:ident: $new:expr) => {
        suite! { $engine: $new;
            basics {
                what_was_written_is_read_back_with_the_version_apply_returned
                versions_rise_and_never_come_back_after_a_delete
                tables_do_not_see_each_others_keys
                any_bytes_are_a_key_and_any_bytes_up_to_the_limit_a_value
                a_batch_over_a_limit_is_refused_and_changes_nothing
                a_failed_precondition_names_its_key_and_changes_nothing
                preconditions_are_judged_before_the_batch_and_the_last_write_of_a_key_counts
                a_batch_of_preconditions_alone_only_asks
                concurrent_batches_over_the_same_keys_are_never_half_applied
                of_concurrent_swaps_of_one_version_exactly_one_wins
                a_scan_is_ordered_paged_and_complete_in_both_directions
                a_page_is_bounded_in_bytes_and_still_makes_progress
                an_empty_or_crossed_range_is_an_empty_page
                reopening_keeps_everything_and_versions_go_on_rising
            }
            coordination {
                a_lease_has_one_owner_until_its_term_is_over
                a_batch_under_a_lost_lease_changes_nothing
                fences_rise_over_release_steal_and_reopening
                of_many_who_want_a_lease_at_once_one_gets_it
                stale_leases_are_broken_at_start
                what_is_due_is_claimed_in_order_and_nothing_else
                no_id_is_ever_handed_out_twice_at_once
                a_claim_that_is_not_acknowledged_comes_back
                a_late_acknowledgement_changes_nothing
                scheduling_moves_and_cancelling_removes
                a_claim_can_be_extended_given_back_and_put_off
                a_queue_entry_and_the_rest_of_its_batch_stand_or_fall_together
                the_cost_of_a_claim_does_not_depend_on_what_is_not_due
                stale_claims_are_ended_at_start
            }
        }
    };
}

conformance!(memory: super::Memory(crate::store::MemoryStore::new()));
conformance!(sled: super::Sled(tempfile::tempdir().expect("a temporary directory")));
