//! Does what requests ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::protocol::{AdminAnswer, AdminFailure, AdminRequest, ApplyRequest, Password, PluginHealth};
use crate::auth::{PasswordHash, Passwords, Sessions, check_password};
use crate::clock::Clock;
use crate::domain::{
    ActivityEntry, Actor, Outcome, PluginId, ProcessSecrets, RecordError, Records, SecretReadError,
    SecretRef, SecretSource, ServiceId,
};
use crate::jobs::Jobs;
use crate::live::Clusters;
use crate::mail::EmailAddress;
use crate::provider::{
    Applier, ApplyError, ComponentInspector, PasswordHasher, Plan, PlanOptions, ServiceIds, parse,
};
use crate::secret::{Entropy, Secret};

/// Takes up what changed in the records, in a running panel.
#[async_trait]
pub trait Reload: Send + Sync {
    /// Loads plugins anew and forgets clients of clusters whose records have changed.
    ///
    /// Returns what could not be taken up, in sentences for the provider; the records stand all the same.
    async fn reload(&self) -> Vec<String>;

    /// How the loaded plugins are; none for each when no panel runs.
    fn health(&self, plugin: &PluginId) -> Option<PluginHealth> {
        let _ = plugin;
        None
    }
}

/// For a command that opened the store by itself: there is nothing to take up.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReload;

