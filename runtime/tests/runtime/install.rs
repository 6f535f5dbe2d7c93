//! Files that must not become plugins, and why.

use std::collections::BTreeSet;

use portico_runtime::{Approval, Digest, InstallError, LimitKind, PluginError, Scope};

use super::guest::{Guest, LOG_WRITE, VM_STATUS};
use super::{install, runtime};

async fn refused(bytes: Vec<u8>) -> InstallError {
    runtime()
        .install(bytes, &Approval::everything())
        .await
        .expect_err("it must not install")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("well-formed")
}

#[tokio::test]
async fn a_plugin_knows_what_it_is_made_of() {
    let guest = Guest {
        imports: vec![VM_STATUS, LOG_WRITE],
        permissions: vec![("view".into(), vec!["vm.read".into()])],
        ..Guest::default()
    };
    let bytes = guest.build();
    let runtime = runtime();
    let plugin = runtime
        .install(bytes.clone(), &Approval::everything())
        .await
        .expect("it installs");
    assert_eq!(plugin.id(), "sample");
    assert_eq!(plugin.version().to_string(), "1.0.0");
    assert_eq!(plugin.digest(), Digest::of(&bytes));
    let imports: Vec<_> = plugin
        .imports()
        .iter()
        .map(|import| (import.interface.as_str(), import.functions.join(" ")))
        .collect();
    assert_eq!(
        imports,
        [("vm", "status".to_owned()), ("log", "write".to_owned())]
    );
    assert_eq!(plugin.scopes().iter().collect::<Vec<_>>(), [Scope::VmRead]);
    assert_eq!(
        plugin
            .permission_scopes("view")
            .expect("known")
            .iter()
            .collect::<Vec<_>>(),
        [Scope::VmRead]
    );
    assert!(plugin.permission_scopes("other").is_none());
}

#[tokio::test]
async fn an_inspection_tells_what_approval_is_asked_for() {
    let inspection = runtime().inspect(Guest::calling(VM_STATUS, "", 8).build()).await;
    assert!(inspection.problem.is_none(), "{:?}", inspection.problem);
    assert_eq!(inspection.imports[0].interface, "vm");
    assert_eq!(inspection.imports[0].scopes, [Scope::VmRead]);
    assert_eq!((inspection.wasi.len(), inspection.unknown.len()), (0, 0));
    assert_eq!(inspection.templates, ["page.html"]);
    assert_eq!(inspection.description.expect("it answers").id, "sample");
    assert!(inspection.resources.expect("told").memories >= 1);
}

