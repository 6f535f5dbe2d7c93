//! The other side of the simulator: faults, tweaks and counters for tests and demos.
//!
//! [`Control`] is the typed access for programs that run the simulator in process; [`http`] offers the same as
//! JSON over plain HTTP on loopback. Nothing here goes through the simulated API.

mod action;
pub(crate) mod http;
mod view;

use std::sync::Arc;

pub use self::action::{Action, ControlError};
pub use self::view::{ConsoleView, TaskView, VmView};
use crate::http::tls;
use crate::simulation::Simulation;
use crate::work::fork;
use crate::work::migrate::{Plan, migrate};
use crate::world::counters::{Effect, EffectCount, EndpointCount, RequestRecord};
use crate::world::faults::Fault;
use crate::world::ha::{Managed, Wanted};

/// The configuration file locks that are held from outside.
type Guards = std::collections::BTreeMap<u32, tokio::sync::OwnedRwLockWriteGuard<()>>;

/// Typed access to a running simulator from the process that runs it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    sim: Arc<Simulation>,
    guards: Arc<std::sync::Mutex<Guards>>,
}

impl Control {
    pub(crate) fn new(sim: Arc<Simulation>) -> Self {
        Self {
            sim,
            guards: Arc::default(),
        }
    }

    /// How many requests came in, whatever became of them.
    pub fn request_count(&self) -> u64 {
        self.sim.world().counters.total()
    }

    /// How many requests came in, by endpoint.
    pub fn requests(&self) -> Vec<EndpointCount> {
        self.sim.world().counters.endpoints()
    }

    /// How many requests one endpoint got: by method and path template.
    pub fn requests_to(&self, method: &str, template: &str) -> u64 {
        let of = |entry: &EndpointCount| entry.method == method && entry.path == template;
        self.requests()
            .into_iter()
            .find(of)
            .map_or(0, |entry| entry.count)
    }

    /// The last requests, oldest first; at most 10,000 are kept.
    pub fn request_log(&self, last: usize) -> Vec<RequestRecord> {
        self.sim.world().counters.log(last)
    }

    /// What really happened in the cluster, and how often.
    pub fn effects(&self) -> Vec<EffectCount> {
        self.sim.world().counters.effects()
    }

    /// How often one thing happened to a VM; `name` is the snapshot or task type, `None` sums over all names.
    pub fn effect_count(&self, effect: Effect, vmid: u32, name: Option<&str>) -> u64 {
        let of = |entry: &&EffectCount| {
            entry.effect == effect && entry.vmid == vmid && (name.is_none() || entry.name.as_deref() == name)
        };
        self.effects().iter().filter(of).map(|entry| entry.count).sum()
    }

    /// Sets all counters to zero and empties the request log.
    pub fn reset_counters(&self) {
        self.sim.world().counters.reset();
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.sim.world().faults.add(fault);
    }

    /// The faults in force, with what is left of their counts.
    pub fn faults(&self) -> Vec<Fault> {
        self.sim.world().faults.list().to_vec()
    }

    /// Removes all injected faults; actions stay as they are.
    pub fn clear_faults(&self) {
        self.sim.world().faults.clear();
    }

    /// A VM as it is now; `None` if there is none.
    pub fn vm(&self, vmid: u32) -> Option<VmView> {
        let now = self.sim.clock.now();
        self.sim.world().vms.get(&vmid).map(|vm| VmView::of(vm, now))
    }

    /// What the screen of a VM shows; `None` if the VM does not run.
    pub fn console(&self, vmid: u32) -> Option<ConsoleView> {
        let mut world = self.sim.world();
        crate::console::guest(&mut world, vmid, &self.sim.clock).map(|guest| ConsoleView::of(guest))
    }

    /// All VMs as they are now.
    pub fn vms(&self) -> Vec<VmView> {
        let now = self.sim.clock.now();
        self.sim
            .world()
            .vms
            .values()
            .map(|vm| VmView::of(vm, now))
            .collect()
    }

    /// All tasks, oldest first.
    pub fn tasks(&self) -> Vec<TaskView> {
        self.sim.world().tasks.iter().map(TaskView::of).collect()
    }

