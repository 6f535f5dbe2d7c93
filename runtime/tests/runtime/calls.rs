//! Calls that go well, and what is left after calls that do not: nothing.

use std::time::Duration;

use portico_runtime::bindings::guest::{Method, Response, Step};
use portico_runtime::{Approval, Limits, PluginError, Ports, Registry, Runtime, RuntimeConfig, Scope};

use super::guest::{Guest, VM_STATUS};
use super::ports::{Hanging, with_vm};
use super::{call, get, install, limits, request, runtime, runtime_with, step};

#[tokio::test]
async fn a_page_comes_back_as_the_guest_made_it() {
    let runtime = runtime();
    let plugin = install(&runtime, &Guest::default()).await;
    let Ok(Response::Page(page)) = get(&runtime, &plugin).await else {
        panic!("no page")
    };
    assert_eq!(page.view.template, "page.html");
    assert_eq!(page.view.data, r#"{"text":"hello"}"#);
    assert_eq!((page.status, page.title), (200, None));
}

#[tokio::test]
async fn a_step_of_a_job_comes_back_as_the_guest_made_it() {
    let runtime = runtime();
    let plugin = install(&runtime, &Guest::default()).await;
    let answer = runtime
        .advance(&plugin, call(&[], Ports::denied()), step(false))
        .await;
    assert!(matches!(answer, Ok(Step::Done(text)) if text == "done"));
}

#[tokio::test]
async fn every_call_finds_memory_as_it_was_at_install() {
    let runtime = runtime();
    // Traps when an earlier call left its mark.
    let guest = Guest::handling(
        "(if (i32.load (i32.const 2048)) (then unreachable))
         (i32.store (i32.const 2048) (i32.const 1)) (global.get $page)",
    );
    let plugin = install(&runtime, &guest).await;
    for _ in 0..50 {
        assert!(get(&runtime, &plugin).await.is_ok());
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_its_slot_to_the_next() {
    let runtime = runtime_with(Limits {
        pool_size: 1,
        plugin_concurrency: 1,
        customer_concurrency: 1,
        ..limits()
    });
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    for _ in 0..20 {
        let waiting = runtime.handle(
            &plugin,
            call(&[Scope::VmRead], with_vm(Hanging)),
            request(Method::Get),
        );
        assert!(
            tokio::time::timeout(Duration::from_millis(2), waiting)
                .await
                .is_err()
        );
    }
    assert_eq!(runtime.free_slots(), 1);
    assert!(matches!(
        get(&runtime, &plugin).await,
        Err(PluginError::Denied(_))
    ));
}

#[tokio::test]
async fn a_swap_gives_new_calls_the_new_plugin_and_leaves_old_ones_alone() {
    let runtime = runtime();
    let registry = Registry::new();
    let old = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    assert!(registry.swap(&old).is_none());

    let during = registry.get("sample").expect("installed");
    let waiting = {
        let (runtime, scopes) = (runtime.clone(), [Scope::VmRead]);
        tokio::spawn(async move {
            runtime
                .handle(
                    &during,
                    call(&scopes, with_vm(super::ports::Slow)),
                    request(Method::Get),
                )
                .await
        })
    };
    let new = install(
        &runtime,
        &Guest {
            page_data: r#"{"text":"new"}"#.into(),
            ..Guest::default()
        },
    )
    .await;
    assert_eq!(registry.swap(&new).expect("the old one").digest(), old.digest());
    let now = registry.get("sample").expect("installed");
    let Ok(Response::Page(page)) = get(&runtime, &now).await else {
        panic!("no page")
    };
    assert_eq!(page.view.data, r#"{"text":"new"}"#);
    assert!(waiting.await.expect("no panic").is_ok());

    assert!(registry.remove("sample").is_some());
    assert!(registry.get("sample").is_none());
}

#[tokio::test]
async fn a_failed_upgrade_keeps_the_old_plugin() {
    let runtime = runtime();
    let registry = Registry::new();
    registry.swap(&install(&runtime, &Guest::default()).await);
    let broken = Guest {
        describe: "unreachable".into(),
        ..Guest::default()
    };
    assert!(
        runtime
            .install(broken.build(), &Approval::everything())
            .await
            .is_err()
    );
    let plugin = registry.get("sample").expect("still there");
    assert!(get(&runtime, &plugin).await.is_ok());
}

#[tokio::test]
async fn a_flood_on_one_slot_is_refused_after_the_wait_and_not_by_the_allocator() {
    let limits = Limits {
        pool_size: 1,
        plugin_concurrency: 1,
        customer_concurrency: 1,
        queue_ms: 50,
        ..limits()
    };
    let runtime = runtime_with(limits);
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    let holder = {
        let (runtime, plugin) = (runtime.clone(), plugin.clone());
        tokio::spawn(async move {
            runtime
                .handle(
                    &plugin,
                    call(&[Scope::VmRead], with_vm(Hanging)),
                    request(Method::Get),
                )
                .await
        })
    };
    while runtime.free_slots() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = get(&runtime, &plugin).await.expect_err("no room");
    assert!(matches!(refused, PluginError::Overloaded { .. }), "{refused:?}");
    assert!(refused.retry_after().is_some() && refused.is_transient());
    holder.abort();
    let _ = holder.await;
    assert!(matches!(
        get(&runtime, &plugin).await,
        Err(PluginError::Denied(_))
    ));
}

#[tokio::test]
async fn a_plugin_that_keeps_trapping_is_suspended_and_the_others_are_not() {
    let mut limits = limits();
    limits.breaker.failures = 3;
    let runtime = runtime_with(limits);
    let bad = install(&runtime, &Guest::handling("unreachable")).await;
    let good = install(
        &runtime,
        &Guest {
            id: "good".into(),
            ..Guest::default()
        },
    )
    .await;
    for _ in 0..3 {
        assert!(matches!(get(&runtime, &bad).await, Err(PluginError::Trap { .. })));
    }
    assert!(matches!(
        get(&runtime, &bad).await,
        Err(PluginError::Suspended { .. })
    ));
    assert!(get(&runtime, &good).await.is_ok());
    bad.reset_breaker();
    assert!(matches!(get(&runtime, &bad).await, Err(PluginError::Trap { .. })));
}

#[tokio::test]
async fn errors_that_a_guest_answers_with_do_not_suspend_it() {
    let mut limits = limits();
    limits.breaker.failures = 1;
    let runtime = runtime_with(limits);
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    for _ in 0..5 {
        assert!(matches!(
            get(&runtime, &plugin).await,
            Err(PluginError::Denied(_))
        ));
    }
}

#[tokio::test]
async fn no_byte_of_one_guest_is_seen_by_the_next_in_its_slot() {
    for fast_reset in [false, true] {
        look_for_what_the_last_guest_left(fast_reset).await;
    }
}

/// Fast reset stays off on a machine with swap; then both rounds are the same.
async fn look_for_what_the_last_guest_left(fast_reset: bool) {
    let limits = Limits {
        pool_size: 1,
        plugin_concurrency: 1,
        customer_concurrency: 1,
        ..limits()
    };
    let config = RuntimeConfig {
        limits,
        fast_reset,
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::new(config).expect("the runtime starts");
    // Fills a fresh 2 MiB with a mark, and traps half the time.
    let writer = Guest {
        handle: "(drop (memory.grow (i32.const 32)))
                 (memory.fill (i32.const 262144) (i32.const 0x5a) (i32.const 2097152))
                 (global.get $page)"
            .into(),
        advance: "(drop (memory.grow (i32.const 32)))
                  (memory.fill (i32.const 262144) (i32.const 0x5a) (i32.const 2097152)) unreachable"
            .into(),
        ..Guest::default()
    };
    // Traps when it finds anything in memory that it grew.
    let reader = Guest {
        id: "reader".into(),
        handle: "(drop (memory.grow (i32.const 32)))
                 (local.set $i (i32.const 262144))
                 (loop $l
                    (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
                    (local.set $i (i32.add (local.get $i) (i32.const 8)))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 2359296))))
                 (global.get $page)"
            .into(),
        ..Guest::default()
    };
    let (writer, reader) = (install(&runtime, &writer).await, install(&runtime, &reader).await);
    for _ in 0..5 {
        assert!(get(&runtime, &writer).await.is_ok());
        assert!(get(&runtime, &reader).await.is_ok());
        assert!(
            runtime
                .advance(&writer, call(&[], Ports::denied()), step(true))
                .await
                .is_err()
        );
        assert!(get(&runtime, &reader).await.is_ok());
    }
}

#[test]
fn calls_can_be_awaited_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let runtime = super::runtime();
        let plugin = install(&runtime, &Guest::default()).await;
        is_send(&get(&runtime, &plugin));
        is_send(&runtime.advance(&plugin, call(&[], Ports::denied()), step(true)));
        is_send(&runtime.inspect(Vec::new()));
    });
}
