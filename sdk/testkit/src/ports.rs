//! The runtime's ports, answered by the played host of the thread.
//!
//! The runtime calls a port on the thread that runs the guest, so the host that the bench put there is found.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::http::{Request, Response};
use portico_runtime::bindings::jobs::{Calendar, JobSpec, JobView};
use portico_runtime::bindings::mail::Recipient;
use portico_runtime::bindings::provision::Applied;
use portico_runtime::bindings::snapshots::{Ability, Snapshot};
use portico_runtime::bindings::storage::{Entry, Scope};
use portico_runtime::bindings::types::Task;
use portico_runtime::bindings::vm::{HardwareView, NetworkView, StatusView};
use portico_runtime::capability::{
    HttpPort, JobsPort, LogLine, LogPort, MailPort, PowerPort, ProvisionPort, SnapshotsPort, StoragePort,
    VmPort,
};
use portico_runtime::{CallNumber, Ports};
use portico_sdk::testing::played;

use crate::cross::Cross as _;

/// A set of ports to the played host.
pub(crate) fn played() -> Ports {
    let ports = Arc::new(Played);
    Ports {
        vm: ports.clone(),
        power: ports.clone(),
        snapshots: ports.clone(),
        provision: ports.clone(),
        storage: ports.clone(),
        mail: ports.clone(),
        http: ports.clone(),
        jobs: ports.clone(),
        log: ports,
    }
}

type Answer<T> = Result<T, CapabilityError>;

struct Played;

fn seconds(patience: Duration) -> u32 {
    u32::try_from(patience.as_secs()).unwrap_or(u32::MAX)
}

#[async_trait]
impl VmPort for Played {
    async fn status(&self) -> Answer<StatusView> {
        played::vm::status().cross()
    }

    async fn hardware(&self) -> Answer<HardwareView> {
        played::vm::hardware().cross()
    }

    async fn network(&self) -> Answer<NetworkView> {
        played::vm::network().cross()
    }
}

#[async_trait]
impl PowerPort for Played {
    async fn start(&self, _: CallNumber) -> Answer<Task> {
        played::power::start().cross()
    }

    async fn shutdown(&self, _: CallNumber, patience: Duration) -> Answer<Task> {
        played::power::shutdown(seconds(patience)).cross()
    }

    async fn stop(&self, _: CallNumber) -> Answer<Task> {
        played::power::stop().cross()
    }

    async fn reboot(&self, _: CallNumber, patience: Duration) -> Answer<Task> {
        played::power::reboot(seconds(patience)).cross()
    }

    async fn reset(&self, _: CallNumber) -> Answer<Task> {
        played::power::reset().cross()
    }
}

#[async_trait]
impl SnapshotsPort for Played {
    async fn list(&self) -> Answer<Vec<Snapshot>> {
        played::snapshots::list().cross()
    }

    async fn feature(&self) -> Answer<Ability> {
        played::snapshots::feature().cross()
    }

    async fn create(
        &self,
        _: CallNumber,
        name: String,
        description: String,
        with_memory: bool,
    ) -> Answer<Task> {
        played::snapshots::create(&name, &description, with_memory).cross()
    }

    async fn rollback(&self, _: CallNumber, name: String) -> Answer<Task> {
        played::snapshots::rollback(&name).cross()
    }

    async fn remove(&self, _: CallNumber, name: String) -> Answer<Task> {
        played::snapshots::remove(&name).cross()
    }
}

#[async_trait]
impl ProvisionPort for Played {
    async fn apply_plan(&self, _: CallNumber) -> Answer<Applied> {
        played::provision::apply_plan().cross()
    }
}

#[async_trait]
impl StoragePort for Played {
    async fn get(&self, namespace: Scope, key: String) -> Answer<Option<Entry>> {
        played::storage::get(namespace.cross(), &key).cross()
    }

    async fn set(&self, namespace: Scope, key: String, value: Vec<u8>) -> Answer<u64> {
        played::storage::set(namespace.cross(), &key, &value).cross()
    }

    async fn delete(&self, namespace: Scope, key: String) -> Answer<()> {
        played::storage::delete(namespace.cross(), &key).cross()
    }

    async fn list(
        &self,
        namespace: Scope,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Vec<Entry>> {
        played::storage::list(namespace.cross(), &prefix, after.as_deref(), limit).cross()
    }

    async fn compare_and_swap(
        &self,
        namespace: Scope,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Answer<u64> {
        played::storage::compare_and_swap(namespace.cross(), &key, expected, &value).cross()
    }
}

#[async_trait]
impl MailPort for Played {
    async fn send(&self, _: CallNumber, to: Recipient, template: String, data: String) -> Answer<()> {
        played::mail::send(to.cross(), &template, &data).cross()
    }
}

#[async_trait]
impl HttpPort for Played {
    async fn send(&self, request: Request, _: Duration) -> Answer<Response> {
        played::http::send(&request.cross()).cross()
    }
}

#[async_trait]
impl JobsPort for Played {
    async fn start(&self, _: CallNumber, spec: JobSpec) -> Answer<String> {
        played::jobs::start(&spec.cross()).cross()
    }

    async fn at(&self, _: CallNumber, spec: JobSpec, due: i64) -> Answer<String> {
        played::jobs::at(&spec.cross(), due).cross()
    }

    async fn every(&self, _: CallNumber, spec: JobSpec, calendar: Calendar) -> Answer<()> {
        played::jobs::every(&spec.cross(), &calendar.cross()).cross()
    }

    async fn list(&self) -> Answer<Vec<JobView>> {
        played::jobs::list().cross()
    }

    async fn cancel(&self, _: CallNumber, key: String) -> Answer<()> {
        played::jobs::cancel(&key).cross()
    }
}

impl LogPort for Played {
    fn write(&self, line: LogLine) {
        played::log::write(line.level.cross(), &line.message, &line.fields);
    }
}
