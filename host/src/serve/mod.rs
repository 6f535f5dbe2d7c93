//! The composition root: every part of a running panel, put together once, from the bottom up.
//!
//! [`Panel::build`] makes the parts in the order in which they need each other and starts nothing; [`run`] starts what
//! has to run and ends it again. Everything that is started here is waited for at the end.

mod listen;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use portico_runtime::{CacheConfig, Runtime, RuntimeConfig};
use rand::Rng;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::admin::socket::AdminSocket;
use crate::admin::{Admin, AdminParts, PluginHealth, Reload, RuledPasswords};
use crate::assets::Assets;
use crate::auth::{LoginLimiter, LoginLimits, PasswordCost, Passwords, SessionPolicy, Sessions};
use crate::capability::{Parts, http};
use crate::cli::Ports;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, LogConfig, LogFormat, MailTransportKind, SmtpSecurityConfig};
use crate::domain::{PluginId, Records};
use crate::housekeeping::Housekeeping;
use crate::jobs::engine::EngineConfig;
use crate::jobs::schedule::Schedules;
use crate::jobs::{Engine, Jobs};
use crate::live::{Clusters, Live, LiveConfig, Patience};
use crate::mail::{
    EmailAddress, FileTransport, MailSender, MailTransport, MailWorker, Outbox, RetryPolicy, SmtpLogin,
    SmtpOptions, SmtpSecurity, SmtpTransport,
};
use crate::plugins::Plugins;
use crate::plugins::components::Components;
use crate::plugins::step::Stepper;
use crate::secret::{Entropy, Sealer, Secret, SystemEntropy, Vault};
use crate::store::{SharedStore, SledOptions, SledStore};
use crate::view::View;
use crate::web::metrics::Metrics;
use crate::web::rates::Rates;
use crate::web::site::Site;
use crate::web::{self, App, AppParts};

/// The panel, put together and not running.
pub struct Panel {
    /// What pages and commands reach.
    pub app: App,
    /// Runs jobs.
    pub engine: Engine,
    /// Sends mails.
    pub mail: MailWorker,
    /// Ends everything.
    pub stop: CancellationToken,
    /// Wakes the housekeeping.
    pub sweep: Arc<Notify>,
}

impl Panel {
    /// Opens the store and makes every part.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        // One provider of cryptography in the process; a second attempt, in tests, changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let key = config.secrets.sealing_key(&*entropy).map_err(|error| {
            let hint = error.hint();
            anyhow::Error::new(error).context(format!("the key that seals secrets: {hint}"))
        })?;
        private_directory(&config.store.path)?;
        let cache_key = key.derive("portico 2026-11 compile cache");
        let sealer = Arc::new(Sealer::new(key));
        let vault = Vault::new(Arc::clone(&sealer));
        let options = SledOptions::new(config.store.database());
        let store: SharedStore =
            Arc::new(tokio::task::spawn_blocking(move || SledStore::open(&options)).await??);
        let records = Records::new(Arc::clone(&store));
        let metrics = Arc::new(Metrics::default());

        let runtime = runtime(config, cache_key, Arc::clone(&metrics))?;
        let components = Components::new(config.store.components(), runtime.clone());
        let plugins = Plugins::new(runtime, records.clone(), components);

        let clusters = Clusters::new(records.clone(), vault.clone(), Arc::clone(&metrics) as _);
        let live = Live::new(live_config(config), clusters);
        let jobs = Jobs::new(Arc::clone(&store), Arc::clone(&clock));
        let schedules = Schedules::new(jobs.clone());
        let outbox = Outbox::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            sealer,
        );
        let parts = Parts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            live,
            jobs: jobs.clone(),
            schedules: schedules.clone(),
            outbox: outbox.clone(),
            http: http::Sender::new(&public_tls(), &(Arc::new(http::SystemLookup) as _))?,
            vault: vault.clone(),
            grace: Duration::from_secs(u64::from(config.jobs.grace_secs)),
        };

        let stop = CancellationToken::new();
        let stepper = Arc::new(Stepper {
            plugins: plugins.clone(),
            records: records.clone(),
            parts: parts.clone(),
        });
        let owner = format!("{}-{:08x}", std::process::id(), rand::rng().next_u32());
        let engine = Engine::new(
            jobs,
            schedules,
            Arc::clone(&stepper) as _,
            stepper,
            engine_config(config),
            owner.clone(),
            stop.clone(),
        );
        let mail = mail_worker(config, outbox, &vault, owner).await?;

        let assets = Arc::new(Assets::load()?);
        let view = View::new(Arc::clone(&assets))?;
        view.check()
            .context("a page template does not render with its samples")?;
        let app = App::new(AppParts {
            site: Site::new(&config.server.public_url, config.server.trusted_proxies.clone()),
            product_name: "Portico".to_owned(),
            view,
            assets,
            records,
            sessions: Sessions::new(store, clock, Arc::clone(&entropy), session_policy(config)),
            passwords: Arc::new(Passwords::new(PasswordCost::default(), 2, 32)?),
            entropy,
            login: LoginLimiter::new(LoginLimits::default()),
            rates: Rates::new(&config.requests.limits()),
            plugins,
            parts,
            metrics,
        });
        Ok(Self {
            app,
            engine,
            mail,
            stop,
            sweep: Arc::default(),
        })
    }
}

