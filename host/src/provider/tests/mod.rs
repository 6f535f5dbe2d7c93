//! The provider's file from text to store, over the memory store and a fake inspector.
//!
//! `errors/*.toml` are files that must be refused, `plans/*.toml` files that meet a store to which
//! `base.toml` was applied. Beside each is what is printed, `.txt`; `UPDATE_GOLDEN=1 cargo test -p portico-host
//! --lib provider` writes these anew, to be read in the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::auth::PasswordHash;
use crate::domain::{
    Customer, PermissionDecl, PluginId, RecordError, Records, SecretReadError, SecretRef, SecretSource,
    Service, ServiceId,
};
use crate::mail::EmailAddress;
use crate::secret::Secret;
use crate::store::MemoryStore;

/// Knows two components by file name.
#[derive(Default)]
struct FakeInspector {
    kept: Mutex<Vec<(PathBuf, String)>>,
}

#[async_trait]
impl ComponentInspector for FakeInspector {
    async fn inspect(&self, file: &Path) -> Result<Inspection, InspectError> {
        match file.file_name().and_then(|name| name.to_str()) {
            Some("snapshots.wasm") => Ok(snapshots("1.0.0", "digest-1", &[])),
            Some("snapshots-2.wasm") => Ok(snapshots(
                "2.0.0",
                "digest-2",
                &[("portico:plugin/http@0.1.0", &["http.send"])],
            )),
            Some("rdns.wasm") => Ok(rdns()),
            _ => Err(InspectError {
                message: "no such file".into(),
                hint: "build the plugin, or correct the path".into(),
            }),
        }
    }