#[async_trait]
impl Reload for NoReload {
    async fn reload(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The rules for passwords and their hashing.
#[derive(Debug, Clone)]
pub struct RuledPasswords {
    /// Hashes them.
    pub passwords: Arc<Passwords>,
    /// Draws salts.
    pub entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl PasswordHasher for RuledPasswords {
    async fn hash(&self, password: &Secret, email: &EmailAddress) -> Result<PasswordHash, String> {
        check_password(password, Some(email)).map_err(|error| error.to_string())?;
        self.passwords
            .hash(password, &*self.entropy)
            .await
            .map_err(|error| error.to_string())
    }
}

/// Random ids for new services.
#[derive(Debug, Clone)]
pub struct RandomServiceIds(pub Arc<dyn Entropy>);

impl ServiceIds for RandomServiceIds {
    fn draw(&self) -> ServiceId {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        ServiceId::from_random(bytes)
    }
}

/// What [`Admin`] is made of.
#[derive(Clone)]
pub struct AdminParts {
    /// The records.
    pub records: Records,
    /// Looks into components.
    pub inspector: Arc<dyn ComponentInspector>,
    /// Sessions, which end with a password.
    pub sessions: Sessions,
    /// Passwords.
    pub passwords: RuledPasswords,
    /// Clients of clusters.
    pub clusters: Clusters,
    /// Jobs.
    pub jobs: Jobs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Takes up changes.
    pub reload: Arc<dyn Reload>,
}

/// Does what commands ask for. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    pub(super) parts: AdminParts,
    applier: Applier,
    /// One change at a time: what a plan was made from must hold until it is applied.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    /// Puts it together.
    pub fn new(parts: AdminParts) -> Self {
        let applier = Applier {
            records: parts.records.clone(),
            inspector: Arc::clone(&parts.inspector),
            hasher: Arc::new(parts.passwords.clone()),
            ids: Arc::new(RandomServiceIds(Arc::clone(&parts.passwords.entropy))),
        };
        Self {
            parts,
            applier,
            turn: Arc::default(),
        }
    }

    /// Does one request.
    pub async fn handle(&self, request: AdminRequest) -> Result<AdminAnswer, AdminFailure> {
        match request {
            AdminRequest::Apply(request) => self.apply(request).await,
            AdminRequest::AddUser(user) => self.add_user(user).await,
            AdminRequest::ResetUser { user, password } => self.reset_user(&user, password).await,
            AdminRequest::ListUsers => self.users().await,
            AdminRequest::ListServices => self.services().await,
            AdminRequest::ListPlugins => self.plugins().await,
            AdminRequest::InstallPlugin(plugin) => self.install_plugin(plugin).await,
            AdminRequest::RemovePlugin(id) => self.remove_plugin(&id).await,
            AdminRequest::ListFailedJobs => self.failed_jobs().await,
            AdminRequest::RetryJob(id) => self.retry_job(&id).await,
            AdminRequest::DismissJob(id) => self.dismiss_job(&id).await,
            AdminRequest::Check(cluster) => self.check(cluster).await,
        }
    }

    async fn apply(&self, request: ApplyRequest) -> Result<AdminAnswer, AdminFailure> {
        let _turn = self.turn.lock().await;
        let refused = |error: &dyn std::error::Error| AdminFailure::refused(error.to_string(), "");
        let file = parse(&request.text, &request.name, &request.folder).map_err(|error| refused(&error))?;
        let options = PlanOptions {
            allow_remove_services: request.allow_remove_services,
        };
        let plan = self
            .applier
            .plan(&file, options)
            .await
            .map_err(|error| apply_failure(&error))?;
        let (changes, unchanged, fingerprint) = (plan.changes.clone(), plan.unchanged, fingerprint(&plan));

        let applied = match &request.agreed {
            None => false,
            Some(agreed) if *agreed != fingerprint => return Err(apply_failure(&ApplyError::Stale)),
            Some(_) => {
                let secrets = GivenSecrets(request.passwords);
                self.applier
                    .apply(plan, &secrets)
                    .await
                    .map_err(|error| apply_failure(&error))?;
                true
            }
        };
        let mut notes = Vec::new();
        if applied && !changes.is_empty() {
            let text = format!("{}: {} changes", request.name, changes.len());
            self.log("provider.apply", None, text).await;
            notes = self.parts.reload.reload().await;
        }
        Ok(AdminAnswer::Plan {
            changes,
            unchanged,
            fingerprint,
            applied,
            notes,
        })
    }

    /// Writes what was done by command to the activity log. The deed is done: a failure is only logged.
    pub(super) async fn log(&self, action: &str, target: Option<String>, text: String) {
        let Ok(action) = action.parse() else { return };
        let entry = ActivityEntry {
            at: self.parts.clock.now(),
            service: None,
            actor: Actor::Provider("command".to_owned()),
            ip: None,
            action,
            target,
            outcome: Outcome::Done,
            text,
        };
        if let Err(error) = self.parts.records.log(&entry).await {
            tracing::error!(%error, "the activity of a command cannot be written");
        }
    }
}

/// What was agreed to: the changes as they are shown. Ids of new services, which are drawn anew, are not in it.
fn fingerprint(plan: &Plan) -> String {
    let mut hasher = blake3::Hasher::new();
    for change in &plan.changes {
        hasher.update(change.to_string().as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

fn apply_failure(error: &ApplyError) -> AdminFailure {
    match error {
        ApplyError::Records(error) => record_failure(error),
        ApplyError::Stale => AdminFailure::refused(error.to_string(), "run the command again"),
        ApplyError::Keep { source, .. } => AdminFailure::refused(error.to_string(), source.hint.clone()),
        ApplyError::Password { .. } => AdminFailure::refused(
            error.to_string(),
            "nothing was changed; the secret is read by this command first, then by the running panel",
        ),
        ApplyError::Problems(_) | ApplyError::TooLarge { .. } => AdminFailure::refused(error.to_string(), ""),
    }
}

pub(super) fn record_failure(error: &RecordError) -> AdminFailure {
    match error {
        RecordError::Store(_) => AdminFailure::failed(error),
        RecordError::NotFound { .. } | RecordError::Taken { .. } | RecordError::InUse { .. } => {
            AdminFailure::refused(error.to_string(), "")
        }
    }
}

/// Secrets that the command has read, and then those this process can read.
struct GivenSecrets(BTreeMap<String, Password>);

impl SecretSource for GivenSecrets {
    fn read(&self, place: &SecretRef) -> Result<Secret, SecretReadError> {
        match self.0.get(&place.to_string()) {
            Some(text) => Ok(Secret::new(text.expose())),
            None => ProcessSecrets.read(place),
        }
    }
}
