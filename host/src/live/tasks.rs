//! The end of Proxmox tasks, watched per node.
//!
//! All who wait for tasks of a node share one loop: it asks the node for its running tasks and looks closer only at
//! those that are not among them any more. A node that does not answer delays its own tasks and no others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_proxmox::{Client, Reason, TaskFilter, TaskSource, TaskState, Upid};
use tokio::sync::watch;
use tokio::time::Instant;

/// Right after its start or end PVE may for a moment not know a task, or not how it ended.
const SETTLE: Duration = Duration::from_secs(10);
/// The pause after a node did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(3);
/// More running tasks of ours than this on one node are looked at one by one.
const LISTED: u32 = 500;

type Waiting = HashMap<String, Watched>;
type Key = (String, String);

struct Watched {
    upid: Upid,
    since: Instant,
    /// Since when it is neither running nor known to have ended.
    unclear: Option<Instant>,
    result: watch::Sender<Option<TaskState>>,
}

/// The watcher. Cheap to clone.
#[derive(Clone)]
pub struct TaskWatch {
    poll: Duration,
    nodes: Arc<Mutex<HashMap<Key, Waiting>>>,
}

impl TaskWatch {
    /// Asks each node with running tasks every `poll`.
    pub fn new(poll: Duration) -> Self {
        Self {
            poll,
            nodes: Arc::default(),
        }
    }

    /// Returns when the task has ended. Never [`TaskState::Running`].
    pub async fn ended(&self, client: &Client, upid: &Upid) -> TaskState {
        let mut result = self.subscribe(client, upid);
        match result.wait_for(Option::is_some).await {
            Ok(state) => state.clone().unwrap_or(TaskState::Lost),
            Err(_) => TaskState::Lost,
        }
    }

    fn subscribe(&self, client: &Client, upid: &Upid) -> watch::Receiver<Option<TaskState>> {
        let key = (client.name().to_owned(), upid.node().as_str().to_owned());
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = !nodes.contains_key(&key);
        let waiting = nodes.entry(key.clone()).or_default();
        let watched = waiting
            .entry(upid.as_str().to_owned())
            .or_insert_with(|| Watched {
                upid: upid.clone(),
                since: Instant::now(),
                unclear: None,
                result: watch::Sender::new(None),
            });
        let result = watched.result.subscribe();
        if begin {
            let (this, client) = (self.clone(), client.clone());
            // It ends by itself when nobody waits for the node any more.
            tokio::spawn(async move { this.watch(client, key).await });
        }
        result
    }

    async fn watch(self, client: Client, key: Key) {
        loop {
            tokio::time::sleep(self.poll).await;
            let Some(upids) = self.wanted(&key) else { return };
            let Some((first, _)) = upids.first() else { continue };
            let filter = TaskFilter {
                source: TaskSource::Active,
                limit: Some(LISTED),
                ..TaskFilter::default()
            };
            let running = match client.tasks(first.node(), &filter).await {
                Ok(tasks) => tasks,
                Err(error) => {
                    tracing::debug!(node = %key.1, %error, "the tasks of a node could not be listed");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            for (upid, since) in upids {
                if running
                    .iter()
                    .any(|task| task.upid == upid && !task.state.is_finished())
                {
                    continue;
                }
                match client.task_status(&upid).await {
                    Ok(TaskState::Running) => {}
                    Ok(TaskState::Lost) => self.unclear(&key, &upid, TaskState::Lost),
                    Ok(state) => self.finish(&key, &upid, state),
                    Err(error) if error.reason() == Some(&Reason::NoSuchTask) || is_bad_parameter(&error) => {
                        if since.elapsed() > SETTLE {
                            self.unclear(&key, &upid, TaskState::Lost);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%upid, %error, "the state of a task could not be read");
                    }
                }
            }
        }
    }

    /// The tasks somebody waits for; none when there is nobody, and the node is forgotten.
    fn wanted(&self, key: &Key) -> Option<Vec<(Upid, Instant)>> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = nodes.get_mut(key)?;
        waiting.retain(|_, watched| watched.result.receiver_count() > 0);
        if waiting.is_empty() {
            nodes.remove(key);
            return None;
        }
        Some(
            waiting
                .values()
                .map(|watched| (watched.upid.clone(), watched.since))
                .collect(),
        )
    }

    fn unclear(&self, key: &Key, upid: &Upid, state: TaskState) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = nodes
            .get_mut(key)
            .and_then(|waiting| waiting.get_mut(upid.as_str()))
        else {
            return;
        };
        let since = *watched.unclear.get_or_insert_with(Instant::now);
        if since.elapsed() > SETTLE {
            watched.result.send_replace(Some(state));
        }
    }

    fn finish(&self, key: &Key, upid: &Upid, state: TaskState) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = nodes
            .get_mut(key)
            .and_then(|waiting| waiting.remove(upid.as_str()))
        {
            watched.result.send_replace(Some(state));
        }
    }
}

/// PVE answers 400 with `{upid: "no such task"}`.
fn is_bad_parameter(error: &portico_proxmox::Error) -> bool {
    matches!(error, portico_proxmox::Error::Parameters { errors, .. } if errors.contains_key("upid"))
}

impl std::fmt::Debug for TaskWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskWatch")
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}
