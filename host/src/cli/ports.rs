//! What the command line needs of other modules, put in by the composition root.

use async_trait::async_trait;

use crate::config::Config;
use crate::plugins::components::Components;

/// The parts behind the commands.
#[async_trait]
pub trait Ports: Send + Sync {
    /// Runs the panel until it is told to end.
    async fn serve(&self, config: Config) -> anyhow::Result<()>;

    /// Makes what looks into components and keeps them, on a runtime with the config's limits. Called only by
    /// commands that need it: an engine is not for nothing.
    fn components(&self, config: &Config) -> anyhow::Result<Components>;
}
