//! Tasks: how they go, what they say, which there are.
//!
//! A task lives on the node that ran it, and its log there is all that is left of it when it has ended.

use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::entries::Entries;
use crate::error::Error;
use crate::foreign;
use crate::id::{NodeName, VmId};
use crate::lenient;
use crate::log::LogLine;
use crate::reason::Reason;
use crate::route::{Params, Route};
use crate::transport::Class;
use crate::upid::Upid;

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended well and left this many warnings in its log.
    SucceededWithWarnings(u64),
    /// It failed.
    Failed {
        /// What the text means.
        reason: Reason,
        /// PVE's text, one line, for the provider.
        text: String,
    },
    /// It ended without saying how: killed, or its end is not in the log yet. PVE also says so for a moment
    /// right after a good end, so ask again before believing it.
    Lost,
}

impl TaskState {
    /// Reads the exit text of an ended task: `OK`, `WARNINGS: n`, `unexpected status` or an error.
    pub fn from_exit_text(text: &str) -> Self {
        Self::of(None, text)
    }

    /// The same, of a task of that VM.
    fn of(vmid: Option<VmId>, text: &str) -> Self {
        let text = text.trim();
        if text == "OK" {
            return Self::Succeeded;
        }
        if let Some(count) = text
            .strip_prefix("WARNINGS:")
            .and_then(|count| count.trim().parse().ok())
        {
            return Self::SucceededWithWarnings(count);
        }
        if text.is_empty() || text == "unexpected status" || text.starts_with("unable to get last line from")
        {
            return Self::Lost;
        }
        Self::Failed {
            reason: Reason::classify_about(vmid, text),
            text: foreign::kept(text, 1024),
        }
    }

    /// Whether it ended well, with or without warnings.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded | Self::SucceededWithWarnings(_))
    }

    /// Whether it has ended, as far as this look at it tells: [`Self::Lost`] counts, which PVE also says for a moment
    /// right after a good end. [`Client::task_end`] waits until it is certain.
    pub fn is_finished(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

/// A part of a task's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskLog {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// How many lines the log has so far.
    pub total: u64,
}

/// Which tasks a list comprises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskSource {
    /// Ended ones. PVE's default.
    Archive,
    /// Running ones.
    Active,
    /// Both.
    #[default]
    All,
}

/// What to list. Without anything set: the 50 newest tasks, running ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks of this VM.
    pub vmid: Option<VmId>,
    /// Only tasks of this type, such as `qmsnapshot`.
    pub kind: Option<String>,
    /// Running, ended, or both.
    pub source: TaskSource,
    /// Only tasks begun at this time (epoch seconds) or later.
    pub since: Option<u64>,
    /// Only tasks begun at this time or earlier.
    pub until: Option<u64>,
    /// Only failed ones.
    pub errors_only: bool,
    /// How many to pass over.
    pub start: u32,
    /// How many to list; PVE's default is 50.
    pub limit: Option<u32>,
}

impl TaskFilter {
    fn fits(&self, upid: &Upid) -> bool {
        self.vmid.is_none_or(|vmid| upid.vmid() == Some(vmid))
            && self.kind.as_ref().is_none_or(|kind| upid.kind() == kind)
            && self.since.is_none_or(|since| upid.start_time() >= since)
            && self.until.is_none_or(|until| upid.start_time() <= until)
    }
}

/// A task in a node's list. A token sees its own tasks; those of others need `Sys.Audit` on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEntry {
    /// The task, which names node, type, VM, user and start.
    pub upid: Upid,
    /// When it ended, epoch seconds.
    pub end_time: Option<u64>,
    /// How it stands.
    pub state: TaskState,
}

#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    exitstatus: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    upid: Upid,
    #[serde(default, deserialize_with = "lenient::u64")]
    endtime: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
}

impl Client {
    /// `GET /nodes/{node}/tasks/{upid}/status`, asked of the node that ran the task.
    ///
    /// When the task failed because the VM is not on its node, what is known of the VM's place is dropped.
    ///
    /// # Errors
    /// [`Reason::NoSuchTask`] also for a moment right after the task was begun.
    pub async fn task_status(&self, upid: &Upid) -> Result<TaskState, Error> {
        let route = task(Method::GET, upid).word("/status");
        let status: Status = self.call(Class::Read, &route, &Params::new()).await?.data;
        let state = match status.status.as_str() {
            "running" => TaskState::Running,
            _ => TaskState::of(upid.vmid(), status.exitstatus.as_deref().unwrap_or_default()),
        };
        if let (
            TaskState::Failed {
                reason: Reason::VmNotFound,
                ..
            },
            Some(vmid),
        ) = (&state, upid.vmid())
        {
            self.forget_node(vmid);
        }
        Ok(state)
    }

