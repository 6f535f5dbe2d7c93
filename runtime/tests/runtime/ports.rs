//! What stands between a guest's call and a port: scope, kind of call, bounds, panics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use portico_runtime::bindings::guest::Method;
use portico_runtime::bindings::types::{FieldError, Task};
use portico_runtime::bindings::vm::{HardwareView, NetworkView, State, StatusView};
use portico_runtime::capability::{LogLine, LogPort, PowerPort, VmPort};
use portico_runtime::{CallNumber, CapabilityError, PluginError, Ports, Scope};

use super::guest::{Guest, POWER_START, STORAGE_DELETE, VM_STATUS};
use super::{call, get, install, limits, request, runtime, runtime_with, step};

/// Never answers.
pub(crate) struct Hanging;
/// Answers after a while.
pub(crate) struct Slow;
/// Answers at once.
struct Quick;
/// Panics.
struct Panicking;

pub(crate) fn with_vm(port: impl VmPort + 'static) -> Ports {
    Ports {
        vm: Arc::new(port),
        ..Ports::denied()
    }
}

fn status() -> StatusView {
    StatusView {
        state: State::Running,
        uptime: 1,
        cpu: 0.5,
        cores: 1,
        memory_used: 1,
        memory_total: 2,
        rates: None,
        busy: None,
        age: 0,
    }
}

macro_rules! vm_port {
    ($port:ty, $status:expr) => {
        #[async_trait]
        impl VmPort for $port {
            async fn status(&self) -> Result<StatusView, CapabilityError> {
                $status
            }

            async fn hardware(&self) -> Result<HardwareView, CapabilityError> {
                Err(CapabilityError::NotFound)
            }

            async fn network(&self) -> Result<NetworkView, CapabilityError> {
                Err(CapabilityError::NotFound)
            }
        }
    };
}

vm_port!(Hanging, std::future::pending().await);
vm_port!(Quick, Ok(status()));
vm_port!(Panicking, panic!("secret of the host"));
vm_port!(Slow, {
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(status())
});

/// Keeps the lines.
#[derive(Default)]
pub(crate) struct CollectedLog(Mutex<Vec<LogLine>>);

impl CollectedLog {
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().unwrap().clone()
    }
}

