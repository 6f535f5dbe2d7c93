//! Guests that take too much. Each call ends with the limit's type, soon, and another plugin answers meanwhile.

use std::sync::Arc;
use std::time::Instant;

use portico_runtime::bindings::guest::Method;
use portico_runtime::{
    Approval, InstallError, LimitKind, Limits, PluginError, Ports, Runtime, RuntimeConfig, Scope,
};

use super::guest::{Guest, LOG_WRITE, STORAGE_DELETE, VM_NETWORK, VM_STATUS};
use super::ports::{CollectedLog, Hanging, with_vm};
use super::{Recorder, call, get, install, limits, request, runtime, runtime_with, step};

const LOOP: &str = "(loop $l (br $l)) unreachable";

/// Runs a bad guest beside a good one and returns how the bad one ended.
async fn ended(guest: &Guest) -> PluginError {
    let runtime = runtime();
    let bad = install(&runtime, guest).await;
    let good = install(
        &runtime,
        &Guest {
            id: "good".into(),
            ..Guest::default()
        },
    )
    .await;
    let meanwhile = {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                assert!(get(&runtime, &good).await.is_ok());
            }
        })
    };
    let scopes = [Scope::VmRead, Scope::StorageUse];
    let result = runtime
        .handle(&bad, call(&scopes, Ports::denied()), request(Method::Get))
        .await;
    meanwhile.await.expect("the good plugin answers");
    result.expect_err("the bad plugin does not")
}