#[tokio::test]
async fn an_import_that_is_not_approved_is_refused_by_name() {
    let runtime = runtime();
    let guest = Guest {
        imports: vec![VM_STATUS, LOG_WRITE],
        ..Guest::default()
    };
    let approval = Approval {
        interfaces: BTreeSet::from(["log".to_owned()]),
        digest: None,
    };
    let error = runtime
        .install(guest.build(), &approval)
        .await
        .expect_err("not approved");
    assert!(
        matches!(&error, InstallError::NotApproved { interfaces } if *interfaces == ["vm"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_approval_is_for_exactly_the_bytes_it_was_given_for() {
    let runtime = runtime();
    let approved = Guest::default().build();
    let other = Guest {
        page_data: "{}".into(),
        ..Guest::default()
    }
    .build();
    let approval = Approval {
        digest: Some(Digest::of(&approved)),
        ..Approval::everything()
    };
    assert!(runtime.install(approved, &approval).await.is_ok());
    let error = runtime.install(other, &approval).await.expect_err("other bytes");
    assert!(matches!(error, InstallError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_component_is_told_apart() {
    assert!(matches!(refused(b"".to_vec()).await, InstallError::NotWasm));
    assert!(matches!(
        refused(b"GIF89a, honestly".to_vec()).await,
        InstallError::NotWasm
    ));
    assert!(matches!(
        refused(component("(module)")).await,
        InstallError::CoreModule
    ));
    assert!(matches!(
        refused(component("(component)")).await,
        InstallError::Incompatible(_)
    ));
    assert!(matches!(
        refused(vec![0; 17 << 20]).await,
        InstallError::TooLarge { .. }
    ));
}

#[tokio::test]
async fn a_truncated_or_damaged_component_is_malformed_wherever_it_breaks() {
    let runtime = runtime();
    let whole = Guest::default().build();
    for length in (8..whole.len()).step_by(whole.len() / 40) {
        let error = runtime
            .install(whole[..length].to_vec(), &Approval::everything())
            .await;
        let error = error.expect_err("a part is no whole");
        assert!(
            matches!(error, InstallError::Malformed(_) | InstallError::Incompatible(_)),
            "cut at {length}: {error:?}"
        );
    }
    for position in (8..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x55;
        // Some bits do not matter; what counts is that none brings the host down.
        let _ = runtime.install(damaged, &Approval::everything()).await;
    }
}

#[tokio::test]
async fn imports_that_the_panel_does_not_have_are_named() {
    let sockets = r#"(component (import "wasi:sockets/tcp@0.2.6" (instance (export "f" (func)))))"#;
    let error = refused(component(sockets)).await;
    assert!(
        matches!(&error, InstallError::UnknownImports { interfaces } if *interfaces == ["wasi:sockets/tcp@0.2.6"]),
        "{error:?}"
    );
    let later = r#"(component (import "portico:plugin/console@0.1.0" (instance (export "open" (func)))))"#;
    assert!(matches!(
        refused(component(later)).await,
        InstallError::UnknownImports { .. }
    ));
    let function = r#"(component (import "portico:plugin/vm@0.1.0" (instance (export "erase" (func)))))"#;
    assert!(matches!(
        refused(component(function)).await,
        InstallError::Incompatible(_)
    ));
    let newer = r#"(component (import "portico:plugin/vm@2.0.0" (instance (export "erase" (func)))))"#;
    assert!(matches!(
        refused(component(newer)).await,
        InstallError::Incompatible(_)
    ));
}

#[tokio::test]
async fn exports_of_another_type_do_not_fit() {
    let text = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $guest
            (export "describe" (func $f)) (export "templates" (func $f))
            (export "handle" (func $f)) (export "advance" (func $f)))
        (export "portico:plugin/guest@0.1.0" (instance $guest)))"#;
    assert!(matches!(
        refused(component(text)).await,
        InstallError::Incompatible(_)
    ));
}

#[tokio::test]
async fn a_component_that_cannot_fit_its_slot_is_refused_before_it_runs() {
    let error = refused(
        Guest {
            pages: 600,
            ..Guest::default()
        }
        .build(),
    )
    .await;
    assert!(
        matches!(
            error,
            InstallError::TooDemanding {
                what: "bytes of memory at start",
                ..
            }
        ),
        "{error:?}"
    );
    let error = refused(
        Guest {
            items: "(table 30000 funcref)".into(),
            ..Guest::default()
        }
        .build(),
    )
    .await;
    assert!(
        matches!(
            error,
            InstallError::TooDemanding {
                what: "table elements at start",
                ..
            }
        ),
        "{error:?}"
    );
    let many = "(component (core module $m (memory 1))
        (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance (instantiate $m)))";
    let error = refused(component(many)).await;
    assert!(
        matches!(
            error,
            InstallError::TooDemanding { .. } | InstallError::Malformed(_)
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_plugin_that_traps_in_describe_shows_its_author_what_it_logged() {
    let guest = Guest {
        imports: vec![LOG_WRITE],
        page_data: "why it went wrong".into(),
        describe: "(call $write (i32.const 3) (i32.load (i32.add (global.get $page) (i32.const 16)))
                        (i32.load (i32.add (global.get $page) (i32.const 20))) (i32.const 0) (i32.const 0))
                   unreachable"
            .into(),
        ..Guest::default()
    };
    let InstallError::NoAnswer { export, log, source } = refused(guest.build()).await else {
        panic!("other")
    };
    assert_eq!(
        (export, log),
        ("describe", vec!["error: why it went wrong".to_owned()])
    );
    assert!(matches!(source, PluginError::Trap { .. }));
}

#[tokio::test]
async fn describe_has_no_capability_even_for_imports_that_are_approved() {
    // Traps unless the call is refused.
    let guest = Guest {
        imports: vec![VM_STATUS],
        describe:
            "(call $status (i32.const 4096)) (if (i32.eqz (i32.load8_u (i32.const 4096))) (then unreachable))"
                .into(),
        ..Guest::default()
    };
    install(&runtime(), &guest).await;
}

#[tokio::test]
async fn an_unsound_description_is_refused_with_all_that_is_wrong() {
    let guest = Guest {
        id: "Not An Id".into(),
        permissions: vec![("view".into(), vec!["vm.read".into()])],
        provider_settings: "{}".into(),
        ..Guest::default()
    };
    let InstallError::Description(problems) = refused(guest.build()).await else {
        panic!("other")
    };
    let places: Vec<_> = problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["id", "permissions[0].scopes", "provider-settings"]);
}

#[tokio::test]
async fn a_length_that_is_a_lie_does_not_fill_the_host() {
    // `describe` answers with an id of 100 MB.
    let guest = Guest {
        describe:
            "(i32.store (i32.const 2048) (i32.const 65536)) (i32.store (i32.const 2052) (i32.const 100000000))
                   (return (i32.const 2048))"
                .into(),
        pages: 256,
        ..Guest::default()
    };
    let InstallError::NoAnswer { source, .. } = refused(guest.build()).await else {
        panic!("other")
    };
    assert!(
        matches!(
            source,
            PluginError::Limit(LimitKind::HostcallFuel) | PluginError::Trap { .. }
        ),
        "{source:?}"
    );
}