    async fn keep(&self, file: &Path, digest: &str) -> Result<(), InspectError> {
        self.kept
            .lock()
            .unwrap()
            .push((file.to_owned(), digest.to_owned()));
        Ok(())
    }
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn snapshots(version: &str, digest: &str, more: &[(&str, &[&str])]) -> Inspection {
    let mut imports: BTreeMap<_, _> = [
        (
            "portico:plugin/snapshots@0.1.0",
            &["snapshots.read", "snapshots.create", "snapshots.remove"][..],
        ),
        ("portico:plugin/jobs@0.1.0", &["jobs.use"]),
    ]
    .into_iter()
    .chain(more.iter().copied())
    .map(|(import, scopes)| (import.to_owned(), words(scopes)))
    .collect();
    imports.insert("portico:plugin/log@0.1.0".into(), BTreeSet::new());
    let permission = |name: &str, scopes: &[&str]| PermissionDecl {
        name: name.into(),
        title: name.into(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    };
    Inspection {
        id: "snapshots".parse().unwrap(),
        version: version.into(),
        title: "Snapshots".into(),
        digest: digest.into(),
        imports,
        permissions: vec![
            permission("use", &["snapshots.read", "snapshots.create"]),
            permission("schedule", &["jobs.use"]),
        ],
        settings_schema: None,
        product_settings_schema: Some(json!({
            "type": "object",
            "properties": {"quota": {"type": "integer", "minimum": 0, "maximum": 20}, "lifetime_days": {"type": "integer"}},
            "additionalProperties": false,
        })),
    }
}

fn rdns() -> Inspection {
    Inspection {
        id: "rdns".parse().unwrap(),
        version: "0.3.0".into(),
        title: "Reverse DNS".into(),
        digest: "digest-r".into(),
        imports: [("portico:plugin/http@0.1.0".to_owned(), words(&["http.send"]))].into(),
        permissions: Vec::new(),
        settings_schema: Some(json!({
            "type": "object",
            "properties": {"token": {"type": "string", "writeOnly": true}, "zones": {"type": "array", "items": {"type": "string"}}},
            "required": ["token"],
            "additionalProperties": false,
        })),
        product_settings_schema: None,
    }
}

struct FakeHasher;

fn hash(text: &str) -> PasswordHash {
    serde_json::from_value(text.into()).unwrap()
}

#[async_trait]
impl PasswordHasher for FakeHasher {
    async fn hash(&self, password: &Secret, _: &EmailAddress) -> Result<PasswordHash, String> {
        if password.expose().len() < 10 {
            return Err("it is too short".into());
        }
        Ok(hash(&format!("hash of {} characters", password.expose().len())))
    }
}

#[derive(Default)]
struct CountedIds(AtomicU8);

impl ServiceIds for CountedIds {
    fn draw(&self) -> ServiceId {
        ServiceId::from_random([self.0.fetch_add(1, Ordering::Relaxed); 16])
    }
}

struct FakeSecrets;

impl SecretSource for FakeSecrets {
    fn read(&self, place: &SecretRef) -> Result<Secret, SecretReadError> {
        match place {
            SecretRef::Env(name) if name == "ANNA_PASSWORD" => Ok(Secret::new("correct horse")),
            SecretRef::Env(name) if name == "SHORT" => Ok(Secret::new("short")),
            _ => Err(SecretReadError::NotSet),
        }
    }
}

struct Fixture {
    applier: Applier,
    inspector: Arc<FakeInspector>,
}

impl Fixture {
    fn new() -> Self {
        let inspector = Arc::new(FakeInspector::default());
        let applier = Applier {
            records: Records::new(Arc::new(MemoryStore::new())),
            inspector: inspector.clone(),
            hasher: Arc::new(FakeHasher),
            ids: Arc::new(CountedIds::default()),
        };
        Self { applier, inspector }
    }

    /// A fixture whose store has what `base.toml` says.
    async fn with_base() -> Self {
        let fixture = Self::new();
        fixture.apply(BASE, PlanOptions::default()).await.unwrap();
        fixture
    }

    async fn plan(&self, text: &str, options: PlanOptions) -> Result<Plan, ApplyError> {
        let file = parse(text, "provider.toml", Path::new("/etc/portico"))?;
        self.applier.plan(&file, options).await
    }

    async fn apply(&self, text: &str, options: PlanOptions) -> Result<Vec<String>, ApplyError> {
        let plan = self.plan(text, options).await?;
        let changes = plan.changes.iter().map(ToString::to_string).collect();
        self.applier.apply(plan, &FakeSecrets).await?;
        Ok(changes)
    }

    async fn service(&self, vmid: u32) -> Result<Service, RecordError> {
        let found = self
            .applier
            .records
            .service_at(&"main".parse().unwrap(), vmid.try_into().unwrap())
            .await?;
        Ok(found.value)
    }

    async fn customer(&self, id: &str) -> Result<Customer, RecordError> {
        Ok(self.applier.records.customer(&id.parse().unwrap()).await?.value)
    }
}

const BASE: &str = include_str!("base.toml");
const ALLOW: PlanOptions = PlanOptions {
    allow_remove_services: true,
};

/// What the command would print.
fn printed(result: &Result<Plan, ApplyError>) -> String {
    match result {
        Ok(plan) => {
            let mut text = String::new();
            for change in &plan.changes {
                writeln!(text, "{change}").unwrap();
            }
            writeln!(text, "= {} unchanged", plan.unchanged).unwrap();
            text
        }
        Err(error) => format!("{error}\n"),
    }
}

/// Compares what every file of `folder` gives with the text beside it.
async fn golden(folder: &str, base: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/provider/tests")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let fixture = if base {
            Fixture::with_base().await
        } else {
            Fixture::new()
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let options = PlanOptions {
            allow_remove_services: text.contains("# --allow-remove-services"),
        };
        let result = fixture.plan(&text, options).await;
        assert_eq!(
            result.is_err(),
            text.contains("# refused"),
            "{}: {}",
            path.display(),
            printed(&result)
        );
        let found = printed(&result);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", expected.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "differs from the golden file:\n{}",
        wrong.join("\n")
    );
}

#[tokio::test]
async fn refused_files_say_line_key_and_remedy() {
    golden("errors", false).await;
}

#[tokio::test]
async fn plans_over_a_store_read_as_they_should() {
    golden("plans", true).await;
}

#[tokio::test]
async fn applying_a_file_twice_changes_nothing_the_second_time() {
    let fixture = Fixture::new();
    let first = fixture.apply(BASE, PlanOptions::default()).await.unwrap();
    assert_eq!(first.len(), 8, "{first:#?}");
    let guard = fixture.applier.records.guard().await.unwrap();
    let second = fixture.apply(BASE, PlanOptions::default()).await.unwrap();
    assert!(second.is_empty(), "{second:#?}");
    assert_eq!(
        fixture.applier.records.guard().await.unwrap(),
        guard,
        "nothing was written"
    );
}

#[tokio::test]
async fn components_are_kept_under_the_digest_that_was_approved() {
    let fixture = Fixture::with_base().await;
    let kept = fixture.inspector.kept.lock().unwrap().clone();
    assert!(
        kept.contains(&(
            PathBuf::from("/etc/portico/plugins/snapshots.wasm"),
            "digest-1".into()
        )),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_first_password_is_hashed_once_and_never_again() {
    let fixture = Fixture::with_base().await;
    assert_eq!(
        fixture.customer("anna").await.unwrap().password_hash,
        Some(hash("hash of 13 characters"))
    );
    let change = |customer: &mut Customer| customer.password_hash = Some(hash("his own"));
    fixture
        .applier
        .records
        .change_customer(&"anna".parse().unwrap(), change)
        .await
        .unwrap();

    let renamed = BASE.replace("name = \"Anna Berger\"", "name = \"Anna Huber\"");
    fixture.apply(&renamed, PlanOptions::default()).await.unwrap();
    let anna = fixture.customer("anna").await.unwrap();
    assert_eq!(
        (anna.name.as_str(), anna.password_hash),
        ("Anna Huber", Some(hash("his own")))
    );
}

#[tokio::test]
async fn what_a_customer_chose_is_not_taken_back_by_the_file() {
    let fixture = Fixture::with_base().await;
    let change = |customer: &mut Customer| {
        customer.time_zone = "Asia/Tokyo".parse().unwrap();
        customer.locale = "ja".parse().unwrap();
    };
    fixture
        .applier
        .records
        .change_customer(&"anna".parse().unwrap(), change)
        .await
        .unwrap();
    let changes = fixture.apply(BASE, PlanOptions::default()).await.unwrap();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[tokio::test]
async fn a_missing_or_refused_password_changes_nothing_and_names_its_place() {
    for (place, reason) in [
        ("MISSING", "the variable is not set"),
        ("SHORT", "it is too short"),
    ] {
        let fixture = Fixture::new();
        let text = BASE.replace("ANNA_PASSWORD", place);
        let error = fixture
            .apply(&text, PlanOptions::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!(
                "the first password of customer `anna`, from `env:{place}`, is not taken: {reason}"
            )),
            "{error}"
        );
        assert_eq!(fixture.applier.records.guard().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_suspension_by_staff_outlives_a_file_that_does_not_speak_of_it() {
    let fixture = Fixture::with_base().await;
    let service = fixture.service(101).await.unwrap();
    fixture.applier.records.suspend(service.id, true).await.unwrap();
    fixture.apply(BASE, PlanOptions::default()).await.unwrap();
    assert!(fixture.service(101).await.unwrap().suspended);

    let lifted = BASE.replace("vmid = 101", "vmid = 101\nsuspended = false");
    fixture.apply(&lifted, PlanOptions::default()).await.unwrap();
    assert!(!fixture.service(101).await.unwrap().suspended);
}

#[tokio::test]
async fn a_service_keeps_its_id_when_its_entry_moves_or_changes() {
    let fixture = Fixture::with_base().await;
    let before = fixture.service(101).await.unwrap();
    let text = BASE.replace(
        "hostname = \"web1.example.com\"",
        "hostname = \"web9.example.com\"",
    );
    fixture.apply(&text, PlanOptions::default()).await.unwrap();
    let after = fixture.service(101).await.unwrap();
    assert_eq!(
        (after.id, after.hostname.as_str()),
        (before.id, "web9.example.com")
    );
}

#[tokio::test]
async fn two_services_can_swap_their_vms_in_one_file() {
    let fixture = Fixture::with_base().await;
    let (first, second) = (
        fixture.service(101).await.unwrap(),
        fixture.service(102).await.unwrap(),
    );
    let text = BASE
        .replace("vmid = 101", &format!("id = \"{}\"\nvmid = X", first.id))
        .replace("vmid = 102", &format!("id = \"{}\"\nvmid = 101", second.id))
        .replace("vmid = X", "vmid = 102");
    fixture.apply(&text, PlanOptions::default()).await.unwrap();
    assert_eq!(fixture.service(102).await.unwrap().id, first.id);
    assert_eq!(fixture.service(101).await.unwrap().id, second.id);
    let anna = fixture
        .applier
        .records
        .services_of(&"anna".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(anna.len(), 1);
}

#[tokio::test]
async fn two_customers_can_swap_their_addresses_in_one_file() {
    let fixture = Fixture::with_base().await;
    let text = BASE
        .replace("Anna@", "x@")
        .replace("bert@", "anna@")
        .replace("x@", "bert@");
    fixture.apply(&text, PlanOptions::default()).await.unwrap();
    let found = fixture
        .applier
        .records
        .customer_by_email(&"anna@example.com".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(found.value.id.as_str(), "bert");
}

#[tokio::test]
async fn removed_entries_go_with_their_indexes() {
    let fixture = Fixture::with_base().await;
    let bert = fixture.service(102).await.unwrap();
    let (text, _) = BASE.split_once("# Bert's").unwrap();
    fixture.apply(text, ALLOW).await.unwrap();
    assert!(fixture.service(102).await.unwrap_err().is_not_found());
    assert!(
        fixture
            .applier
            .records
            .service(bert.id)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        fixture
            .applier
            .records
            .services_of(&bert.customer)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(fixture.service(101).await.is_ok());
}

#[tokio::test]
async fn what_a_command_made_stays_until_the_file_names_it() {
    let fixture = Fixture::with_base().await;
    let mut carl = fixture.customer("anna").await.unwrap();
    carl.id = "carl".parse().unwrap();
    carl.email = "carl@example.com".parse().unwrap();
    carl.origin = crate::domain::Origin::Panel;
    fixture.applier.records.create_customer(&carl).await.unwrap();
    assert!(
        fixture
            .apply(BASE, PlanOptions::default())
            .await
            .unwrap()
            .is_empty()
    );

    let entry = "\n[[customer]]\nid = \"carl\"\nemail = \"carl@example.com\"\nname = \"Carl\"\n";
    let changes = fixture
        .apply(&format!("{BASE}{entry}"), PlanOptions::default())
        .await
        .unwrap();
    assert_eq!(
        changes,
        ["~ customer `carl`\n    name: \"Anna Berger\" → Carl\n    origin: panel → file"]
    );
    fixture.apply(BASE, PlanOptions::default()).await.unwrap();
    assert!(fixture.customer("carl").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_plan_that_was_overtaken_is_not_applied() {
    let fixture = Fixture::with_base().await;
    let text = BASE.replace("title = \"Pro\"", "title = \"Professional\"");
    let plan = fixture.plan(&text, PlanOptions::default()).await.unwrap();
    fixture
        .applier
        .records
        .suspend(fixture.service(101).await.unwrap().id, true)
        .await
        .unwrap();
    let error = fixture.applier.apply(plan, &FakeSecrets).await.unwrap_err();
    assert!(matches!(error, ApplyError::Stale), "{error}");

    // A customer's own change does not touch the guard, but is not overwritten either.
    let text = BASE.replace("name = \"Anna Berger\"", "name = \"Anna Huber\"");
    let plan = fixture.plan(&text, PlanOptions::default()).await.unwrap();
    let change = |customer: &mut Customer| customer.password_hash = Some(hash("new"));
    fixture
        .applier
        .records
        .change_customer(&"anna".parse().unwrap(), change)
        .await
        .unwrap();
    assert!(matches!(
        fixture.applier.apply(plan, &FakeSecrets).await,
        Err(ApplyError::Stale)
    ));
    assert_eq!(
        fixture.customer("anna").await.unwrap().password_hash,
        Some(hash("new"))
    );
}

#[tokio::test]
async fn an_approval_holds_what_the_grants_are_computed_from() {
    let fixture = Fixture::with_base().await;
    let id: PluginId = "snapshots".parse().unwrap();
    let plugin = fixture.applier.records.plugin(&id).await.unwrap().value;
    let product = fixture
        .applier
        .records
        .product(&"pro".parse().unwrap())
        .await
        .unwrap()
        .value;
    let facts = &plugin.description;
    let grants = crate::domain::Grants::compute(&product.permissions, &id, &facts.permissions, &facts.scopes);
    assert!(grants.allows("use") && grants.has_scope("snapshots.create"));
    assert!(!grants.has_scope("snapshots.remove"), "the list names `use` only");
    let rdns = fixture
        .applier
        .records
        .plugin(&"rdns".parse().unwrap())
        .await
        .unwrap()
        .value;
    assert!(
        rdns.description
            .scopes
            .contains("http.send:https://api.example.net")
    );
    assert_eq!(
        rdns.settings.secret("/token"),
        Some(SecretRef::Env("RDNS_TOKEN".into()))
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "(\\[\\[?(cluster|product|service|plugin|customer)(\\.plan)?\\]\\]?|[a-z_]{1,8}|=|\"[a-z.@!/:0-9]{0,9}\"|[0-9]{1,9}|[{}\\[\\],.#']|\n| ){0,40}") {
        let _ = parse(&text, "provider.toml", Path::new("/"));
    }
}
