//! The host's functions, with the names and types of the contract, answered by the [`Host`] of the thread.
//!
//! The capability modules of this crate call these natively. The crate `portico-testkit` connects the real runtime to
//! them. A plugin's tests have no need of them.

use super::HOST;
use super::host::Host;
use crate::Error;

/// A call: noted, checked, answered.
fn ask<T>(name: &'static str, answer: impl FnOnce(&mut Host) -> Result<T, Error>) -> Result<T, Error> {
    HOST.with_borrow_mut(|host| {
        let Some(host) = host else {
            return Err(Error::denied(format!(
                "`{name}` has no host to call: use `portico_sdk::testing`"
            )));
        };
        host.admit(name)?;
        answer(host)
    })
}

/// Reading the VM.
pub mod vm {
    use super::{Error, ask};
    use crate::vm::{Hardware, Network, Status};

    /// `vm.status`.
    pub fn status() -> Result<Status, Error> {
        ask("vm.status", |host| Ok(host.status()))
    }

    /// `vm.hardware`.
    pub fn hardware() -> Result<Hardware, Error> {
        ask("vm.hardware", |host| Ok(host.vm.hardware.clone()))
    }

    /// `vm.network`.
    pub fn network() -> Result<Network, Error> {
        ask("vm.network", |host| Ok(host.vm.network.clone()))
    }
}

/// Switching the VM.
pub mod power {
    use super::{Error, ask};
    use crate::Task;
    use crate::testing::check;

    /// `power.start`.
    pub fn start() -> Result<Task, Error> {
        ask("power.start", |host| host.start_task("power.start", ""))
    }

    /// `power.shutdown`.
    pub fn shutdown(timeout: u32) -> Result<Task, Error> {
        ask("power.shutdown", |host| {
            check("timeout", (10..=600).contains(&timeout), "10 to 600 seconds")?;
            host.start_task("power.shutdown", &timeout.to_string())
        })
    }

    /// `power.stop`.
    pub fn stop() -> Result<Task, Error> {
        ask("power.stop", |host| host.start_task("power.stop", ""))
    }

    /// `power.reboot`.
    pub fn reboot(timeout: u32) -> Result<Task, Error> {
        ask("power.reboot", |host| {
            check("timeout", (10..=600).contains(&timeout), "10 to 600 seconds")?;
            host.start_task("power.reboot", &timeout.to_string())
        })
    }

    /// `power.reset`.
    pub fn reset() -> Result<Task, Error> {
        ask("power.reset", |host| host.start_task("power.reset", ""))
    }
}

/// Snapshots of the VM.
pub mod snapshots {
    use super::{Error, ask};
    use crate::Task;
    use crate::snapshots::{Ability, Snapshot};

    /// `snapshots.list`.
    pub fn list() -> Result<Vec<Snapshot>, Error> {
        ask("snapshots.list", |host| Ok(host.snapshots.clone()))
    }

    /// `snapshots.feature`.
    pub fn feature() -> Result<Ability, Error> {
        ask("snapshots.feature", |host| Ok(host.ability.clone()))
    }

    /// `snapshots.create`.
    pub fn create(name: &str, description: &str, with_memory: bool) -> Result<Task, Error> {
        ask("snapshots.create", |host| {
            host.create_snapshot(name, description, with_memory)
        })
    }

    /// `snapshots.rollback`.
    pub fn rollback(name: &str) -> Result<Task, Error> {
        ask("snapshots.rollback", |host| {
            host.find_snapshot(name)?;
            host.start_task("snapshots.rollback", name)
        })
    }

    /// `snapshots.remove`.
    pub fn remove(name: &str) -> Result<Task, Error> {
        ask("snapshots.remove", |host| {
            host.find_snapshot(name)?;
            host.start_task("snapshots.remove", name)
        })
    }
}

/// Bringing the VM in line with the plan.
pub mod provision {
    use super::{Error, ask};
    use crate::provision::Applied;

