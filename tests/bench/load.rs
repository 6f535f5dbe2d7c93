//! Loading a plugin: with an empty compile cache and with a full one.

use std::path::Path;
use std::time::Instant;

use portico_runtime::{Approval, CacheConfig, Digest, Runtime, RuntimeConfig};

use crate::site::Site;
use crate::spread::Spread;

/// How often each load is measured.
const TIMES: usize = 5;

/// What a plugin's load takes.
pub(crate) struct Load {
    /// Its name.
    pub(crate) name: String,
    /// Bytes of its component.
    pub(crate) size: usize,
    /// Milliseconds, compiled anew.
    pub(crate) cold: Spread,
    /// Milliseconds, from the cache.
    pub(crate) warm: Spread,
}

/// Measures every plugin.
pub(crate) async fn run(site: &Site) -> anyhow::Result<Vec<Load>> {
    let mut found = Vec::new();
    for (number, path) in site.programs().plugins.iter().enumerate() {
        let bytes = std::fs::read(path)?;
        let inspection = runtime(&site.folder("look"))?.inspect(bytes.clone()).await;
        let approval = Approval {
            interfaces: inspection
                .imports
                .iter()
                .map(|import| import.interface.clone())
                .collect(),
            digest: Some(Digest::of(&bytes)),
        };
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for time in 0..TIMES {
            let folder = site.folder(&format!("compiled-{number}-{time}"));
            for times in [&mut cold, &mut warm] {
                let runtime = runtime(&folder)?;
                let start = Instant::now();
                runtime.install(bytes.clone(), &approval).await?;
                times.push(start.elapsed());
            }
        }
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default()
            .to_owned();
        let (cold, warm) = (Spread::of_times(&cold)?, Spread::of_times(&warm)?);
        found.push(Load {
            name,
            size: bytes.len(),
            cold,
            warm,
        });
    }
    Ok(found)
}

fn runtime(cache: &Path) -> anyhow::Result<Runtime> {
    Ok(Runtime::new(RuntimeConfig {
        cache: Some(CacheConfig {
            directory: cache.to_path_buf(),
            key: [7; 32],
        }),
        icons: portico_host::assets::icons(),
        fast_reset: true,
        ..RuntimeConfig::default()
    })?)
}
