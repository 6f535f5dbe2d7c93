//! The way to the records: through the running panel, or the store itself while no panel runs.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use portico_proxmox::NoObserver;

use super::{CliError, Ports};
use crate::admin::{Admin, AdminAnswer, AdminParts, AdminRequest, NoReload, RuledPasswords, socket};
use crate::auth::{PasswordCost, Passwords, SessionPolicy, Sessions};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::Records;
use crate::jobs::Jobs;
use crate::live::Clusters;
use crate::plugins::components::Components;
use crate::provider::{ComponentInspector, InspectError, Inspection};
use crate::secret::{Sealer, SystemEntropy, Vault};
use crate::store::{OpenProblem, SharedStore, SledOptions, SledStore, StoreError};

/// The way to the records.
pub(super) enum Access {
    /// A panel runs and answers on this socket.
    Live(PathBuf),
    /// None runs; this process has the store.
    Direct(Box<Admin>),
}

impl Access {
    /// Finds the way.
    pub(super) async fn open(config: &Config, ports: &Arc<dyn Ports>) -> Result<Self, CliError> {
        let path = config.store.admin_socket();
        match tokio::net::UnixStream::connect(&path).await {
            Ok(_) => Ok(Self::Live(path)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(CliError::failed(
                &socket::SocketError::Io { path, source: error },
                "run the command as the panel's user or as root",
            )),
            Err(_) => Ok(Self::Direct(Box::new(direct(config, ports).await?))),
        }
    }

    /// Does a request and returns its answer.
    pub(super) async fn call(&self, request: AdminRequest) -> Result<AdminAnswer, CliError> {
        match self {
            Self::Direct(admin) => Ok(admin.handle(request).await?),
            Self::Live(path) => match socket::ask(path, &request).await {
                Ok(Some(result)) => Ok(result?),
                Ok(None) => Err(CliError {
                    exit: super::Exit::Failed,
                    message: "the panel has just ended".to_owned(),
                    hint: "run the command again".to_owned(),
                }),
                Err(error) => Err(CliError::failed(
                    &error,
                    "the panel may have ended in between: look with `--dry-run` or a list whether it was done",
                )),
            },
        }
    }
}

async fn direct(config: &Config, ports: &Arc<dyn Ports>) -> Result<Admin, CliError> {
    let store = open_store(config).await?;
    let entropy = Arc::new(SystemEntropy);
    let clock = Arc::new(SystemClock);
    let key = config.secrets.sealing_key(&SystemEntropy);
    let key = key.map_err(|error| CliError::failed(&error, error.hint()))?;
    let passwords = Passwords::new(PasswordCost::default(), 2, 16);
    let passwords = passwords.map_err(|error| CliError::failed(&error, ""))?;
    let records = Records::new(Arc::clone(&store));
    let vault = Vault::new(Arc::new(Sealer::new(key)));
    Ok(Admin::new(AdminParts {
        jobs: Jobs::new(Arc::clone(&store), clock.clone()),
        sessions: Sessions::new(store, clock.clone(), entropy.clone(), SessionPolicy::default()),
        clusters: Clusters::new(records.clone(), vault, Arc::new(NoObserver)),
        inspector: Arc::new(FirstAsked {
            ports: Arc::clone(ports),
            config: config.clone(),
            components: std::sync::OnceLock::new(),
        }),
        passwords: RuledPasswords {
            passwords: Arc::new(passwords),
            entropy,
        },
        reload: Arc::new(NoReload),
        records,
        clock,
    }))
}

/// Opens the store of the config.
pub(super) async fn open_store(config: &Config) -> Result<SharedStore, CliError> {
    make_directory(&config.store.path)?;
    let options = SledOptions::new(config.store.database());
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&options)).await;
    match opened.map_err(|error| CliError::failed(&error, ""))? {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => {
            let hint = match &error {
                StoreError::Open {
                    problem: OpenProblem::InUse,
                    ..
                } => {
                    "a panel that starts or ends, or another command, has it: run the command again in a moment"
                }
                StoreError::Open { problem, .. } => problem.hint(),
                _ => "",
            };
            Err(CliError::failed(&error, hint))
        }
    }
}

/// Makes the directory, for its owner alone.
fn make_directory(path: &Path) -> Result<(), CliError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|error| {
        let message = format!("the directory `{}` cannot be made: {error}", path.display());
        CliError {
            exit: super::Exit::Failed,
            message,
            hint: "set `store.path`, or run as the panel's user".to_owned(),
        }
    })
}

/// Makes the engine when the first component is looked into, not for every command.
struct FirstAsked {
    ports: Arc<dyn Ports>,
    config: Config,
    components: std::sync::OnceLock<Components>,
}

impl FirstAsked {
    fn components(&self) -> Result<&Components, InspectError> {
        if let Some(components) = self.components.get() {
            return Ok(components);
        }
        let made = self
            .ports
            .components(&self.config)
            .map_err(|error| InspectError {
                message: format!("cannot be looked into, the engine does not start: {error:#}"),
                hint: String::new(),
            })?;
        Ok(self.components.get_or_init(|| made))
    }
}

#[async_trait]
impl ComponentInspector for FirstAsked {
    async fn inspect(&self, file: &Path) -> Result<Inspection, InspectError> {
        self.components()?.inspect(file).await
    }

    async fn keep(&self, file: &Path, digest: &str) -> Result<(), InspectError> {
        self.components()?.keep(file, digest).await
    }
}
