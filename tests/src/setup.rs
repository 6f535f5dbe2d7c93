//! What a test wants to be different, and the files of the panel.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use pve_sim::{Major, Options, Scenario};

use crate::target;

/// The customers' password.
pub const PASSWORD: &str = "portico-test-tour";
/// The simulator's token for a panel, as its README has it.
const TOKEN: &str = "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";
/// The key of every panel of the tests, so that they can share compiled components. It protects nothing.
const KEY: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// The variable that has the simulator listen on a given port, for a proxy in front of it.
pub const SIM_LISTEN: &str = "PORTICO_SIM_LISTEN";
/// The variable with the address and the certificate of a proxy between panel and simulator.
pub const PVE_PROXY: &str = "PORTICO_PVE_PROXY";
/// The variable with the major version of Proxmox VE that is simulated, 8 or 9.
pub const PVE_MAJOR: &str = "PORTICO_PVE_MAJOR";
/// The variable with the filter for the panel's log, which goes to stderr.
pub const LOG: &str = "PORTICO_TEST_LOG";

/// What a world begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many times faster than real time the simulator is.
    pub time_scale: f64,
    /// What the cluster looks like.
    pub scenario: Scenario,
    /// The provider file, with words between @ signs.
    pub provider: String,
    /// How old a status may be, milliseconds.
    pub status_ms: u32,
    /// How old a VM's hardware may be, milliseconds.
    pub hardware_ms: u32,
    /// How often a step of a job is tried again.
    pub retries: u32,
    /// What `[mail]` says besides the sender.
    pub mail: String,
    /// What `[requests]` says.
    pub requests: &'static str,
    /// The filter for the log of a panel that is a program of its own, where [`LOG`] says nothing.
    pub log: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            time_scale: 20.0,
            scenario: Scenario::demo(),
            provider: include_str!("seed/provider.toml").to_owned(),
            status_ms: 500,
            hardware_ms: 1_000,
            retries: 5,
            mail: "transport = \"file\"\ndirectory = \"mail\"".to_owned(),
            // Tests ask faster than people do.
            requests: "pages_per_minute = 1000000\nactions_per_minute = 1000000\nvisitors_per_minute = 1000000",
            log: "error",
        }
    }
}

impl Setup {
    /// The options of the simulator.
    ///
    /// # Errors
    /// When a variable of the environment makes no sense.
    pub fn simulator(&self) -> anyhow::Result<Options> {
        let mut options = Options {
            time_scale: self.time_scale,
            scenario: self.scenario.clone(),
            ..Options::default()
        };
        if let Ok(listen) = std::env::var(SIM_LISTEN) {
            options.listen = listen
                .parse()
                .with_context(|| format!("`{SIM_LISTEN}` is not an address and port"))?;
        }
        if let Ok(major) = std::env::var(PVE_MAJOR) {
            options.pve = major.parse::<Major>().map_err(anyhow::Error::msg)?;
        }
        Ok(options)
    }

    /// Writes the panel's files into `folder`.
    ///
    /// # Errors
    /// When the plugins are not built, or a file cannot be written.
    pub fn write(
        &self,
        folder: &Path,
        port: u16,
        simulator: SocketAddr,
        fingerprint: &str,
    ) -> anyhow::Result<()> {
        for name in ["secrets", "mail", "state"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        for (name, secret) in [
            ("pve-token", TOKEN),
            ("customer-password", PASSWORD),
            ("store-key", KEY),
        ] {
            let mut options = std::fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            std::io::Write::write_all(
                &mut options.open(folder.join("secrets").join(name))?,
                secret.as_bytes(),
            )?;
        }
        let config = filled_in(
            include_str!("seed/portico.toml"),
            &[
                ("@PORT@", &port.to_string()),
                ("@STATUS_MS@", &self.status_ms.to_string()),
                ("@HARDWARE_MS@", &self.hardware_ms.to_string()),
                ("@RETRIES@", &self.retries.to_string()),
                ("@REQUESTS@", self.requests),
                ("@MAIL@", &self.mail),
                (
                    "@LOG@",
                    &std::env::var(LOG).unwrap_or_else(|_| self.log.to_owned()),
                ),
            ],
        );
        std::fs::write(folder.join("portico.toml"), config)?;
        let (endpoint, trust) = endpoint(simulator, fingerprint)?;
        let provider = filled_in(
            &self.provider,
            &[
                ("@ENDPOINT@", &endpoint),
                ("@TRUST@", &trust),
                ("@PLUGINS@", &target::plugins()?.display().to_string()),
            ],
        );
        std::fs::write(folder.join("provider.toml"), provider)?;
        Ok(())
    }
}

/// Where the panel finds the cluster, and the line by which it knows it: the simulator itself, or the proxy in front.
fn endpoint(simulator: SocketAddr, fingerprint: &str) -> anyhow::Result<(String, String)> {
    let Ok(proxy) = std::env::var(PVE_PROXY) else {
        return Ok((
            format!("https://{simulator}"),
            format!("fingerprints = [\"{fingerprint}\"]"),
        ));
    };
    let (address, identity) = proxy.split_once(',').with_context(|| {
        format!("`{PVE_PROXY}` is not `HOST:PORT,FINGERPRINT` or `HOST:PORT,CERTIFICATE-FILE`")
    })?;
    let trust = if Path::new(identity).is_file() {
        format!("ca_file = \"{identity}\"")
    } else {
        format!("fingerprints = [\"{identity}\"]")
    };
    Ok((format!("https://{address}"), trust))
}

fn filled_in(text: &str, words: &[(&str, &str)]) -> String {
    words
        .iter()
        .fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

/// Has what runs in this process log to stderr, if [`LOG`] says so.
pub(crate) fn log() {
    if let Ok(filter) = std::env::var(LOG) {
        // Only the first test of the process can set it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .try_init();
    }
}