    /// Changes the cluster from outside.
    ///
    /// # Errors
    /// When the VM, node or token does not exist; nothing is changed then.
    pub fn act(&self, action: Action) -> Result<(), ControlError> {
        let now = self.sim.clock.now();
        match action {
            Action::HoldFlock { vmid, held } => return self.hold_flock(vmid, held),
            Action::MigrateVm { vmid, node } => return self.migrate(vmid, node),
            Action::SetHa { vmid, wanted } => return self.set_ha(vmid, wanted),
            Action::SetApiDown { down } => {
                self.sim.down.send_replace(down);
                return Ok(());
            }
            Action::RenewCertificate => return self.renew_certificate(),
            Action::SetClockSkew { seconds } => {
                self.sim.clock.set_skew(seconds);
                return Ok(());
            }
            _ => {}
        }
        let mut world = self.sim.world();
        match action {
            Action::SetLock { vmid, lock } => {
                let vm = world.vms.get_mut(&vmid).ok_or(ControlError::NoVm(vmid))?;
                match lock {
                    Some(lock) => vm.config.insert("lock".to_owned(), lock),
                    None => vm.config.remove("lock"),
                };
            }
            Action::SetQuorum { quorate } => world.quorate = quorate,
            Action::SetQmpStatus { vmid, status } => {
                let vm = world.vms.get_mut(&vmid).ok_or(ControlError::NoVm(vmid))?;
                vm.run.as_mut().ok_or(ControlError::NotRunning(vmid))?.said = status;
            }
            Action::SetNodeOnline { node, online, stale } => {
                let major = world.major;
                let known = world
                    .nodes
                    .get_mut(&node)
                    .ok_or_else(|| ControlError::NoNode(node.clone()))?;
                known.online = online;
                for vm in world.vms.values_mut().filter(|vm| vm.node == node) {
                    vm.set_seen(online, now);
                    if online {
                        vm.publish(now, major);
                    } else if !stale {
                        vm.published = None;
                    }
                }
            }
            Action::SetTokenRevoked { token, revoked } => {
                let known = world.access.tokens.get_mut(&token);
                known.ok_or(ControlError::NoToken(token))?.revoked = revoked;
            }
            Action::SetIgnoresAcpi { vmid, ignores } => {
                world
                    .vms
                    .get_mut(&vmid)
                    .ok_or(ControlError::NoVm(vmid))?
                    .ignores_acpi = ignores;
            }
            Action::SetGuestAgent { vmid, agent } => {
                world.vms.get_mut(&vmid).ok_or(ControlError::NoVm(vmid))?.agent = agent;
            }
            Action::SetRunning { vmid, running } => {
                let vm = world.vms.get(&vmid).ok_or(ControlError::NoVm(vmid))?;
                match (running, vm.run.is_some()) {
                    (true, false) => world.begin_run(vmid, now),
                    (false, true) => world.end_run(vmid, now),
                    _ => {}
                }
            }
            Action::RemoveVm { vmid } => {
                world.vms.remove(&vmid).ok_or(ControlError::NoVm(vmid))?;
                world.firewall.remove(vmid);
                for storage in world.storages.values_mut() {
                    storage
                        .volumes
                        .retain(|v| v.vmid != Some(vmid) || v.content == "backup");
                }
            }
            Action::MoveVm { vmid, node } => {
                if !world.nodes.contains_key(&node) {
                    return Err(ControlError::NoNode(node));
                }
                if !world.vms.contains_key(&vmid) {
                    return Err(ControlError::NoVm(vmid));
                }
                world.move_vm(vmid, &node);
            }
            Action::RotateAuthKeys => world.access.rotations += 1,
            Action::ReleaseStuckTasks => {
                world.releases += 1;
                self.sim.changed.notify_waiters();
            }
            // Done above.
            Action::HoldFlock { .. }
            | Action::MigrateVm { .. }
            | Action::SetHa { .. }
            | Action::RenewCertificate
            | Action::SetApiDown { .. }
            | Action::SetClockSkew { .. } => {}
        }
        Ok(())
    }

    fn migrate(&self, vmid: u32, target: String) -> Result<(), ControlError> {
        let mut world = self.sim.world();
        if !world.nodes.contains_key(&target) {
            return Err(ControlError::NoNode(target));
        }
        let vm = world.vms.get(&vmid).ok_or(ControlError::NoVm(vmid))?;
        let from = vm.node.clone();
        let plan = Plan { target, rules: None };
        fork(
            &self.sim,
            &mut world,
            &from,
            "qmigrate",
            vmid,
            "root@pam",
            |worker| migrate(worker, vmid, plan),
        );
        Ok(())
    }

    fn set_ha(&self, vmid: u32, wanted: Option<Wanted>) -> Result<(), ControlError> {
        let mut world = self.sim.world();
        if !world.vms.contains_key(&vmid) {
            return Err(ControlError::NoVm(vmid));
        }
        match wanted {
            Some(wanted) => world.ha.insert(vmid, Managed::new(wanted)),
            None => world.ha.remove(&vmid),
        };
        Ok(())
    }

    fn renew_certificate(&self) -> Result<(), ControlError> {
        let nodes = self.sim.world().nodes.keys().cloned().collect::<Vec<_>>();
        let identity =
            tls::renewed(&nodes).map_err(|error| ControlError::NoCertificate(error.to_string()))?;
        self.sim.identity.send_replace(identity);
        Ok(())
    }

    /// SHA-256 of the certificate that is served now: `AB:CD:…`, as PVE prints it.
    pub fn fingerprint(&self) -> String {
        self.sim.identity.borrow().fingerprint.clone()
    }

    /// The certificate that is served now, as PEM.
    pub fn certificate_pem(&self) -> String {
        self.sim.identity.borrow().pem.clone()
    }

    fn hold_flock(&self, vmid: u32, held: bool) -> Result<(), ControlError> {
        let lock = self.sim.world().vms.get(&vmid).map(|vm| Arc::clone(&vm.flock));
        let lock = lock.ok_or(ControlError::NoVm(vmid))?;
        let mut guards = self
            .guards
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if held {
            // When a task has the lock just now, that task holds it instead: the writers see no difference.
            if let (std::collections::btree_map::Entry::Vacant(place), Ok(guard)) =
                (guards.entry(vmid), lock.try_write_owned())
            {
                place.insert(guard);
            }
        } else {
            guards.remove(&vmid);
        }
        Ok(())
    }

    /// Sets or clears a VM's persistent lock.
    pub fn set_lock(&self, vmid: u32, lock: Option<&str>) -> Result<(), ControlError> {
        self.act(Action::SetLock {
            vmid,
            lock: lock.map(str::to_owned),
        })
    }

    /// Takes a node off the network, or brings it back.
    pub fn set_node_online(&self, node: &str, online: bool) -> Result<(), ControlError> {
        self.act(Action::SetNodeOnline {
            node: node.to_owned(),
            online,
            stale: false,
        })
    }

    /// Revokes or restores an API token.
    pub fn set_token_revoked(&self, token: &str, revoked: bool) -> Result<(), ControlError> {
        self.act(Action::SetTokenRevoked {
            token: token.to_owned(),
            revoked,
        })
    }

    /// Drops every connection until switched back.
    pub fn set_api_down(&self, down: bool) {
        self.sim.down.send_replace(down);
    }
}