impl LogPort for CollectedLog {
    fn write(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

/// Keeps the numbers of the calls that reach it.
#[derive(Default)]
struct Power(Mutex<Vec<u32>>, Option<Duration>);

impl Power {
    async fn record(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.0.lock().unwrap().push(number.0);
        if let Some(delay) = self.1 {
            tokio::time::sleep(delay).await;
        }
        Ok(Task {
            id: format!("task {}", number.0),
        })
    }
}

#[async_trait]
impl PowerPort for Power {
    async fn start(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.record(number).await
    }

    async fn shutdown(&self, number: CallNumber, _: Duration) -> Result<Task, CapabilityError> {
        self.record(number).await
    }

    async fn stop(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.record(number).await
    }

    async fn reboot(&self, number: CallNumber, _: Duration) -> Result<Task, CapabilityError> {
        self.record(number).await
    }

    async fn reset(&self, number: CallNumber) -> Result<Task, CapabilityError> {
        self.record(number).await
    }
}

#[tokio::test]
async fn a_granted_scope_lets_the_call_through_and_a_missing_one_answers_denied() {
    let runtime = runtime();
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    let granted = runtime
        .handle(
            &plugin,
            call(&[Scope::VmRead], with_vm(Quick)),
            request(Method::Get),
        )
        .await;
    assert!(granted.is_ok(), "{granted:?}");
    let refused = runtime
        .handle(&plugin, call(&[], with_vm(Quick)), request(Method::Get))
        .await;
    let Err(PluginError::Denied(text)) = refused else {
        panic!("{refused:?}")
    };
    assert!(text.contains("vm.read"), "{text}");
}

#[tokio::test]
async fn an_argument_out_of_bounds_is_named_and_reaches_no_port() {
    let runtime = runtime();
    // An empty key.
    let guest = Guest::calling(STORAGE_DELETE, "(i32.const 0) (i32.const 0) (i32.const 0)", 4);
    let plugin = install(&runtime, &guest).await;
    let answer = runtime
        .handle(
            &plugin,
            call(&[Scope::StorageUse], Ports::denied()),
            request(Method::Post),
        )
        .await;
    let Err(PluginError::Guest(CapabilityError::Invalid(FieldError { field, .. }))) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(field, "key");
}

#[tokio::test]
async fn the_answer_to_a_get_cannot_change_anything() {
    let runtime = runtime();
    let guest = Guest::calling(STORAGE_DELETE, "(i32.const 0) (i32.const 65536) (i32.const 3)", 4);
    let plugin = install(&runtime, &guest).await;
    let scopes = [Scope::StorageUse];
    let get = runtime
        .handle(&plugin, call(&scopes, Ports::denied()), request(Method::Get))
        .await;
    assert!(
        matches!(&get, Err(PluginError::Denied(text)) if text.contains("GET")),
        "{get:?}"
    );
    // A POST reaches the port, which denies in its own words.
    let post = runtime
        .handle(&plugin, call(&scopes, Ports::denied()), request(Method::Post))
        .await;
    assert!(
        matches!(&post, Err(PluginError::Denied(text)) if text.contains("no capability")),
        "{post:?}"
    );
}

/// Starts the VM three times and ends well if the last start did.
fn starter() -> Guest {
    Guest {
        imports: vec![POWER_START],
        handle: "(call $start (i32.const 4096)) (call $answer (i32.const 4096) (i32.const 4))".into(),
        advance:
            "(call $start (i32.const 4096)) (call $start (i32.const 4096)) (call $start (i32.const 4096))
                  (if (i32.load8_u (i32.const 4096)) (then unreachable)) (global.get $done)"
                .into(),
        ..Guest::default()
    }
}

#[tokio::test]
async fn work_on_the_vm_starts_only_in_an_exclusive_job_and_its_calls_are_numbered() {
    let runtime = runtime();
    let plugin = install(&runtime, &starter()).await;
    let scopes = [Scope::PowerStart];
    let power = Arc::new(Power::default());
    let ports = || Ports {
        power: power.clone(),
        ..Ports::denied()
    };

    let page = runtime
        .handle(&plugin, call(&scopes, ports()), request(Method::Post))
        .await;
    assert!(matches!(page, Err(PluginError::Denied(_))), "{page:?}");
    let shared = runtime
        .advance(&plugin, call(&scopes, ports()), step(false))
        .await;
    assert!(matches!(shared, Err(PluginError::Trap { .. })), "{shared:?}");
    assert_eq!(*power.0.lock().unwrap(), [0; 0]);

    for _ in 0..2 {
        power.0.lock().unwrap().clear();
        assert!(
            runtime
                .advance(&plugin, call(&scopes, ports()), step(true))
                .await
                .is_ok()
        );
        assert_eq!(*power.0.lock().unwrap(), [0, 1, 2]);
    }
}

#[tokio::test]
async fn work_that_runs_out_of_time_ends_the_step_instead_of_telling_the_guest_a_guess() {
    let mut limits = limits();
    limits.job.hostcall_ms = 50;
    let runtime = runtime_with(limits);
    let plugin = install(&runtime, &starter()).await;
    let power = Arc::new(Power(Mutex::default(), Some(Duration::from_mins(1))));
    let ports = Ports {
        power: power.clone(),
        ..Ports::denied()
    };
    let answer = runtime
        .advance(&plugin, call(&[Scope::PowerStart], ports), step(true))
        .await;
    assert!(
        matches!(
            answer,
            Err(PluginError::Timeout {
                waiting_on: Some("power.start"),
                ..
            })
        ),
        "{answer:?}"
    );
    assert_eq!(*power.0.lock().unwrap(), [0]);
}

#[tokio::test]
async fn a_port_that_panics_fails_its_call_and_no_other() {
    let runtime = runtime();
    let plugin = install(&runtime, &Guest::calling(VM_STATUS, "", 8)).await;
    let scopes = [Scope::VmRead];
    let answer = runtime
        .handle(&plugin, call(&scopes, with_vm(Panicking)), request(Method::Get))
        .await;
    let Err(PluginError::Host { function, message }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((function, message.as_str()), ("vm.status", "secret of the host"));
    assert!(
        runtime
            .handle(&plugin, call(&scopes, with_vm(Quick)), request(Method::Get))
            .await
            .is_ok()
    );
    assert!(matches!(
        get(&runtime, &plugin).await,
        Err(PluginError::Denied(_))
    ));
}
