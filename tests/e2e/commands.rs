//! The command line.

use std::process::Command;

use portico_host::cli::Exit;
use portico_tests::{World, target};

/// Every command; the panel's manual is what their `--help` says.
const COMMANDS: [&[&str]; 17] = [
    &[],
    &["serve"],
    &["apply"],
    &["check"],
    &["plugin"],
    &["plugin", "inspect"],
    &["plugin", "install"],
    &["plugin", "list"],
    &["plugin", "remove"],
    &["user"],
    &["user", "add"],
    &["user", "reset"],
    &["user", "list"],
    &["service"],
    &["service", "list"],
    &["config"],
    &["config", "sample"],
];

#[test]
fn every_command_has_help_that_says_what_it_does() {
    for words in COMMANDS {
        let output = Command::new(target::portico().unwrap())
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{words:?}");
        assert!(output.stderr.is_empty(), "{words:?}");
        let first = text.lines().next().unwrap();
        assert!(
            first.ends_with('.') || first.ends_with("VE") || first.len() > 10,
            "{words:?}: {first}"
        );
        assert!(text.contains("Usage: portico"), "{words:?}: {text}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for words in [
        &["fly"][..],
        &["apply"],
        &["check", "--colour"],
        &["user", "reset"],
    ] {
        let output = Command::new(target::portico().unwrap())
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn both_plugins_are_inspected_and_have_no_wasi() {
    let plugins = target::plugins().unwrap();
    let cases = [
        (
            "overview",
            &["vm", "power", "jobs"][..],
            &["vm.read", "power.start", "power.reset"][..],
        ),
        (
            "snapshots",
            &["vm", "snapshots", "provision", "jobs", "storage"],
            &[
                "snapshots.create",
                "snapshots.rollback",
                "snapshots.remove",
                "provision.apply-plan",
            ],
        ),
    ];
    for (plugin, imports, scopes) in cases {
        let file = plugins.join(format!("{plugin}.wasm"));
        let output = Command::new(target::portico().unwrap())
            .args(["--config", "/nonexistent/portico.toml", "plugin", "inspect"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{plugin}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let row = |first: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(first)?.strip_prefix(' '))
                .map(str::trim)
        };
        for import in imports {
            assert!(row(import).is_some(), "{plugin} {import}: {text}");
        }
        for scope in scopes {
            assert!(text.contains(scope), "{plugin} {scope}: {text}");
        }
        assert_eq!(row("wasi:"), Some("none"), "{plugin}: {text}");
        assert!(
            !text.contains("wasi:cli") && !text.contains("wasi:io"),
            "{plugin}: {text}"
        );
        let digest = row("digest:").unwrap();
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{plugin}: {text}"
        );
        let size = std::fs::metadata(&file).unwrap().len();
        assert_eq!(
            row("size:"),
            Some(format!("{size} bytes").as_str()),
            "{plugin}: {text}"
        );
        assert!(row("needs:").unwrap().contains("memories"), "{plugin}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_every_privilege_of_the_demo_token_and_lists_show_the_records() {
    let world = World::start().await.unwrap();
    let printed = world.command(&["check", "--json"]).await.unwrap();
    assert_eq!(printed.exit, Exit::Done, "{}{}", printed.out, printed.talk);
    let plugins = world.command(&["plugin", "list"]).await.unwrap();
    assert!(
        plugins.out.contains("overview") && plugins.out.contains("snapshots"),
        "{}",
        plugins.out
    );
    let users = world.command(&["user", "list"]).await.unwrap();
    assert!(
        users.out.contains("anna@example.com") && users.out.contains("ben@example.com"),
        "{}",
        users.out
    );
    let services = world
        .command(&["service", "list", "--customer", "ben"])
        .await
        .unwrap();
    assert!(
        services.out.contains("mail.example.org") && !services.out.contains("web1"),
        "{}",
        services.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_sessions_of_the_customer() {
    let world = World::start().await.unwrap();
    let browser = world.signed_in("anna@example.com").await.unwrap();
    let printed = world.command(&["user", "reset", "anna", "--json"]).await.unwrap();
    assert_eq!(printed.exit, Exit::Done, "{}", printed.talk);
    assert!(browser.get("/services").await.unwrap().path.starts_with("/login"));
}
