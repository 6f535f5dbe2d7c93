//! Installing a component: every check that stands between a file of a stranger and a customer's page.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::bindings::guest::{self, Description};
use crate::bindings::log::Level;
use crate::bindings::{Feature, FeaturePre};
use crate::breaker::Breaker;
use crate::capability::{LogLine, LogPort, Phase, Ports};
use crate::description::{self, Checked, Problem};
use crate::digest::Digest;
use crate::error::PluginError;
use crate::inspect::{Imports, Inspection, check_bytes, check_resources};
use crate::linking;
use crate::plugin::Plugin;
use crate::runtime::{Entry, Runtime};
use crate::scope::ScopeSet;
use crate::state::CallState;
use crate::template::{TemplateError, TemplateSet, TemplateSource};

/// Most templates of a plugin.
const MAX_TEMPLATES: usize = 64;

/// What the provider approved.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    /// The capability interfaces the plugin may import: `vm`, `snapshots`.
    pub interfaces: BTreeSet<String>,
    /// The digest that the approval is for; without one it is for any bytes, as in development.
    pub digest: Option<Digest>,
}

impl Approval {
    /// Approves every interface there is, for any bytes. For inspection and development.
    pub fn everything() -> Self {
        let interfaces = crate::capability::FUNCTIONS
            .iter()
            .map(|(interface, _)| (*interface).to_owned());
        Self {
            interfaces: interfaces.collect(),
            digest: None,
        }
    }
}

