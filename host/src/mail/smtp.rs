//! Mails over SMTP.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Letter, MailTransport, SendError};
use crate::secret::Secret;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte, port 465 (RFC 8314).
    Tls,
    /// STARTTLS, port 587; a server that does not offer it gets no mail.
    StartTls,
    /// None, port 25. For a relay on the same host or a network that is trusted.
    Plain,
}

impl SmtpSecurity {
    const fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::Plain => 25,
        }
    }
}

/// The login at the server.
#[derive(Clone, Debug)]
pub struct SmtpLogin {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How to reach the server.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// The name of the server; the certificate must be for it.
    pub host: String,
    /// The port, if not the usual one of `security`.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// The login, if the server wants one. Refused without TLS, unless `host` is this machine.
    pub login: Option<SmtpLogin>,
    /// Certificates in PEM that are trusted besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// The name of this machine for `EHLO`; by default the one the system has.
    pub hello_name: Option<String>,
    /// How long connecting may take, and then sending one mail in all.
    pub timeout: Duration,
    /// The most connections at once.
    pub connections: u32,
}

impl SmtpOptions {
    /// The server `host` with its usual port, no login, 1 min a mail, 2 connections.
    pub fn new(host: impl Into<String>, security: SmtpSecurity) -> Self {
        Self {
            host: host.into(),
            port: None,
            security,
            login: None,
            ca_pem: None,
            hello_name: None,
            timeout: Duration::from_mins(1),
            connections: 2,
        }
    }
}

/// Why the options cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// A password would be sent in clear over the network.
    #[error("a login without TLS is only possible to this machine, and `{host}` is another one")]
    LoginInClear {
        /// The server.
        host: String,
    },
    /// The host is empty or no name.
    #[error("`{host}` is not a host name")]
    Host {
        /// What was given.
        host: String,
    },
    /// The certificates cannot be read.
    #[error("the CA certificates for the mail server cannot be read")]
    Certificates(#[source] lettre::transport::smtp::Error),
    /// TLS cannot be set up.
    #[error("TLS for the mail server cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Sends over SMTP, with a small pool of connections.
pub struct SmtpTransport {
    builder: AsyncSmtpTransportBuilder,
    /// Made at first use, because it starts a task that tidies up, for which there must be a runtime.
    connections: OnceLock<AsyncSmtpTransport<Tokio1Executor>>,
    host: String,
    timeout: Duration,
}

impl std::fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpTransport({})", self.host)
    }
}

impl SmtpTransport {
    /// Checks the options and makes the transport; connects only when there is something to send.
    pub fn new(options: &SmtpOptions) -> Result<Self, SmtpSetupError> {
        let host = options.host.trim();
        for name in std::iter::once(host).chain(options.hello_name.as_deref()) {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
            if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
                return Err(SmtpSetupError::Host {
                    host: name.to_owned(),
                });
            }
        }
        if options.login.is_some() && options.security == SmtpSecurity::Plain && !is_this_machine(host) {
            return Err(SmtpSetupError::LoginInClear {
                host: host.to_owned(),
            });
        }
        let tls = match options.security {
            SmtpSecurity::Plain => Tls::None,
            SmtpSecurity::Tls => Tls::Wrapper(tls_parameters(host, options.ca_pem.as_deref())?),
            SmtpSecurity::StartTls => Tls::Required(tls_parameters(host, options.ca_pem.as_deref())?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(options.port.unwrap_or(options.security.port()))
            .tls(tls)
            .timeout(Some(options.timeout))
            .pool_config(PoolConfig::new().max_size(options.connections.clamp(1, 16)));
        if let Some(hello) = &options.hello_name {
            builder = builder.hello_name(ClientId::Domain(hello.clone()));
        }
        if let Some(SmtpLogin { user, password }) = &options.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self {
            builder,
            connections: OnceLock::new(),
            host: host.to_owned(),
            timeout: options.timeout,
        })
    }

    /// Connects and greets, for `portico check`.
    pub async fn check(&self) -> Result<(), SendError> {
        if self.within_time(self.connections().test_connection()).await? {
            Ok(())
        } else {
            Err(SendError::Temporary(
                "the server does not answer as a mail server".to_owned(),
            ))
        }
    }

    fn connections(&self) -> &AsyncSmtpTransport<Tokio1Executor> {
        self.connections.get_or_init(|| self.builder.clone().build())
    }

    /// The library's own timeout covers connecting only; a server may also fall silent later.
    async fn within_time<T>(
        &self,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, SendError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result.map_err(|error| classify(&error)),
            Err(_) => Err(SendError::Temporary(
                "the server did not answer in time".to_owned(),
            )),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls_parameters(host: &str, ca_pem: Option<&[u8]>) -> Result<TlsParameters, SmtpSetupError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca_pem {
        builder =
            builder.add_root_certificate(Certificate::from_pem(pem).map_err(SmtpSetupError::Certificates)?);
    }
    builder.build().map_err(SmtpSetupError::Tls)
}

/// The answers that speak about the recipient or the message (RFC 5321, 4.2.3), and not about us: an expired
/// password or a blocked address is the provider's to mend, and the mails wait for it.
const FINAL: std::ops::RangeInclusive<u16> = 550..=554;

fn classify(error: &lettre::transport::smtp::Error) -> SendError {
    // The chain says more than its head: "connection refused", the certificate's fault, the server's words.
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !reason.contains(&text) {
            reason.push_str(": ");
            reason.push_str(&text);
        }
        cause = inner.source();
    }
    match error.status().map(u16::from) {
        Some(code) if FINAL.contains(&code) => SendError::Permanent(reason),
        _ => SendError::Temporary(reason),
    }
}

#[async_trait]
impl MailTransport for SmtpTransport {
    async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let address = |address: &super::EmailAddress| {
            address
                .as_str()
                .parse()
                .map_err(|_| SendError::Permanent("the address is refused".to_owned()))
        };
        let envelope = Envelope::new(Some(address(&letter.from)?), vec![address(&letter.to)?]);
        let envelope = envelope.map_err(|_| SendError::Permanent("the envelope is refused".to_owned()))?;
        self.within_time(self.connections().send_raw(&envelope, &letter.bytes))
            .await
            .map(drop)
    }
}
