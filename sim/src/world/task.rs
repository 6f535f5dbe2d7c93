//! Tasks: their UPIDs, logs and ends.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

/// A task's identity, as PVE encodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upid {
    /// The node that runs it.
    pub(crate) node: String,
    /// Its process.
    pub(crate) pid: u32,
    /// When that process began, in clock ticks after boot.
    pub(crate) pstart: u64,
    /// When it began, in seconds since the epoch.
    pub(crate) start: i64,
    /// What it does, such as `qmsnapshot`.
    pub(crate) kind: String,
    /// What it works on: mostly a VMID.
    pub(crate) id: String,
    /// A user or token id.
    pub(crate) user: String,
}

impl Upid {
    /// The text form, with its trailing colon.
    pub(crate) fn text(&self) -> String {
        format!(
            "UPID:{}:{:08X}:{:08X}:{:08X}:{}:{}:{}:",
            self.node, self.pid, self.pstart, self.start, self.kind, self.id, self.user
        )
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("UPID:")?.strip_suffix(':')?.split(':');
        let mut next = || parts.next();
        let (node, pid, pstart, start) = (next()?, next()?, next()?, next()?);
        let (kind, id, user) = (next()?, next()?, next()?);
        let hex = |text: &str, max: usize| {
            (text.len() >= 8 && text.len() <= max)
                .then(|| u64::from_str_radix(text, 16).ok())
                .flatten()
        };
        let good = next().is_none()
            && crate::schema::format::node("", node).is_ok()
            && !kind.is_empty()
            && !user.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c == '/');
        good.then_some(())?;
        Some(Self {
            node: node.to_owned(),
            pid: u32::try_from(hex(pid, 8)?).ok()?,
            pstart: hex(pstart, 9)?,
            start: i64::try_from(hex(start, 8)?).ok()?,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        })
    }

    /// The user without the token's name, and that name.
    pub(crate) fn owner(&self) -> (&str, Option<&str>) {
        match self.user.split_once('!') {
            Some((user, token)) => (user, Some(token)),
            None => (&self.user, None),
        }
    }
}

/// The VM in what a task works on: `100`, `100@local` of removals, `100-scsi1>101-scsi1` of disks that change hands.
pub(crate) fn vmid_of(id: &str) -> Option<u32> {
    id.split(['@', '-']).next()?.parse().ok()
}

/// The status of a task whose log has no line about its end: its process was killed, or left without one.
pub(crate) const UNEXPECTED: &str = "unexpected status";

/// How a task ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// When, in seconds since the epoch.
    pub(crate) time: i64,
    /// `OK`, `WARNINGS: n` or the error.
    pub(crate) status: String,
    /// Which of its node's index files has it.
    file: u64,
}

/// One task, running or ended.
#[derive(Debug)]
pub(crate) struct Task {
    /// Its identity.
    pub(crate) upid: Upid,
    /// Its log, without the last line that PVE adds.
    pub(crate) log: Vec<String>,
    /// Its end, if it has ended.
    pub(crate) end: Option<End>,
    /// Asks it to stop.
    pub(crate) cancel: CancellationToken,
}

/// The file in which a node lists its ended tasks; when it is full it becomes the old one, whose predecessor goes.
#[derive(Debug, Clone, Copy, Default)]
struct Index {
    /// How many files came before.
    file: u64,
    bytes: usize,
}

/// How large an index file grows before the next begins, in bytes.
const INDEX_SIZE: usize = 50_000;

/// All tasks of the cluster, by UPID text, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    list: IndexMap<String, Task>,
    /// By node.
    indexes: BTreeMap<String, Index>,
    next: u64,
}

/// How many tasks are remembered; PVE forgets old ones too.
const REMEMBERED: usize = 20_000;

impl Tasks {
    /// Registers a new task and gives its UPID.
    pub(crate) fn begin(
        &mut self,
        node: &str,
        kind: &str,
        id: &str,
        user: &str,
        now: i64,
    ) -> (Upid, CancellationToken) {
        self.next += 1;
        let pid = u32::try_from(1_000 + (self.next * 7) % 4_000_000).unwrap_or(1_000);
        let upid = Upid {
            node: node.to_owned(),
            pid,
            pstart: 0x0010_0000 + self.next * 137,
            start: now,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        };
        let cancel = CancellationToken::new();
        let task = Task {
            upid: upid.clone(),
            log: Vec::new(),
            end: None,
            cancel: cancel.clone(),
        };
        self.list.insert(upid.text(), task);
        if self.list.len() > REMEMBERED {
            self.list.shift_remove_index(0);
        }
        (upid, cancel)
    }

