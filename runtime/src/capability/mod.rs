//! Capabilities: what a plugin can ask of the host, one file an interface of `wit/`.
//!
//! Each file holds three things: the list of the interface's functions with the scope each needs, a *port* (the trait
//! by which the host answers) and the implementation of the generated `Host` trait, which leads every call through
//! the gate (`gate.rs`) to the port. The gate checks, in this order and before any effect: the scope, whether the
//! function may be called here at all, the bounds of the arguments, the number of host calls. Then it calls the port
//! under a time limit and turns a panic of the port into an error of this one call.
//!
//! A port is bound to one call: the host makes a set of [`Ports`] for the service, plugin and job step at hand, so that
//! no port ever takes an id of a service, VM or plugin from a guest.
//!
//! To add an interface: its file in `wit/`, a file here, a field in [`Ports`], a line in [`FUNCTIONS`] and one in
//! `linking.rs`; the tests below fail until every function has its entry.
//!
//! Not here: Proxmox, storage, mail and HTTP themselves. The host implements the ports.

pub(crate) mod bounds;
mod denied;
mod gate;
pub mod http;
pub mod jobs;
pub mod log;
pub mod mail;
pub mod power;
pub mod provision;
pub mod snapshots;
pub mod storage;
pub mod vm;

use std::sync::Arc;

use crate::scope::Scope;

pub use self::denied::DeniedPorts;
pub(crate) use self::gate::Phase;
pub use self::http::HttpPort;
pub use self::jobs::JobsPort;
pub use self::log::{LogLine, LogPort};
pub use self::mail::MailPort;
pub use self::power::PowerPort;
pub use self::provision::ProvisionPort;
pub use self::snapshots::SnapshotsPort;
pub use self::storage::StoragePort;
pub use self::vm::VmPort;

/// The ports of one call, each bound to the service, plugin and job step of that call.
#[derive(Clone)]
pub struct Ports {
    /// Reading the VM.
    pub vm: Arc<dyn VmPort>,
    /// Switching the VM.
    pub power: Arc<dyn PowerPort>,
    /// Snapshots of the VM.
    pub snapshots: Arc<dyn SnapshotsPort>,
    /// Bringing the VM in line with the plan.
    pub provision: Arc<dyn ProvisionPort>,
    /// The plugin's key-value store.
    pub storage: Arc<dyn StoragePort>,
    /// E-mail to the owner or the department.
    pub mail: Arc<dyn MailPort>,
    /// HTTP towards approved origins.
    pub http: Arc<dyn HttpPort>,
    /// Durable jobs.
    pub jobs: Arc<dyn JobsPort>,
    /// The provider's log.
    pub log: Arc<dyn LogPort>,
}

impl Ports {
    /// Ports that answer `denied` to everything and drop log lines. For `describe` and `templates`, which run without
    /// any capability, and as a base for tests that need one port only.
    pub fn denied() -> Self {
        let denied = Arc::new(DeniedPorts);
        Self {
            vm: denied.clone(),
            power: denied.clone(),
            snapshots: denied.clone(),
            provision: denied.clone(),
            storage: denied.clone(),
            mail: denied.clone(),
            http: denied.clone(),
            jobs: denied.clone(),
            log: denied,
        }
    }
}

/// The position of a call among the calls of one job step that have an effect outside the guest: 0, 1, 2…
///
/// Counted over `power.*`, `snapshots.create|rollback|remove`, `provision.apply-plan`, `mail.send` and
/// `jobs.start|at|every|cancel` together, and only where the call reaches the port. A step that is run again makes the
/// same calls with the same numbers, so the host can journal by (job, step, number) and answer from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNumber(pub u32);

/// What a function of the contract does to the world outside the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that lasts.
    Read,
    /// Changes something of the panel's: storage, mail, jobs. Not in the answer to a GET, which must change nothing: a
    /// link from another site could cause it.
    Write,
    /// Starts work on the VM. Only in a step of an exclusive job.
    Vm,
}

/// A function of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// `snapshots`.
    pub interface: &'static str,
    /// `snapshots.create`.
    pub path: &'static str,
    /// The scopes of which the call needs one, by its arguments; empty if it needs none.
    pub scopes: &'static [Scope],
    /// What it does.
    pub effect: Effect,
}

impl Function {
    const fn new(
        interface: &'static str,
        path: &'static str,
        scopes: &'static [Scope],
        effect: Effect,
    ) -> Self {
        Self {
            interface,
            path,
            scopes,
            effect,
        }
    }
}

/// Every function a plugin can import, by interface.
pub const FUNCTIONS: &[(&str, &[Function])] = &[
    ("http", http::FUNCTIONS),
    ("jobs", jobs::FUNCTIONS),
    ("log", log::FUNCTIONS),
    ("mail", mail::FUNCTIONS),
    ("power", power::FUNCTIONS),
    ("provision", provision::FUNCTIONS),
    ("snapshots", snapshots::FUNCTIONS),
    ("storage", storage::FUNCTIONS),
    ("vm", vm::FUNCTIONS),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// `interface.function` of everything the world imports, from the WIT files.
    fn functions_of_the_contract() -> BTreeSet<String> {
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (package, _) = resolve.push_dir(&wit).expect("wit/ parses");
        let world = resolve
            .select_world(&[package], Some("feature"))
            .expect("world `feature`");
        let mut names = BTreeSet::new();
        for item in resolve.worlds[world].imports.values() {
            let wit_parser::WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let interface = &resolve.interfaces[*id];
            for function in interface.functions.keys() {
                names.insert(format!(
                    "{}.{function}",
                    interface.name.as_deref().expect("named")
                ));
            }
        }
        names
    }

    #[test]
    fn every_function_of_the_contract_is_listed_once() {
        let listed: Vec<_> = FUNCTIONS.iter().flat_map(|(_, functions)| *functions).collect();
        let names: BTreeSet<_> = listed.iter().map(|function| function.path.to_owned()).collect();
        assert_eq!(names.len(), listed.len());
        assert_eq!(names, functions_of_the_contract());
    }

    #[test]
    fn every_function_but_those_of_log_needs_a_scope_of_its_own_interface() {
        for (interface, functions) in FUNCTIONS {
            for function in *functions {
                assert_eq!(
                    function.scopes.is_empty(),
                    *interface == "log",
                    "{}",
                    function.path
                );
                assert!(
                    function
                        .scopes
                        .iter()
                        .all(|scope| scope.interface() == *interface)
                );
                assert_eq!(function.interface, *interface);
                assert!(function.path.starts_with(&format!("{interface}.")));
            }
        }
    }

    #[test]
    fn every_scope_opens_a_function() {
        let opened: BTreeSet<_> = FUNCTIONS
            .iter()
            .flat_map(|(_, functions)| *functions)
            .flat_map(|function| function.scopes)
            .collect();
        assert_eq!(opened, Scope::ALL.iter().collect());
    }

    #[test]
    fn what_starts_work_on_the_vm_is_marked_so() {
        for (interface, functions) in FUNCTIONS {
            for function in *functions {
                let read = matches!(function.path, "snapshots.list" | "snapshots.feature");
                let vm = matches!(*interface, "power" | "snapshots" | "provision") && !read;
                assert_eq!(function.effect == Effect::Vm, vm, "{}", function.path);
            }
        }
    }
}