/// Why a component was not installed. Whatever was installed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The file is larger than allowed.
    #[error("the component has {size} bytes; {most} are allowed")]
    TooLarge {
        /// Its size, bytes.
        size: usize,
        /// What is allowed, bytes.
        most: usize,
    },
    /// The file is no WebAssembly at all.
    #[error("the file is not a WebAssembly component")]
    NotWasm,
    /// The file is a core module.
    #[error("the file is a core WebAssembly module, not a component")]
    CoreModule,
    /// The file is damaged or uses what this panel has switched off.
    #[error("the component is not valid: {0}")]
    Malformed(String),
    /// It is not the file that was approved.
    #[error("the component has digest {actual}, but {approved} was approved")]
    DigestMismatch {
        /// The digest of the file.
        actual: Digest,
        /// The approved one.
        approved: Digest,
    },
    /// It imports interfaces that this panel does not have.
    #[error("the component imports what this panel does not have: {}", .interfaces.join(", "))]
    UnknownImports {
        /// Their full names.
        interfaces: Vec<String>,
    },
    /// It imports interfaces that were not approved.
    #[error("the component imports interfaces that are not approved: {}", .interfaces.join(", "))]
    NotApproved {
        /// Their names: `snapshots`.
        interfaces: Vec<String>,
    },
    /// It needs more of the pool than a call may have.
    #[error("the component needs {needs} {what}; {allowed} are allowed")]
    TooDemanding {
        /// What it needs.
        what: &'static str,
        /// How much.
        needs: u64,
        /// How much it may have.
        allowed: u64,
    },
    /// It is not made for this version of the contract.
    #[error("the component does not fit the contract: {0}")]
    Incompatible(String),
    /// It did not answer `describe` or `templates`.
    #[error("the plugin did not answer `{export}`")]
    NoAnswer {
        /// Which function.
        export: &'static str,
        /// What it logged meanwhile, for its author.
        log: Vec<String>,
        /// Why.
        #[source]
        source: PluginError,
    },
    /// What it says of itself is not sound.
    #[error("the plugin's description is not valid: {}", list(.0))]
    Description(Vec<Problem>),
    /// A template does not compile or does not render with its samples.
    #[error("the plugin's templates are not valid")]
    Template(#[source] TemplateError),
    /// It is another plugin than the one it was to replace.
    #[error("the component is plugin `{actual}`, not `{expected}`")]
    OtherPlugin {
        /// Its id.
        actual: String,
        /// The id it should have.
        expected: String,
    },
    /// The host failed.
    #[error("the host could not install the component: {0}")]
    Host(String),
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is known of a component at the point an installation got to.
#[derive(Default)]
struct Findings {
    imports: Imports,
    resources: Option<crate::inspect::Resources>,
    description: Option<Description>,
    templates: Vec<String>,
}

impl Runtime {
    /// Says what a component is, whether or not it can be installed. Calls `describe` and `templates` without any
    /// capability; nothing of it stays.
    pub async fn inspect(&self, bytes: Vec<u8>) -> Inspection {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        let mut findings = Findings::default();
        let problem = self
            .examine(bytes, digest, &Approval::everything(), &mut findings)
            .await
            .err();
        Inspection {
            digest,
            size,
            imports: findings.imports.capabilities,
            wasi: findings.imports.wasi,
            unknown: findings.imports.unknown,
            resources: findings.resources,
            description: findings.description,
            templates: findings.templates,
            problem,
        }
    }

    /// Checks a component and makes it callable. It is not in any registry yet: [`Registry::swap`] puts it there.
    ///
    /// [`Registry::swap`]: crate::Registry::swap
    ///
    /// # Errors
    /// The first check that failed; of description and schemas all that is wrong.
    pub async fn install(&self, bytes: Vec<u8>, approval: &Approval) -> Result<Arc<Plugin>, InstallError> {
        let digest = Digest::of(&bytes);
        self.examine(bytes, digest, approval, &mut Findings::default())
            .await
    }

    async fn examine(
        &self,
        bytes: Vec<u8>,
        digest: Digest,
        approval: &Approval,
        findings: &mut Findings,
    ) -> Result<Arc<Plugin>, InstallError> {
        let size = bytes.len();
        if let Some(approved) = approval.digest
            && approved != digest
        {
            return Err(InstallError::DigestMismatch {
                actual: digest,
                approved,
            });
        }
        let component = self.component(bytes, digest).await?;
        findings.imports = Imports::of(self.engine(), &component);
        let imports = &findings.imports;
        check_imports(imports, approval)?;
        findings.resources = Some(check_resources(&component, self.limits())?);
        let pre = self.link(&component, imports)?;

        let description = self.ask(&pre, "describe", describe).await?;
        findings.description = Some(description.clone());
        let Checked {
            version,
            provider_settings,
            product_settings,
        } = description::check(&description, imports.scopes, self.icons())
            .map_err(InstallError::Description)?;

        let sources = self.ask(&pre, "templates", templates).await?;
        findings.templates = sources
            .iter()
            .take(MAX_TEMPLATES)
            .map(|template| template.name.clone())
            .collect();
        let template_names = Arc::new(sources.iter().map(|template| template.name.clone()).collect());
        let templates = self.compile_templates(sources).await?;

        Ok(Arc::new(Plugin {
            description,
            version,
            digest,
            size,
            imports: imports.capabilities.clone(),
            scopes: imports.scopes,
            pre,
            templates,
            template_names,
            provider_settings,
            product_settings,
            slots: Arc::new(Semaphore::new(self.limits().plugin_concurrency as usize)),
            breaker: Breaker::new(self.limits().breaker),
        }))
    }

    /// Compiles a component, or takes it from the cache, on a thread that may block.
    async fn component(&self, bytes: Vec<u8>, digest: Digest) -> Result<Component, InstallError> {
        let runtime = self.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            check_bytes(&bytes, runtime.limits())?;
            if let Some(component) = runtime
                .cache()
                .and_then(|cache| cache.load(runtime.engine(), digest))
            {
                return Ok(component);
            }
            let component = Component::from_binary(runtime.engine(), &bytes)
                .map_err(|error| InstallError::Malformed(format!("{error:#}")))?;
            if let Some(cache) = runtime.cache()
                && let Err(error) = cache.store(digest, &component)
            {
                tracing::warn!(%digest, %error, "cannot keep a compiled component");
            }
            Ok(component)
        });
        compiled
            .await
            .unwrap_or_else(|error| Err(InstallError::Host(error.to_string())))
    }

    fn link(&self, component: &Component, imports: &Imports) -> Result<FeaturePre<CallState>, InstallError> {
        let incompatible = |error: wasmtime::Error| InstallError::Incompatible(format!("{error:#}"));
        let with_wasi = !imports.wasi.is_empty();
        let linker = linking::linker(self.engine(), &imports.interfaces, with_wasi).map_err(incompatible)?;
        let pre = linker.instantiate_pre(component).map_err(incompatible)?;
        FeaturePre::new(pre).map_err(incompatible)
    }

    /// Calls one of the exports that are asked at install, without any capability.
    async fn ask<T: Send>(
        &self,
        pre: &FeaturePre<CallState>,
        export: &'static str,
        guest: impl for<'a> FnOnce(&'a Feature, &'a mut wasmtime::Store<CallState>) -> Entry<'a, T> + Send,
    ) -> Result<T, InstallError> {
        let log = Arc::new(CollectedLog::default());
        let ports = Ports {
            log: log.clone(),
            ..Ports::denied()
        };
        let state = CallState::new(ports, ScopeSet::EMPTY, Phase::Describe, self.limits(), None);
        match self.enter_unlisted(pre, state, export, guest).await {
            Ok(answer) => Ok(answer),
            // The typed check of an export happens when an instance is made.
            Err(PluginError::Incompatible(reason)) => Err(InstallError::Incompatible(reason)),
            Err(source) => Err(InstallError::NoAnswer {
                export,
                log: log.lines(),
                source,
            }),
        }
    }

    /// Compiles templates and renders their samples, on a thread that may block.
    async fn compile_templates(&self, sources: Vec<guest::Template>) -> Result<TemplateSet, InstallError> {
        let limits = self.template_limits().clone();
        let sources = sources
            .into_iter()
            .map(|template| TemplateSource {
                name: template.name,
                source: template.source,
                samples: template.samples,
            })
            .collect();
        let compiled = tokio::task::spawn_blocking(move || TemplateSet::compile(sources, &limits));
        match compiled.await {
            Ok(compiled) => compiled.map_err(InstallError::Template),
            Err(error) => Err(InstallError::Host(error.to_string())),
        }
    }
}

