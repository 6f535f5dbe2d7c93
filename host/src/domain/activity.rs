//! The activity log: who did what to which service, from where, and how it ended.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{CustomerId, ServiceId};

/// One line of the activity log.
///
/// A request and its end are two entries: what was asked for stays on record when the panel is cut off in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityEntry {
    /// When.
    pub at: Timestamp,
    /// On which service; none for the account itself (signing in, a new password).
    pub service: Option<ServiceId>,
    /// Who.
    pub actor: Actor,
    /// From which address, where there was one.
    pub ip: Option<IpAddr>,
    /// What: a name that never changes, such as `snapshots.create`.
    pub action: ActionName,
    /// On which thing of the service, such as a snapshot's name.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// A plain sentence for the customer; at most [`ActivityEntry::MAX_TEXT`] bytes.
    pub text: String,
}

impl ActivityEntry {
    /// The longest text that is kept, in bytes; more is cut.
    pub const MAX_TEXT: usize = 2_000;
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A customer.
    Customer(CustomerId),
    /// The provider's staff, by the name they act under.
    Provider(String),
    /// The panel itself: a schedule, an expiry, a job taken up after a restart.
    System,
}

/// How an action ended, or that it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Asked for and taken on.
    Requested,
    /// Done.
    Done,
    /// Tried without success.
    Failed,
    /// Refused before anything was tried.
    Denied,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
        })
    }
}

/// The name of an action, `area.verb` or `area.thing.verb`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionName(String);

impl ActionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an action name: write two or three parts of a-z, 0-9 and `-` with dots, such as `snapshots.create`"
)]
pub struct ActionNameError(String);

impl FromStr for ActionName {
    type Err = ActionNameError;

    fn from_str(text: &str) -> Result<Self, ActionNameError> {
        let part = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_lowercase())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let parts = text.split('.').count();
        if text.len() <= 96 && (2..=3).contains(&parts) && text.split('.').all(part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ActionNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ActionName {
    type Error = ActionNameError;

    fn try_from(text: String) -> Result<Self, ActionNameError> {
        text.parse()
    }
}

impl From<ActionName> for String {
    fn from(name: ActionName) -> String {
        name.0
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_an_area_and_a_verb() {
        for good in [
            "snapshots.create",
            "account.session.revoke",
            "reset-password.reset",
        ] {
            assert!(good.parse::<ActionName>().is_ok(), "{good}");
        }
        for bad in ["", "create", "a.b.c.d", "Snapshots.create", "a..b", ".a", "a.b c"] {
            assert!(bad.parse::<ActionName>().is_err(), "{bad}");
        }
    }
}
