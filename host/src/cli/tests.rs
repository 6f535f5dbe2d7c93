//! Whole commands, from arguments to what is printed, over a store on disk.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::CommandFactory;

use super::*;
use crate::admin::socket::AdminSocket;
use crate::plugins::components::Components;
use crate::provider::Change;

/// No plugin is needed here, and no panel is run.
struct NoPorts;

#[async_trait]
impl Ports for NoPorts {
    async fn serve(&self, _: Config) -> anyhow::Result<()> {
        anyhow::bail!("not in this test")
    }

    fn components(&self, _: &Config) -> anyhow::Result<Components> {
        anyhow::bail!("not in this test")
    }
}

/// A panel's folder with a config and a provider file.
struct Folder(tempfile::TempDir);

/// What a command left.
#[derive(Debug)]
struct Ran {
    exit: Exit,
    out: String,
    talk: String,
}

const PROVIDER: &str = r#"
[[cluster]]
id = "main"
endpoints = ["https://127.0.0.1:9"]
token_id = "portico@pve!panel"
token_secret = { file = "token" }

[[product]]
id = "basic"
title = "Basic"
plan = { cores = 1, memory_mib = 1024, system_disk = { size_gib = 10 } }

[[customer]]
id = "anna"
email = "anna@example.com"
name = "Anna"
password = { file = "anna-password" }

[[service]]
customer = "anna"
product = "basic"
cluster = "main"
vmid = 101
hostname = "web1.example.com"
ipv4 = ["192.0.2.10/24"]
"#;

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "portico.toml",
            "[store]\npath = \"data\"\n[secrets]\nkey_file = \"secret.key\"\n",
        );
        write("provider.toml", PROVIDER);
        write("anna-password", "correct horse\n");
        write("token", "aaaa-bbbb\n");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn run(&self, words: &[&str], input: &str, interactive: bool) -> Ran {
        let config = self.path("portico.toml").display().to_string();
        let words = ["portico", "--config", &config]
            .into_iter()
            .chain(words.iter().copied());
        let args = Args::try_parse_from(words).unwrap();
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let ports: Arc<dyn Ports> = Arc::new(NoPorts);
        let exit = run(
            args,
            &ports,
            &mut Console::new(&mut out, &mut talk, input.as_bytes(), interactive),
        )
        .await;
        Ran {
            exit,
            out: String::from_utf8(out).unwrap(),
            talk: String::from_utf8(talk).unwrap(),
        }
    }

    async fn apply(&self, more: &[&str]) -> Ran {
        let file = self.path("provider.toml").display().to_string();
        let words: Vec<&str> = ["apply", &file].into_iter().chain(more.iter().copied()).collect();
        self.run(&words, "", false).await
    }
}

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn every_command_and_argument_has_a_help_text() {
    fn walk(command: &clap::Command) {
        for argument in command
            .get_arguments()
            .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            assert!(
                argument.get_help().is_some(),
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
        for below in command.get_subcommands() {
            assert!(below.get_about().is_some(), "{}", below.get_name());
            walk(below);
        }
    }
    walk(&Args::command());
}

#[tokio::test]
async fn a_file_is_planned_confirmed_applied_and_then_nothing_is_left_to_do() {
    let folder = Folder::new();
    let ran = folder.apply(&["--dry-run"]).await;
    assert_eq!(ran.exit, Exit::Done, "{ran:?}");
    assert!(
        ran.out
            .starts_with("+ cluster `main`\n+ product `basic` (Basic)\n"),
        "{ran:?}"
    );
    assert!(ran.talk.contains("Nothing was changed"), "{ran:?}");

    let ran = folder.apply(&[]).await;
    assert_eq!(ran.exit, Exit::Refused, "nobody to ask: {ran:?}");
    assert!(ran.talk.contains("--yes"), "{ran:?}");

    let file = folder.path("provider.toml").display().to_string();
    let ran = folder.run(&["apply", &file], "no\n", true).await;
    assert_eq!(ran.exit, Exit::Refused, "{ran:?}");
    let ran = folder.run(&["apply", &file], "yes\n", true).await;
    assert_eq!(
        (ran.exit, ran.talk.ends_with("Applied 4 changes.\n")),
        (Exit::Done, true),
        "{ran:?}"
    );

    let ran = folder.apply(&["--yes"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str(), ran.talk.as_str()),
        (Exit::Done, "= 4 unchanged\n", "Nothing to do.\n")
    );
}

#[tokio::test]
async fn a_plan_as_json_reads_back() {
    let ran = Folder::new().apply(&["--dry-run", "--json"]).await;
    let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let changes: Vec<Change> = serde_json::from_value(plan["plan"]["changes"].clone()).unwrap();
    assert_eq!(changes.len(), 4);
}

#[tokio::test]
async fn lists_show_what_was_applied() {
    let folder = Folder::new();
    folder.apply(&["--yes"]).await;
    let users = folder.run(&["user", "list"], "", false).await;
    assert!(
        users
            .out
            .contains("anna  anna@example.com  Anna  1         active  file"),
        "{users:?}"
    );
    let services = folder.run(&["service", "list"], "", false).await;
    assert!(
        services
            .out
            .contains("main/101  web1.example.com  anna      basic    192.0.2.10  active"),
        "{services:?}"
    );
    let none = folder
        .run(&["service", "list", "--customer", "bert", "--json"], "", false)
        .await;
    assert_eq!(none.out, "[]\n");
    let plugins = folder.run(&["plugin", "list"], "", false).await;
    assert_eq!(plugins.out, "ID  VERSION  STATE  TITLE  PRODUCTS  FROM  DIGEST\n");
}

#[tokio::test]
async fn a_user_is_made_with_the_password_from_stdin_or_with_one_that_is_shown() {
    let folder = Folder::new();
    let ran = folder
        .run(
            &[
                "user",
                "add",
                "bert@example.com",
                "--id",
                "bert",
                "--password-stdin",
            ],
            "battery staple\n",
            false,
        )
        .await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::Done, "id:       bert\nemail:    bert@example.com\n"),
        "{ran:?}"
    );
    let ran = folder.run(&["user", "reset", "bert"], "", false).await;
    assert!(
        ran.out.contains("\npassword: ") && ran.talk.contains("shown once"),
        "{ran:?}"
    );

    for (words, input) in [
        (
            &["user", "add", "nobody", "--password-stdin"][..],
            "battery staple\n",
        ),
        (
            &["user", "add", "carl@example.com", "--password-stdin"],
            "short\n",
        ),
        (&["user", "add", "carl@example.com", "--password-stdin"], ""),
        (&["user", "add", "carl@example.com", "--ask"], ""),
        (&["user", "add", "bert@example.com"], ""),
        (&["user", "reset", "carl"], ""),
    ] {
        let ran = folder.run(words, input, false).await;
        assert_eq!(
            (ran.exit, ran.out.as_str()),
            (Exit::Refused, ""),
            "{words:?}: {ran:?}"
        );
        assert!(ran.talk.starts_with("error: "), "{ran:?}");
    }
}