fn check_imports(imports: &Imports, approval: &Approval) -> Result<(), InstallError> {
    if !imports.unknown.is_empty() {
        return Err(InstallError::UnknownImports {
            interfaces: imports.unknown.clone(),
        });
    }
    let not_approved: Vec<_> = imports
        .interfaces
        .iter()
        .filter(|interface| !approval.interfaces.contains(**interface))
        .map(|interface| (*interface).to_owned())
        .collect();
    if not_approved.is_empty() {
        Ok(())
    } else {
        Err(InstallError::NotApproved {
            interfaces: not_approved,
        })
    }
}

fn describe<'a>(feature: &'a Feature, store: &'a mut wasmtime::Store<CallState>) -> Entry<'a, Description> {
    Box::pin(async move { feature.portico_plugin_guest().call_describe(store).await })
}

fn templates<'a>(
    feature: &'a Feature,
    store: &'a mut wasmtime::Store<CallState>,
) -> Entry<'a, Vec<guest::Template>> {
    Box::pin(async move { feature.portico_plugin_guest().call_templates(store).await })
}

/// What a plugin logs while it describes itself; without it an author would not see the message of a panic.
#[derive(Default)]
struct CollectedLog(std::sync::Mutex<Vec<String>>);

impl CollectedLog {
    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl LogPort for CollectedLog {
    fn write(&self, line: LogLine) {
        let level = match line.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let line = format!("{level}: {}", line.message);
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(line);
    }
}