fn is_limit(error: &PluginError, kind: LimitKind) -> bool {
    matches!(error, PluginError::Limit(limit) if *limit == kind)
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_processor_time() {
    let error = ended(&Guest::handling(LOOP)).await;
    assert!(is_limit(&error, LimitKind::Cpu), "{error:?}");
}

#[tokio::test]
async fn an_endless_loop_in_a_job_ends_with_its_processor_time() {
    let mut limits = limits();
    limits.job.cpu_ms = 50;
    let runtime = runtime_with(limits);
    let plugin = install(
        &runtime,
        &Guest {
            advance: LOOP.into(),
            ..Guest::default()
        },
    )
    .await;
    let error = runtime
        .advance(&plugin, call(&[], Ports::denied()), step(true))
        .await
        .expect_err("it loops");
    assert!(is_limit(&error, LimitKind::Cpu), "{error:?}");
}

#[tokio::test]
async fn an_endless_loop_in_describe_or_start_fails_the_installation() {
    for guest in [
        Guest {
            describe: "(loop $l (br $l))".into(),
            ..Guest::default()
        },
        Guest {
            start: "(loop $l (br $l))".into(),
            ..Guest::default()
        },
    ] {
        let error = runtime()
            .install(guest.build(), &Approval::everything())
            .await
            .expect_err("it loops");
        let InstallError::NoAnswer { source, .. } = error else {
            panic!("{error:?}")
        };
        assert!(is_limit(&source, LimitKind::Cpu), "{source:?}");
    }
}

#[tokio::test]
async fn memory_is_summed_and_its_end_is_typed() {
    let error = ended(&Guest::handling(
        "(loop $l (drop (memory.grow (i32.const 16))) (br $l)) unreachable",
    ))
    .await;
    assert!(is_limit(&error, LimitKind::Memory), "{error:?}");
}

#[tokio::test]
async fn tables_are_counted() {
    let guest = Guest {
        items: "(table $t 1 funcref)".into(),
        handle: "(loop $l (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $l)) unreachable"
            .into(),
        ..Guest::default()
    };
    let error = ended(&guest).await;
    assert!(is_limit(&error, LimitKind::Tables), "{error:?}");
}

#[tokio::test]
async fn recursion_ends_with_the_stack() {
    let guest = Guest {
        items: "(func $deep (param i64) (result i64) (i64.add (i64.const 1) (call $deep (local.get 0))))"
            .into(),
        handle: "(drop (call $deep (i64.const 1))) (global.get $page)".into(),
        ..Guest::default()
    };
    let error = ended(&guest).await;
    assert!(is_limit(&error, LimitKind::Stack), "{error:?}");
}

#[tokio::test]
async fn a_trap_names_the_functions_it_came_from() {
    let guest = Guest {
        items: "(func $culprit unreachable)".into(),
        handle: "(call $culprit) (global.get $page)".into(),
        ..Guest::default()
    };
    let PluginError::Trap { message, backtrace } = ended(&guest).await else {
        panic!("no trap")
    };
    assert!(message.contains("unreachable"), "{message}");
    assert!(backtrace.contains("culprit"), "{backtrace}");
}

#[tokio::test]
async fn a_string_of_megabytes_does_not_reach_the_host() {
    let guest = Guest {
        pages: 64,
        ..Guest::calling(
            STORAGE_DELETE,
            "(i32.const 0) (i32.const 0) (i32.const 3000000)",
            4,
        )
    };
    let error = ended(&guest).await;
    assert!(is_limit(&error, LimitKind::HostcallFuel), "{error:?}");
}

#[tokio::test]
async fn an_answer_of_megabytes_does_not_reach_the_host() {
    // ok, json, a text of 3 MB of zeros.
    let guest = Guest {
        pages: 64,
        handle: "(i32.store (i32.const 2052) (i32.const 3))
                 (i32.store (i32.const 2056) (i32.const 4096))
                 (i32.store (i32.const 2060) (i32.const 3000000))
                 (i32.const 2048)"
            .into(),
        ..Guest::default()
    };
    let error = ended(&guest).await;
    assert!(is_limit(&error, LimitKind::HostcallFuel), "{error:?}");
}

#[tokio::test]
async fn an_answer_over_the_page_limit_is_a_limit_of_its_own() {
    let guest = Guest {
        page_data: format!(r#"{{"text":"{}"}}"#, "x".repeat(300_000)),
        pages: 16,
        ..Guest::default()
    };
    let error = ended(&guest).await;
    assert!(is_limit(&error, LimitKind::ResponseBytes), "{error:?}");
}

#[tokio::test]
async fn data_of_a_thousand_levels_is_an_invalid_answer() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
    let error = ended(&Guest {
        page_data: deep,
        ..Guest::default()
    })
    .await;
    assert!(matches!(error, PluginError::Invalid(_)), "{error:?}");
}

#[tokio::test]
async fn a_guest_that_calls_on_after_all_refusals_is_ended() {
    let runtime = runtime();
    let guest = Guest {
        imports: vec![VM_NETWORK],
        handle: "(loop $l (call $network (i32.const 4096)) (br $l)) unreachable".into(),
        ..Guest::default()
    };
    let plugin = install(&runtime, &guest).await;
    // Not granted at all, and granted but over the number of calls.
    for scopes in [&[][..], &[Scope::VmRead][..]] {
        let error = runtime
            .handle(&plugin, call(scopes, Ports::denied()), request(Method::Get))
            .await;
        assert!(is_limit(
            &error.expect_err("it calls for ever"),
            LimitKind::HostCalls
        ));
    }
}

#[tokio::test]
async fn the_calls_over_the_limit_answer_quota_first() {
    let limits = Limits {
        host_calls: 10,
        ..limits()
    };
    let runtime = runtime_with(limits);
    let guest = Guest {
        imports: vec![VM_NETWORK],
        handle: "(loop $l (call $network (i32.const 4096))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 11))))
                 (call $answer (i32.const 4096) (i32.const 4))"
            .into(),
        ..Guest::default()
    };
    let plugin = install(&runtime, &guest).await;
    let answer = runtime
        .handle(
            &plugin,
            call(&[Scope::VmRead], Ports::denied()),
            request(Method::Get),
        )
        .await;
    let PluginError::Guest(portico_runtime::CapabilityError::Quota(text)) = answer.expect_err("quota") else {
        panic!("not a quota")
    };
    assert!(text.contains("10 at most"), "{text}");
}

#[tokio::test]
async fn a_host_call_that_sleeps_costs_its_own_limit_and_is_unavailable_to_the_guest() {
    let mut limits = limits();
    limits.page.hostcall_ms = 50;
    let runtime = runtime_with(limits);
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    let answer = runtime
        .handle(
            &plugin,
            call(&[Scope::VmRead], with_vm(Hanging)),
            request(Method::Get),
        )
        .await;
    let error = answer.expect_err("nobody answered");
    assert!(
        matches!(
            error,
            PluginError::Guest(portico_runtime::CapabilityError::Unavailable)
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_wall_clock_ends_a_call_that_waits_and_blames_what_it_waited_for() {
    let mut limits = limits();
    limits.page.wall_ms = 100;
    let runtime = runtime_with(limits);
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    let begun = Instant::now();
    let answer = runtime
        .handle(
            &plugin,
            call(&[Scope::VmRead], with_vm(Hanging)),
            request(Method::Get),
        )
        .await;
    let error = answer.expect_err("nobody answered");
    assert!(
        matches!(
            error,
            PluginError::Timeout {
                waiting_on: Some("vm.status"),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(begun.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_counted() {
    let recorder = Arc::new(Recorder::default());
    let runtime = Runtime::new(RuntimeConfig {
        limits: limits(),
        observer: recorder.clone(),
        ..RuntimeConfig::default()
    })
    .expect("the runtime starts");
    let guest = Guest {
        imports: vec![LOG_WRITE],
        handle: "(loop $l
                    (call $write (i32.const 1) (i32.const 65536) (i32.const 5000) (i32.const 0) (i32.const 0))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))
                 (global.get $page)"
            .into(),
        items: r#"(data (i32.const 70000) "")"#.into(),
        template: ("page.html".into(), "x".repeat(6_000), vec!["{}".into()]),
        ..Guest::default()
    };
    let plugin = install(&runtime, &guest).await;
    let log = Arc::new(CollectedLog::default());
    let ports = Ports {
        log: log.clone(),
        ..Ports::denied()
    };
    runtime
        .handle(&plugin, call(&[], ports), request(Method::Get))
        .await
        .expect("a log is no reason to fail");
    let lines = log.lines();
    assert_eq!(lines.len(), 9);
    assert!(lines.iter().all(|line| line.message.len() <= 2_048));
    assert!(
        lines
            .last()
            .is_some_and(|line| line.message.starts_with("92 more lines"))
    );
    assert_eq!(recorder.outcomes_of("handle"), ["ok"]);
}

#[tokio::test]
async fn a_context_over_the_limit_is_the_hosts_fault() {
    let runtime = runtime();
    let plugin = install(&runtime, &Guest::default()).await;
    let mut call = call(&[], Ports::denied());
    call.context.settings = format!("\"{}\"", "x".repeat(200_000));
    let error = runtime
        .handle(&plugin, call, request(Method::Get))
        .await
        .expect_err("too large");
    assert!(is_limit(&error, LimitKind::ContextBytes));
    assert_eq!(error.blame(), portico_runtime::Blame::Host);
}
