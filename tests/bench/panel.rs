//! A panel in this process, with the native page beside its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use portico_host::auth::{AccountId, Client};
use portico_host::config::Config;
use portico_host::domain::Service;
use portico_host::serve::Panel;
use portico_host::view::urls::Url;
use portico_host::web::{self, App, Peer};
use tokio::net::TcpListener;

use crate::client;
use crate::native::{self, PLUGIN};
use crate::site::CUSTOMERS;
use crate::stages::Stages;

/// A running panel.
pub(crate) struct Running {
    /// Its parts.
    pub(crate) app: App,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Requests for the native page, one a customer.
    pub(crate) native: Vec<Vec<u8>>,
    /// Requests for the plugin's page, one a customer.
    pub(crate) plugin: Vec<Vec<u8>>,
    /// Where the native page's time goes.
    pub(crate) stages: Arc<Stages>,
    /// The first customer's service.
    pub(crate) service: Service,
    _panel: Panel,
}

impl Running {
    /// Starts the panel of a folder that [`crate::site::Site::panel`] filled.
    pub(crate) async fn start(config: &Path) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let panel = Panel::build(&config).await?;
        let app = panel.app.clone();
        app.plugins.sync().await?;
        let set = app.plugins.set();
        ensure!(
            set.broken.is_empty(),
            "plugins that cannot be loaded: {:?}",
            set.broken
        );

        let stages = Arc::new(Stages::default());
        let router = web::router_with(app.clone(), native::routes(Arc::clone(&stages)));
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let server = axum::serve(listener, router.into_make_service_with_connect_info::<Peer>());
        tokio::spawn(server.into_future());

        let signed_in = sign_in(&app).await?;
        let native = signed_in
            .iter()
            .map(|(service, cookie)| client::get(&format!("/native/{}", service.id), cookie));
        Ok(Self {
            address,
            native: native.collect(),
            plugin: plugin_pages(&signed_in),
            stages,
            service: signed_in.into_iter().next().context("no service")?.0,
            app,
            _panel: panel,
        })
    }

    /// Makes sure that both pages are the same, byte by byte. Returns the length.
    pub(crate) async fn compare(&self) -> anyhow::Result<usize> {
        for (native, plugin) in self.native.iter().zip(&self.plugin) {
            let mut attempts = 0;
            loop {
                let native = client::fetch(self.address, native).await?;
                let plugin = client::fetch(self.address, plugin).await?;
                if native == plugin && plugin.contains("Before the new kernel") {
                    break;
                }
                // A second may have passed between the two, which the remaining lifetime shows.
                attempts += 1;
                ensure!(
                    attempts < 5,
                    "the native page is not the plugin's:\n{native}\n--\n{plugin}"
                );
            }
        }
        let first = self.plugin.first().context("no request")?;
        Ok(client::fetch(self.address, first).await?.len())
    }
}

/// Sessions of all customers, by way of the store, and requests for their snapshots pages: for a panel that is started
/// on the store afterwards.
pub(crate) async fn sessions(config: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let panel = Panel::build(&Config::load(config)?).await?;
    Ok(plugin_pages(&sign_in(&panel.app).await?))
}

fn plugin_pages(signed_in: &[(Service, String)]) -> Vec<Vec<u8>> {
    let request = |(service, cookie): &(Service, String)| {
        client::get(Url::plugin(&service.id, PLUGIN).as_str(), cookie)
    };
    signed_in.iter().map(request).collect()
}

/// A session for each customer: his service, and the cookie.
async fn sign_in(app: &App) -> anyhow::Result<Vec<(Service, String)>> {
    let mut signed_in = Vec::new();
    for customer in CUSTOMERS {
        let epoch = app.sessions.epoch(&AccountId::parse(customer)?).await?;
        let client = Client {
            address: Ipv4Addr::LOCALHOST.into(),
            user_agent: "portico-bench",
        };
        let (token, _) = app.sessions.start(&epoch, None, client).await?;
        let services = app.records.services_of(&customer.parse()?).await?;
        let service = services
            .into_iter()
            .next()
            .context("a customer without a service")?;
        signed_in.push((
            service,
            format!("{}={}", app.site.cookie("portico_session"), *token.encode()),
        ));
    }
    Ok(signed_in)
}
