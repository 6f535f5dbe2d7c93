//! Simulator, panel and customers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use portico_host::admin::protocol::ApplyRequest;
use portico_host::admin::{Admin, AdminAnswer, AdminFailure, AdminRequest};
use portico_host::config::Config;
use portico_host::serve::Panel;
use portico_host::web::{self, Peer};
use tokio::net::TcpListener;

use crate::probe::{Probe, built};

const PASSWORD: &str = "portico-hostile-tests";
/// The simulator's token for a panel, as its README has it.
const TOKEN: &str = "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";
pub(crate) const ANNAS: &str = "11111111-1111-4111-8111-000000000100";
pub(crate) const BENS: &str = "11111111-1111-4111-8111-000000000101";

/// How many calls fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As it is by default.
    Usual,
    /// One: each call is in the slot of the one before.
    OneSlot { fast_reset: bool },
}

/// A running panel with what it needs.
pub(crate) struct Stage {
    pub(crate) simulator: pve_sim::Handle,
    panel: Panel,
    admin: Admin,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    url: String,
    metrics: String,
    folder: tempfile::TempDir,
    pub(crate) anna: Customer,
    pub(crate) ben: Customer,
}

impl Stage {
    /// Starts everything, with the overview and the probes installed.
    pub(crate) async fn start(probes: &[&Probe], size: Size) -> Self {
        log();
        let simulator = pve_sim::Simulator::start(pve_sim::Options::default())
            .await
            .expect("the simulator starts");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("token", TOKEN), ("password", PASSWORD)] {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(folder.path().join(name))
                .expect("a secret");
            writeln!(file, "{text}").expect("a secret");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let config = config(&folder.path().join("portico.toml"), &url, size);
        let panel = Panel::build(&config).await.expect("the panel is built");
        let tracker = panel.start(&config).await.expect("the panel starts");
        let service = web::router(panel.app.clone()).into_make_service_with_connect_info::<Peer>();
        let figures = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let metrics = format!("http://{}/metrics", figures.local_addr().expect("an address"));
        let router = web::metrics::router(panel.app.clone());
        let tasks = vec![
            tokio::spawn(async move { axum::serve(listener, service).await.expect("the server") }),
            tokio::spawn(async move { axum::serve(figures, router).await.expect("the figures") }),
            tokio::spawn(async move {
                tracker.close();
                tracker.wait().await;
            }),
        ];
        let admin = panel.admin(&config);
        let (anna, ben) = (Customer::new(&url), Customer::new(&url));
        let stage = Self {
            simulator,
            panel,
            admin,
            tasks,
            url,
            metrics,
            folder,
            anna,
            ben,
        };
        let text = stage.provider(probes);
        stage
            .apply(&text)
            .await
            .unwrap_or_else(|error| panic!("the provider's file: {error}; {}", error.hint));
        let broken = stage.panel.app.plugins.set();
        assert!(broken.broken.is_empty(), "broken: {:?}", broken.broken);
        stage.anna.sign_in("anna@example.com").await;
        stage.ben.sign_in("ben@example.com").await;
        stage
    }

    /// Ends everything.
    pub(crate) async fn end(self) {
        self.panel.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
        self.simulator.shutdown().await;
    }

    /// Applies a provider's file.
    pub(crate) async fn apply(&self, text: &str) -> Result<(), AdminFailure> {
        let request = |agreed| {
            AdminRequest::Apply(ApplyRequest {
                text: text.to_owned(),
                name: "provider.toml".to_owned(),
                folder: self.folder.path().to_owned(),
                allow_remove_services: false,
                passwords: BTreeMap::new(),
                agreed,
            })
        };
        let AdminAnswer::Plan { fingerprint, .. } = self.admin.handle(request(None)).await? else {
            panic!("a plan is answered by a plan");
        };
        self.admin.handle(request(Some(fingerprint))).await.map(drop)
    }

    /// The provider's file with some plugins besides the overview. Their components are written beside it.
    pub(crate) fn provider(&self, probes: &[&Probe]) -> String {
        let mut plugins = String::new();
        let mut permissions = vec!["overview:*".to_owned()];
        let files = std::iter::once(("overview".to_owned(), built("plugins", "overview"), None)).chain(
            probes
                .iter()
                .map(|probe| (probe.id.clone(), probe.bytes(), probe.expected.approve.clone())),
        );
        for (id, bytes, approve) in files {
            std::fs::write(self.folder.path().join(format!("{id}.wasm")), bytes).expect("a component");
            let approve = approve.map_or_else(|| "\"as-built\"".to_owned(), |list| format!("{list:?}"));
            plugins.extend([format!(
                "[[plugin]]\nid = \"{id}\"\nfile = \"{id}.wasm\"\napprove = {approve}\n\n"
            )]);
        }
        permissions.extend(
            probes
                .iter()
                .filter(|probe| probe.expected.install.is_none())
                .flat_map(|probe| probe.grants()),
        );
        let mut text = format!(
            r#"
            {plugins}
            [[cluster]]
            id = "sim"
            endpoints = ["{}"]
            token_id = "portico@pve!panel"
            token_secret = {{ file = "token" }}
            fingerprints = ["{}"]

            [[product]]
            id = "all"
            title = "All"
            permissions = {permissions:?}
            plan = {{ cores = 2, memory_mib = 4096, system_disk = {{ size_gib = 40 }} }}
            "#,
            self.simulator.url(),
            self.simulator.fingerprint(),
        );
        for (customer, service, vmid) in [("anna", ANNAS, 100), ("ben", BENS, 101)] {
            text.extend([format!(
                r#"
                [[customer]]
                id = "{customer}"
                email = "{customer}@example.com"
                name = "{customer}"
                password = {{ file = "password" }}

                [[service]]
                id = "{service}"
                customer = "{customer}"
                product = "all"
                cluster = "sim"
                vmid = {vmid}
                hostname = "{customer}.example.net"
                "#
            )]);
        }
        text
    }

