//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;

use super::metrics::Metrics;
use super::rates::Rates;
use super::site::Site;
use crate::assets::Assets;
use crate::auth::{LoginLimiter, Passwords, Sessions};
use crate::capability::Parts;
use crate::domain::Records;
use crate::plugins::Plugins;
use crate::secret::Entropy;
use crate::view::View;

/// The parts of the panel that pages use. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// The parts, as the composition root puts them together.
pub struct AppParts {
    /// Where the panel is.
    pub site: Site,
    /// The panel's name.
    pub product_name: String,
    /// Page templates.
    pub view: View,
    /// Built files.
    pub assets: Arc<Assets>,
    /// Clusters, products, customers, services, activity.
    pub records: Records,
    /// Sessions.
    pub sessions: Sessions,
    /// Password hashing.
    pub passwords: Arc<Passwords>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Limits of the sign-in.
    pub login: LoginLimiter,
    /// Limits of everything else.
    pub rates: Rates,
    /// Installed plugins.
    pub plugins: Plugins,
    /// What capabilities need: store, clock, live state, jobs, outbox.
    pub parts: Parts,
    /// Figures for Prometheus.
    pub metrics: Arc<Metrics>,
}

impl App {
    /// Wraps the parts.
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
