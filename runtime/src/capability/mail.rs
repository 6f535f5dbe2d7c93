//! E-mail to the owner of the service or the product's department (`wit/mail.wit`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallNumber, Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::mail::{Host, Recipient};
use crate::scope::Scope;
use crate::state::CallState;

const SEND: Function = Function::new(
    "mail",
    "mail.send",
    &[Scope::MailOwner, Scope::MailDepartment],
    Effect::Write,
);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[SEND];

/// Most bytes of a mail's data.
const MAX_DATA: usize = 64 << 10;

/// Queues e-mail.
#[async_trait]
pub trait MailPort: Send + Sync {
    /// Renders a template of the plugin and queues it for the recipient; durable before it answers. `template` exists and
    /// ends in `.txt`, `data` is a JSON object of at most 64 KiB. In a job step the mail goes out once for each `number`,
    /// also when the step is run again.
    ///
    /// # Errors
    /// `invalid` when the template does not render, `unavailable` when the queue does not take it.
    async fn send(
        &self,
        number: CallNumber,
        to: Recipient,
        template: String,
        data: String,
    ) -> Result<(), CapabilityError>;
}

impl Host for CallState {
    async fn send(
        &mut self,
        to: Recipient,
        template: String,
        data: String,
    ) -> wasmtime::Result<Result<(), CapabilityError>> {
        let port = Arc::clone(&self.ports.mail);
        let scope = match to {
            Recipient::Owner => Scope::MailOwner,
            Recipient::Department => Scope::MailDepartment,
        };
        let checked = self
            .mail_template("template", &template)
            .and_then(|()| bounds::json_object("data", &data, MAX_DATA))
            .and_then(|()| self.one_more_mail());
        let answer = self
            .gate(&SEND, scope, checked, move |n| async move {
                port.send(n, to, template, data).await
            })
            .await?;
        if answer.is_ok() {
            self.mails += 1;
        }
        Ok(answer)
    }
}

impl CallState {
    fn mail_template(&self, field: &str, name: &str) -> Result<(), CapabilityError> {
        let is_text = std::path::Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "txt");
        if is_text && self.has_template(name) {
            Ok(())
        } else {
            Err(bounds::invalid(
                field,
                "names no template of the plugin that ends in `.txt`",
            ))
        }
    }

    fn one_more_mail(&self) -> Result<(), CapabilityError> {
        if self.mails < self.limits.mails {
            Ok(())
        } else {
            Err(CapabilityError::Quota(format!(
                "mails of one call: {} at most",
                self.limits.mails
            )))
        }
    }
}