    /// How many calls of a plugin's export had an outcome.
    pub(crate) async fn calls(&self, plugin: &str, export: &str, outcome: &str) -> u64 {
        let text = reqwest::get(&self.metrics)
            .await
            .expect("the figures")
            .text()
            .await
            .expect("a text");
        let labels = format!("plugin=\"{plugin}\",export=\"{export}\",outcome=\"{outcome}\"");
        text.lines()
            .find(|line| line.starts_with("portico_plugin_calls") && line.contains(&labels))
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default()
    }

    /// The address of a plugin's page.
    pub(crate) fn page(&self, service: &str, plugin: &str, path: &str) -> String {
        let slash = if path.is_empty() || path.starts_with('?') {
            ""
        } else {
            "/"
        };
        format!("{}/services/{service}/{plugin}{slash}{path}", self.url)
    }
}

fn config(path: &std::path::Path, url: &str, size: Size) -> Config {
    let pool = match size {
        Size::Usual => String::new(),
        Size::OneSlot { .. } => {
            "pool_size = 1\nplugin_concurrency = 1\ncustomer_concurrency = 1\nmemories = 1\n".to_owned()
        }
    };
    let fast_reset = !matches!(size, Size::OneSlot { fast_reset: false });
    let text = format!(
        r#"
        [server]
        public_url = "{url}"
        [store]
        path = "state"
        [secrets]
        key_file = "key"
        [mail]
        transport = "file"
        directory = "mail"
        from = "panel@example.com"
        [plugins]
        fast_reset = {fast_reset}
        [limits]
        page = {{ cpu_ms = 250, wall_ms = 5000, hostcall_ms = 1000 }}
        install = {{ cpu_ms = 500, wall_ms = 20000, hostcall_ms = 1000 }}
        {pool}
        "#
    );
    Config::parse(&text, path).expect("the config is valid")
}

/// A customer's browser: cookies, and the origin that a browser sends along.
pub(crate) struct Customer {
    client: reqwest::Client,
    url: String,
    cookie: OnceLock<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Customer {
    fn new(url: &str) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            client: client.build().expect("a client"),
            url: url.to_owned(),
            cookie: OnceLock::new(),
        }
    }

    async fn sign_in(&self, email: &str) {
        let answer = self
            .client
            .post(format!("{}/login", self.url))
            .header("origin", &self.url)
            .form(&[("email", email), ("password", PASSWORD)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 303, "{email} cannot sign in");
        let cookie = answer
            .headers()
            .get("set-cookie")
            .and_then(|value| value.to_str().ok())
            .expect("a cookie");
        let _ = self
            .cookie
            .set(cookie.split(';').next().unwrap_or_default().to_owned());
    }

    /// Asks for a page; with a form, sends it.
    pub(crate) async fn ask(&self, url: &str, form: Option<&BTreeMap<String, String>>) -> Answer {
        let request = match form {
            Some(form) => self.client.post(url).header("origin", &self.url).form(form),
            None => self.client.get(url),
        };
        let begun = Instant::now();
        let request = request.header("cookie", self.cookie.get().map_or("", String::as_str));
        let answer = request
            .timeout(Duration::from_mins(1))
            .send()
            .await
            .expect("the panel answers");
        let status = answer.status().as_u16();
        let id = answer
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok());
        let request_id = id.unwrap_or_default().to_owned();
        let text = answer.text().await.expect("a text");
        Answer {
            status,
            request_id,
            text,
            took: begun.elapsed(),
        }
    }
}

static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();

/// Collects what the panel writes to the provider's log.
fn log() {
    LOG.get_or_init(|| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let _ = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
            .with_writer(move || Lines(Arc::clone(&writer)))
            .try_init();
        lines
    });
}

/// What was logged from a place on.
pub(crate) fn logged(from: usize) -> String {
    let Some(log) = LOG.get() else {
        return String::new();
    };
    let lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(lines.get(from..).unwrap_or_default()).into_owned()
}

/// How much was logged.
pub(crate) fn log_length() -> usize {
    LOG.get()
        .map_or(0, |log| log.lock().unwrap_or_else(PoisonError::into_inner).len())
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
