//! `[mail]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, within};
use crate::domain::SecretRef;

/// How mails are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// `smtp` sends mails; `file` writes each to a file, for trying the panel out.
    pub transport: MailTransportKind,
    /// The sender's address.
    pub from: String,
    /// The sender's name, as mail programs show it.
    pub from_name: String,
    /// Where answers go, if not to the sender.
    #[schemars(extend("examples" = ["support@example.com"]))]
    pub reply_to: Option<String>,
    /// Where `file` writes mails.
    pub directory: PathBuf,
    /// How often a mail that is refused for now is tried, by default over about half a day, before the provider is told.
    pub attempts: u32,
    /// The pause before such a mail is tried again, seconds. It doubles each time, up to an hour.
    pub retry_secs: u32,
    /// The server that takes the mails.
    pub smtp: SmtpConfig,
}

/// How a mail leaves the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTransportKind {
    /// To a server.
    Smtp,
    /// Into a file.
    File,
}

/// The server that takes the mails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name; its certificate must be for it.
    pub host: String,
    /// Its port, if not the usual one: 465 for `tls`, 587 for `starttls`, 25 for `plain`.
    #[schemars(extend("examples" = [587]))]
    pub port: Option<u16>,
    /// How the connection is protected: `tls`, `starttls`, or `plain` for a relay on the machine itself.
    pub security: SmtpSecurityConfig,
    /// The user, when the server wants a login.
    #[schemars(extend("examples" = ["portico@example.com"]))]
    pub user: Option<String>,
    /// Where the password is: `{ env = "NAME" }` or `{ file = "path" }`.
    #[schemars(with = "Option<serde_json::Value>", extend("examples" = [{"env": "PORTICO_SMTP_PASSWORD"}]))]
    pub password: Option<SecretRef>,
    /// Certificates in PEM that are trusted besides the public ones.
    #[schemars(extend("examples" = ["/etc/portico/mail-ca.pem"]))]
    pub ca_file: Option<PathBuf>,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurityConfig {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS; a server without it gets no mail.
    Starttls,
    /// None.
    Plain,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            transport: MailTransportKind::Smtp,
            from: "portico@localhost".to_owned(),
            from_name: "Client area".to_owned(),
            reply_to: None,
            directory: PathBuf::from("/var/lib/portico/mail"),
            attempts: 20,
            retry_secs: 30,
            smtp: SmtpConfig::default(),
        }
    }
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            security: SmtpSecurityConfig::Plain,
            user: None,
            password: None,
            ca_file: None,
        }
    }
}

impl MailConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigProblem>) {
        let addresses = [
            ("mail.from", Some(&self.from)),
            ("mail.reply_to", self.reply_to.as_ref()),
        ];
        for (key, address) in addresses {
            if address.is_some_and(|address| address.parse::<crate::mail::EmailAddress>().is_err()) {
                problems.push(ConfigProblem::new(
                    key,
                    "is not an e-mail address",
                    "write one such as `panel@example.com`",
                ));
            }
        }
        if self.from_name.chars().any(char::is_control) {
            problems.push(ConfigProblem::new(
                "mail.from_name",
                "has control characters in it",
                "remove line ends and the like",
            ));
        }
        within(problems, "mail.attempts", self.attempts, 1..=100);
        within(problems, "mail.retry_secs", self.retry_secs, 1..=3_600);
        let smtp = &self.smtp;
        if self.transport == MailTransportKind::Smtp && smtp.host.is_empty() {
            problems.push(ConfigProblem::new(
                "mail.smtp.host",
                "is empty",
                "name the mail server, or set `mail.transport = \"file\"`",
            ));
        }
        match (&smtp.user, &smtp.password) {
            (Some(_), None) => problems.push(ConfigProblem::new(
                "mail.smtp.password",
                "is missing beside `user`",
                "write `{ env = \"NAME\" }` or `{ file = \"path\" }`",
            )),
            (None, Some(_)) => problems.push(ConfigProblem::new(
                "mail.smtp.user",
                "is missing beside `password`",
                "name the user",
            )),
            _ => {}
        }
        let local = matches!(smtp.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if smtp.user.is_some() && smtp.security == SmtpSecurityConfig::Plain && !local {
            problems.push(ConfigProblem::new(
                "mail.smtp.security",
                "would send the password in clear",
                "write `tls` or `starttls`",
            ));
        }
    }
}