/// The panel as the command line starts it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Root;

#[async_trait]
impl Ports for Root {
    async fn serve(&self, config: Config) -> anyhow::Result<()> {
        logging(&config.log);
        run(&config).await
    }

    fn components(&self, config: &Config) -> anyhow::Result<Components> {
        let runtime = Runtime::new(RuntimeConfig {
            limits: config.limits.clone(),
            icons: crate::assets::icons(),
            ..RuntimeConfig::default()
        })?;
        Ok(Components::new(config.store.components(), runtime))
    }
}

/// Runs the panel until it is told to stop (Ctrl-C or SIGTERM).
async fn run(config: &Config) -> anyhow::Result<()> {
    let panel = Panel::build(config).await?;
    let server = listen::public(&config.server, web::router(panel.app.clone()), panel.stop.clone()).await?;
    let tasks = panel.start(config).await?;
    tasks.spawn(server);
    tracing::info!(address = %config.server.listen, url = %config.server.public_url, "the panel is ready");
    signal().await;
    tracing::info!("stopping");
    panel.stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

impl Panel {
    /// Loads the plugins and starts everything but the server for customers.
    pub async fn start(&self, config: &Config) -> anyhow::Result<TaskTracker> {
        let Self {
            app,
            engine,
            mail,
            stop,
            sweep: _,
        } = self;
        app.plugins
            .sync()
            .await
            .context("the approved plugins cannot be read")?;
        let tasks = TaskTracker::new();
        tasks.spawn(engine.clone().run());
        let (mail, mail_stop) = (mail.clone(), stop.clone());
        tasks.spawn(async move { mail.run(mail_stop).await });
        let housekeeping = Housekeeping {
            records: app.records.clone(),
            schedules: app.parts.schedules.clone(),
            sessions: app.sessions.clone(),
            clock: Arc::clone(&app.parts.clock),
            keep_activity: Duration::from_hours(u64::from(config.store.activity_days) * 24),
            wake: Arc::clone(&self.sweep),
        };
        tasks.spawn(housekeeping.run(stop.clone()));
        if let Some(address) = config.metrics.listen {
            tasks.spawn(listen::plain(address, web::metrics::router(app.clone()), stop.clone()).await?);
        }
        let socket = AdminSocket::bind(&config.store.admin_socket())?;
        tasks.spawn(socket.serve(self.admin(config), stop.clone()));
        Ok(tasks)
    }

    /// What commands ask of the running panel.
    pub fn admin(&self, config: &Config) -> Admin {
        let app = &self.app;
        Admin::new(AdminParts {
            records: app.records.clone(),
            inspector: Arc::new(Components::new(
                config.store.components(),
                app.plugins.runtime().clone(),
            )),
            sessions: app.sessions.clone(),
            passwords: RuledPasswords {
                passwords: Arc::clone(&app.passwords),
                entropy: Arc::clone(&app.entropy),
            },
            clusters: app.parts.live.clusters().clone(),
            jobs: app.parts.jobs.clone(),
            clock: Arc::clone(&app.parts.clock),
            reload: Arc::new(Reloading {
                plugins: app.plugins.clone(),
                sweep: Arc::clone(&self.sweep),
            }),
        })
    }
}

/// Takes up what a command has changed.
struct Reloading {
    plugins: Plugins,
    sweep: Arc<Notify>,
}

#[async_trait]
impl Reload for Reloading {
    async fn reload(&self) -> Vec<String> {
        self.sweep.notify_one();
        // Clients of clusters follow their records by themselves.
        if let Err(error) = self.plugins.sync().await {
            return vec![format!("the plugins could not be loaded anew: {error}")];
        }
        let set = self.plugins.set();
        set.broken
            .iter()
            .map(|(id, reason)| format!("plugin `{id}` could not be loaded: {reason}"))
            .collect()
    }

    fn health(&self, plugin: &PluginId) -> Option<PluginHealth> {
        self.plugins.health(plugin)
    }
}

fn logging(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber, in tests, changes nothing.
    let _ = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
}

async fn signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Makes the directory of the store, for the panel's user alone.
fn private_directory(path: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.with_context(|| {
        format!(
            "the directory `{}` cannot be made: set `store.path`",
            path.display()
        )
    })
}

fn runtime(config: &Config, key: [u8; 32], metrics: Arc<Metrics>) -> anyhow::Result<Runtime> {
    Ok(Runtime::new(RuntimeConfig {
        limits: config.limits.clone(),
        template_limits: portico_runtime::template::TemplateLimits::default(),
        fast_reset: config.plugins.fast_reset,
        cache: Some(CacheConfig {
            directory: config.store.path.join("compiled"),
            key,
        }),
        icons: crate::assets::icons(),
        observer: metrics,
    })?)
}

fn live_config(config: &Config) -> LiveConfig {
    let section = &config.proxmox;
    let ms = |ms: u32| Duration::from_millis(u64::from(ms));
    let base = LiveConfig::default();
    let patience = |fresh: u32, base: Patience| Patience {
        fresh: ms(fresh),
        budget: ms(section.page_budget_ms),
        ..base
    };
    LiveConfig {
        calm: patience(section.status_ms, base.calm),
        hot: patience(section.status_after_action_ms, base.hot),
        slow: patience(section.hardware_ms, base.slow),
        list: patience(section.list_ms, base.list),
        hot_for: ms(section.after_action_ms),
        task_poll: ms(section.task_poll_ms),
    }
}

fn engine_config(config: &Config) -> EngineConfig {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    EngineConfig {
        concurrency: size(config.jobs.concurrency),
        per_node: size(config.jobs.per_node),
        retries: config.jobs.retries,
        backoff: Duration::from_secs(u64::from(config.jobs.backoff_secs)),
    }
}

fn session_policy(config: &Config) -> SessionPolicy {
    SessionPolicy {
        idle: Duration::from_mins(u64::from(config.sessions.idle_minutes)),
        absolute: Duration::from_hours(u64::from(config.sessions.absolute_hours)),
        per_account: usize::try_from(config.sessions.per_customer).unwrap_or(usize::MAX),
        ..SessionPolicy::default()
    }
}

async fn mail_worker(
    config: &Config,
    outbox: Outbox,
    vault: &Vault,
    owner: String,
) -> anyhow::Result<MailWorker> {
    let section = &config.mail;
    let address =
        |text: &str| EmailAddress::parse(text).with_context(|| format!("`{text}` is not a mail address"));
    let sender = MailSender {
        from: address(&section.from)?,
        name: Some(section.from_name.clone()).filter(|name| !name.is_empty()),
        reply_to: section.reply_to.as_deref().map(address).transpose()?,
    };
    let transport: Arc<dyn MailTransport> = match section.transport {
        MailTransportKind::File => Arc::new(FileTransport::new(&section.directory)),
        MailTransportKind::Smtp => {
            let smtp = &section.smtp;
            let security = match smtp.security {
                SmtpSecurityConfig::Tls => SmtpSecurity::Tls,
                SmtpSecurityConfig::Starttls => SmtpSecurity::StartTls,
                SmtpSecurityConfig::Plain => SmtpSecurity::Plain,
            };
            let mut options = SmtpOptions::new(&smtp.host, security);
            options.port = smtp.port;
            if let Some(user) = &smtp.user {
                let password = match &smtp.password {
                    Some(reference) => vault
                        .read(reference)
                        .await
                        .context("`mail.smtp.password` cannot be read")?,
                    None => Secret::default(),
                };
                options.login = Some(SmtpLogin {
                    user: user.clone(),
                    password,
                });
            }
            if let Some(path) = &smtp.ca_file {
                let pem = tokio::fs::read(path).await;
                options.ca_pem =
                    Some(pem.with_context(|| format!("`mail.smtp.ca_file` `{}`", path.display()))?);
            }
            Arc::new(SmtpTransport::new(&options)?)
        }
    };
    let policy = RetryPolicy {
        attempts: section.attempts,
        first: Duration::from_secs(u64::from(section.retry_secs)),
        ..RetryPolicy::default()
    };
    Ok(MailWorker::new(outbox, transport, sender, policy, owner))
}

/// TLS towards the Internet, by the public authorities that the machine trusts.
fn public_tls() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One that rustls cannot read is of no use to it; the others are.
        let _ = roots.add(certificate);
    }
    rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
