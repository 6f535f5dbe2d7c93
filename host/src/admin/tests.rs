use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use portico_proxmox::NoObserver;
use tokio_util::sync::CancellationToken;

use super::protocol::{AddUser, ApplyRequest, FailureKind, InstallPlugin, Password};
use super::socket::{AdminSocket, ask};
use super::*;
use crate::auth::{AccountId, Client, PasswordCost, Passwords, SessionPolicy, Sessions, Verdict};
use crate::clock::ManualClock;
use crate::domain::{Customer, PermissionDecl, Records};
use crate::live::Clusters;
use crate::provider::{ComponentInspector, InspectError, Inspection};
use crate::secret::{Sealer, SealingKey, Secret, SeededEntropy, Vault};
use crate::store::{MemoryStore, SharedStore};

/// A component that any file is, whose digest says how often it was kept.
struct OnePlugin;

#[async_trait]
impl ComponentInspector for OnePlugin {
    async fn inspect(&self, _: &Path) -> Result<Inspection, InspectError> {
        Ok(Inspection {
            id: "snapshots".parse().unwrap(),
            version: "1.0.0".into(),
            title: "Snapshots".into(),
            digest: "d1".into(),
            imports: BTreeMap::from([(
                "portico:plugin/snapshots@0.1.0".to_owned(),
                BTreeSet::from(["snapshots.read".to_owned()]),
            )]),
            permissions: vec![PermissionDecl {
                name: "use".into(),
                title: "Use".into(),
                scopes: vec!["snapshots.read".into()],
            }],
            settings_schema: None,
            product_settings_schema: None,
        })
    }

    async fn keep(&self, _: &Path, _: &str) -> Result<(), InspectError> {
        Ok(())
    }
}

struct OneNote;

#[async_trait]
impl Reload for OneNote {
    async fn reload(&self) -> Vec<String> {
        vec!["taken up".to_owned()]
    }
}

/// The admin over a store in memory, with hashing that costs nothing.
fn admin() -> Admin {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let entropy = Arc::new(SeededEntropy::new(7));
    let clock = Arc::new(ManualClock::default());
    let records = Records::new(Arc::clone(&store));
    let cost = PasswordCost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };
    let vault = Vault::new(Arc::new(Sealer::new(SealingKey::generate(&*entropy))));
    Admin::new(AdminParts {
        jobs: crate::jobs::Jobs::new(Arc::clone(&store), clock.clone()),
        sessions: Sessions::new(store, clock.clone(), entropy.clone(), SessionPolicy::default()),
        clusters: Clusters::new(records.clone(), vault, Arc::new(NoObserver)),
        inspector: Arc::new(OnePlugin),
        passwords: RuledPasswords {
            passwords: Arc::new(Passwords::new(cost, 2, 8).unwrap()),
            entropy,
        },
        reload: Arc::new(OneNote),
        records,
        clock,
    })
}

fn anna(password: Option<&str>) -> AdminRequest {
    AdminRequest::AddUser(AddUser {
        id: Some("anna".parse().unwrap()),
        email: "anna@example.com".into(),
        name: None,
        locale: None,
        time_zone: Some("Europe/Vienna".into()),
        password: password.map(Password::new),
    })
}

async fn customer(admin: &Admin) -> Customer {
    admin
        .parts
        .records
        .customer(&"anna".parse().unwrap())
        .await
        .unwrap()
        .value
}

async fn is_password(admin: &Admin, text: &str) -> bool {
    let hash = customer(admin).await.password_hash;
    let verdict = admin
        .parts
        .passwords
        .passwords
        .verify(&Secret::new(text), hash.as_ref())
        .await
        .unwrap();
    matches!(verdict, Verdict::Right { .. })
}

fn apply(text: &str, agreed: Option<String>) -> AdminRequest {
    AdminRequest::Apply(ApplyRequest {
        text: text.into(),
        name: "provider.toml".into(),
        folder: "/".into(),
        allow_remove_services: false,
        passwords: BTreeMap::from([("env:ANNA".to_owned(), Password::new("correct horse"))]),
        agreed,
    })
}