#[tokio::test]
async fn a_wrong_config_or_file_is_refused_with_its_remedy() {
    let folder = Folder::new();
    std::fs::write(folder.path("provider.toml"), "[[cluster]]\nid = \"X\"\n").unwrap();
    let ran = folder.apply(&["--yes"]).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert!(
        ran.talk.contains("provider.toml:2: `cluster[#1].id` is wrong"),
        "{ran:?}"
    );

    std::fs::write(folder.path("portico.toml"), "[serer]\n").unwrap();
    let ran = folder.run(&["user", "list"], "", false).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.talk.contains("unknown field `serer`"), "{ran:?}");

    std::fs::remove_file(folder.path("portico.toml")).unwrap();
    let ran = folder.run(&["user", "list"], "", false).await;
    assert!(ran.talk.contains("portico config sample"), "{ran:?}");
}

#[tokio::test]
async fn check_names_a_cluster_that_does_not_answer() {
    let folder = Folder::new();
    folder.apply(&["--yes"]).await;
    let ran = folder.run(&["check"], "", false).await;
    assert_eq!(ran.exit, Exit::Lacking, "{ran:?}");
    assert!(
        ran.out
            .starts_with("cluster `main`: not reached\nproblem: `https://127.0.0.1:9/`: "),
        "{ran:?}"
    );
    std::fs::remove_file(folder.path("token")).unwrap();
    let ran = folder.run(&["check", "main"], "", false).await;
    assert!(ran.out.contains("token"), "names the secret's file: {ran:?}");
    let ran = folder.run(&["check", "other"], "", false).await;
    assert_eq!(ran.exit, Exit::Refused, "{ran:?}");
}

#[tokio::test]
async fn while_a_panel_runs_the_commands_go_through_it_and_else_to_the_store() {
    let folder = Folder::new();
    folder.apply(&["--yes"]).await;
    let config = Config::load(&folder.path("portico.toml")).unwrap();
    let ports: Arc<dyn Ports> = Arc::new(NoPorts);
    let Access::Direct(admin) = Access::open(&config, &ports).await.unwrap() else {
        panic!("no panel runs")
    };

    // The store is held here and nothing listens: a second command cannot have it.
    let ran = folder.run(&["user", "list"], "", false).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.talk.contains("run the command again in a moment"), "{ran:?}");

    let socket = AdminSocket::bind(&config.store.admin_socket()).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn(socket.serve(*admin, stop.clone()));
    let ran = folder
        .run(&["user", "add", "bert@example.com", "--id", "bert"], "", false)
        .await;
    assert_eq!(ran.exit, Exit::Done, "{ran:?}");
    let changed = PROVIDER.replace("title = \"Basic\"", "title = \"Small\"");
    std::fs::write(folder.path("provider.toml"), changed).unwrap();
    let ran = folder.apply(&["--yes"]).await;
    assert_eq!(
        ran.out, "~ product `basic`\n    title: Basic → Small\n= 4 unchanged\n",
        "{ran:?}"
    );

    stop.cancel();
    served.await.unwrap();
    let ran = folder.run(&["user", "list"], "", false).await;
    assert!(
        ran.out.contains("bert"),
        "written through the panel, read from the store: {ran:?}"
    );
}

#[tokio::test]
async fn the_sample_config_is_printed_without_a_config() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("portico.toml")).unwrap();
    let ran = folder.run(&["config", "sample"], "", false).await;
    assert_eq!(ran.exit, Exit::Done);
    std::fs::write(folder.path("portico.toml"), &ran.out).unwrap();
    let ran = folder.run(&["config", "check"], "", false).await;
    assert_eq!(ran.exit, Exit::Done, "{ran:?}");
    assert!(Path::new(&folder.path("portico.toml")).exists());
}
