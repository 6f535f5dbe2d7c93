//! Mail to the owner of the service or to the product's ticket department.

use async_trait::async_trait;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::mail::Recipient;
use portico_runtime::bindings::types::FieldError;
use portico_runtime::capability::{CallNumber, MailPort};
use portico_runtime::template::RenderContext;

use super::{Binding, Origin};
use crate::mail::{EmailAddress, Mail, OutboxError};
use crate::store::Batch;

#[async_trait]
impl MailPort for Binding {
    async fn send(
        &self,
        number: CallNumber,
        to: Recipient,
        template: String,
        data: String,
    ) -> Result<(), CapabilityError> {
        let owner = || {
            EmailAddress::parse(self.customer.email.as_str()).map_err(|error| {
                tracing::error!(customer = %self.customer.id, %error, "the customer's address cannot be mailed to");
                CapabilityError::Unavailable
            })
        };
        // The department answers the customer, and its ticket system knows him by where answers go.
        let (to, reply_to) = match to {
            Recipient::Owner => (owner()?, None),
            Recipient::Department => {
                let department = self.product.department.clone();
                let denied = || CapabilityError::Denied("the product has no ticket department".to_owned());
                (department.ok_or_else(denied)?, Some(owner()?))
            }
        };
        let context = RenderContext::new(self.customer.time_zone.as_str(), self.customer.locale.as_str());
        let rendered = self
            .component
            .templates()
            .render_mail(&template, &data, &context)
            .map_err(|error| {
                tracing::warn!(plugin = %self.plugin, template, %error, "a mail template does not render");
                let message = "does not render with this data".to_owned();
                CapabilityError::Invalid(FieldError {
                    field: "template".to_owned(),
                    message,
                })
            })?;
        let id = match &self.origin {
            Origin::Job { job, journal } => format!("job/{}/{}/{}", job.id, journal.step(), number.0),
            Origin::Page { .. } => format!("page/{}/{}/{}", self.plugin, self.request_id, number.0),
        };
        let mail = Mail {
            id,
            to,
            subject: rendered.subject,
            text: rendered.body,
            html: None,
        };
        let outbox = &self.parts.outbox;
        let queued = match self.journal() {
            // It goes out with the step, or not at all.
            Some(journal) => {
                let mut batch = Batch::new();
                let queued = outbox.enqueue_for(&mut batch, &mail, reply_to.as_ref()).await;
                journal.with_step(batch);
                queued
            }
            None => outbox.send_for(&mail, reply_to.as_ref()).await,
        };
        match queued {
            Ok(_) => Ok(()),
            Err(OutboxError::Mail(error)) => {
                let message = error.to_string();
                Err(CapabilityError::Invalid(FieldError {
                    field: "template".to_owned(),
                    message,
                }))
            }
            Err(error) => {
                tracing::error!(plugin = %self.plugin, %error, "a mail could not be queued");
                Err(CapabilityError::Unavailable)
            }
        }
    }
}
