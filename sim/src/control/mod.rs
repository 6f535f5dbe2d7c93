//! The other side of the simulator: faults, tweaks and counters for tests and demos.
//!
//! [`Control`] is the typed access for programs that run the simulator in process; [`http`] offers the same as
//! JSON over plain HTTP on loopback. Nothing here goes through the simulated API.

pub(crate) mod http;
mod view;

use std::sync::Arc;

use serde::Deserialize;

pub use self::view::{ConsoleView, TaskView, VmView};
use crate::http::tls;
use crate::simulation::Simulation;
use crate::work::fork;
use crate::work::migrate::{Plan, migrate};
use crate::world::counters::{Effect, EffectCount, EndpointCount, RequestRecord};
use crate::world::faults::Fault;
use crate::world::ha::{Managed, Wanted};
use crate::world::vm::GuestAgent;

/// A change of the cluster's state from outside, as an administrator or fate would make it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Sets or clears a VM's persistent lock (`backup`, `snapshot`…), as a job or `qm unlock` would.
    SetLock {
        /// The VM.
        vmid: u32,
        /// The lock; none clears it.
        #[serde(default)]
        lock: Option<String>,
    },
    /// Holds or releases a VM's configuration file lock: writers get `can't lock file … got timeout`.
    HoldFlock {
        /// The VM.
        vmid: u32,
        /// Hold or release.
        held: bool,
    },
    /// Takes a node off the network, or brings it back. Its VMs run on; requests for it get 595, and its VMs are
    /// `unknown` in the resources list at once (PVE needs up to five minutes).
    SetNodeOnline {
        /// The node.
        node: String,
        /// On or off.
        online: bool,
    },
    /// Revokes an API token (`user@realm!name`), or restores it with its secret.
    SetTokenRevoked {
        /// The token's full id.
        token: String,
        /// Revoke or restore.
        revoked: bool,
    },
    /// Drops every connection at once, new ones too, until switched back.
    SetApiDown {
        /// Down or up.
        down: bool,
    },
    /// Whether a guest ignores the power button.
    SetIgnoresAcpi {
        /// The VM.
        vmid: u32,
        /// Ignore it.
        ignores: bool,
    },
    /// What the agent inside a guest does.
    SetGuestAgent {
        /// The VM.
        vmid: u32,
        /// Its new behaviour.
        agent: GuestAgent,
    },
    /// Stops or starts a VM from inside or by an administrator: at once and without a task.
    SetRunning {
        /// The VM.
        vmid: u32,
        /// Run or not.
        running: bool,
    },
    /// Destroys a VM with its configuration and disks.
    RemoveVm {
        /// The VM.
        vmid: u32,
    },
    /// Moves a VM's configuration to another node, as the end of a migration does.
    MoveVm {
        /// The VM.
        vmid: u32,
        /// Where to.
        node: String,
    },
    /// Migrates a VM as an administrator does: a task `qmigrate` with the lock `migrate`, then the configuration
    /// is on the other node.
    MigrateVm {
        /// The VM.
        vmid: u32,
        /// Where to.
        node: String,
    },
    /// Puts a VM under high availability, or takes it out.
    SetHa {
        /// The VM.
        vmid: u32,
        /// The state it shall be in; none takes it out.
        #[serde(default)]
        wanted: Option<Wanted>,
    },
    /// Serves a new self-signed certificate from now on; connections end, as when pveproxy restarts.
    RenewCertificate,
    /// Replaces the key that signs tickets, as PVE does every day: tickets live through one change, not two.
    RotateAuthKeys,
    /// Lets stuck tasks go on.
    ReleaseStuckTasks,
    /// Lets the cluster's clock be ahead of the true time.
    SetClockSkew {
        /// Seconds ahead; negative for behind.
        seconds: i64,
    },
}

/// Why an action was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such VM.
    #[error("there is no VM {0}")]
    NoVm(u32),
    /// There is no such node.
    #[error("there is no node `{0}`")]
    NoNode(String),
    /// There is no such token.
    #[error("there is no token `{0}`")]
    NoToken(String),
    /// The system refused a new certificate.
    #[error("there is no new certificate: {0}")]
    NoCertificate(String),
}

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
            Action::SetNodeOnline { node, online } => {
                let known = world
                    .nodes
                    .get_mut(&node)
                    .ok_or_else(|| ControlError::NoNode(node.clone()))?;
                known.online = online;
                for vm in world.vms.values_mut().filter(|vm| vm.node == node) {
                    vm.published = None;
                    vm.set_seen(online, now);
                    if online {
                        vm.publish(now);
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
