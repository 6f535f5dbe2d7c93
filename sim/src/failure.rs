//! Refusals, in the forms PVE gives them.

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// A refusal: a status, a text, and for parameter errors a map of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The whole text; its first line is the reason phrase.
    pub(crate) message: String,
    /// Parameter errors by name.
    pub(crate) errors: IndexMap<String, String>,
    /// Whether the answer has a JSON body; refusals before routing and those of other nodes have none.
    pub(crate) body: bool,
    /// How long the caller waits for it, in seconds of the simulated cluster: lock timeouts take their time.
    pub(crate) delay: f64,
}

impl Failure {
    /// A refusal with a JSON body.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: IndexMap::new(),
            body: true,
            delay: 0.0,
        }
    }

    /// A refusal without a body.
    pub(crate) fn bare(status: u16, message: impl Into<String>) -> Self {
        Self {
            body: false,
            ..Self::new(status, message)
        }
    }

    /// 500: what a handler in PVE dies with.
    pub(crate) fn died(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// 500 after a while: something that was waited for in vain, such as a lock.
    pub(crate) fn timed_out(message: impl Into<String>, seconds: f64) -> Self {
        Self {
            delay: seconds,
            ..Self::died(message)
        }
    }

    /// 400 with several parameter errors.
    pub(crate) fn invalid(errors: IndexMap<String, String>) -> Self {
        Self {
            errors,
            ..Self::new(400, "Parameter verification failed.")
        }
    }

    /// 400 with one parameter error.
    pub(crate) fn parameter(name: &str, reason: impl Into<String>) -> Self {
        Self::invalid(IndexMap::from([(name.to_owned(), reason.into())]))
    }

    /// 403.
    pub(crate) fn forbidden(detail: &str) -> Self {
        if detail.is_empty() {
            Self::new(403, "Permission check failed")
        } else {
            Self::new(403, format!("Permission check failed ({detail})"))
        }
    }

    /// The reason phrase of the status line.
    pub(crate) fn reason(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The answer's body.
    pub(crate) fn json(&self) -> Value {
        let mut out = Map::new();
        out.insert("data".to_owned(), Value::Null);
        out.insert(
            "message".to_owned(),
            Value::from(format!("{}\n", self.message.trim_end())),
        );
        if !self.errors.is_empty() {
            let errors = self
                .errors
                .iter()
                .map(|(k, v)| (k.clone(), Value::from(v.clone())))
                .collect();
            out.insert("errors".to_owned(), Value::Object(errors));
        }
        Value::Object(out)
    }

    /// The body that it had before pve-http-server 5.2.0: the text is in the status line only.
    pub(crate) fn old_json(&self) -> Value {
        let mut out = self.json();
        if let Some(map) = out.as_object_mut() {
            map.remove("message");
        }
        out
    }

    /// The text of the refusal inside a task, on one line. There PVE shows the status of those that have one of their
    /// own.
    pub(crate) fn task_text(&self) -> String {
        let status = match self.status {
            500 => String::new(),
            status => format!("{status} "),
        };
        let details = self
            .errors
            .iter()
            .map(|(name, text)| format!(" {name}: {}", text.trim_end()));
        format!("{status}{}{}", self.message, details.collect::<String>())
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::died(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_errors_are_in_the_body_and_the_first_line_is_the_reason() {
        let failure = Failure::parameter("snapname", "x\n");
        assert_eq!(failure.reason(), "Parameter verification failed.");
        assert_eq!(
            failure.json().to_string(),
            r#"{"data":null,"errors":{"snapname":"x\n"},"message":"Parameter verification failed.\n"}"#
        );
    }

    #[test]
    fn a_task_shows_the_status_that_is_not_just_500() {
        let texts = [
            Failure::died("no"),
            Failure::forbidden("/, Sys.Audit"),
            Failure::parameter("scsi0", "bad\n"),
        ]
        .map(|failure| failure.task_text());
        assert_eq!(
            texts,
            [
                "no",
                "403 Permission check failed (/, Sys.Audit)",
                "400 Parameter verification failed. scsi0: bad"
            ]
        );
    }

    #[test]
    fn only_the_first_line_becomes_the_reason() {
        assert_eq!(Failure::died("one\ntwo").reason(), "one");
    }
}
