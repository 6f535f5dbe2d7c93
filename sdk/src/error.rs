//! Making and reading [`Error`]s.

use crate::{Error, FieldError};

impl Error {
    /// The product does not allow it.
    pub fn denied(why: impl Into<String>) -> Self {
        Self::Denied(why.into())
    }

    /// A parameter is wrong. `message` says what is wrong and what is allowed, without a full stop.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(FieldError {
            field: field.into(),
            message: message.into(),
        })
    }

    /// Anything else. The text goes to the provider's log.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    /// Whether the same call may succeed later without anything being changed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unavailable)
    }

    /// A sentence for the customer, with a full stop.
    pub fn sentence(&self) -> String {
        match self {
            Self::Denied(_) => "This is not included in your plan.".into(),
            Self::Busy(what) => format!("The VM is busy: {what}. Try again when it has finished."),
            Self::NotFound => "It does not exist any more.".into(),
            Self::Invalid(FieldError { field, message }) => {
                format!("The value for {field} was refused: {message}.")
            }
            Self::Quota(what) => format!("A limit was reached: {what}."),
            Self::Unavailable => "The server of the VM did not answer. Try again in a moment.".into(),
            Self::Conflict => "It was changed elsewhere in the meantime. Look at it again.".into(),
            Self::Failed(_) => "It failed. The provider finds the reason in the log.".into(),
        }
    }
}
