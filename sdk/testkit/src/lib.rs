//! Tests a built Portico plugin as a panel runs it.
//!
//! The SDK's own bench (`portico_sdk::testing::Bench`) calls a feature that is compiled into the test: fast, and blind for
//! everything that only the real thing shows. Here the component is installed and called by the real runtime: imports,
//! description, settings schemas, templates with their samples, the markup policy, every limit. What it works on is the
//! same host in memory, and what is done with it is called the same: [`Kit`] is a
//! [`Stand`].
//!
//! Plugins in any language are welcome: the kit knows components, not Rust.
//!
//! ```no_run
//! use portico_testkit::Kit;
//!
//! let mut kit = Kit::load("target/plugins/snapshots.wasm").unwrap();
//! kit.settings(&serde_json::json!({ "quota": 3 }));
//! kit.post("create", &[("description", "Before the upgrade")]).unwrap();
//! kit.run();
//! assert!(kit.html("").contains("Before the upgrade"));
//! ```
//!
//! Put such a test into `tests/` of your plugin and build the component before it runs (`cargo xtask build --guest-dir .`
//! in a checkout of Portico).
//!
//! Not here: Proxmox, the store, mail and HTTP. What they do is played, and the journal of a job's work with it.

mod component;
mod cross;
mod ports;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use portico_runtime::markup::Policy;
use portico_runtime::template::RenderContext;
use portico_runtime::{InstallError, RuntimeConfig, StartError};
use portico_sdk::Response;
use portico_sdk::testing::Stand;

pub use component::Component;

/// Why a component is not on the bench.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The thread for the runtime cannot be had.
    #[error("cannot make a thread for the runtime")]
    Thread(#[source] std::io::Error),
    /// The runtime did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A panel would refuse to install it.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// A built plugin on the bench.
#[derive(Debug)]
pub struct Kit {
    stand: Stand<Component>,
}

impl Kit {
    /// Loads a component and installs it with every check that a panel makes, all its imports approved. Icons are those of
    /// the UI kit.
    ///
    /// # Errors
    /// [`LoadError::Install`] says what a panel would say.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::install(
            bytes,
            RuntimeConfig {
                icons: icons(),
                ..RuntimeConfig::default()
            },
        )
    }

    /// Installs a component with other limits or icons.
    ///
    /// # Errors
    /// As [`Kit::load`].
    pub fn install(bytes: Vec<u8>, config: RuntimeConfig) -> Result<Self, LoadError> {
        Ok(Self {
            stand: Stand::of(Component::install(bytes, config)?),
        })
    }

    /// Opens a page or fragment and renders it as a customer's browser gets it, without the panel's frame.
    ///
    /// # Panics
    /// When the plugin answers with anything but a page, when it does not render, and when the markup policy takes
    /// something away from it.
    pub fn html(&mut self, path: &str) -> String {
        let response = self
            .stand
            .get(path)
            .unwrap_or_else(|error| fail(&format!("GET `{path}` answered {error:?}")));
        self.render(&response)
    }

    /// Renders a page or fragment that the plugin answered with.
    ///
    /// # Panics
    /// As [`Kit::html`].
    pub fn render(&self, response: &Response) -> String {
        let (Response::Page(page) | Response::Fragment(page)) = response else {
            fail(&format!("not a page: {response:?}"))
        };
        let context = RenderContext::new(&self.stand.context.time_zone, self.stand.context.locale.as_str());
        let plugin = self.stand.subject().plugin();
        let policy = Policy::new(format!(
            "/services/{}/{}/",
            self.stand.context.service.id,
            plugin.id()
        ));
        let rendered =
            plugin
                .templates()
                .render_page(&page.view.template, &page.view.data, &context, &policy);
        match rendered {
            Ok(page) if page.violations.is_empty() => page.html,
            Ok(page) => fail(&format!("the markup policy took away: {:?}", page.violations)),
            Err(error) => fail(&format!("the page does not render: {error}")),
        }
    }
}

impl Deref for Kit {
    type Target = Stand<Component>;

    fn deref(&self) -> &Self::Target {
        &self.stand
    }
}

impl DerefMut for Kit {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.stand
    }
}

/// The icons of the UI kit, for [`Kit::install`].
pub fn icons() -> std::collections::BTreeSet<String> {
    // A list of words in quotes; that it is one is seen in the panel's own tests.
    let list = include_str!("../../../web/icons.json");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[expect(clippy::panic, reason = "a test helper: what is wrong ends the test")]
fn fail(what: &str) -> ! {
    panic!("{what}")
}