    /// `provision.apply-plan`.
    pub fn apply_plan() -> Result<Applied, Error> {
        ask("provision.apply-plan", |host| {
            host.plans_applied += 1;
            Ok(host.applied.clone())
        })
    }
}

/// The key-value store.
pub mod storage {
    use super::{Error, ask};
    use crate::bindings::portico::plugin::storage::Entry;
    use crate::storage::Scope;

    /// `storage.get`.
    pub fn get(scope: Scope, key: &str) -> Result<Option<Entry>, Error> {
        ask("storage.get", |host| Ok(host.store(scope).get(key)))
    }

    /// `storage.set`.
    pub fn set(scope: Scope, key: &str, value: &[u8]) -> Result<u64, Error> {
        ask("storage.set", |host| host.store(scope).set(key, value.to_vec()))
    }

    /// `storage.delete`.
    pub fn delete(scope: Scope, key: &str) -> Result<(), Error> {
        ask("storage.delete", |host| {
            host.store(scope).delete(key);
            Ok(())
        })
    }

    /// `storage.list`.
    pub fn list(scope: Scope, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>, Error> {
        ask("storage.list", |host| {
            Ok(host.store(scope).list(prefix, after, limit))
        })
    }

    /// `storage.compare-and-swap`.
    pub fn compare_and_swap(
        scope: Scope,
        key: &str,
        expected: Option<u64>,
        value: &[u8],
    ) -> Result<u64, Error> {
        ask("storage.compare-and-swap", |host| {
            host.store(scope).swap(key, expected, value.to_vec())
        })
    }
}

/// E-mail.
pub mod mail {
    use super::{Error, ask};
    use crate::mail::Recipient;
    use crate::testing::Mail;

    /// `mail.send`.
    pub fn send(to: Recipient, template: &str, data: &str) -> Result<(), Error> {
        ask("mail.send", |host| {
            let scope = match to {
                Recipient::Owner => "mail.owner",
                Recipient::Department => "mail.department",
            };
            host.grant(scope)?;
            host.mails.push(Mail {
                to,
                template: template.into(),
                data: data.into(),
            });
            Ok(())
        })
    }
}

/// The Internet.
pub mod http {
    use super::{Error, ask};
    use crate::bindings::portico::plugin::http::{Request, Response};

    /// `http.send`.
    pub fn send(request: &Request) -> Result<Response, Error> {
        ask("http.send", |host| host.http.send(request.clone()))
    }
}

/// Jobs.
pub mod jobs {
    use super::{Error, ask};
    use crate::bindings::portico::plugin::jobs::{Calendar, JobSpec, JobView};

    /// `jobs.start`.
    pub fn start(spec: &JobSpec) -> Result<String, Error> {
        ask("jobs.start", |host| host.start_job(spec.clone()))
    }

    /// `jobs.at`.
    pub fn at(spec: &JobSpec, due: i64) -> Result<String, Error> {
        ask("jobs.at", |host| host.start_job_at(spec.clone(), due))
    }

    /// `jobs.every`.
    pub fn every(spec: &JobSpec, calendar: &Calendar) -> Result<(), Error> {
        ask("jobs.every", |host| host.start_calendar(spec.clone(), calendar))
    }

    /// `jobs.list`.
    pub fn list() -> Result<Vec<JobView>, Error> {
        ask("jobs.list", |host| Ok(host.job_views()))
    }

    /// `jobs.cancel`.
    pub fn cancel(key: &str) -> Result<(), Error> {
        ask("jobs.cancel", |host| host.cancel_job(key))
    }
}

/// The log.
pub mod log {
    use super::HOST;
    use crate::log::Level;
    use crate::testing::Line;

    /// What was written so far, for a message about a plugin that failed.
    pub fn lines() -> Vec<Line> {
        HOST.with_borrow(|host| host.as_ref().map(|host| host.log.clone()).unwrap_or_default())
    }

    /// `log.write`.
    pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
        HOST.with_borrow_mut(|host| {
            if let Some(host) = host {
                host.log.push(Line {
                    level,
                    message: message.into(),
                    fields: fields.to_vec(),
                });
            }
        });
    }
}
