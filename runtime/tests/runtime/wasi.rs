//! The empty WASI: there for components that import it, with nothing in it.

use std::sync::Arc;

use portico_runtime::bindings::guest::Method;
use portico_runtime::{LimitKind, PluginError, Ports};

use super::guest::{GET_DIRECTORIES, GET_ENVIRONMENT, GET_STDOUT, Guest, STDOUT_WRITE};
use super::ports::CollectedLog;
use super::{call, get, install, request, runtime};

#[tokio::test]
async fn what_a_guest_prints_becomes_lines_of_its_log() {
    let runtime = runtime();
    let guest = Guest {
        imports: vec![GET_STDOUT, STDOUT_WRITE],
        items: r#"(data (i32.const 2048) "one\0atwo\0a")"#.into(),
        handle: "(call $blocking-write-and-flush (call $get-stdout)
                    (i32.const 2048) (i32.const 8) (i32.const 4096))
                 (global.get $page)"
            .into(),
        ..Guest::default()
    };
    let inspection = runtime.inspect(guest.build()).await;
    assert!(inspection.problem.is_none(), "{:?}", inspection.problem);
    assert!(
        inspection
            .wasi
            .iter()
            .any(|import| import == "wasi:cli/stdout@0.2.6"),
        "{:?}",
        inspection.wasi
    );

    let plugin = install(&runtime, &guest).await;
    let log = Arc::new(CollectedLog::default());
    let ports = Ports {
        log: log.clone(),
        ..Ports::denied()
    };
    runtime
        .handle(&plugin, call(&[], ports), request(Method::Get))
        .await
        .expect("a page");
    let lines: Vec<_> = log.lines().into_iter().map(|line| line.message).collect();
    assert_eq!(lines, ["one", "two"]);
}

#[tokio::test]
async fn there_is_no_environment_and_no_directory() {
    let runtime = runtime();
    // Traps unless both lists are empty.
    let guest = Guest {
        imports: vec![GET_ENVIRONMENT, GET_DIRECTORIES],
        handle: "(call $get-environment (i32.const 4096)) (if (i32.load (i32.const 4100)) (then unreachable))
                 (call $get-directories (i32.const 4096)) (if (i32.load (i32.const 4100)) (then unreachable))
                 (global.get $page)"
            .into(),
        ..Guest::default()
    };
    let plugin = install(&runtime, &guest).await;
    assert!(get(&runtime, &plugin).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_handles_ends_with_its_limit() {
    let runtime = runtime();
    let guest = Guest {
        imports: vec![GET_STDOUT],
        handle: "(loop $l (drop (call $get-stdout)) (br $l)) unreachable".into(),
        ..Guest::default()
    };
    let plugin = install(&runtime, &guest).await;
    let error = get(&runtime, &plugin)
        .await
        .expect_err("it takes handles for ever");
    assert!(
        matches!(error, PluginError::Limit(LimitKind::Handles)),
        "{error:?}"
    );
}
