//! Mails kept in memory, for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Letter, MailTransport, SendError};

/// Keeps what it is given, and fails on request. Clones are the same mailbox.
#[derive(Clone, Debug, Default)]
pub struct MemoryTransport {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    letters: Vec<Letter>,
    failures: VecDeque<SendError>,
}

impl MemoryTransport {
    /// An empty mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was sent so far.
    pub fn letters(&self) -> Vec<Letter> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .letters
            .clone()
    }

    /// Lets the next attempt that has no failure yet fail like this.
    pub fn fail_next(&self, error: SendError) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failures
            .push_back(error);
    }
}

#[async_trait]
impl MailTransport for MemoryTransport {
    async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failures.pop_front() {
            return Err(error);
        }
        state.letters.push(letter.clone());
        Ok(())
    }
}
