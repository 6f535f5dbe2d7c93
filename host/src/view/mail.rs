//! The panel's own mails: plain text, a subject and a body each.
//!
//! Mails of plugins are not here; these are sent by the host itself.

use serde::Serialize;

use super::{Template, View, ViewError};

/// A mail that is ready to be addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl View {
    /// Renders a mail. Line breaks in the subject, which would start a new header, become spaces.
    ///
    /// # Errors
    /// The template failed: a defect of the panel.
    pub fn mail<T: Template>(&self, context: &T) -> Result<Mail, ViewError> {
        let failed = |source| ViewError {
            template: T::NAME,
            source,
        };
        let template = self.environment.get_template(T::NAME).map_err(failed)?;
        let mut rendered = template.render_captured(super::data(context)).map_err(failed)?;
        let mut block = |name| {
            rendered
                .with_state_mut(|state| state.render_block(name))
                .map_err(failed)
        };
        let (subject, body) = (block("subject")?, block("body")?);
        Ok(Mail {
            subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
            body,
        })
    }
}

/// A new password was set on a machine. The only place where it is written in clear.
#[derive(Serialize)]
pub struct NewPassword {
    /// The panel's name.
    pub product_name: String,
    /// The panel's address.
    pub panel_url: String,
    /// The customer's name.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// The account inside the machine.
    pub user: String,
    /// The password.
    pub password: String,
    /// It is set by cloud-init at the next boot, and not in effect yet.
    pub takes_effect_at_boot: bool,
}

/// A scheduled or long operation failed.
#[derive(Debug, Serialize)]
pub struct JobFailed {
    /// IANA name of the zone that times are shown in.
    pub time_zone: String,
    /// The panel's name.
    pub product_name: String,
    /// The customer's name.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// The service's page, with origin.
    pub service_url: String,
    /// What was tried.
    pub title: String,
    /// A plain sentence.
    pub reason: String,
    /// Epoch seconds.
    pub started_at: i64,
    /// Epoch seconds.
    pub ended_at: i64,
}

/// The password of the customer's account was changed.
#[derive(Debug, Serialize)]
pub struct PasswordChanged {
    /// IANA name of the zone that times are shown in.
    pub time_zone: String,
    /// The panel's name.
    pub product_name: String,
    /// The panel's address.
    pub panel_url: String,
    /// The customer's name.
    pub name: String,
    /// The address it was changed from.
    pub address: String,
    /// Epoch seconds.
    pub changed_at: i64,
}

impl Template for NewPassword {
    const NAME: &'static str = "mail/new_password.txt";

    fn samples() -> Vec<(&'static str, Self)> {
        let sample = |takes_effect_at_boot| Self {
            product_name: "Portico".to_owned(),
            panel_url: "https://panel.example.net".to_owned(),
            name: "Ada Lindqvist".to_owned(),
            service: "web-1.example.net".to_owned(),
            user: "root".to_owned(),
            password: "an example & no secret".to_owned(),
            takes_effect_at_boot,
        };
        vec![("now", sample(false)), ("at-boot", sample(true))]
    }
}

impl Template for JobFailed {
    const NAME: &'static str = "mail/job_failed.txt";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let sample = Self {
            time_zone: "Europe/Berlin".to_owned(),
            product_name: "Portico".to_owned(),
            name: "Ada Lindqvist".to_owned(),
            service: "web-1.example.net".to_owned(),
            service_url: "https://panel.example.net/services/1".to_owned(),
            title: "Taking a snapshot".to_owned(),
            reason: "The storage is full.".to_owned(),
            started_at: 1_764_000_000,
            ended_at: 1_764_000_042,
        };
        vec![("failed", sample)]
    }
}

impl Template for PasswordChanged {
    const NAME: &'static str = "mail/password_changed.txt";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let sample = Self {
            time_zone: "Europe/Berlin".to_owned(),
            product_name: "Portico".to_owned(),
            panel_url: "https://panel.example.net".to_owned(),
            name: "Ada Lindqvist".to_owned(),
            address: "198.51.100.7".to_owned(),
            changed_at: 1_764_000_000,
        };
        vec![("changed", sample)]
    }
}
