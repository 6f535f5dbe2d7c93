//! Work on the VM: started, ended, and what it changes.

use std::collections::VecDeque;

use super::Host;
use super::host::Call;
use crate::snapshots::{Phase, Snapshot};
use crate::{Error, Outcome, Task, vm};

/// A piece of work that was started.
#[derive(Clone, Debug)]
pub struct Work {
    /// The function: `snapshots.create`.
    pub name: &'static str,
    /// The snapshot it is about, or the timeout of a shutdown.
    pub subject: String,
    /// Whether it has ended.
    pub ended: bool,
    task: Task,
    /// For a step that runs again.
    step: (String, u32),
}

/// How a task ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// `timeout`, `locked`, `unsupported`, `not-newest`…, or empty if it ends well.
    pub reason: String,
    /// The sentence for the customer.
    pub message: String,
}

impl Ending {
    /// A task that fails.
    pub fn failure(reason: &str, message: &str) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }
}

impl Host {
    /// Starts work, or returns the task of the same call when the step is repeated.
    pub(crate) fn start_task(&mut self, name: &'static str, subject: &str) -> Result<Task, Error> {
        if let Some(first) = self.repeated() {
            assert!(
                first.name == name && first.subject == subject,
                "a repeated step called `{name}` ({subject:?}) where it had called `{}` ({:?}): decide in one step, act in \
                 the next",
                first.name,
                first.subject
            );
            let task = first.task.clone();
            self.replay = self.replay.map(|done| done + 1);
            return Ok(task);
        }
        if self.call == Call::Free && self.jobs.operation().is_some() {
            return Err(Error::Busy(self.jobs.operation().unwrap_or_default()));
        }
        let step = self.jobs.current_step();
        let task = Task {
            id: format!("task-{}", self.work.len() + 1),
        };
        self.work.push(Work {
            name,
            subject: subject.into(),
            ended: false,
            task: task.clone(),
            step,
        });
        Ok(task)
    }

    /// What the running step had started at this point when it ran before.
    fn repeated(&self) -> Option<&Work> {
        let step = self.jobs.current_step();
        self.replay
            .and_then(|done| self.work.iter().filter(|work| work.step == step).nth(done))
    }

    pub(crate) fn create_snapshot(
        &mut self,
        name: &str,
        description: &str,
        memory: bool,
    ) -> Result<Task, Error> {
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let fits = (2..=40).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphabetic());
        super::check(
            "name",
            fits && name.chars().all(rest),
            "2 to 40 letters, digits, `_`, `-`",
        )?;
        super::check(
            "description",
            description.chars().count() <= 1_024,
            "at most 1,024 characters",
        )?;
        if self.repeated().is_none() && self.snapshots.iter().any(|snapshot| snapshot.name == name) {
            return Err(Error::Conflict);
        }
        let task = self.start_task("snapshots.create", name)?;
        if !self.snapshots.iter().any(|snapshot| snapshot.name == name) {
            let parent = self
                .snapshots
                .iter()
                .find(|snapshot| snapshot.current)
                .map(|snapshot| snapshot.name.clone());
            self.snapshots.push(Snapshot {
                name: name.into(),
                description: description.into(),
                time: self.now,
                with_memory: memory && self.vm.status.state == vm::State::Running,
                parent,
                phase: Phase::Creating,
                current: false,
            });
        }
        Ok(task)
    }

    pub(crate) fn find_snapshot(&self, name: &str) -> Result<(), Error> {
        if self.repeated().is_some() || self.snapshots.iter().any(|snapshot| snapshot.name == name) {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Ends a task as planned, with its effect on the VM.
    pub(super) fn end_task(&mut self, task: &Task) -> Outcome {
        let Some(work) = self.work.iter_mut().find(|work| work.task.id == task.id) else {
            panic!("the step waits for task `{}`, which was never started", task.id);
        };
        work.ended = true;
        let (name, subject) = (work.name, work.subject.clone());
        let ending = self.endings.get_mut(name).and_then(VecDeque::pop_front);
        let ending = ending.unwrap_or(Ending {
            reason: String::new(),
            message: String::new(),
        });
        let ok = ending.reason.is_empty();
        self.take_effect(name, &subject, ok);
        Outcome {
            task: task.clone(),
            ok,
            warnings: false,
            message: ending.message,
            reason: ending.reason,
        }
    }

    fn take_effect(&mut self, name: &str, subject: &str, ok: bool) {
        match name {
            "snapshots.create" if ok => {
                for snapshot in &mut self.snapshots {
                    snapshot.current = snapshot.name == subject;
                    if snapshot.current {
                        snapshot.phase = Phase::Ready;
                    }
                }
            }
            // Proxmox removes what a failed snapshot left.
            "snapshots.create" => self.snapshots.retain(|snapshot| snapshot.name != subject),
            _ if !ok => {}
            "snapshots.remove" => self.forget(subject),
            "snapshots.rollback" => {
                let mut memory = false;
                for snapshot in &mut self.snapshots {
                    snapshot.current = snapshot.name == subject;
                    memory |= snapshot.current && snapshot.with_memory;
                }
                self.vm.status.state = if memory {
                    vm::State::Running
                } else {
                    vm::State::Stopped
                };
            }
            "power.start" | "power.reboot" | "power.reset" => self.vm.status.state = vm::State::Running,
            "power.shutdown" | "power.stop" => self.vm.status.state = vm::State::Stopped,
            _ => {}
        }
    }

    fn forget(&mut self, name: &str) {
        let Some(index) = self.snapshots.iter().position(|snapshot| snapshot.name == name) else {
            return;
        };
        let gone = self.snapshots.remove(index);
        for snapshot in &mut self.snapshots {
            if snapshot.parent.as_deref() == Some(name) {
                snapshot.parent.clone_from(&gone.parent);
            }
            if gone.current && gone.parent.as_deref() == Some(&snapshot.name) {
                snapshot.current = true;
            }
        }
    }
}