    /// Adds a line to a task's log.
    pub(crate) fn log(&mut self, upid: &str, line: &str) {
        if let Some(task) = self.list.get_mut(upid) {
            task.log.extend(line.lines().map(str::to_owned));
        }
    }

    /// Ends a task; its status becomes the last line of its log, if it is not [`UNEXPECTED`].
    pub(crate) fn end(&mut self, upid: &str, status: &str, now: i64) {
        if let Some(task) = self.list.get_mut(upid) {
            let status = status.trim_end().replace('\n', " ");
            match status.as_str() {
                UNEXPECTED => {}
                "OK" => task.log.push("TASK OK".to_owned()),
                other if other.starts_with("WARNINGS: ") => task.log.push(format!("TASK {other}")),
                other => task.log.push(format!("TASK ERROR: {other}")),
            }
            let index = self.indexes.entry(task.upid.node.clone()).or_default();
            if index.bytes > INDEX_SIZE {
                *index = Index {
                    file: index.file + 1,
                    bytes: 0,
                };
            }
            // A line: the id, the time in hexadecimal, the status.
            index.bytes += upid.len() + status.len() + 11;
            task.end = Some(End {
                time: now,
                status,
                file: index.file,
            });
        }
    }

    /// Whether lists still have a task: while it runs, and until its node has filled two index files after it. Its
    /// status and log are there for longer.
    pub(crate) fn is_listed(&self, task: &Task) -> bool {
        let newest = self.indexes.get(&task.upid.node).map_or(0, |index| index.file);
        task.end.as_ref().is_none_or(|end| newest - end.file <= 1)
    }

    /// One task.
    pub(crate) fn get(&self, upid: &str) -> Option<&Task> {
        self.list.get(upid)
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.list.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_reads_back_as_it_was_written() {
        let mut tasks = Tasks::default();
        let (upid, _) = tasks.begin("pve1", "qmstart", "100", "a@pve!t", 1_700_000_000);
        assert_eq!(Upid::parse(&upid.text()), Some(upid.clone()));
        assert_eq!(upid.text().split(':').count(), 9);
        assert_eq!(upid.owner(), ("a@pve", Some("t")));
    }

    #[test]
    fn malformed_upids_are_refused() {
        for text in [
            "",
            "UPID:pve1:1:2:3:a:b:c:",
            "UPID:pve1:00000001:00000001:00000001:qmstart:100:root@pam",
        ] {
            assert_eq!(Upid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_over_several_lines_becomes_one() {
        let mut tasks = Tasks::default();
        let (upid, _) = tasks.begin("pve1", "qmstart", "100", "root@pam", 1);
        tasks.end(&upid.text(), "a\nb\n", 2);
        let task = tasks.get(&upid.text()).unwrap();
        assert_eq!(task.log, ["TASK ERROR: a b"]);
    }

    #[test]
    fn the_log_of_a_killed_task_has_no_last_line() {
        let mut tasks = Tasks::default();
        let (upid, _) = tasks.begin("pve1", "qmstart", "100", "root@pam", 1);
        tasks.log(&upid.text(), "begun");
        tasks.end(&upid.text(), UNEXPECTED, 2);
        assert_eq!(tasks.get(&upid.text()).unwrap().log, ["begun"]);
    }

    #[test]
    fn lists_forget_tasks_when_two_index_files_have_been_filled_after_them() {
        let mut tasks = Tasks::default();
        let mut run = |node: &str| {
            let (upid, _) = tasks.begin(node, "qmstart", "100", "root@pam", 1);
            tasks.end(&upid.text(), "OK", 2);
            let listed = tasks.iter().filter(|task| tasks.is_listed(task)).count();
            (upid.text(), listed)
        };
        let (first, _) = run("pve1");
        let (elsewhere, _) = run("pve2");
        let counts = (0..3000).map(|_| run("pve1").1).collect::<Vec<_>>();
        let most = counts.iter().max().copied().unwrap();
        assert!((1000..2000).contains(&most), "{most}");
        let listed = |upid: &str| tasks.is_listed(tasks.get(upid).unwrap());
        assert!(!listed(&first), "its status is known, but lists have it no more");
        assert!(listed(&elsewhere), "other nodes have their own files");
    }
}
