//! Waiting for the end of a task.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::tasks::TaskState;
use crate::client::Client;
use crate::error::Error;
use crate::reason::Reason;
use crate::upid::Upid;

/// The shortest pause between two looks at a task.
const SHORTEST: Duration = Duration::from_millis(1);

/// How a task is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskWait {
    /// The pause between two looks, at least a millisecond.
    pub poll: Duration,
    /// The longest that is waited.
    pub limit: Duration,
    /// How long PVE is not believed that it does not know the task, or not how it ended: it says both for a moment, right
    /// after a task's start and right after its end.
    pub settle: Duration,
}

impl Default for TaskWait {
    /// A look every second, for ten minutes at most; ten seconds of doubt.
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            limit: Duration::from_mins(10),
            settle: Duration::from_secs(10),
        }
    }
}

impl Client {
    /// Waits until a task has ended, and tells how: [`TaskState::Lost`] only when PVE keeps to it, and
    /// [`TaskState::Running`] when the time is up. The task itself goes on then.
    ///
    /// It only reads, so it can be dropped and called again at any time. What passes by itself, such as a node that
    /// cannot be reached, is waited out.
    ///
    /// # Errors
    /// As [`Client::task_status`]: [`Reason::NoSuchTask`] when PVE keeps to it, and what passes by itself when the time
    /// is up.
    pub async fn task_end(&self, upid: &Upid, wait: &TaskWait) -> Result<TaskState, Error> {
        let began = Instant::now();
        let mut doubted = None;
        loop {
            let looked = self.task_status(upid).await;
            match &looked {
                Ok(TaskState::Running) => doubted = None,
                Ok(TaskState::Lost) => {
                    if doubted.get_or_insert_with(Instant::now).elapsed() >= wait.settle {
                        return looked;
                    }
                }
                Err(error) if error.reason() == Some(&Reason::NoSuchTask) => {
                    if doubted.get_or_insert_with(Instant::now).elapsed() >= wait.settle {
                        return looked;
                    }
                }
                Err(error) if error.is_transient_read() => {}
                Ok(_) | Err(_) => return looked,
            }
            let left = wait.limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                return looked;
            }
            sleep(wait.poll.max(SHORTEST).min(left)).await;
        }
    }
}