const FILE: &str = "[[customer]]\nid = \"anna\"\nemail = \"anna@example.com\"\nname = \"Anna\"\npassword = { env = \"ANNA\" }\n";

#[tokio::test]
async fn a_user_without_a_password_gets_one_made_that_works() {
    let admin = admin();
    let answer = admin.handle(anna(None)).await.unwrap();
    let AdminAnswer::User {
        user,
        password: Some(password),
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!((user.email.as_str(), user.password), ("anna@example.com", true));
    assert!(is_password(&admin, password.expose()).await);
    assert_eq!(customer(&admin).await.time_zone.as_str(), "Europe/Vienna");
}

#[tokio::test]
async fn a_weak_password_or_a_taken_address_is_refused_and_makes_nobody() {
    let admin = admin();
    let failure = admin.handle(anna(Some("short"))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("at least 10 characters"), "{failure}");
    assert!(admin.parts.records.customers().await.unwrap().is_empty());

    admin.handle(anna(None)).await.unwrap();
    let failure = admin.handle(anna(None)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(admin.parts.records.customers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reset_ends_the_sessions_and_the_old_password() {
    let admin = admin();
    admin.handle(anna(Some("correct horse"))).await.unwrap();
    let account: AccountId = "anna".parse().unwrap();
    let sessions = &admin.parts.sessions;
    let epoch = sessions.epoch(&account).await.unwrap();
    let client = Client {
        address: "192.0.2.1".parse().unwrap(),
        user_agent: "test",
    };
    sessions.start(&epoch, None, client).await.unwrap();
    assert_eq!(sessions.list(&account).await.unwrap().len(), 1);

    let by_email = AdminRequest::ResetUser {
        user: "Anna@Example.com".into(),
        password: Some(Password::new("battery staple")),
    };
    let answer = admin.handle(by_email).await.unwrap();
    assert!(
        matches!(answer, AdminAnswer::User { password: None, .. }),
        "one that was given is not repeated"
    );
    assert!(sessions.list(&account).await.unwrap().is_empty());
    assert!(is_password(&admin, "battery staple").await && !is_password(&admin, "correct horse").await);

    for nobody in ["bert", "bert@example.com", "B"] {
        let failure = admin
            .handle(AdminRequest::ResetUser {
                user: nobody.into(),
                password: None,
            })
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
    }
}

#[tokio::test]
async fn a_file_is_applied_only_as_it_was_agreed_to() {
    let admin = admin();
    let plan = admin.handle(apply(FILE, None)).await.unwrap();
    let AdminAnswer::Plan {
        changes,
        fingerprint,
        applied: false,
        ..
    } = plan
    else {
        panic!("{plan:?}")
    };
    assert_eq!(changes.len(), 1);
    assert!(
        admin.parts.records.customers().await.unwrap().is_empty(),
        "a plan changes nothing"
    );

    // Agreed to something else than what the file says now.
    let other = FILE
        .replace("\"Anna\"", "\"Anna\"\ndisabled = true")
        .replace("anna@", "other@");
    let failure = admin
        .handle(apply(&other, Some(fingerprint.clone())))
        .await
        .unwrap_err();
    assert!(failure.message.contains("look at the plan again"), "{failure}");

    let done = admin.handle(apply(FILE, Some(fingerprint))).await.unwrap();
    let AdminAnswer::Plan {
        applied: true, notes, ..
    } = done
    else {
        panic!("{done:?}")
    };
    assert_eq!(notes, ["taken up"]);
    assert!(is_password(&admin, "correct horse").await);
    let log = admin.parts.records.all_activity(None, 10).await.unwrap();
    assert_eq!(log.entries[0].action.as_str(), "provider.apply");
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_its_problems() {
    let failure = admin()
        .handle(apply("[[customer]]\nid = \"Anna\"\n", None))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure
            .message
            .contains("provider.toml:2: `customer[#1].id` is wrong"),
        "{failure}"
    );
}

fn install(imports: &[&str], digest: &str) -> AdminRequest {
    AdminRequest::InstallPlugin(InstallPlugin {
        file: "/plugins/snapshots.wasm".into(),
        digest: digest.into(),
        imports: imports.iter().map(|&import| import.to_owned()).collect(),
        http_origins: Vec::new(),
    })
}

#[tokio::test]
async fn a_plugin_is_installed_with_what_was_approved_and_removed_by_name() {
    let admin = admin();
    let import = "portico:plugin/snapshots@0.1.0";
    for wrong in [install(&[], "d1"), install(&[import], "d2")] {
        assert_eq!(admin.handle(wrong).await.unwrap_err().kind, FailureKind::Refused);
    }
    assert!(admin.parts.records.plugins().await.unwrap().is_empty());

    admin.handle(install(&[import], "d1")).await.unwrap();
    let list = admin.handle(AdminRequest::ListPlugins).await.unwrap();
    let AdminAnswer::Plugins(plugins) = list else {
        panic!("{list:?}")
    };
    assert_eq!((plugins[0].digest.as_str(), plugins[0].scopes.len()), ("d1", 1));

    let id: crate::domain::PluginId = "snapshots".parse().unwrap();
    admin
        .handle(AdminRequest::RemovePlugin(id.clone()))
        .await
        .unwrap();
    assert_eq!(
        admin
            .handle(AdminRequest::RemovePlugin(id))
            .await
            .unwrap_err()
            .kind,
        FailureKind::Refused
    );
}

#[tokio::test]
async fn a_check_without_a_cluster_says_what_to_do() {
    let failure = admin().handle(AdminRequest::Check(None)).await.unwrap_err();
    assert!(failure.hint.contains("[[cluster]]"), "{failure:?}");
}

/// A served socket in a folder of its own.
struct Served {
    folder: tempfile::TempDir,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    admin: Admin,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (admin, stop) = (admin(), CancellationToken::new());
        let socket = AdminSocket::bind(&folder.path().join("admin.sock")).unwrap();
        let task = tokio::spawn(socket.serve(admin.clone(), stop.clone()));
        Self {
            folder,
            stop,
            task,
            admin,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("admin.sock")
    }
}

#[tokio::test]
async fn a_command_reaches_the_running_panel_and_gets_its_answers_and_refusals() {
    let served = Served::start();
    let answer = ask(&served.path(), &anna(None)).await.unwrap().unwrap();
    assert!(
        matches!(
            answer,
            Ok(AdminAnswer::User {
                password: Some(_),
                ..
            })
        ),
        "{answer:?}"
    );
    assert_eq!(customer(&served.admin).await.name, "anna");
    let again = ask(&served.path(), &anna(None))
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(again.kind, FailureKind::Refused);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_goes_with_the_panel() {
    use std::os::unix::fs::PermissionsExt;

    let served = Served::start();
    let mode = std::fs::metadata(served.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let path = served.path();
    served.stop.cancel();
    served.task.await.unwrap();
    assert!(!path.exists());
    assert!(
        ask(&path, &AdminRequest::ListUsers).await.unwrap().is_none(),
        "no panel runs"
    );
}

#[tokio::test]
async fn a_socket_left_by_a_killed_panel_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let left = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(left);
    assert!(
        ask(&path, &AdminRequest::ListUsers).await.unwrap().is_none(),
        "nobody listens"
    );
    AdminSocket::bind(&path).unwrap();
}

#[tokio::test]
async fn garbage_and_endless_messages_are_answered_or_dropped_and_the_next_command_is_served() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let served = Served::start();
    let whole = |message: &[u8]| [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    for bytes in [
        vec![0xff; 64],
        vec![0, 0, 0, 9, 1],
        whole(b"{"),
        whole(b"{\"drop-all\":{}}"),
        whole(b"null"),
    ] {
        let mut stream = tokio::net::UnixStream::connect(served.path()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as an answer.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || String::from_utf8_lossy(&answer).contains("does not understand"));
    }
    assert!(
        ask(&served.path(), &AdminRequest::ListUsers)
            .await
            .unwrap()
            .unwrap()
            .is_ok()
    );
}

#[test]
fn a_request_does_not_print_the_password_in_it() {
    let requests = [
        anna(Some("hunter2-hunter2")),
        AdminRequest::ResetUser {
            user: "a".into(),
            password: Some(Password::new("hunter2-hunter2")),
        },
    ];
    for request in requests {
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
