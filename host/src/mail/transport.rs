//! What a way of sending must do.

use async_trait::async_trait;

use super::Letter;

/// Takes messages to where they go.
#[async_trait]
pub trait MailTransport: std::fmt::Debug + Send + Sync {
    /// Sends one message, and returns when the other side has taken responsibility for it.
    ///
    /// It may be called again for the same message, by its `message_id`, after an error or a crash.
    async fn send(&self, letter: &Letter) -> Result<(), SendError>;
}

/// Why a message was not taken. The text is for the provider and holds nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may work later: the server is away, busy, or does not let us in.
    #[error("{0}")]
    Temporary(String),
    /// It will not work later either: the server refuses this recipient or this message.
    #[error("{0}")]
    Permanent(String),
}

impl SendError {
    /// The text.
    pub fn reason(&self) -> &str {
        let (Self::Temporary(reason) | Self::Permanent(reason)) = self;
        reason
    }
}