    /// `GET /nodes/{node}/tasks/{upid}/log`: up to `limit` lines after the first `start`. A limit of 0 would
    /// mean the whole log and is taken as 1. Of a task that has written nothing yet there are none.
    pub async fn task_log(&self, upid: &Upid, start: u64, limit: u32) -> Result<TaskLog, Error> {
        let route = task(Method::GET, upid).word("/log");
        let params = Params::new().set("start", start).set("limit", limit.max(1));
        let answer = self
            .call::<Entries<LogLine>>(Class::Read, &route, &params)
            .await?;
        let lines = answer.data.kept("lines of a task log");
        // PVE gives no empty list: so it says that nothing was written yet, and the first line is still to come.
        if let [only] = &lines[..]
            && (only.n, only.t.as_str()) == (1, "no content")
        {
            return Ok(TaskLog::default());
        }
        let last = lines.last().map_or(start, |line| line.n);
        Ok(TaskLog {
            lines,
            total: answer.total.unwrap_or(last),
        })
    }

    /// `DELETE /nodes/{node}/tasks/{upid}`: breaks the task off. An ended task is left alone. A task that was
    /// broken off can leave the VM locked.
    pub async fn stop_task(&self, upid: &Upid) -> Result<(), Error> {
        let route = task(Method::DELETE, upid);
        self.call::<serde::de::IgnoredAny>(Class::Write, &route, &Params::new())
            .await?;
        Ok(())
    }

    /// `GET /nodes/{node}/tasks`: tasks of a node, newest first as PVE lists them.
    pub async fn tasks(&self, node: &NodeName, filter: &TaskFilter) -> Result<Vec<TaskEntry>, Error> {
        let source = match filter.source {
            TaskSource::Archive => "archive",
            TaskSource::Active => "active",
            TaskSource::All => "all",
        };
        let params = Params::new()
            .opt("vmid", filter.vmid)
            .opt("typefilter", filter.kind.as_ref())
            .set("source", source)
            .opt("since", filter.since)
            .opt("until", filter.until)
            .flag("errors", filter.errors_only)
            .opt("start", (filter.start > 0).then_some(filter.start))
            .opt("limit", filter.limit);
        let route = Route::get("/nodes").node(node).word("/tasks");
        let entries: Entries<Entry> = self.call(Class::Read, &route, &params).await?.data;
        let tasks = entries.kept("tasks of a node").into_iter().map(Entry::read);
        // Whoever adopts a task from this list must not get another one, should a filter not be known there.
        Ok(tasks.filter(|task| filter.fits(&task.upid)).collect())
    }
}

fn task(method: Method, upid: &Upid) -> Route {
    Route::new(method)
        .word("/nodes")
        .node(upid.node())
        .word("/tasks")
        .upid(upid)
}

impl Entry {
    fn read(self) -> TaskEntry {
        let state = match self.status.as_deref() {
            Some("RUNNING") => TaskState::Running,
            None if self.endtime.is_none() => TaskState::Running,
            status => TaskState::of(self.upid.vmid(), status.unwrap_or_default()),
        };
        TaskEntry {
            upid: self.upid,
            end_time: self.endtime,
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Lock;

    #[test]
    fn ok_and_warnings_are_success() {
        assert_eq!(TaskState::from_exit_text("OK"), TaskState::Succeeded);
        assert_eq!(
            TaskState::from_exit_text("WARNINGS: 2"),
            TaskState::SucceededWithWarnings(2)
        );
        assert!(TaskState::from_exit_text("WARNINGS: 2").is_success());
    }

    #[test]
    fn error_texts_fail_with_their_reason() {
        let state = TaskState::from_exit_text("VM is locked (backup)");
        assert!(
            matches!(
                &state,
                TaskState::Failed {
                    reason: Reason::Locked(Lock::Backup),
                    ..
                }
            ),
            "{state:?}"
        );
        let state = TaskState::from_exit_text("snapshot name 'daily' already used");
        assert!(
            matches!(
                &state,
                TaskState::Failed {
                    reason: Reason::SnapshotNameUsed,
                    ..
                }
            ),
            "{state:?}"
        );
        assert!(!TaskState::from_exit_text("WARNINGS: many").is_success());
        assert!(!TaskState::from_exit_text("OK?").is_success());
    }

    #[test]
    fn an_end_without_a_result_is_lost_and_neither_success_nor_failure() {
        for text in [
            "",
            "unexpected status",
            "unable to get last line from task log - empty",
        ] {
            assert_eq!(TaskState::from_exit_text(text), TaskState::Lost, "{text}");
        }
    }

    #[test]
    fn a_list_tells_running_from_ended_tasks() {
        let entry = |rest: &str| {
            let json =
                format!(r#"{{"upid":"UPID:pve1:00000001:00000002:68A5B0C1:qmstart:100:p@pve!t:"{rest}}}"#);
            serde_json::from_str::<Entry>(&json).unwrap().read().state
        };
        assert_eq!(entry(""), TaskState::Running);
        assert_eq!(entry(r#","status":"RUNNING""#), TaskState::Running);
        assert_eq!(
            entry(r#","status":"OK","endtime":1755689160"#),
            TaskState::Succeeded
        );
        assert_eq!(entry(r#","endtime":"1755689160""#), TaskState::Lost);
    }
}
